//! Inserts a rule first in a FORWARD chain with the host's own iptables, once; and removes it.
//! Copies that other programs have inserted stay where they are.
//!
//! Reads before it writes, and never deletes a rule before its successor is there. The caller holds
//! the guard's lock: `iptables -C || -I` from 20 processes at once leaves up to 8 copies.

mod rule;

use std::io::ErrorKind;
use std::process::Output;
use std::time::Duration;

pub(crate) use rule::{IptablesRule, preceding_rules};

use super::addresses::IpFamily;
use crate::install::process;

/// How long iptables may work once it has the xtables lock.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The FORWARD chain of one table of one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardChain {
    pub(crate) family: IpFamily,
    pub(crate) table: &'static str,
    /// How long to wait for the xtables lock, in whole seconds.
    pub(crate) lock_timeout: Duration,
}

/// What had to be done to have a rule first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insertion {
    AlreadyFirst,
    /// Behind it there were this many copies.
    Inserted(usize),
    /// It was there, but not first.
    Moved,
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
        self.iptables(&["-S", "FORWARD"])
    }

    /// Makes `rule` the first of the chain. `others` copies of it, behind the one that is moved, are
    /// not ours; `None`: none is.
    pub(crate) fn insert_first(
        &self,
        rule: &IptablesRule,
        others: Option<usize>,
    ) -> Result<Insertion, IptablesError> {
        match *rule.positions(&self.list()?) {
            [1, ..] => Ok(Insertion::AlreadyFirst),
            ref copies if others.is_some_and(|others| copies.len() > others) => {
                self.move_first(rule).map(|_| Insertion::Moved)
            }
            ref copies => {
                self.iptables(&[&["-I", "FORWARD", "1"], &*rule.arguments()].concat())?;
                Ok(Insertion::Inserted(copies.len()))
            }
        }
    }

    /// Deletes the first copy of `rule` if there are more than `others`. Returns how many there
    /// were.
    pub(crate) fn delete(
        &self,
        rule: &IptablesRule,
        others: usize,
    ) -> Result<usize, IptablesError> {
        let copies = rule.positions(&self.list()?).len();
        if copies > others {
            self.iptables(&[&["-D", "FORWARD"], &*rule.arguments()].concat())?;
        }
        Ok(copies)
    }

    /// Deleting by specification deletes the first copy, deleting by number the wrong rule if
    /// another program writes at this moment; so both halves go in one transaction, in which no
    /// rule is ever missing.
    fn move_first(&self, rule: &IptablesRule) -> Result<String, IptablesError> {
        let table = self.table;
        let input = format!("*{table}\n-D FORWARD {rule}\n-I FORWARD 1 {rule}\nCOMMIT\n");
        self.run("-restore", &["--noflush"], &input)
    }

    fn iptables(&self, arguments: &[&str]) -> Result<String, IptablesError> {
        self.run("", &[&["-t", self.table], arguments].concat(), "")
    }

    fn run(&self, suffix: &str, arguments: &[&str], input: &str) -> Result<String, IptablesError> {
        let name = match self.family {
            IpFamily::V4 => "iptables",
            IpFamily::V6 => "ip6tables",
        };
        let wait = self.lock_timeout.as_secs().to_string();
        let program = format!("{name}{suffix}");
        let arguments = [&["-w", &wait], arguments].concat();
        let timeout = self.lock_timeout + TIMEOUT;
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
    let contains = |text| reason.contains(text);
    let kind = match () {
        () if contains("Permission denied") || contains("not permitted") => {
            ErrorKind::PermissionDenied
        }
        () if contains("lock") => ErrorKind::TimedOut,
        () => ErrorKind::Other,
    };
    (reason, kind)
}
