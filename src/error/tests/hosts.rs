//! Errors of the host: its identity, its files, and the configuration that they are to hold.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ecs_config::expand::{self, expand};
use ecs_config::merge;
use nix::unistd::{Uid, chown, geteuid};

use super::{ExitStatus, PLANTED, examples, network};
use crate::files;
use crate::identity::{self, imds};
use crate::install::{compose, foreign, lock};
use crate::net::NetworkError;
use crate::paths::MAX_CONFIG;

pub(super) fn imds() -> Vec<(ExitStatus, imds::Error)> {
    use imds::Error;
    let endpoint = || "http://169.254.169.254".to_owned();
    let source = NetworkError::Silent("169.254.169.254".into());
    examples!(Error {
        Error::Disabled => MetadataUnreachable [Error::Disabled],
        Error::Refused { .. } => MetadataUnreachable [
            Error::Refused { status: 403, path: "api/token".into() },
        ],
        Error::NotImds { .. } => MetadataUnreachable [
            Error::NotImds { endpoint: endpoint(), what: "no token".into() },
        ],
        Error::HopLimit { .. } => MetadataUnreachable [Error::HopLimit { endpoint: endpoint() }],
        Error::Unreachable { .. } => MetadataUnreachable [
            Error::Unreachable { endpoint: endpoint(), attempts: 3, source },
        ],
    })
}

pub(super) fn identity() -> Vec<(ExitStatus, identity::Error)> {
    use identity::Error;
    let (role, code, message) =
        (|| "web".to_owned(), || "ExpiredToken".to_owned(), || "it has expired".to_owned());
    let mismatch = |who| Error::Mismatch {
        what: "the account",
        found: "111111111111".into(),
        who,
        wanted: "222222222222".into(),
    };
    let no_ssm_credentials = Error::NoSsmCredentials {
        file: "/root/.aws/credentials".into(),
        profile: "default".into(),
        why: "No such file or directory".into(),
    };
    let asked = |status| {
        let causes = || vec!["connection reset".into()];
        network::network_with(status)
            .map(|kind| Error::Sts { kind, causes: causes() })
            .collect::<Vec<_>>()
    };
    let causes: Vec<_> = imds().into_iter().map(|(_, error)| Error::Metadata(error)).collect();
    examples!(Error {
        Error::Metadata(_) => MetadataUnreachable causes,
        Error::NoRole => NoRole [Error::NoRole],
        Error::NotDelivered { .. } => NoRole [
            Error::NotDelivered { role: None },
            Error::NotDelivered { role: Some(role()) },
        ],
        Error::RoleRefused { .. } => NoRole [
            Error::RoleRefused { role: role(), code: code(), message: message() },
        ],
        Error::Expired { .. } => NoRole [Error::Expired { role: role(), ago: "5m ago".into() }],
        Error::NotRegistered => NoRole [Error::NotRegistered],
        Error::NoSsmCredentials { .. } => NoRole [no_ssm_credentials],
        Error::NotShared { .. } => NoRole [
            Error::NotShared { why: "it has written no credentials".into() },
        ],
        Error::NoRegion => MetadataUnreachable [Error::NoRegion],
        Error::Mismatch { .. } => IdentityMismatch [
            mismatch("--expect-account"),
            mismatch("instance metadata"),
        ],
        Error::Rejected { .. } => IdentityMismatch [
            Error::Rejected { role: role(), code: code(), message: message() },
        ],
        Error::Strange(_) => SourceUnreachable [Error::Strange("its body is too long".into())],
        Error::Sts { kind: NetworkError::Unusable(_), .. } => Settings asked(ExitStatus::Settings),
        Error::Sts { kind: NetworkError::ClockSkew { .. }, .. } => AccessDenied
            asked(ExitStatus::AccessDenied),
        Error::Sts { .. } => SourceUnreachable asked(ExitStatus::SourceUnreachable),
    })
}

pub(super) fn lock() -> Vec<(ExitStatus, lock::Error)> {
    use lock::Error;
    let path = || PathBuf::from("/run/ecs-bootstrap/lock");
    examples!(Error {
        Error::Held { .. } => Locked [Error::Held { path: path() }],
        Error::Io { .. } => Install [
            Error::Io { path: path(), source: io::ErrorKind::PermissionDenied.into() },
        ],
    })
}

pub(super) fn files() -> Vec<(ExitStatus, files::Error)> {
    use files::Error;
    let path = || PathBuf::from("/etc/ecs/ecs.config");
    let kinds = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::Other,
    ];
    let io = kinds.map(|kind| Error::Io { path: path(), source: kind.into() });
    let not_synced = kinds.map(|kind| Error::NotSynced { path: path(), source: kind.into() });
    examples!(Error {
        Error::Io { .. } => Install io,
        Error::NotSynced { .. } => Install not_synced,
        Error::Refused { .. } => Install refused_files(),
        Error::Privilege { .. } => Install [Error::Privilege { what: "installing", uid: 1000 }],
    })
}

/// What is not replaced: a link, a folder, a file that is too large, and another user's.
fn refused_files() -> Vec<files::Error> {
    let folder = tempfile::tempdir().unwrap();
    let (link, large) = (folder.path().join("link"), folder.path().join("large"));
    symlink("target", &link).unwrap();
    fs::write(&large, vec![b'#'; MAX_CONFIG + 1]).unwrap();
    let refused = |path: &Path| files::current(path, MAX_CONFIG).unwrap_err();
    let mut all = vec![refused(&link), refused(folder.path()), refused(&large)];
    if geteuid().is_root() {
        chown(&large, Some(Uid::from_raw(65534)), None).unwrap();
        all.push(refused(&large));
    } else {
        all.push(refused(Path::new("/proc/version")));
    }
    all
}

pub(super) fn compose() -> Vec<(ExitStatus, compose::Error)> {
    use compose::Error;
    let from = || "s3://bucket/ecs.config".to_owned();
    let too_many = Error::TooMany { from: from(), count: 5000, what: "variables", most: 4096 };
    let no_configuration = Error::NoConfiguration { from: from(), what: "an HTML page".into() };
    let findings = |fix| Error::Findings {
        count: 2,
        first: "s3://bucket/ecs.config, line 1: not KEY=VALUE (malformed)".into(),
        fix,
    };
    let expansions = expansions();
    let expansions: Vec<_> =
        expansions.into_iter().map(|source| Error::Expand { from: from(), source }).collect();
    let mut all = examples!(Error {
        Error::NoConfiguration { .. } => Integrity [no_configuration],
        Error::TooMany { .. } => Lint [too_many],
        Error::Expand { .. } => Lint expansions,
        Error::Findings { .. } => Lint [findings(None), findings(Some("write KEY=VALUE".into()))],
        Error::Foreign(_) => Lint foreign::Error::examples().into_iter().map(|(_, error)| Error::Foreign(error)).collect::<Vec<_>>(),
        Error::Merge(_) => Lint [Error::Merge(merge::Error::Malformed { from: from(), line: 1 })],
        Error::Joined => Conflict [Error::Joined],
    });
    all.extend(merges().into_iter().map(|(status, error)| (status, Error::Merge(error))));
    all
}

fn merges() -> Vec<(ExitStatus, merge::Error)> {
    use merge::Error;
    let (path, by) = (|| "/etc/ecs/ecs.config".to_owned(), "--set".to_owned());
    let misread =
        Error::Misread { from: path(), line: 2, key: "ECS_CLUSTER".into(), reader: "docker" };
    examples!(Error {
        Error::Conflict { .. } => Conflict [Error::Conflict { path: path(), line: 1, by }],
        Error::Misread { .. } => Lint [misread],
        Error::Malformed { .. } => Lint [Error::Malformed { from: path(), line: 3 }],
    })
}

/// Without a status of their own.
fn expansions() -> Vec<expand::Error> {
    use expand::Error;
    let expanded =
        |text: &str, value: &str| expand(text.as_bytes(), |_| Some(value.to_owned())).unwrap_err();
    let unknown = [expanded("A=${regoin}", "x"), expanded(&format!("A=${{ {PLANTED} }}"), "x")];
    let all = examples!(Error {
        Error::Unknown { .. } => Lint unknown,
        Error::Empty { .. } => Lint [expanded("A=${region}", "")],
        Error::Control { .. } => Lint [expanded("A=${tag:Name}", &format!("{PLANTED}\n"))],
        Error::Unclosed { .. } => Lint [expanded(&format!("A=${{{PLANTED}"), "x")],
        Error::TooLong { .. } => Lint [expanded("A=${region}", &"x".repeat(ecs_config::MAX_BYTES))],
    });
    all.into_iter().map(|(_, error)| error).collect()
}
