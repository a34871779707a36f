//! The guard against real containers: `tests/guard/run`, with the binary that cargo built.

use std::path::Path;
use std::process::Command;

/// Whether the laboratory can stand here. Under CI it must.
fn why_not() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    Path::new("/dev/net/tun").exists().then_some(()).map_or(Some("needs /dev/net/tun"), |()| None)
}

#[test]
fn no_container_reaches_metadata_in_any_state_of_docker_and_prove_agrees() {
    if let Some(reason) = why_not() {
        assert!(std::env::var_os("CI").is_none(), "CI without what this needs: {reason}");
        return println!("skipped: {reason}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guard");
    let output = Command::new(folder.join("run")).env("BIN", env!("CARGO_BIN_EXE_ecs-bootstrap")).output().expect("bash runs it");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}
