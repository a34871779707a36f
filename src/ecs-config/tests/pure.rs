//! Without the feature `command` the library has no command line, and opens no file.

use std::process::Command;

fn dependencies(options: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "--package", "ecs-config", "--edges", "normal"]);
    let output = cargo.args(["--prefix", "none"]).args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_the_command_depends_on_clap_and_files() {
    let (pure, command) = (dependencies(&["--no-default-features"]), dependencies(&[]));
    for name in ["clap ", "local-files ", "nix "] {
        assert!(!pure.contains(name) && command.contains(name), "{name}\n{pure}");
    }
}

#[test]
fn the_command_has_no_client_for_a_network() {
    let command = dependencies(&[]);
    for name in ["aws-", "tokio ", "hyper ", "rustls ", "ring "] {
        assert!(!command.contains(name), "{name}\n{command}");
    }
}
