//! Inserts a rule first in a FORWARD chain with the host's own iptables, once; and removes it.
//! Copies that other programs have inserted stay where they are.
//!
//! Reads before it writes, and never deletes a rule before its successor is there. The caller holds
//! the guard's lock: `iptables -C || -I` from 20 processes at once leaves up to 8 copies.

mod rule;

use std::io::ErrorKind;
use std::process::Output;
use std::time::Duration;

pub(crate) use rule::{documented, dropping, positions, preceding_rules};

use super::addresses::IpFamily;
use crate::install::process;

/// How long iptables may work once it has the xtables lock.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The FORWARD chain of one table of one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardChain {
    pub(crate) family: IpFamily,
    pub(crate) table: &'static str,
    /// How long to wait for the xtables lock.
    pub(crate) lock_seconds: u64,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct IptablesError {
    pub(crate) message: String,
    /// `NotFound`: there is no such program. `PermissionDenied`: this process lacks CAP_NET_ADMIN.
    /// `TimedOut`: it waited for the xtables lock, or for an answer, until its time limit.
    pub(crate) kind: ErrorKind,
}

impl ForwardChain {
    /// The rules of the chain, as `iptables -S FORWARD` lists them.
    pub(crate) fn list(&self) -> Result<String, IptablesError> {
        self.iptables("-S FORWARD")
    }

    /// Makes `rule` the first of the chain.
    pub(crate) fn insert_first(&self, rule: &str) -> Result<(), IptablesError> {
        self.iptables(&format!("-I FORWARD 1 {rule}")).map(drop)
    }

    /// Moves the first copy of `rule` to the beginning of the chain. Deleting by specification
    /// deletes the first copy, deleting by number the wrong rule if another program writes at this
    /// moment; so both halves go in one transaction, in which no rule is ever missing.
    pub(crate) fn move_first(&self, rule: &str) -> Result<(), IptablesError> {
        let table = self.table;
        let input = format!("*{table}\n-D FORWARD {rule}\n-I FORWARD 1 {rule}\nCOMMIT\n");
        self.run("-restore", &["--noflush"], &input).map(drop)
    }

    /// Deletes the first copy of `rule` if there are more than `others`. Returns how many there
    /// were.
    pub(crate) fn delete(&self, rule: &str, others: usize) -> Result<usize, IptablesError> {
        let copies = positions(rule, &self.list()?).len();
        if copies > others {
            self.iptables(&format!("-D FORWARD {rule}"))?;
        }
        Ok(copies)
    }

    fn iptables(&self, command: &str) -> Result<String, IptablesError> {
        let words: Vec<&str> = command.split_ascii_whitespace().collect();
        self.run("", &[&["-t", self.table], &*words].concat(), "")
    }

    fn run(&self, suffix: &str, arguments: &[&str], input: &str) -> Result<String, IptablesError> {
        let name = match self.family {
            IpFamily::V4 => "iptables",
            IpFamily::V6 => "ip6tables",
        };
        let wait = self.lock_seconds.to_string();
        let program = format!("{name}{suffix}");
        let arguments = [&["-w", &wait], arguments].concat();
        let timeout = Duration::from_secs(self.lock_seconds) + TIMEOUT;
        let (reason, kind) = match process::output(&program, &arguments, input, timeout) {
            Ok(output) if output.status.success() => {
                return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
            }
            Ok(output) => failure(&output),
            Err(error) => (error.to_string(), error.kind()),
        };
        let message = match kind {
            ErrorKind::NotFound => format!("this host has no {program}"),
            _ => format!("{program} {} failed: {reason}", arguments.join(" ")),
        };
        Err(IptablesError { message, kind })
    }
}

/// The first line is the reason; what follows is advice for another reader.
fn failure(output: &Output) -> (String, ErrorKind) {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| !line.starts_with('#')).map(str::trim).unwrap_or_default();
    let reason = if line.is_empty() { output.status.to_string() } else { line.to_owned() };
    let kinds = [
        ("Permission denied", ErrorKind::PermissionDenied),
        ("not permitted", ErrorKind::PermissionDenied),
        ("lock", ErrorKind::TimedOut),
    ];
    let kind = kinds.iter().find(|(text, _)| reason.contains(text));
    let kind = kind.map_or(ErrorKind::Other, |(_, kind)| *kind);
    (reason, kind)
}
