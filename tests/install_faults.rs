//! Exit status 40: whatever the file system does, the old file stays whole, no temporary file is
//! left beside it, and the error says what happened. After a run that was killed anywhere the next
//! one succeeds.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use support::{Ended, Host, PREVIOUS, SOURCE, STATE, TARGET, TEXT, for_each, is_root, skip, works};

const OLD: &str = "ECS_CLUSTER=prod\n# the old one\n";

/// A host on which an earlier run installed [`OLD`]; its bucket has [`TEXT`] now.
fn host_with_old_file() -> Host {
    let host = Host::default().stores(OLD);
    host.boots("installed");
    host.stores(TEXT)
}

/// The old file is whole and no temporary file is left.
fn has_old_file(host: &Host) {
    assert_eq!(host.installed().as_deref(), Some(OLD));
    has_no_temporary_files(host);
}

/// What a run leaves in its folder.
const KEPT: [&str; 3] = ["state.json", "verified.json", "ecs.config.previous"];

fn has_no_temporary_files(host: &Host) {
    assert_eq!(host.names("/etc/ecs"), ["ecs.config"]);
    let names = host.names("/var/lib/ecs-bootstrap");
    assert!(names.iter().all(|name| KEPT.contains(&name.as_str())), "{names:?}");
}

#[test]
fn link_folder_and_foreign_file_are_refused_and_kept() {
    let host = Host::default().with_file("/elsewhere", "theirs").with_file("/etc/ecs/x", "");
    symlink(host.machine.path("/elsewhere"), host.machine.path(TARGET)).unwrap();
    host.boot().fails_as("install", 40, &["is a symbolic link", "plain file"]);
    assert_eq!(host.machine.read("/elsewhere").as_deref(), Some(&b"theirs"[..]));

    let host = Host::default().with_file("/etc/ecs/ecs.config/x", "theirs");
    host.boot().fails_as("install", 40, &["is not a plain file", "move it away"]);
    assert_eq!(host.names(TARGET), ["x"]);

    if !is_root() {
        return skip("changing the owner of a file needs root");
    }
    let host = Host::default().with_file(TARGET, "theirs\n");
    chown(host.machine.path(TARGET), Some(4711), None).unwrap();
    host.boot().fails_as("install", 40, &["belongs to user id 4711", "chown root:root"]);
    assert_eq!(host.installed().as_deref(), Some("theirs\n"));
}

#[test]
fn state_folder_as_file_and_lock_as_link_are_errors() {
    let host = Host::default().with_file("/var/lib/ecs-bootstrap", "");
    host.boot().fails_as("install", 40, &["/var/lib/ecs-bootstrap", "Not a directory"]);
    assert_eq!(host.installed(), None);

    let host =
        Host::default().with_file("/run/ecs-bootstrap/x", "").with_file("/elsewhere", "theirs");
    symlink(host.machine.path("/elsewhere"), host.machine.path(support::LOCK)).unwrap();
    let ended = host.boot();
    assert_eq!(
        (ended.status, &ended.report["error"]["word"]),
        (40, &"install".into()),
        "{}",
        ended.stderr
    );
    assert_eq!(host.machine.read("/elsewhere").as_deref(), Some(&b"theirs"[..]));
}

#[test]
fn links_below_root_do_not_lead_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    let host = Host::default().with_file("/srv/x", "");
    for (link, target) in
        [("/etc/ecs", outside.path()), ("/var/lib/ecs-bootstrap", "/srv/state".as_ref())]
    {
        let link = host.machine.path(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }
    host.boots("installed");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    let below = outside.path().join("ecs.config");
    assert_eq!(host.machine.read(below.to_str().unwrap()).as_deref(), Some(TEXT.as_bytes()));
    assert!(host.machine.path("/srv/state/state.json").exists());
}

#[test]
fn unwritable_report_is_only_a_warning() {
    let host = Host::default().with_file("/run/ecs-bootstrap/report.json/x", "");
    let ended = host.boots("installed");
    assert!(ended.stderr.contains("warning: the report could not be written"), "{}", ended.stderr);
}

/// Runs the program with a file system of its own at `/etc/ecs` of the machine.
fn on_a_mount(host: &Host, mount: &str) -> Ended {
    let script =
        format!("set -e; cd {}; {mount}; shift 0; exec \"$@\"", host.machine.root().display());
    let run = host.command();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .arg(run.get_program())
        .args(run.get_args());
    command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ended::of(command.args(["run", "--output", "json", "--timeout", "20s", "--config", SOURCE]))
}

fn mounts_can_be_made() -> bool {
    let can =
        is_root() && works("unshare", &["--mount", "--propagation", "private", "true"]).is_some();
    if !can {
        skip("a mount namespace needs root and unshare(1)");
    }
    can
}

#[test]
fn full_disk_keeps_the_old_file() {
    if !mounts_can_be_made() {
        return;
    }
    let host = host_with_old_file();
    // Room for the old file, and for no other.
    let ended = on_a_mount(
        &host,
        "cp -p etc/ecs/ecs.config old; mount -t tmpfs -o size=4k none etc/ecs; mv old etc/ecs/ecs.config",
    );
    ended.fails_as("install", 40, &["No space left on device", "make room"]);

    let host = host_with_old_file();
    let ended = on_a_mount(
        &host,
        "cp -p etc/ecs/ecs.config old; mount -t tmpfs -o nr_inodes=2 none etc/ecs; mv old etc/ecs/ecs.config",
    );
    ended.fails_as("install", 40, &["No space left on device"]);
    has_old_file(&host);
}

#[test]
fn read_only_disk_keeps_the_old_file() {
    if !mounts_can_be_made() {
        return;
    }
    let host = host_with_old_file();
    let ended = on_a_mount(&host, "mount --bind etc/ecs etc/ecs; mount -o remount,bind,ro etc/ecs");
    ended.fails_as("install", 40, &["Read-only file system", "read-write"]);
    has_old_file(&host);
    host.boots("installed");
}

/// The program under strace, with a fault at every call of a kind that touches one path.
fn under_strace(host: &Host, path: &str, inject: &str) -> Ended {
    let run = host.command();
    let mut command = Command::new("strace");
    command.args([
        "-qq",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=openat,write,fsync,rename,unlink,fchmod",
        "-e",
        inject,
    ]);
    command.arg("-P").arg(host.machine.path(path)).arg(run.get_program()).args(run.get_args());
    command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ended::of(command.args(["run", "--output", "json", "--timeout", "30s", "--config", SOURCE]))
}

fn strace_works() -> bool {
    let there = works("strace", &["-qq", "-o", "/dev/null", "-e", "trace=none", "true"]).is_some();
    if !there {
        skip("strace(1) is not installed, or may not trace");
    }
    there
}

/// The temporary file.
const NEW: &str = "/etc/ecs/.ecs.config.ecs-bootstrap";

/// The system calls of an installation before the rename and with it, in their order.
const CALLS: [(&str, &str); 7] = [
    (TARGET, "openat"),
    (NEW, "unlink"),
    (NEW, "openat"),
    (NEW, "fchmod"),
    (NEW, "write"),
    (NEW, "fsync"),
    (NEW, "rename"),
];

#[test]
fn error_at_any_system_call_keeps_the_old_file() {
    if !strace_works() {
        return;
    }
    let errors = [
        ("ENOSPC", "No space left on device"),
        ("EIO", "Input/output error"),
        ("EACCES", "Permission denied"),
        ("EROFS", "Read-only file system"),
    ];
    let table: Vec<_> = CALLS.iter().flat_map(|call| errors.map(|error| (*call, error))).collect();
    for_each(
        &table,
        |((path, call), (errno, _))| format!("{errno} at {call} of {path}"),
        |((path, call), (errno, message))| {
            let host = host_with_old_file();
            // The present file is read more than once; what a killed run left is removed when the
            // run begins, and once more before the new file is written.
            let when = match *call {
                _ if *path == TARGET => "1+",
                "unlink" => "2",
                _ => "1",
            };
            let ended =
                under_strace(&host, path, &format!("inject={call}:error={errno}:when={when}"));
            ended.fails_as("install", 40, &[message, "ecs.config"]);
            has_old_file(&host);
            host.boots("installed");
            assert_eq!(host.installed().as_deref(), Some(TEXT));
        },
    );
}

/// The new file already has its name then: it is whole, and known to be installed by us.
#[test]
fn error_after_the_rename_keeps_the_whole_new_file() {
    if !strace_works() {
        return;
    }
    let host = host_with_old_file();
    under_strace(&host, "/etc/ecs", "inject=fsync:error=EIO").fails_as(
        "install",
        40,
        &["Input/output error"],
    );
    assert_eq!(host.installed().as_deref(), Some(TEXT));
    has_no_temporary_files(&host);
    host.boots("unchanged");
}

#[test]
fn kill_at_any_system_call_leaves_a_whole_file() {
    if !strace_works() {
        return;
    }
    // The state is written before the file, and the verification after it.
    let around = [
        ("/etc/ecs", "fsync", 1),
        ("/var/lib/ecs-bootstrap/.ecs.config.previous.ecs-bootstrap", "rename", 1),
        ("/var/lib/ecs-bootstrap/.state.json.ecs-bootstrap", "rename", 1),
        ("/var/lib/ecs-bootstrap/.verified.json.ecs-bootstrap", "rename", 1),
    ];
    let table: Vec<_> = CALLS.iter().map(|(path, call)| (*path, *call, 1)).chain(around).collect();
    for_each(
        &table,
        |(path, call, nth)| format!("{call} {nth} of {path}"),
        |(path, call, nth)| {
            let host = host_with_old_file();
            let killed =
                under_strace(&host, path, &format!("inject={call}:signal=KILL:when={nth}"));
            assert!(killed.report.is_null(), "it was not killed: {}", killed.stderr);
            let found = host.installed().unwrap();
            assert!([OLD, TEXT].contains(&found.as_str()), "{found:?}");
            // A key that the source no longer has must go, whichever of the two files is found.
            let host = host.stores("ECS_CLUSTER=prod\n");
            let ended = host.boot();
            ended.succeeds_as("installed");
            assert_eq!(host.installed().as_deref(), Some("ECS_CLUSTER=prod\n"));
            has_no_temporary_files(&host);
        },
    );
}

#[test]
fn truncated_foreign_or_newer_state_is_replaced() {
    for state in ["", "{\"schema\": 1, \"inst", "null", "[]", "{\"schema\": 99}"] {
        let host = Host::default();
        host.boots("installed");
        host.machine.write(STATE, state);
        host.boots("unchanged");
        host.boots("unchanged");
        assert_eq!(host.json(STATE)["schema"], 1);
    }
}

#[test]
fn widened_mode_is_restored() {
    let host = Host::default();
    host.boots("installed");
    fs::set_permissions(host.machine.path(TARGET), fs::Permissions::from_mode(0o644)).unwrap();
    host.boots("installed");
    assert_eq!(
        fs::metadata(host.machine.path(TARGET)).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    assert!(host.machine.read(PREVIOUS).is_none(), "the bytes did not change");
}
