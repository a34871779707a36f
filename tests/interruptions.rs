//! A run that is interrupted, or whose output cannot be written, leaves the host in order and
//! reports the right status.

mod support;

use std::process::{Command, Stdio};

use rehearsal::Service;
use support::{Host, LOCK, PREVIOUS, REPORT, SOURCE, STATE, TARGET, TEXT, eventually};

const TEMPORARY: &str = "/etc/ecs/.ecs.config.ecs-bootstrap";

/// Starts a run that waits for S3, and returns its process once it has the lock.
fn waiting_run(host: &Host) -> std::process::Child {
    host.cloud.usual_fault("s3-hang");
    let mut command = host.command();
    command.args(["run", "--config", SOURCE, "--timeout", "10m", "--output", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let asks_s3 = || host.cloud.requests().iter().any(|seen| seen.service == Service::S3);
    eventually(|| host.machine.read(LOCK).is_some() && asks_s3());
    child
}

#[test]
fn signal_ends_the_run_with_its_own_report() {
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
fn next_run_removes_temporary_files_of_a_killed_run() {
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
fn folder_modes_do_not_depend_on_the_umask() {
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

/// A run under such a limit of the shell, with the three standard descriptors open and no other
/// that this test's own caller may have left open.
fn limited(host: &Host, limit: &str) -> support::Ended {
    let run = host.command();
    let mut shell = Command::new("sh");
    let close = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-";
    shell.args(["-c", &format!("{close}; ulimit {limit}; exec \"$@\""), "sh"]);
    shell.arg(run.get_program()).args(run.get_args()).args(["run", "--config", SOURCE]);
    shell.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    support::Ended::of(&mut shell)
}

#[test]
fn too_small_limits_are_an_error_and_not_an_abort() {
    for limit in 4..20 {
        let ended = limited(&Host::default(), &format!("-n {limit}"));
        assert_eq!(ended.status, 1, "{limit}: {}", ended.stderr);
        assert!(ended.stderr.contains("open files"), "{limit}: {}", ended.stderr);
    }
    for (limit, what) in [("-s 256", "bytes of stack"), ("-v 60000", "bytes of address space")] {
        let ended = limited(&Host::default(), limit);
        assert_eq!(ended.status, 1, "{limit}: {}", ended.stderr);
        assert!(ended.stderr.contains(what), "{limit}: {}", ended.stderr);
    }
}

#[test]
fn small_soft_limits_are_raised() {
    for limit in ["-S -n 10", "-S -s 256", "-S -v 60000"] {
        let ended = limited(&Host::default(), limit);
        assert_eq!(ended.status, 0, "{limit}: {}", ended.stderr);
    }
}

#[test]
fn file_size_limit_is_an_error_and_leaves_no_temporary_file() {
    let host = Host::default().stores(format!("{TEXT}#{}\n", "x".repeat(4096)).as_str());
    let ended = limited(&host, "-f 1");
    assert_eq!(ended.status, 40, "{}", ended.stderr);
    assert!(host.installed().is_none());
    assert_eq!(host.names("/etc/ecs"), Vec::<String>::new());
}
