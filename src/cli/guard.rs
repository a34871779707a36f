//! `ecs-bootstrap guard install|remove|status|prove`: arguments and output, as text or JSON.

use std::fmt::Display;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::call::Call;
use super::output::print;
use super::{Output, flags};
use crate::error::Error;
use crate::guard::GuardOptions;
use crate::guard::{self, DocumentedRule, GuardInstalled, GuardPart, GuardRemoved, GuardRequest};
use crate::guard::{GuardStatus, LastProof, PartInstalled, PartStatus, Parts, Proof, RulesChange};
use crate::settings::GUARD;

/// Keep containers from instance metadata
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum GuardCommand {
    /// Install both guards, routing rules and nf_tables, or repair them; changes only what differs
    Install(InstallArgs),
    /// Remove the guards, and leave the host as before
    Remove,
    /// Show both guards, what they cover and what they do not
    Status,
    /// Send a packet as a container would, on every bridge, and check whether it leaves the host
    Prove,
}

#[derive(Clone, Debug, Args)]
#[command(args = flags::of(GUARD))]
pub(crate) struct InstallArgs {
    /// Also block tasks in host network mode, by a systemd drop-in on ecstasks.slice (needs cgroup
    /// v2)
    #[arg(long)]
    block_imds_host_tasks: bool,
    /// Block only packets from this interface; a trailing + matches any ending [default: all,
    /// which also covers networks created later]
    #[arg(long, value_name = "NAME", value_parser = interface)]
    interface: Option<String>,
    /// Leave out one of the two guards, and remove it if it is there
    #[arg(long, value_name = "GUARD")]
    without: Option<GuardPart>,
}

/// The longest name the kernel takes is 15 bytes. A trailing `*` is what nft writes for `+`.
fn interface(name: &str) -> Result<String, String> {
    let name = name.strip_suffix('*').map_or_else(|| name.into(), |start| format!("{start}+"));
    let valid = (1..16).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    match name.as_str() {
        "+" => Err("leave out --interface to cover every interface".into()),
        _ if valid => Ok(name),
        _ => Err("an interface's name has 1 to 15 characters, none of them a space or /".into()),
    }
}

/// Runs the command, and returns its exit status.
pub(crate) fn run(call: &Call<'_>, command: &GuardCommand) -> u8 {
    let root = &call.root;
    match command {
        GuardCommand::Install(arguments) => {
            let request = GuardRequest {
                bridges: true,
                host_tasks: arguments.block_imds_host_tasks,
                options: GuardOptions {
                    interface: arguments.interface.clone(),
                    without: arguments.without,
                    allow_local_proxy: allows_local_proxy(call),
                },
            };
            let installed = guard::install(&request, root);
            print_result(call, installed, installed_text, |done| (done.changed, Ok(())))
        }
        GuardCommand::Remove => {
            print_result(call, guard::remove(root), removed_text, |done| (done.changed, Ok(())))
        }
        GuardCommand::Status => {
            print_result(call, guard::status(root), status_text, |_| (true, Ok(())))
        }
        GuardCommand::Prove => print_result(call, guard::prove(root), proof_text, |proof| {
            (proof.outcome().is_err(), proof.outcome())
        }),
    }
}

/// A settings file that cannot be read does not keep the guard from being installed.
fn allows_local_proxy(call: &Call<'_>) -> bool {
    match &call.given {
        Ok(given) => {
            given.text("allow_local_proxy").is_some_and(|text| ["true", "1"].contains(&text))
        }
        Err(error) => {
            tracing::warn!(
                "allow_local_proxy is taken as false, since the settings cannot be read: {error}"
            );
            false
        }
    }
}

/// `outcome` returns whether there is something to print with `--quiet`, as for the unit that
/// verifies the guard every five minutes, and the command's own error: a leak is both printed and
/// an error. JSON has the result, and beside it `error`, which is null if all went well.
fn print_result<T: Serialize>(
    call: &Call<'_>,
    result: Result<T, guard::Error>,
    text: impl Fn(&T) -> String,
    outcome: impl Fn(&T) -> (bool, Result<(), guard::Error>),
) -> u8 {
    const PLAIN: &str = "plain strings, numbers and lists";
    let (text, mut value, changed, outcome) = match result {
        Ok(done) => {
            let (changed, outcome) = outcome(&done);
            (text(&done), serde_json::to_value(&done).expect(PLAIN), changed, outcome)
        }
        Err(error) => (String::new(), json!({}), false, Err(error)),
    };
    let failure = outcome.err().map(|error| Error::from(error).failure());
    value["error"] = serde_json::to_value(&failure).expect(PLAIN);
    let status = failure.as_ref().map_or(0, |failure| {
        call.print_failure(failure);
        failure.word.code()
    });
    let printed = match call.output {
        Output::Json => print(&format!("{value:#}\n")),
        _ if call.quiet && !changed => 0,
        _ => print(&text),
    };
    if printed == 0 { status } else { printed }
}

fn installed_text(done: &GuardInstalled) -> String {
    let parts = done.parts.iter().flat_map(Parts::named);
    let parts = parts.map(|(name, part)| line(name, part_text(part)));
    let documented = done.documented_rule.iter();
    let documented = documented.map(|rule| line("documented rule", documented_rule_text(rule)));
    let host_tasks = done.host_tasks.iter().map(|written| {
        let done = if *written { "blocked now" } else { "already blocked" };
        line("host tasks", format!("{done} (IPAddressDeny on ecstasks.slice)"))
    });
    parts.chain(documented).chain(host_tasks).chain(notes(&done.notes)).collect()
}

fn part_text(part: &PartInstalled) -> String {
    let change = match (part.change, &part.reason) {
        (RulesChange::Installed, _) => "installed",
        (RulesChange::Repaired, _) => "repaired, because the rules had been altered",
        (RulesChange::Removed, _) => "removed",
        (RulesChange::Unchanged, None) => "unchanged",
        (RulesChange::Unchanged, Some(_)) => "not installed",
    };
    let details = part.reason.iter().chain(&part.limits).map(String::as_str);
    [change].into_iter().chain(details).collect::<Vec<_>>().join("; ")
}

fn part_status(name: &str, part: &PartStatus) -> String {
    let reason = part.reason.as_ref().map(|reason| format!(": {reason}"));
    let mut text =
        line(name, format!("{}{}", part.state.replace('_', " "), reason.unwrap_or_default()));
    text.extend(part.rules.iter().map(|rule| line("  in force", rule)));
    text
}

fn documented_rule_text(rule: &DocumentedRule) -> String {
    let position = match (&rule.reason, rule.position) {
        (Some(reason), _) => return format!("not in FORWARD: {reason}"),
        (None, Some(1)) if rule.changed => "inserted at FORWARD 1".into(),
        (None, Some(1)) => "at FORWARD 1".into(),
        (None, position) => {
            let above = first_rules(&rule.preceding_rules);
            format!("at FORWARD {}, below: {above}", position.unwrap_or_default())
        }
    };
    format!("{position} (the guard does not rely on it)")
}

fn first_rules(rules: &[String]) -> String {
    const MAX_SHOWN: usize = 3;
    let first = rules[..rules.len().min(MAX_SHOWN)].join("; ");
    match rules.len().saturating_sub(MAX_SHOWN) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

fn removed_text(done: &GuardRemoved) -> String {
    let removed = line("guard", if done.changed { "removed" } else { "was not installed" });
    [removed].into_iter().chain(notes(&done.notes)).collect()
}

fn proof_text(proof: &Proof) -> String {
    let networks = proof.networks.iter().map(|row| format!("{row}\n"));
    let host = proof.host.iter().map(|access| {
        let reached = match &access.reason {
            None => "reaches it".to_owned(),
            Some(reason) => format!("does not reach it: {reason}"),
        };
        line(format!("host to {}", access.address), reached)
    });
    let credentials = proof.credentials.iter().map(|access| {
        let passes = match access.passes {
            true => "answered by this host",
            false => "not answered by this host (no agent, or blocked)",
        };
        line(format!("{} to task credentials", access.network), passes)
    });
    networks.chain(host).chain(credentials).chain(notes(&proof.notes)).collect()
}

fn status_text(status: &GuardStatus) -> String {
    let dropped = status.dropped_packets.map(|count| format!("{count} packets"));
    let last_proof = status.last_proof.as_ref().map(last_proof_text);
    let mut text = line("guard", status.state);
    text.extend(status.parts.named().map(|(name, part)| part_status(name, part)));
    text += &line("dropped by nf_tables", dropped.unwrap_or("unknown".into()));
    text += &line("documented rule", documented_rule_text(&status.documented_rule));
    let tasks = [&status.host_tasks, &status.awsvpc_tasks];
    text.extend(status.networks.iter().chain(tasks).map(|coverage| {
        let covered = if coverage.covered { "covered" } else { "not covered" };
        line(&coverage.name, format!("{covered}: {}", coverage.reason))
    }));
    text.extend(status.not_covered.iter().map(|never| line("never covered", never)));
    text += &line("last proof", last_proof.unwrap_or("none since boot".into()));
    text.extend(notes(&status.warnings));
    text
}

fn last_proof_text(last: &LastProof) -> String {
    let age =
        last.age_seconds.map_or("at an unknown time".into(), |seconds| format!("{seconds} s ago"));
    match last.proof.outcome() {
        Ok(()) => format!("blocked on every network, {age}"),
        Err(error) => format!("{error}, {age}"),
    }
}

fn notes(notes: &[String]) -> impl Iterator<Item = String> {
    notes.iter().map(|note| line("note", note))
}

fn line(name: impl Display, value: impl Display) -> String {
    format!("{name}: {value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_that_no_kernel_accepts_are_refused() {
        assert_eq!(interface("docker+"), Ok("docker+".into()));
        assert_eq!(interface("docker*"), Ok("docker+".into()));
        for name in ["", "+", "*", "a b", "eth/0", "sixteen-letters-"] {
            assert!(interface(name).is_err(), "{name}");
        }
    }

    #[test]
    fn preceding_rules_are_listed_up_to_three() {
        let rule = |preceding_rules: &[&str]| DocumentedRule {
            position: Some(5),
            preceding_rules: preceding_rules.iter().map(ToString::to_string).collect(),
            ..DocumentedRule::default()
        };
        assert_eq!(
            documented_rule_text(&rule(&["-j DOCKER-USER"])),
            "at FORWARD 5, below: -j DOCKER-USER (the guard does not rely on it)"
        );
        assert_eq!(
            documented_rule_text(&rule(&["a", "b", "c", "d"])),
            "at FORWARD 5, below: a; b; c; and 1 more (the guard does not rely on it)"
        );
    }

    #[test]
    fn json_of_install_keeps_its_names() {
        let part = |change, limits: &[&str]| PartInstalled {
            change,
            reason: None,
            limits: limits.iter().map(ToString::to_string).collect(),
        };
        let parts = Parts {
            routing: part(RulesChange::Installed, &[]),
            nftables: part(RulesChange::Unchanged, &["no fib"]),
        };
        let done = GuardInstalled {
            changed: true,
            parts: Some(parts),
            documented_rule: Some(DocumentedRule::default()),
            host_tasks: None,
            notes: vec![],
        };
        let value = serde_json::to_value(done).unwrap();
        assert_eq!(
            value,
            json!({
                "changed": true,
                "guards": {
                    "routing": {"change": "installed", "reason": null, "limits": []},
                    "nftables": {"change": "unchanged", "reason": null, "limits": ["no fib"]},
                },
                "documented_rule": {"place": null, "changed": false, "reason": null, "overtaken_by": []},
                "host_tasks": null,
                "notes": [],
            })
        );
    }
}
