//! Puts a rule first in a FORWARD chain by the host's own iptables, exactly once; and takes it
//! away.
//!
//! For the rule that AWS documents, which is shown to those who look for it, and for the fence
//! itself where the kernel has no nf_tables. Reads before it writes, and never takes a rule away
//! before its successor stands. The caller holds our lock: `iptables -C || -I` from 20 processes at
//! once leaves up to 8 copies.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

use super::rules::Rule;

/// A chain to write to: which program, and which table's FORWARD.
#[derive(Clone, Copy)]
pub(crate) struct Forward<'a> {
    pub(crate) program: &'a str,
    pub(crate) table: &'a str,
    /// How long to wait for the xtables lock, in seconds.
    pub(crate) patience: u32,
}

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) command: String,
    pub(crate) said: String,
    /// There is no such program in PATH.
    pub(crate) absent: bool,
}

impl Forward<'_> {
    /// The rules of the chain, as `iptables -S FORWARD` lists them.
    pub(crate) fn list(&self) -> Result<String, Failure> {
        self.run(&["-S", "FORWARD"])
    }

    /// Makes `rule` the first of the chain and the only one of its kind. Says what was there
    /// before, if that was something else.
    pub(crate) fn put_first(&self, rule: &Rule) -> Result<Change, Failure> {
        match rule.places(&self.list()?).as_slice() {
            [1] => Ok(Change::None),
            [] => self.insert(rule).map(|()| Change::Inserted),
            sunken => self.raise(rule, sunken.len()).map(|()| Change::Raised),
        }
    }

    /// Takes every copy of `rule` away. Says whether there was one.
    pub(crate) fn delete(&self, rule: &Rule) -> Result<bool, Failure> {
        let copies = rule.places(&self.list()?).len();
        for _ in 0..copies {
            self.run(&[&["-D", "FORWARD"][..], &rule.words().collect::<Vec<_>>()].concat())?;
        }
        Ok(copies > 0)
    }

    fn insert(&self, rule: &Rule) -> Result<(), Failure> {
        self.run(&[&["-I", "FORWARD", "1"][..], &rule.words().collect::<Vec<_>>()].concat())
            .map(drop)
    }

    /// Deleting by specification takes the first copy, deleting by number the wrong rule if another
    /// program writes at this moment; so both halves go in one transaction, in which nothing is
    /// ever missing.
    fn raise(&self, rule: &Rule, copies: usize) -> Result<(), Failure> {
        let delete = format!("-D FORWARD {rule}\n").repeat(copies);
        let text = format!("*{}\n{delete}-I FORWARD 1 {rule}\nCOMMIT\n", self.table);
        let program = format!("{}-restore", self.program);
        let arguments = ["--noflush".to_owned(), "-w".to_owned(), self.patience.to_string()];
        outcome(&program, &arguments, feed(&program, &arguments, &text)).map(drop)
    }

    fn run(&self, words: &[&str]) -> Result<String, Failure> {
        let patience = self.patience.to_string();
        let arguments: Vec<String> = ["-w", &patience, "-t", self.table]
            .iter()
            .chain(words)
            .map(|word| (*word).to_owned())
            .collect();
        outcome(
            self.program,
            &arguments,
            Command::new(self.program).args(&arguments).stdin(Stdio::null()).output(),
        )
    }
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Inserted,
    /// It was there, but others stood above it, or there were several.
    Raised,
}

fn feed(program: &str, arguments: &[String], text: &str) -> io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().expect("it was asked for a line above").write_all(text.as_bytes())?;
    child.wait_with_output()
}

fn outcome(
    program: &str,
    arguments: &[String],
    output: io::Result<Output>,
) -> Result<String, Failure> {
    let command = || format!("{program} {}", arguments.join(" "));
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(Failure { command: command(), said: said(&output), absent: false }),
        Err(error) => Err(Failure {
            command: command(),
            said: error.to_string(),
            absent: error.kind() == io::ErrorKind::NotFound,
        }),
    }
}

/// The first line is the reason; what follows is advice for another reader.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| !line.starts_with('#')).map(str::trim).unwrap_or_default();
    if line.is_empty() { output.status.to_string() } else { line.to_owned() }
}
