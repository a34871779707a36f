//! A run that is ended, or whose output goes nowhere, leaves the host in order and tells the truth.

mod support;

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{Host, LOCK, PREVIOUS, REPORT, SOURCE, STATE, TARGET};

const TEMPORARY: &str = "/etc/ecs/.ecs.config.ecs-bootstrap";

/// Starts a run that waits for S3, and gives its process once it holds the lock.
fn waiting_run(host: &Host) -> std::process::Child {
    host.cloud.usual_fault("s3-hang");
    let mut command = host.command();
    command.args(["run", "--config", SOURCE, "--timeout", "60s", "--output", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while host.machine.read(LOCK).is_none() || host.cloud.requests().len() < 5 {
        assert!(Instant::now() < end, "the run did not start");
        thread::sleep(Duration::from_millis(10));
    }
    child
}

#[test]
fn each_signal_ends_the_run_with_a_report_of_its_own() {
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let host = Host::default();
        let child = waiting_run(&host);
        let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let ended = support::Ended::from(child.wait_with_output().unwrap());
        assert_eq!((ended.status, ended.outcome()), (status, "interrupted"), "SIG{signal}");
        assert_eq!(host.json(REPORT)["exit_status"], status);
        assert_eq!(host.names("/etc/ecs"), Vec::<String>::new());
    }
}

#[test]
fn temporary_files_of_a_killed_run_go_with_the_next_one() {
    let host = Host::default();
    host.boots("installed");
    for path in [TARGET, STATE, PREVIOUS, REPORT] {
        let (folder, name) = path.rsplit_once('/').unwrap();
        host.machine.write(&format!("{folder}/.{name}.ecs-bootstrap"), "half a file");
    }
    host.boots("unchanged");
    for folder in ["/etc/ecs", "/var/lib/ecs-bootstrap", "/run/ecs-bootstrap"] {
        let left: Vec<String> =
            host.names(folder).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(left, Vec::<String>::new(), "{folder}");
    }
    assert!(host.machine.read(TEMPORARY).is_none());
}

#[test]
fn full_streams_do_not_change_the_exit_status() {
    let host = Host::default();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for format in ["text", "json"] {
        let mut installs = host.command();
        installs.args(["run", "--output", format, "--config", SOURCE]).stdout(full());
        assert_eq!(installs.stderr(full()).status().unwrap().code(), Some(0), "{format}");
    }
    host.cloud.usual_fault("s3-403");
    for log in ["text", "json", "journald"] {
        let mut refused = host.command();
        refused.args(["run", "--log-format", log, "--config", SOURCE, "--stale", "fail"]);
        let status = refused.stdout(full()).stderr(full()).status().unwrap().code();
        assert_eq!(status, Some(20), "{log}");
    }
}

#[test]
fn folders_have_their_mode_whatever_the_umask_is() {
    use std::os::unix::fs::PermissionsExt;
    for umask in ["0777", "077", "0"] {
        let host = Host::default();
        let run = host.command();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
        shell.arg(run.get_program()).args(run.get_args());
        shell.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let status = shell.args(["run", "--config", SOURCE]).status().unwrap();
        assert!(status.success(), "{umask}");
        for folder in ["/etc/ecs", "/var/lib/ecs-bootstrap", "/run/ecs-bootstrap"] {
            let mode = host.machine.path(folder).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o755, "{folder} with umask {umask}");
        }
    }
}
