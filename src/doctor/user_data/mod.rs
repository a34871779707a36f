//! User data: whether cloud-init recognised it, and whether it waits for the agent.
//!
//! What it may begin with is in cloud-init's documentation ("User data formats").

mod cloud_config;
mod command;
mod known;
mod lexer;
mod shell;
#[cfg(test)]
mod tests;

use std::fs;

use known::Known;
use shell::{is_shell, scan};

use super::Target;
use super::check::{Found, failure, ok, skipped};
use crate::files;
use crate::paths::MAX_CONFIG;

/// How a document begins that cloud-init knows, in lower case, the longest first.
const BEGINNINGS: [(&str, Kind); 10] = [
    ("#cloud-config-archive", Kind::Archive),
    ("#cloud-config-jsonp", Kind::Other),
    ("## template: jinja", Kind::Template),
    ("#cloud-boothook", Kind::Script),
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
    Archive,
    Template,
    Other,
}

/// Whether a script waits for one of these units, of which the agent is one: they wait for the
/// scripts.
pub(super) fn check_waiting(target: &Target, units: Vec<&'static str>) -> Found {
    let (documents, hidden) = documents(target);
    let mut known = Known::new(units);
    let mut waiting = || {
        let mut each = documents.iter();
        each.find_map(|(name, text)| Some((name, waits_for_agent(text, &mut known)?)))
    };
    // Again, for the files that only a later document writes.
    let found = waiting().or_else(&mut waiting);
    match found {
        Some((name, line)) => failure(
            format!(
                "{name}, line {line} waits for the agent or another unit, and that waits for user data (After=cloud-final.service)"
            ),
            "write `systemctl enable --now --no-block ecs` there, or nothing at all: systemd starts the agent when user data is done",
        ),
        None if hidden => skipped("only root may read user data"),
        None => ok("nothing in it waits for the agent"),
    }
}

/// cloud-init only warns of user data that it does not recognise, and reports no error
/// (canonical/cloud-init#4239).
pub(super) fn check_recognised(target: &Target) -> Found<()> {
    match files::read(&target.path(USER_DATA), MAX_CONFIG) {
        Ok(text) if !is_recognised(&text) => failure(
            "user data has no `#!`, `#cloud-config` or MIME header as its beginning: cloud-init did not run it",
            "write `#!/bin/bash` as its first line, and launch the instance again",
        ),
        _ => Ok(()),
    }
}

fn is_recognised(bytes: &[u8]) -> bool {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    let text = String::from_utf8_lossy(bytes);
    bytes.starts_with(GZIP) || text.trim().is_empty() || is_mime(&text) || kind(&text).is_some()
}

const USER_DATA: &str = "/var/lib/cloud/instance/user-data.txt";
/// What cloud-init has made of every part, decoded and merged.
const CLOUD_CONFIG: &str = "/var/lib/cloud/instance/cloud-config.txt";

/// The user data and its scripts, by name; and whether some could not be read.
fn documents(target: &Target) -> (Vec<(String, String)>, bool) {
    const SCRIPTS: [&str; 6] = [
        "/var/lib/cloud/instance/scripts",
        "/var/lib/cloud/instance/scripts/vendor",
        "/var/lib/cloud/instance/boothooks",
        "/var/lib/cloud/scripts/per-boot",
        "/var/lib/cloud/scripts/per-instance",
        "/var/lib/cloud/scripts/per-once",
    ];
    let entries = SCRIPTS.into_iter().flat_map(|folder| fs::read_dir(target.path(folder)));
    let scripts = entries.flatten().flatten().map(|entry| entry.path());
    let (mut documents, mut hidden) = (Vec::new(), false);
    let whole = [USER_DATA, "/var/lib/cloud/instance/user-data.txt.i", CLOUD_CONFIG];
    for path in scripts.chain(whole.map(|path| target.path(path))) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match files::read(&path, MAX_CONFIG) {
            Ok(bytes) => documents.push((name, String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) => hidden |= error.is_denied(),
        }
    }
    (documents, hidden)
}

/// The first line of a document that waits for the agent, for fuzzers.
pub(crate) fn waiting_line(document: &str) -> Option<usize> {
    waits_for_agent(document, &mut Known::new(vec!["ecs.service", "multi-user.target"]))
}

/// The first line of a document, counted from 1, that waits for the agent.
fn waits_for_agent(document: &str, known: &mut Known) -> Option<usize> {
    known.scanned = 0;
    let parts = if is_mime(document) { parts(document) } else { vec![(0, document.to_owned())] };
    parts.iter().find_map(|(before, part)| Some(before + part_waits(part, known)?))
}

fn part_waits(part: &str, known: &mut Known) -> Option<usize> {
    let (before, part) = match kind(part)? {
        Kind::Template => (1, part.split_once('\n')?.1),
        _ => (0, part),
    };
    let archived = match kind(part)? {
        Kind::Archive => cloud_config::archived(part),
        _ => vec![(0, part.to_owned())],
    };
    archived.iter().find_map(|(line, part)| Some(before + line + plain_part_waits(part, known)?))
}

fn plain_part_waits(part: &str, known: &mut Known) -> Option<usize> {
    match kind(part)? {
        Kind::Script if is_shell(part) => scan(part, 1, known).waits,
        Kind::CloudConfig => {
            for (path, content) in cloud_config::files(part) {
                shell::write(&path, &content, known);
            }
            let commands = cloud_config::commands(part);
            let waits = |(_, command): &&(usize, String)| scan(command, 1, known).waits.is_some();
            commands.iter().find(waits).map(|(line, _)| *line)
        }
        _ => None,
    }
}

fn kind(part: &str) -> Option<Kind> {
    let beginning = part.trim_start().lines().next()?.to_lowercase();
    BEGINNINGS.iter().find(|(text, _)| beginning.starts_with(text)).map(|(_, kind)| *kind)
}

/// As cloud-init tells it.
fn is_mime(text: &str) -> bool {
    const LOOKED_AT: usize = 4096;
    let head: String = text.chars().take(LOOKED_AT).collect();
    head.to_lowercase().contains("mime-version:")
}

/// The parts of a MIME document, each with the number of lines before its body.
fn parts(document: &str) -> Vec<(usize, String)> {
    let Some(boundary) = document.lines().find_map(boundary) else { return Vec::new() };
    let lines: Vec<&str> = document.lines().collect();
    let mut before = 0;
    let part = |section: &[&str]| {
        let start = before;
        before += section.len() + 1;
        let blank = section.iter().position(|line| line.trim().is_empty())?;
        let body = section[blank + 1..].join("\n");
        let is_encoded = section[..blank]
            .iter()
            .map(|line| line.to_lowercase())
            .any(|line| line.starts_with("content-transfer-encoding:") && line.contains("base64"));
        let decoded = is_encoded.then(|| cloud_config::decoded(&body)).flatten();
        Some((start + blank + 1, decoded.unwrap_or(body)))
    };
    // The first section is the document's own header.
    let sections = lines.split(|line| line.starts_with(&boundary)).map(part);
    sections.skip(1).flatten().collect()
}

/// The line before each part, as a header has it.
fn boundary(header: &str) -> Option<String> {
    let (_, value) = header.split_once("boundary=")?;
    let value = match value.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next(),
        None => value.split([';', ' ', '\r']).next(),
    };
    Some(format!("--{}", value?))
}
