//! `guard status` reads the configuration of the host as the agent does. In a network namespace of
//! its own, so that it neither sees nor needs the firewall of this machine.

use std::fs;
use std::process::Command;

const ETC: &str = "etc/ecs/ecs.config";
const VAR: &str = "var/lib/ecs/ecs.config";

/// The line on tasks in awsvpc network mode; `None` without root.
fn awsvpc_line(files: &[(&str, &str)]) -> Option<String> {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "CI without root");
    if !root {
        println!("skipped: a network namespace needs root");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_ecs-bootstrap"), "--root"]);
    let output = command.arg(folder.path()).args(["guard", "status"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("tasks in awsvpc network mode: "));
    Some(line.unwrap_or_else(|| panic!("{text}{:?}", output.stderr)).to_owned())
}

#[test]
fn quoted_awsvpc_switch_is_not_covered() {
    let config = "ECS_CLUSTER=c\nECS_AWSVPC_BLOCK_IMDS=\"true\"\n";
    let Some(line) = awsvpc_line(&[(ETC, config)]) else { return };
    assert!(line.contains(": not covered: ") && line.contains("is not a boolean"), "{line}");
}

#[test]
fn awsvpc_switch_of_the_instance_file_is_covered() {
    let switch = "ECS_AWSVPC_BLOCK_IMDS=true\n";
    let Some(line) = awsvpc_line(&[(ETC, "ECS_CLUSTER=c\n"), (VAR, switch)]) else { return };
    assert!(line.contains(": covered: "), "{line}");
}
