//! Errors in what was typed or set.

use std::path::Path;

use super::{ExitStatus, PLANTED, examples};
use crate::net::aws::Aws;
use crate::role::{self, Role, RoleRequest};
use crate::settings::{Error, Given, Settings};

pub(super) fn settings() -> Vec<(ExitStatus, Error)> {
    let url = format!("http://u:{PLANTED}@host.test/k?sig={PLANTED}");
    let unknown =
        |nearest| Error::Unknown { origin: "flag".into(), name: "expandd".into(), nearest };
    examples!(Error {
        Error::Unknown { .. } => Settings [
            unknown(Some("expand".into())),
            unknown(None),
            Given::tags([("ecs-bootstrap:a\u{1b}b", "1")].into_iter()).unwrap_err(),
            file("\"a\\u001bb\" = 1"),
        ],
        Error::Value { .. } => Settings [
            refused("set", PLANTED),
            refused("set", &format!("1KEY={PLANTED}")),
            refused("set", &format!("KEY={PLANTED}\n")),
            refused("keep", &format!("KEY={PLANTED}")),
            refused("keep", "A\u{1b}B"),
            refused("stale", PLANTED),
            refused("timeout", "0s"),
            variable(&format!("https://host.test/k?sig=a&b={PLANTED} {PLANTED}")),
            variable(&format!("HTTPS://host.test/k?sig={PLANTED}")),
            Error::only_lint(),
        ],
        Error::Source { .. } => Settings [
            refused("config", &url),
            Error::source(url.parse::<crate::source::Source>().unwrap_err()),
        ],
        Error::File { .. } => Settings [
            file(&format!("set = '{PLANTED}")),
            file(&format!("set = [{PLANTED}]")),
        ],
        Error::NotUtf8(_) => Settings [Error::NotUtf8("AWS_REGION".into())],
        Error::WithoutConfig(_) => Settings [
            Error::without_config("s3://bucket/key"),
            Error::without_config(&url),
        ],
        Error::NoConfig => Settings [Error::NoConfig],
        Error::NoTags => Settings [Error::NoTags],
    })
}

fn refused(name: &'static str, text: &str) -> Error {
    let given = Given::flags([(name, vec![text.to_owned()])]);
    Settings::new("/".into(), given, Aws::default()).unwrap_err()
}

fn variable(config: &str) -> Error {
    Given::environment([("ECS_BOOTSTRAP_CONFIG", config)].into_iter()).unwrap_err()
}

fn file(text: &str) -> Error {
    Given::file(Path::new("/etc/ecs-bootstrap.toml"), text).unwrap_err()
}

pub(super) fn role() -> Vec<(ExitStatus, role::Error)> {
    use role::Error;
    let invalid = |name: &str, request| {
        let made = Role::new(request, Some(name.into()), &[], None);
        made.err().unwrap()
    };
    let usual = RoleRequest::default;
    examples!(Error {
        Error::Invalid { .. } => Settings [
            invalid("a/b", usual()),
            #[cfg(not(feature = "role-check"))]
            Error::no_command(&["chekc".into()]),
            invalid("r", RoleRequest { account: Some("1".into()), ..usual() }),
            invalid("r", RoleRequest { region: Some("US".into()), ..usual() }),
            invalid("r", RoleRequest { kms_key: vec!["alias/mine".into()], ..usual() }),
        ],
        Error::Partition(_) => Settings [Error::Partition("gov".into())],
        Error::Partitions { .. } => Settings [
            Error::Partitions { what: "cn-north-1".into(), theirs: "aws-cn", ours: "aws" },
        ],
        #[cfg(not(feature = "role-check"))]
        Error::NoCheck => Settings [Error::no_command(&["check".into()])],
    })
}
