//! The configuration as it is on the disk, and the cluster that the agent has joined with it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ecs_config::effective::ConfigFile;
use ecs_config::lint::{self, Context, File, Finding, Registered, Severity};
use nix::unistd::geteuid;

use super::Target;
use super::check::{Check, Found, check, failure, ok, skipped, warning};
use crate::files::{self, HostFiles, ReadError};
use crate::install::state::{State, boot_id};
use crate::paths::{
    AGENT_DB, ECS_CONFIG, INSTANCE_CONFIG, JSON_CONFIG, MAX_CONFIG, MAX_STATE, STATE,
};

pub(super) const CHECKS: &[Check] = &[
    check("file", "owner and mode of /etc/ecs/ecs.config", check_file),
    check("digest", "the file against what the last run verified", check_digest).needs(&["file"]),
    check("lint", "the agent's files, as their readers parse them", check_lint).needs(&["file"]),
    check("other-files", "who can write what ecs-init reads beside it", check_other_files),
    check("agent-cluster", "the cluster that the agent has joined before", check_cluster)
        .needs(&["file"]),
];

const RUN: &str =
    "run `ecs-bootstrap run`: it installs the verified file, or reports why it cannot";

/// Whose the files may be: root's, or below another root than `/`, those of the user who works on
/// it.
fn is_trusted(uid: u32, target: &Target) -> bool {
    uid == 0 || target.root() != Path::new("/") && uid == geteuid().as_raw()
}

fn check_file(target: &Target) -> Found {
    let found = match fs::symlink_metadata(target.path(ECS_CONFIG)) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return missing(),
        Err(error) => return skipped(format!("{ECS_CONFIG}: {error}")),
    };
    let (uid, mode) = (found.uid(), found.mode() & 0o7777);
    if !found.is_file() {
        return failure(
            format!("{ECS_CONFIG} is a link or a folder, not a file"),
            format!("remove it, and {RUN}"),
        );
    }
    if !is_trusted(uid, target) {
        return failure(
            format!("{ECS_CONFIG} belongs to user id {uid}"),
            format!("chown root:root {ECS_CONFIG}"),
        );
    }
    let chmod = format!("chmod 0600 {ECS_CONFIG}");
    match (mode & 0o022, mode & 0o044) {
        (0, 0) => ok(format!("mode {mode:04o}, {} bytes", found.len())),
        (0, _) => warning(
            format!(
                "{ECS_CONFIG} can be read by others (mode {mode:04o}), and may hold registry credentials"
            ),
            chmod,
        ),
        _ => failure(format!("{ECS_CONFIG} can be written by others (mode {mode:04o})"), chmod),
    }
}

fn missing<T>() -> Found<T> {
    failure(format!("{ECS_CONFIG} is missing: the agent would join the cluster `default`"), RUN)
}

/// The bytes of a file, `None` if it is missing.
fn read(target: &Target, path: &str, limit: usize) -> Found<Option<Vec<u8>>> {
    match files::read(&target.path(path), limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => unreadable(path, &error),
    }
}

/// What only root may read is skipped.
fn unreadable<T>(path: &str, error: &ReadError) -> Found<T> {
    if error.is_denied() {
        return skipped(format!("only root may read {path}"));
    }
    failure(
        format!("{path} cannot be read: {error}"),
        "see what kind of file it is, and `dmesg` for the disk's errors",
    )
}

/// The agent's files, if all that are there can be read.
fn host_files(target: &Target) -> Found<&HostFiles> {
    match target.files.unreadable() {
        Some((path, error)) => unreadable(path, error),
        None => Ok(&target.files),
    }
}

fn check_digest(target: &Target) -> Found {
    let Some(bytes) = read(target, ECS_CONFIG, MAX_CONFIG)? else { return missing() };
    read(target, STATE, MAX_STATE)?;
    let state = State::read(target.root());
    match state.generation(&files::sha256(&bytes)) {
        None if state.is_empty() => {
            warning(format!("no run of this program has installed {ECS_CONFIG}"), RUN)
        }
        None => failure(format!("{ECS_CONFIG} was changed after the last run"), RUN),
        Some(known) if known.boot_id != boot_id() => {
            warning(format!("no run of this boot has verified {ECS_CONFIG}"), RUN)
        }
        Some(_) => ok("as the last run of this boot verified it"),
    }
}

fn check_lint(target: &Target) -> Found {
    let files = host_files(target)?;
    let Some(bytes) = files.ecs_config() else { return missing() };
    let context = Context {
        whole: true,
        instance_file: files.instance_config(),
        json_file: files.json_config(),
        allow_default_cluster: target.settings.allow_default_cluster,
        block_host_tasks: target.settings.block_imds_host_tasks,
        external: target.is_external(),
        ..Context::default()
    };
    let mut findings = lint::check(&File { source: ECS_CONFIG, bytes }, &context);
    // The units of the packages for hosts outside EC2 load this file; Amazon Linux's does not.
    let host = if target.is_external() { "external".parse().ok() } else { None };
    let context = Context {
        file: ConfigFile::Var,
        host,
        external: target.is_external(),
        ..Context::default()
    };
    if let Some(bytes) = files.instance_config() {
        findings.extend(lint::check_layer(&File { source: INSTANCE_CONFIG, bytes }, &context));
    }
    worst(&findings)
}

/// The first finding of the worst kind, and how many there are of that kind.
fn worst(findings: &[Finding]) -> Found {
    let grave = findings.iter().filter(|finding| finding.severity != Severity::Note);
    let Some(first) = grave.min_by_key(|finding| finding.severity) else {
        return ok("every reader sets what the lines mean");
    };
    let Finding { source, severity, .. } = first;
    let count = findings.iter().filter(|finding| finding.severity == *severity).count();
    let line = first.line.map(|line| format!(", line {line}")).unwrap_or_default();
    let found = format!("{source}{line}: {} ({})", first.message, first.id);
    let fix = first.fix.as_ref().map(|fix| format!("{fix}; ")).unwrap_or_default();
    let kind = severity.word();
    let remedy = format!("{fix}`ecs-bootstrap lint {source}` shows all {count} {kind}s");
    match severity {
        Severity::Error => failure(found, remedy),
        _ => warning(found, remedy),
    }
}

/// Each must be writable for root only: a service that runs as root reads them.
fn check_other_files(target: &Target) -> Found {
    for path in [INSTANCE_CONFIG, JSON_CONFIG, "/etc/ecs", "/var/lib/ecs"] {
        let Ok(found) = fs::symlink_metadata(target.path(path)) else { continue };
        let (uid, mode) = (found.uid(), found.mode() & 0o7777);
        let what = match mode & 0o022 {
            _ if !is_trusted(uid, target) => format!("belongs to user id {uid}"),
            0 => continue,
            _ => format!("can be written by others (mode {mode:04o})"),
        };
        return failure(
            format!("{path} {what}, and root's services read it"),
            format!("chown root:root {path}; chmod go-w {path}"),
        );
    }
    ok("only root can write them")
}

/// The agent's database grows with the tasks it has seen.
const MAX_AGENT_DB: usize = 8 << 20;

/// The agent remembers its cluster, and exits with status 5 if it is to join another one
/// (aws/amazon-ecs-agent: agent/app/agent.go).
fn check_cluster(target: &Target) -> Found {
    let files = host_files(target)?;
    let Some(db) = read(target, AGENT_DB, MAX_AGENT_DB)? else {
        return ok("no agent has started here yet");
    };
    let clusters = stored(&db, "cluster-name");
    if clusters.is_empty() {
        return ok("an agent has started here, and joined no cluster yet");
    }
    let hosts = stored(&db, "ec2-instance-id");
    let facts = target.observed.facts.get().and_then(|facts| facts.as_ref().ok());
    if facts.is_some_and(|here| !hosts.is_empty() && !hosts.contains(&here.reported.instance_id)) {
        return ok(
            "its state is another instance's, of which this one is an image: the agent will drop it",
        );
    }
    let configured = files.effective().text("ECS_CLUSTER");
    let conflicts = |cluster: String| Registered::In(cluster).conflicts_with(configured.as_deref());
    if !clusters.into_iter().all(conflicts) {
        return ok("the configured one");
    }
    failure(
        "the agent has joined another cluster than the configured one: it exits with status 5",
        format!(
            "launch a new instance for the other cluster; or stop the agent, deregister the instance and remove {AGENT_DB}"
        ),
    )
}

/// The strings that a bbolt file has, or had, under a key. bbolt keeps a key's JSON value right
/// behind the key, and old pages until they are needed again: so there may be several.
fn stored(bytes: &[u8], key: &str) -> Vec<String> {
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
    fn stored_finds_values_right_behind_their_key() {
        let page = b"\x00\x01cluster-name\"prod\"container-instance-arn\"arn\"\x00cluster-name\"\"cluster-names\"no\"cluster-name\"cut";
        assert_eq!(stored(page, "cluster-name"), ["prod"]);
        assert!(stored(b"", "cluster-name").is_empty());
    }
}
