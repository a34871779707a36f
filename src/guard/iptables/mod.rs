//! Inserts a rule first in a FORWARD chain with the host's own iptables, exactly once; and removes
//! it.
//!
//! For the rule that AWS documents, and for the guard itself where the kernel has no nf_tables.
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
    Inserted,
    /// It was there, but not first, or more than once.
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

    /// Makes `rule` the first of the chain and the only one of its kind.
    pub(crate) fn insert_first(&self, rule: &IptablesRule) -> Result<Insertion, IptablesError> {
        match *rule.positions(&self.list()?) {
            [1] => Ok(Insertion::AlreadyFirst),
            [] => {
                self.iptables(&[&["-I", "FORWARD", "1"], &*rule.arguments()].concat())?;
                Ok(Insertion::Inserted)
            }
            ref copies => self.move_first(rule, copies.len()).map(|_| Insertion::Moved),
        }
    }

    /// Deletes every copy of `rule`. Returns whether there was one.
    pub(crate) fn delete(&self, rule: &IptablesRule) -> Result<bool, IptablesError> {
        let copies = rule.positions(&self.list()?).len();
        for _ in 0..copies {
            self.iptables(&[&["-D", "FORWARD"], &*rule.arguments()].concat())?;
        }
        Ok(copies > 0)
    }

    /// Deleting by specification deletes the first copy, deleting by number the wrong rule if
    /// another program writes at this moment; so both halves go in one transaction, in which no
    /// rule is ever missing.
    fn move_first(&self, rule: &IptablesRule, copies: usize) -> Result<String, IptablesError> {
        let delete = format!("-D FORWARD {rule}\n").repeat(copies);
        let input = format!("*{}\n{delete}-I FORWARD 1 {rule}\nCOMMIT\n", self.table);
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
