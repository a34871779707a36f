//! The health gate: an agent that never comes up, one in another cluster, one that comes up late.
//!
//! The host is a folder that the program takes for `/`, in a mount namespace, with a systemctl that
//! plays systemd; the agent is a thread of this test at the agent's address on loopback.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use support::{Ended, Host, SOURCE, STATE, eventually, is_root, skip, works};

const OLD: &str = "ECS_CLUSTER=prod\nECS_LOGLEVEL=info\n";
const NEW: &str = "ECS_CLUSTER=prod\nECS_LOGLEVEL=warn\n";

const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >>/systemctl.log
case $1 in
is-active) [ "$3" = ecs.service ] ;;
show) echo "ExecMainStartTimestampMonotonic=$(cat /started)" ;;
restart) echo $(($(cat /started) + 1)) >/started.new && mv /started.new /started ;;
esac
"#;

/// Builds the root from this machine's programs, and runs what follows in it.
const CHROOT: &str = r#"set -e
root=$1; shift
for folder in usr bin lib lib64 proc dev tmp target; do mkdir -p "$root/$folder"; done
for folder in usr bin lib lib64 proc dev tmp; do mount --rbind "/$folder" "$root/$folder"; done
mount --bind "$(dirname "$1")" "$root/target"
program=/target/$(basename "$1"); shift
exec chroot "$root" "$program" "$@""#;

/// What the agent does, given how often it was started and for how long it has run.
type Agent = fn(starts: u32, since: Duration) -> Option<&'static str>;

/// The agent's address is one for this machine.
static ADDRESS: Mutex<()> = Mutex::new(());

struct Gate {
    host: Host,
    stop: Arc<AtomicBool>,
    _address: MutexGuard<'static, ()>,
}

impl Gate {
    /// A host with [`OLD`] installed and an agent that runs; the bucket has [`NEW`].
    fn new(agent: Agent) -> Option<Self> {
        if !is_root() || works("unshare", &["--mount", "true"]).is_none() {
            skip("a root directory of its own needs root and unshare(1)");
            return None;
        }
        let address = ADDRESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let host = Host::default().stores(OLD).with_file("/started", "0\n");
        let host = host.with_file("/fake/systemctl", SYSTEMCTL);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(host.machine.path("/fake/systemctl"), mode).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        serve(&host, agent, stop.clone());
        let gate = Gate { host: host.stores(OLD), stop, _address: address };
        gate.run().succeeds_as("installed");
        gate.host.cloud.set_object("fleet-config", "ecs.config", NEW);
        Some(gate)
    }

    fn run(&self) -> Ended {
        let run = self.host.machine.command(&self.host.cloud);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", CHROOT, "sh"]);
        command.arg(self.host.machine.root()).arg(run.get_program());
        command.args(["run", "--output", "json", "--config", SOURCE, "--timeout", "30s"]);
        command.args(["--restart-agent", "--health-gate", "4s"]);
        command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ended::of(command.env("PATH", "/fake:/usr/bin:/usr/sbin:/bin"))
    }

    fn restarts(&self) -> usize {
        let log = self.host.machine.read("/systemctl.log").unwrap_or_default();
        String::from_utf8(log).unwrap().matches("restart --no-block ecs.service").count()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread closes its listener.
        eventually(|| TcpListener::bind("127.0.0.1:51678").is_ok());
    }
}

/// Answers as the agent does, or closes the connection where it would not listen yet.
fn serve(host: &Host, agent: Agent, stop: Arc<AtomicBool>) {
    let started = host.machine.path("/started");
    // Another test run on this machine may have the address.
    let mut listener = None;
    eventually(|| TcpListener::bind("127.0.0.1:51678").is_ok());
    while listener.is_none() {
        listener = TcpListener::bind("127.0.0.1:51678").ok();
    }
    let listener = listener.unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let (mut starts, mut since) = (0, Instant::now());
        while !stop.load(Ordering::Relaxed) {
            let text = std::fs::read_to_string(&started).unwrap_or_default();
            let now = text.trim().parse().unwrap_or(0);
            if now != starts {
                (starts, since) = (now, Instant::now());
            }
            if let Ok((mut stream, _)) = listener.accept()
                && let Some(cluster) = agent(starts, since.elapsed())
            {
                let _ = stream.read(&mut [0; 1024]);
                let body = format!("{{\"Cluster\":\"{cluster}\",\"Version\":\"v1\"}}");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes());
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
}

/// The first restart is for the first installation of this test.
fn rolled_back(agent: Agent, found: &str) {
    let Some(gate) = Gate::new(agent) else { return };
    let ended = gate.run();
    ended.fails_as("unhealthy", 32, &["ecs.service did not come up in the cluster prod", found]);
    assert_eq!(gate.host.installed().as_deref(), Some(OLD));
    assert_eq!(gate.restarts(), 3, "one for each file, and one back");
    // The same version is not installed again; the verified file stays, and another one comes.
    gate.run().succeeds_as("kept");
    assert_eq!((gate.host.installed().as_deref(), gate.restarts()), (Some(OLD), 3));
    assert_eq!(gate.host.call(&["status", "--check"]).status, 0);
    gate.host.cloud.set_object(
        "fleet-config",
        "ecs.config",
        "ECS_CLUSTER=prod\nECS_LOGLEVEL=error\n",
    );
    let next = gate.run();
    assert_eq!(gate.restarts(), 5, "{}", next.stderr);
}

#[test]
fn agent_that_never_comes_up_is_rolled_back() {
    rolled_back(|starts, _| (starts < 2).then_some("prod"), "does not answer");
}

#[test]
fn agent_in_another_cluster_is_rolled_back() {
    rolled_back(
        |starts, _| Some(if starts < 2 { "prod" } else { "other" }),
        "in the cluster other",
    );
}

#[test]
fn agent_that_comes_up_late_is_kept() {
    let late: Agent =
        |starts, since| (starts < 2 || since > Duration::from_secs(2)).then_some("prod");
    let Some(gate) = Gate::new(late) else { return };
    gate.run().succeeds_as("installed");
    assert_eq!(gate.host.installed().as_deref(), Some(NEW));
    assert_eq!(gate.restarts(), 2);
    assert!(
        !String::from_utf8(gate.host.machine.read(STATE).unwrap())
            .unwrap()
            .contains("rejected\": \"")
    );
}

#[test]
fn without_the_setting_no_agent_is_watched() {
    let Some(gate) = Gate::new(|starts, _| (starts < 2).then_some("prod")) else { return };
    let ended = gate.host.run(&["--config", SOURCE]);
    ended.succeeds_as("installed");
    assert_eq!(gate.host.installed().as_deref(), Some(NEW));
}
