//! One run at a time: a second waits until its own deadline, and the lock ends with the process
//! that has it.

mod support;

use std::fs;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rehearsal::Service;
use support::{Ended, Host, LOCK, REPORT, SOURCE, eventually};

/// A run that holds the lock: stopped where it waits for S3.
struct Holder(Child);

impl Holder {
    fn on(host: &Host) -> Self {
        host.cloud.usual_fault("s3-hang");
        let mut command = host.command();
        command
            .args(["run", "--config", SOURCE, "--timeout", "10m"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let holder = Holder(command.spawn().unwrap());
        eventually(|| host.cloud.requests().iter().any(|seen| seen.service == Service::S3));
        kill(Pid::from_raw(holder.0.id() as i32), Signal::SIGSTOP).unwrap();
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

/// Whether a process has opened the lock, which it does when its turn to take it comes.
fn has_opened_lock(host: &Host, process: &Child) -> bool {
    let lock = host.machine.path(LOCK);
    let open = fs::read_dir(format!("/proc/{}/fd", process.id())).into_iter().flatten().flatten();
    open.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file == lock)
}

#[test]
fn run_gives_up_on_a_held_lock_at_its_deadline() {
    let host = Host::default();
    let mut holder = Holder::on(&host);
    let ended = host.run(&["--config", SOURCE, "--timeout", "500ms"]);
    ended.fails_as("locked", 60, &[LOCK, "ecs-bootstrap status"]);
    assert!(host.machine.read(REPORT).is_none(), "the report is the other run's to write");
    assert!(holder.0.try_wait().unwrap().is_none(), "the other run goes on");
}

#[test]
fn waiting_run_takes_the_lock_of_a_killed_process() {
    let host = Host::default();
    let holder = Holder::on(&host);
    let mut command = host.command();
    command.args(["run", "--output", "json", "--config", SOURCE, "--timeout", "2m"]);
    let second = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually(|| has_opened_lock(&host, &second));
    drop(holder);
    Ended::from(second.wait_with_output().unwrap()).succeeds_as("installed");
}

#[test]
fn dry_run_verify_and_status_need_no_lock() {
    let host = Host::default();
    host.boots("installed");
    let _holder = Holder::on(&host);
    host.run(&["--config", SOURCE, "--dry-run"]).succeeds_as("dry_run");
    let ended = host.call(&["verify", "--timeout", "20s"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(host.call(&["status"]).status, 0);
}
