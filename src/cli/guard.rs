//! `ecs-bootstrap guard install|remove|status|prove`: what the user says to the guard, and what it
//! says back, as text or JSON.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::error::{Error, Failure};
use crate::guard::status::Status;
use crate::guard::{self, Change, Enforced, Fence, Host, Method, Proof, Removed, Shown, Wanted};

/// Keep containers from instance metadata
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Raise the fence, or mend it; changes only what differs
    Install(Install),
    /// Take the fence away, and leave the host as before
    Remove,
    /// What holds the fence, what it covers and what it does not
    Status,
    /// Send a packet as a container would, on every bridge, and see whether it leaves the host
    Prove,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Install {
    /// Also tasks in host network mode, by a systemd drop-in on ecstasks.slice (needs cgroup v2)
    #[arg(long)]
    block_imds_host_tasks: bool,
    /// Fence only packets from this interface; a trailing + means any ending [default: all, which
    /// also covers networks made later]
    #[arg(long, value_name = "NAME", value_parser = interface)]
    interface: Option<String>,
}

/// The longest name the kernel takes is 15 bytes.
fn interface(name: &str) -> Result<String, String> {
    let sound = !name.is_empty()
        && name.len() < 16
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    if sound && name != "+" {
        Ok(name.to_owned())
    } else {
        Err("an interface's name has 1 to 15 characters, none of them a space or /".into())
    }
}

/// What goes to stdout, and why it failed, if it did.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) failure: Option<Failure>,
}

/// How much to say on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// Only what was changed or went wrong: for the unit that looks after the fence every five
    /// minutes.
    Quiet,
    /// What was done stands beside `error`, which is null if all went well.
    Json,
}

/// What a verb gave, if anything, and how it ended: a leak is both shown and an error.
struct Done {
    text: String,
    value: serde_json::Value,
    news: bool,
    result: Result<(), guard::Error>,
}

const PLAIN: &str = "plain strings, numbers and lists";

/// Does what the command says.
pub(crate) fn run(command: &Command, host: &Host, form: Form) -> Said {
    let Done { text, mut value, news, result } = match command {
        Command::Install(install) => {
            done(guard::enforce(&install.wanted(), host), enforced, |done| (done.changed, Ok(())))
        }
        Command::Remove => done(guard::remove(host), removed, |done| (done.changed, Ok(()))),
        Command::Status => done(guard::status(host), status_text, |_| (true, Ok(()))),
        Command::Prove => done(guard::prove(host), proof_text, |proof| {
            (proof.outcome().is_err(), proof.outcome())
        }),
    };
    let failure = result.err().map(|error| Error::from(error).failure());
    value["error"] = serde_json::to_value(&failure).expect(PLAIN);
    let stdout = match form {
        Form::Json => format!("{value:#}\n"),
        Form::Quiet if !news => String::new(),
        Form::Text | Form::Quiet => text,
    };
    Said { stdout, failure }
}

/// `ended` says whether there is news, and how it ended.
fn done<T: Serialize>(
    tried: Result<T, guard::Error>,
    text: impl Fn(&T) -> String,
    ended: impl Fn(&T) -> (bool, Result<(), guard::Error>),
) -> Done {
    let given = match tried {
        Ok(given) => given,
        Err(error) => {
            return Done {
                text: String::new(),
                value: serde_json::json!({}),
                news: true,
                result: Err(error),
            };
        }
    };
    let (news, result) = ended(&given);
    Done { text: text(&given), value: serde_json::to_value(&given).expect(PLAIN), news, result }
}

impl Install {
    fn wanted(&self) -> Wanted {
        Wanted {
            bridges: true,
            host_tasks: self.block_imds_host_tasks,
            interface: self.interface.clone(),
        }
    }
}

fn enforced(done: &Enforced) -> String {
    let mut text = String::new();
    if let Some(fence) = &done.fence {
        line(&mut text, "fence", &fence_text(fence));
    }
    if let Some(shown) = &done.documented_rule {
        line(&mut text, "documented rule", &shown_text(shown));
    }
    if let Some(written) = done.host_tasks {
        line(
            &mut text,
            "host tasks",
            if written { "fenced now (IPAddressDeny on ecstasks.slice)" } else { "fenced already" },
        );
    }
    notes(&mut text, &done.notes);
    text
}

fn fence_text(fence: &Fence) -> String {
    let done = match fence.change {
        Change::Installed => "installed",
        Change::Repaired => "repaired: it was there, but not as wanted",
        Change::Unchanged => "unchanged",
    };
    let options =
        if fence.source_routes { "" } else { "; this kernel cannot tell source-routed packets" };
    format!("{done} ({}{options})", method_text(fence.method))
}

fn method_text(method: Method) -> &'static str {
    match method {
        Method::NfTables => "nf_tables: table inet ecs-bootstrap",
        Method::Mangle => {
            "iptables mangle FORWARD, since this kernel has no nf_tables: does not survive `firewall-cmd --reload`"
        }
    }
}

fn shown_text(shown: &Shown) -> String {
    match (&shown.reason, shown.place) {
        (Some(reason), _) => format!("not shown: {reason}"),
        (None, Some(1)) if shown.changed => {
            "put at FORWARD 1 (the fence does not rely on it)".into()
        }
        (None, Some(1)) => "at FORWARD 1 (the fence does not rely on it)".into(),
        (None, place) => {
            format!(
                "sunk to FORWARD {}, below: {} (the fence does not rely on it)",
                place.unwrap_or_default(),
                above_text(&shown.overtaken_by)
            )
        }
    }
}

fn above_text(rules: &[String]) -> String {
    const ENOUGH: usize = 3;
    let more = rules.len().saturating_sub(ENOUGH);
    let named = rules[..rules.len() - more].join("; ");
    if more == 0 { named } else { format!("{named}; and {more} more") }
}

fn removed(done: &Removed) -> String {
    let mut text = String::new();
    line(&mut text, "guard", if done.changed { "removed" } else { "was not there" });
    notes(&mut text, &done.notes);
    text
}

fn proof_text(proof: &Proof) -> String {
    let mut text = String::new();
    for row in &proof.networks {
        let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        line(
            &mut text,
            &format!("{} {}", row.network, row.family),
            &format!("{}{reason}", row.verdict),
        );
    }
    for reach in &proof.host {
        let said = reach
            .reason
            .as_ref()
            .map_or("reaches it".to_owned(), |reason| format!("does not reach it: {reason}"));
        line(&mut text, &format!("host to {}", reach.address), &said);
    }
    for row in &proof.credentials {
        let said = if row.passes {
            "passes"
        } else {
            "nothing seen (no agent and no route to it, or cut)"
        };
        line(&mut text, &format!("{} to task credentials", row.network), said);
    }
    notes(&mut text, &proof.notes);
    text
}

fn status_text(status: &Status) -> String {
    let mut text = String::new();
    let method =
        status.held_by.map(|method| format!(" ({})", method_text(method))).unwrap_or_default();
    line(&mut text, "fence", &format!("{}{method}", status.state));
    for rule in &status.rules {
        line(&mut text, "  wanted", rule);
    }
    line(
        &mut text,
        "dropped so far",
        &status.dropped_packets.map_or("unknown".into(), |count| format!("{count} packets")),
    );
    line(&mut text, "documented rule", &shown_text(&status.documented_rule));
    for covered in status.networks.iter().chain([&status.host_tasks, &status.awsvpc_tasks]) {
        let word = if covered.covered { "covered" } else { "not covered" };
        line(&mut text, &covered.name, &format!("{word}: {}", covered.reason));
    }
    for never in &status.not_covered {
        line(&mut text, "never covered", never);
    }
    line(
        &mut text,
        "last proof",
        &status.last_proof.as_ref().map_or("none since boot".into(), last_proof_text),
    );
    notes(&mut text, &status.warnings);
    text
}

fn last_proof_text(last: &guard::status::LastProof) -> String {
    let age =
        last.age_seconds.map_or("at an unknown time".into(), |seconds| format!("{seconds} s ago"));
    match last.proof.outcome() {
        Ok(()) => format!("blocked on every network, {age}"),
        Err(error) => format!("{error}, {age}"),
    }
}

fn notes(text: &mut String, notes: &[String]) {
    for note in notes {
        line(text, "note", note);
    }
}

fn line(text: &mut String, what: &str, said: &str) {
    writeln!(text, "{what}: {said}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_that_no_kernel_takes_is_refused() {
        assert_eq!(interface("docker+"), Ok("docker+".into()));
        for name in ["", "+", "a b", "eth/0", "sixteen-letters-"] {
            assert!(interface(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_sunken_rule_is_said_to_be_sunk_and_who_stands_above() {
        let shown = Shown {
            place: Some(3),
            changed: false,
            reason: None,
            overtaken_by: vec!["-j DOCKER-USER".into()],
        };
        assert_eq!(
            shown_text(&shown),
            "sunk to FORWARD 3, below: -j DOCKER-USER (the fence does not rely on it)"
        );
    }
}
