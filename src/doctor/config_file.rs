//! The configuration as it lies on the disk, and the agent that has perhaps started with another.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;

use ecs_config::lint::{self, Context, File, Finding, Place, Severity};
use nix::unistd::geteuid;

use super::Patient;
use super::check::{Check, Verdict, check};
use crate::files::sha256;
use crate::identity::host_kind;
use crate::install::state::{self, State, boot_id};
use crate::paths::{self, AGENT_DB, ECS_CONFIG, JSON_CONFIG};

pub(crate) const CHECKS: [Check; 5] = [
    check("file", "/etc/ecs/ecs.config: there, root's, and nobody else's to read or write", file),
    check("digest", "the installed file against what the last run verified", digest)
        .needs(&["file"]),
    check(
        "lint",
        "ecs.config with /var/lib/ecs/ecs.config and ecs.config.json, as their readers read them",
        lint,
    )
    .needs(&["file"]),
    check(
        "other-files",
        "who may write what ecs-init reads beside it: /var/lib/ecs/ecs.config, ecs.config.json, the folders",
        other_files,
    ),
    check(
        "agent-cluster",
        "the cluster that the agent has joined before, in its agent.db",
        agent_cluster,
    )
    .needs(&["file"]),
];
const RUN: &str = "run `ecs-bootstrap run`: it puts the verified file there, or says why it cannot";

/// Whose the files may be: root's, or on a folder that stands for a host, those of whoever works on
/// it.
fn is_trusted(uid: u32, patient: &Patient) -> bool {
    uid == 0 || !patient.is_this_host() && uid == geteuid().as_raw()
}

fn file(patient: &Patient) -> Verdict {
    let found = match fs::symlink_metadata(patient.settings.path(ECS_CONFIG)) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Verdict::failure(
                format!("{ECS_CONFIG} is not there: the agent would join the cluster `default`"),
                RUN,
            );
        }
        Err(error) => {
            return Verdict::skipped(format!("{ECS_CONFIG} cannot be looked at: {error}"));
        }
    };
    let (uid, mode) = (found.uid(), found.mode() & 0o7777);
    match (found.is_file(), is_trusted(uid, patient), mode & 0o022, mode & 0o044) {
        (false, ..) => Verdict::failure(
            format!("{ECS_CONFIG} is a link or a folder, not a file"),
            format!("remove it, and {RUN}"),
        ),
        (_, false, ..) => Verdict::failure(
            format!("{ECS_CONFIG} belongs to user id {uid}"),
            format!("chown root:root {ECS_CONFIG}"),
        ),
        (_, _, 1.., _) => Verdict::failure(
            format!("{ECS_CONFIG} may be written by others (mode {mode:04o})"),
            format!("chmod 0600 {ECS_CONFIG}"),
        ),
        (_, _, _, 1..) => Verdict::warning(
            format!(
                "{ECS_CONFIG} may be read by others (mode {mode:04o}), and may hold registry credentials"
            ),
            format!("chmod 0600 {ECS_CONFIG}"),
        ),
        _ => Verdict::ok(format!("mode {mode:04o}, {} bytes", found.len())),
    }
}

/// What cannot be read for want of privilege is skipped; what is not there is `None`.
fn read(patient: &Patient, path: &str) -> Result<Option<Vec<u8>>, Verdict> {
    match fs::read(patient.settings.path(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &str, error: &io::Error) -> Verdict {
    match error.kind() {
        ErrorKind::PermissionDenied => Verdict::skipped(format!("only root may read {path}")),
        _ => Verdict::failure(
            format!("{path} cannot be read: {error}"),
            "see what kind of file it is, and `dmesg` for the disk's errors",
        ),
    }
}

/// The verdict, whichever way it was come to.
fn either(verdict: Result<Verdict, Verdict>) -> Verdict {
    verdict.unwrap_or_else(|early| early)
}

fn digest(patient: &Patient) -> Verdict {
    either(read(patient, ECS_CONFIG).and_then(|file| {
        let bytes =
            file.ok_or_else(|| Verdict::failure(format!("{ECS_CONFIG} is not there"), RUN))?;
        read(patient, paths::STATE)?;
        let Some(known) = State::read(&patient.settings.path(paths::STATE)).installed else {
            return Err(Verdict::warning(
                format!("no run of this program has installed {ECS_CONFIG}"),
                RUN,
            ));
        };
        Ok(match (known.sha256 == sha256(&bytes), known.boot_id == boot_id()) {
            (false, _) => {
                Verdict::failure(format!("{ECS_CONFIG} was changed after the last run"), RUN)
            }
            (true, false) => {
                Verdict::warning(format!("no run of this boot has verified {ECS_CONFIG}"), RUN)
            }
            (true, true) => Verdict::ok("as the last run of this boot verified it"),
        })
    }))
}

fn lint(patient: &Patient) -> Verdict {
    either(linted(patient))
}

fn linted(patient: &Patient) -> Result<Verdict, Verdict> {
    let bytes = read(patient, ECS_CONFIG)?
        .ok_or_else(|| Verdict::failure(format!("{ECS_CONFIG} is not there"), RUN))?;
    let (instance_file, json_file) =
        (read(patient, paths::INSTANCE_CONFIG)?, read(patient, JSON_CONFIG)?);
    let blank = |bytes: &[u8]| bytes.trim_ascii().is_empty();
    if json_file.as_deref().is_some_and(|json| {
        !blank(json) && serde_json::from_slice::<serde_json::Value>(json).is_err()
    }) {
        return Err(Verdict::failure(
            format!(
                "{JSON_CONFIG} is no JSON: the agent ends at each start, and its unit stays `active`"
            ),
            format!("correct it, or empty it: `jq . {JSON_CONFIG}` says where it breaks"),
        ));
    }
    let context = Context {
        whole: true,
        instance_file: instance_file.as_deref(),
        json_file: json_file.as_deref(),
        allow_default_cluster: patient.settings.allow_default_cluster,
        block_host_tasks: patient.settings.block_imds_host_tasks,
        external: patient.external(),
        ..Context::default()
    };
    let mut findings = lint::check(&File { source: ECS_CONFIG, bytes: &bytes }, &context);
    // The units of the packages for hosts outside EC2 load this file; Amazon Linux' does not.
    let unit = if patient.external() { "external".parse().ok() } else { None };
    let beside = Context {
        place: Place::Var,
        host: unit,
        external: patient.external(),
        ..Context::default()
    };
    let other = instance_file.iter().flat_map(|bytes| {
        lint::check_layer(&File { source: paths::INSTANCE_CONFIG, bytes }, &beside)
    });
    findings.extend(other);
    Ok(worst(&findings))
}

fn worst(findings: &[Finding]) -> Verdict {
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    let more = |finding: &Finding, severity: Severity| {
        let line = finding.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let found = format!("{}{line}: {} ({})", finding.source, finding.message, finding.id);
        let all = format!(
            "`ecs-bootstrap lint {}` shows all {} {}s",
            finding.source,
            of(severity).count(),
            severity.word()
        );
        (found, finding.fix.as_ref().map_or(all.clone(), |fix| format!("{fix}; {all}")))
    };
    for (severity, verdict) in [
        (Severity::Error, Verdict::failure as fn(String, String) -> Verdict),
        (Severity::Warning, Verdict::warning),
    ] {
        if let Some(first) = of(severity).next() {
            let (found, remedy) = more(first, severity);
            return verdict(found, remedy);
        }
    }
    Verdict::ok("every reader sets what its lines say")
}

/// Each may be root's only: what stands in them reaches a service that runs as root.
fn other_files(patient: &Patient) -> Verdict {
    let wrong = [paths::INSTANCE_CONFIG, JSON_CONFIG, "/etc/ecs", "/var/lib/ecs"].into_iter().find_map(|path| {
        let found = fs::symlink_metadata(patient.settings.path(path)).ok()?;
        let (uid, mode) = (found.uid(), found.mode() & 0o7777);
        match (is_trusted(uid, patient), mode & 0o022) {
            (false, _) => Some((path, format!("{path} belongs to user id {uid}, who can change what root's services read"))),
            (_, 1..) => Some((path, format!("{path} may be written by others (mode {mode:04o}), and root's services read it"))),
            _ => None,
        }
    });
    match wrong {
        Some((path, finding)) => {
            Verdict::failure(finding, format!("chown root:root {path}; chmod go-w {path}"))
        }
        None => Verdict::ok("nobody but root"),
    }
}

/// The agent remembers its cluster, and exits with status 5 if it is to join another
/// (agent/app/agent.go). Its database is bbolt's, which keeps a key's JSON value right behind the
/// key, and old pages until they are needed again: so there may be several.
fn agent_cluster(patient: &Patient) -> Verdict {
    let readable = [ECS_CONFIG, paths::INSTANCE_CONFIG]
        .into_iter()
        .try_for_each(|path| read(patient, path).map(drop));
    match readable.and_then(|()| read(patient, AGENT_DB)) {
        Ok(Some(bytes)) => joined(patient, &bytes),
        Ok(None) => Verdict::ok("no agent has started here yet"),
        Err(verdict) => verdict,
    }
}

fn joined(patient: &Patient, bytes: &[u8]) -> Verdict {
    let (clusters, hosts) =
        (remembered(bytes, "cluster-name"), remembered(bytes, "ec2-instance-id"));
    let here = patient
        .heard
        .claim
        .get()
        .and_then(|claim| claim.as_ref().ok())
        .map(|claim| claim.instance_id.as_str());
    let configured =
        host_kind::configured(&patient.settings, "ECS_CLUSTER").unwrap_or_else(|| "default".into());
    let name = |cluster: &str| cluster.rsplit('/').next().unwrap_or_default().to_owned();
    if clusters.is_empty() {
        return Verdict::ok("an agent has started here, and joined no cluster yet");
    }
    if here.is_some_and(|here| !hosts.is_empty() && !hosts.iter().any(|host| host == here)) {
        return Verdict::ok(
            "its state is another instance's, of which this one is an image: it will drop it",
        );
    }
    match clusters.iter().any(|cluster| name(cluster) == name(configured.trim())) {
        true => Verdict::ok("the one that is configured"),
        false => Verdict::failure(
            "the agent has joined another cluster than the one that is configured: it exits with status 5",
            format!(
                "launch a new instance for the other cluster; or stop the agent, deregister the instance and remove {AGENT_DB}"
            ),
        ),
    }
}

/// The strings that a bbolt file has, or had, under a key.
fn remembered(bytes: &[u8], key: &str) -> Vec<String> {
    let start = format!("{key}\"");
    let found =
        bytes.windows(start.len()).enumerate().filter(|(_, window)| *window == start.as_bytes());
    let value = |(at, _): (usize, &[u8])| {
        let rest = &bytes[at + start.len()..];
        let end = rest.iter().take(256).position(|&byte| byte == b'"')?;
        String::from_utf8(rest[..end].to_vec()).ok()
    };
    found.filter_map(value).filter(|value| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_right_behind_its_key_and_nowhere_else() {
        let page = b"\x00\x01cluster-name\"prod\"container-instance-arn\"arn\"\x00cluster-name\"\"cluster-names\"no\"cluster-name\"cut";
        assert_eq!(remembered(page, "cluster-name"), ["prod"]);
        assert!(remembered(b"", "cluster-name").is_empty());
    }
}
