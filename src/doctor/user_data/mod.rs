//! User data: whether cloud-init recognised it, and whether it waits for the agent.
//!
//! What it may begin with is in cloud-init's documentation ("User data formats").

mod cloud_config;
mod lexer;
mod shell;
#[cfg(test)]
mod tests;

use std::fs;

use super::Target;
use super::check::Verdict;
use crate::files;
use crate::paths::MAX_CONFIG;

/// How a document begins that cloud-init knows, in lower case, the longest first.
const BEGINNINGS: [(&str, Kind); 11] = [
    ("#cloud-config-archive", Kind::Other),
    ("#cloud-config-jsonp", Kind::Other),
    ("## template: jinja", Kind::Template),
    ("#cloud-boothook", Kind::Script),
    ("#include-once", Kind::Other),
    ("#part-handler", Kind::Other),
    ("#cloud-config", Kind::CloudConfig),
    ("#upstart-job", Kind::Other),
    ("text/x-shellscript-per-", Kind::Other),
    ("#include", Kind::Other),
    ("#!", Kind::Script),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Script,
    CloudConfig,
    Template,
    Other,
}

/// Whether a script waits for the agent, on a host where the agent waits for the scripts.
pub(super) fn check_waiting(target: &Target) -> Verdict {
    let (documents, hidden) = documents(target);
    let found = documents.iter().find_map(|(name, text)| Some((name, waits_for_agent(text)?)));
    match found {
        Some((name, line)) => Verdict::failure(
            format!(
                "{name}, line {line} waits for the agent, and the agent waits for it (After=cloud-final.service)"
            ),
            "write `systemctl enable --now --no-block ecs` there, or nothing at all: systemd starts the agent when user data is done",
        ),
        None if hidden => Verdict::skipped("only root may read user data"),
        None => Verdict::ok("nothing in it waits for the agent"),
    }
}

/// cloud-init only warns of user data that it does not recognise, and reports no error
/// (canonical/cloud-init#4239).
pub(super) fn unrecognised(target: &Target) -> Option<Verdict> {
    let text = files::read(&target.path(USER_DATA), MAX_CONFIG).ok()?;
    (!is_recognised(&text)).then(|| {
        Verdict::failure(
            "user data has no `#!`, `#cloud-config` or MIME header as its beginning: cloud-init did not run it",
            "write `#!/bin/bash` as its first line, and launch the instance again",
        )
    })
}

fn is_recognised(bytes: &[u8]) -> bool {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    let text = String::from_utf8_lossy(bytes);
    bytes.starts_with(GZIP) || text.trim().is_empty() || is_mime(&text) || kind(&text).is_some()
}

const USER_DATA: &str = "/var/lib/cloud/instance/user-data.txt";

/// The user data and its scripts, by name; and whether some could not be read.
fn documents(target: &Target) -> (Vec<(String, String)>, bool) {
    const SCRIPTS: [&str; 4] = [
        "/var/lib/cloud/instance/scripts",
        "/var/lib/cloud/scripts/per-boot",
        "/var/lib/cloud/scripts/per-instance",
        "/var/lib/cloud/scripts/per-once",
    ];
    let entries = SCRIPTS.into_iter().flat_map(|folder| fs::read_dir(target.path(folder)));
    let scripts = entries.flatten().flatten().map(|entry| entry.path());
    let (mut documents, mut hidden) = (Vec::new(), false);
    for path in scripts.chain([target.path(USER_DATA)]) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match files::read(&path, MAX_CONFIG) {
            Ok(bytes) => documents.push((name, String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) => hidden |= error.is_denied(),
        }
    }
    (documents, hidden)
}

/// The first line of a document, counted from 1, that waits for the agent.
fn waits_for_agent(document: &str) -> Option<usize> {
    let parts = if is_mime(document) { parts(document) } else { vec![(0, document.to_owned())] };
    parts.iter().find_map(|(before, part)| Some(before + part_waits(part)?))
}

fn part_waits(part: &str) -> Option<usize> {
    match kind(part)? {
        Kind::Script => is_shell(part).then(|| shell::waits_for_agent(part)).flatten(),
        Kind::CloudConfig => cloud_config::waits_for_agent(part),
        Kind::Template => {
            let (_, rendered) = part.split_once('\n')?;
            Some(1 + part_waits(rendered)?)
        }
        Kind::Other => None,
    }
}

fn kind(part: &str) -> Option<Kind> {
    let beginning = part.trim_start().lines().next()?.to_lowercase();
    BEGINNINGS.iter().find(|(text, _)| beginning.starts_with(text)).map(|(_, kind)| *kind)
}

/// The interpreter is a shell, by its name.
fn is_shell(script: &str) -> bool {
    let first = script.trim_start().lines().next().unwrap_or_default();
    let Some(interpreter) = first.strip_prefix("#!") else { return true };
    interpreter.split_whitespace().any(|word| word.ends_with("sh"))
}

/// As cloud-init tells it.
fn is_mime(text: &str) -> bool {
    const LOOKED_AT: usize = 4096;
    let head: String = text.chars().take(LOOKED_AT).collect();
    head.to_lowercase().contains("mime-version:")
}

/// The parts of a MIME document that are readable as they are, each with the number of lines before
/// its body. cloud-init writes the decoded scripts into a folder of their own.
fn parts(document: &str) -> Vec<(usize, String)> {
    let boundary = document.lines().find_map(|line| {
        let (_, value) = line.split_once("boundary=")?;
        Some(format!("--{}", value.trim_matches(|c| "\"'; \r".contains(c))))
    });
    let Some(boundary) = boundary else { return Vec::new() };
    let (mut parts, mut in_body) = (Vec::<(usize, String)>::new(), None);
    for (number, line) in document.lines().enumerate() {
        if line.starts_with(&boundary) {
            in_body = Some(false);
        } else if in_body == Some(true) {
            let (_, body) = parts.last_mut().expect("a body begins with a part");
            *body += line;
            body.push('\n');
        } else if in_body == Some(false) && line.trim().is_empty() {
            in_body = Some(true);
            parts.push((number + 1, String::new()));
        }
    }
    parts
}
