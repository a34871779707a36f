//! Shows a rehearsal: requests in plain English, the installed file, the report. Prints to stdout,
//! decides nothing.

use std::os::unix::fs::PermissionsExt;

use rehearsal::{Machine, Seen, Service, longest_chain};
use serde_json::Value;

/// What a request asks for, by the end of its path; the first that fits.
const PURPOSES: [(Service, &str, &str); 16] = [
    (Service::Imds, "/api/token", "a session token (IMDSv2)"),
    (Service::Imds, "/iam/security-credentials", "which role has this instance?"),
    (Service::Imds, "/iam/security-credentials/", "which role has this instance?"),
    (Service::Imds, "/iam/info", "which instance profile?"),
    (Service::Imds, "/instance-identity/document", "who is this instance?"),
    (Service::Imds, "/instance-id", "which instance?"),
    (Service::Imds, "/instance-type", "of which type?"),
    (Service::Imds, "/ami-id", "from which image?"),
    (Service::Imds, "/placement/region", "in which region?"),
    (Service::Imds, "/availability-zone", "in which zone?"),
    (Service::Imds, "/services/domain", "under which domain?"),
    (Service::Imds, "/services/partition", "in which partition?"),
    (Service::Imds, "/target-lifecycle-state", "about to be stopped?"),
    (Service::Imds, "/tags/instance", "which tags?"),
    (Service::Imds, "/user-data", "user data?"),
    (Service::Sts, "", "whose credentials are these?"),
];

/// Every request the cloud saw, a line each.
pub(crate) fn requests(requests: &[Seen]) {
    println!("What the cloud saw\n");
    for seen in requests {
        let began = seen
            .start
            .saturating_sub(requests.first().map_or(seen.start, |first| first.start))
            .as_millis();
        println!(
            "  {began:>6} ms  {:<4}  {:<58}  {}",
            name(seen.service),
            purpose(seen),
            answer(seen)
        );
    }
    println!(
        "\n  {} requests; the longest run of one after the other has {}.\n",
        requests.len(),
        longest_chain(requests)
    );
}

fn name(service: Service) -> &'static str {
    match service {
        Service::Imds => "IMDS",
        Service::Sts => "STS",
        Service::S3 => "S3",
        Service::Ecs => "ECS",
        Service::Secrets => "secrets",
        Service::Web => "web",
    }
}

fn purpose(seen: &Seen) -> String {
    let fits = |row: &&(Service, &str, &str)| row.0 == seen.service && seen.path.ends_with(row.1);
    match PURPOSES.iter().find(fits).map_or("", |row| row.2) {
        "" if seen.path.contains("/iam/security-credentials/") => "the role's credentials".into(),
        "" => format!("{} {}{}", seen.method, seen.path, signature(seen)),
        purpose => format!("{purpose}{}", signature(seen)),
    }
}

fn signature(seen: &Seen) -> String {
    seen.signed_for.as_ref().map_or_else(String::new, |region| format!(", signed for {region}"))
}

fn answer(seen: &Seen) -> String {
    match seen.end {
        Some(end) => {
            format!("{} in {} ms", seen.status, end.saturating_sub(seen.start).as_millis())
        }
        None => "no answer".into(),
    }
}

/// A file of the machine, with its mode.
pub(crate) fn file(machine: &Machine, path: &str) {
    let mode = std::fs::metadata(machine.path(path))
        .map(|metadata| metadata.permissions().mode() & 0o7777);
    match (mode, machine.read(path)) {
        (Ok(mode), Some(bytes)) => {
            println!("{path} (mode {mode:04o})\n");
            indented(&String::from_utf8_lossy(&bytes));
            println!();
        }
        _ => println!("{path} is not there.\n"),
    }
}

/// The report, a line for each of its parts.
pub(crate) fn report(machine: &Machine, path: &str) {
    let Some(report) =
        machine.read(path).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
    else {
        return println!("{path} is not there.\n");
    };
    println!("{path}\n");
    for (key, value) in report.as_object().into_iter().flatten() {
        match value {
            Value::Array(parts) if !parts.is_empty() => {
                println!("    {key}");
                parts.iter().for_each(|part| println!("      {part}"));
            }
            value => println!("    {key} {value}"),
        }
    }
    println!();
}

/// Text of another program.
pub(crate) fn indented(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}
