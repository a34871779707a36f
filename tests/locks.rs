//! One run at a time: a second waits within its own deadline, and the lock goes with the process
//! that held it.

mod support;

use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rehearsal::Service;
use support::{Ended, Host, LOCK, REPORT, SOURCE};

/// A run that holds the lock, for S3 does not answer it.
struct Holder(Child);

impl Holder {
    fn on(host: &Host) -> Self {
        host.cloud.usual_fault("s3-hang");
        let mut command = host.command();
        command
            .args(["run", "--config", SOURCE, "--timeout", "60s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let holder = Holder(command.spawn().unwrap());
        until(|| host.cloud.requests().iter().any(|seen| seen.service == Service::S3));
        host.cloud.clear_faults();
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _already_gone = self.0.wait();
    }
}

fn until(fact: impl Fn() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < Duration::from_secs(30), "it never came to be");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_that_finds_the_lock_held_until_its_deadline_is_60_and_leaves_the_other_alone() {
    let host = Host::default();
    let mut holder = Holder::on(&host);
    let ended = host.run(&["--config", SOURCE, "--timeout", "500ms"]);
    ended.fails_as("locked", 60, &[LOCK, "ecs-bootstrap status"]);
    assert!(
        ended.took >= Duration::from_millis(500) && ended.took < Duration::from_secs(10),
        "{:?}",
        ended.took
    );
    assert!(host.machine.read(REPORT).is_none(), "the report is the other run's to write");
    assert!(holder.0.try_wait().unwrap().is_none(), "the other run goes on");
}

#[test]
fn a_run_waits_for_the_other_and_the_lock_goes_with_a_killed_process() {
    let host = Host::default();
    let holder = Holder::on(&host);
    thread::scope(|scope| {
        let second = scope.spawn(|| host.boot());
        // It says in the log that it waits, but only a person at the end reads that; 300 ms are
        // enough to be turned away if it did not wait.
        thread::sleep(Duration::from_millis(300));
        assert!(!second.is_finished(), "it did not wait");
        drop(holder);
        second.join().unwrap().succeeds_as("installed");
    });
}

#[test]
fn a_dry_run_verify_and_status_need_no_lock() {
    let host = Host::default();
    host.boots("installed");
    let _holder = Holder::on(&host);
    host.run(&["--config", SOURCE, "--dry-run"]).succeeds_as("dry_run");
    let ended: Ended = host.says(&["verify", "--timeout", "20s"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(host.says(&["status"]).status, 0);
}
