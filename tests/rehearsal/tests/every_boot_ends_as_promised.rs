//! The newcomer's commands, as typed: each checks the real program and must succeed.

use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;

use rehearsal::{FAULTS, program};

/// At the same time: most of these boots wait for a deadline.
const AT_ONCE: usize = 12;

fn rehearsal(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command.args(words).env("CARGO_BIN_EXE_ecs-bootstrap", program()).output().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn rehearsal_installs_and_then_reports_unchanged() {
    let output = rehearsal(&[]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("ECS_CLUSTER=prod") && text.contains("yes  it reports `unchanged`"),
        "{text}"
    );
}

#[test]
fn every_fault_ends_with_its_exit_status() {
    let (waiting, broken) = (Mutex::new(FAULTS.iter()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(fault) = { waiting.lock().unwrap().next() } {
            let output = rehearsal(&["--fault", fault.name]);
            if !output.status.success() {
                broken.lock().unwrap().push(text(&output));
            }
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n--------\n"));
}

#[test]
fn list_names_every_fault_and_unknown_names_are_refused() {
    let list = text(&rehearsal(&["--list"]));
    assert!(FAULTS.iter().all(|fault| list.contains(fault.name)));
    let unknown = rehearsal(&["--fault", "s3-402"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown).contains("no fault is called s3-402"));
}
