//! `ecs-config-lint` as it is called. What it prints of files is that of `ecs-bootstrap lint`:
//! tests/alone compares them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

fn lint(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecs-config-lint")).args(args).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn planted_error_is_found_below_another_root() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("etc/ecs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ecs.config"), "ECS_CLUSTER=\"prod\"\n").unwrap();
    let ended = lint(&["--root", root.path().to_str().unwrap()]);
    let stdout = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(30), "{stdout}");
    assert!(stdout.starts_with("error[quoted-value]") && !stdout.contains('\x1b'), "{stdout}");
}

#[test]
fn sources_that_need_a_client_are_refused_without_their_secrets() {
    for name in ["s3://bucket/ecs.config", "https://user:5ec4e7@b.example/key?sig=5ec4e7"] {
        let ended = lint(&[name]);
        let stderr = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("is not a file of this machine"), "{stderr}");
        assert!(stderr.contains("remedy: download it first"), "{stderr}");
        assert!(!stderr.contains("5ec4e7"), "{stderr}");
    }
}

#[test]
fn lines_that_a_reader_takes_into_a_value_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ecs.config");
    fs::write(&path, "A=\"x\"\"\nECS_LOGLEVEL=info\n").unwrap();
    let stdout = text(&lint(&[path.to_str().unwrap()]).stdout);
    assert!(stdout.contains("A is `x<U+000A>ECS_LOGLEVEL=info<U+000A>`"), "{stdout}");
}

#[test]
fn secret_that_another_value_took_in_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ecs.config");
    for start in ["A=x\\\n", "A=\"x\n", "A=\"x\"\"\n", "A=x\r", "A=\"B=x\n"] {
        fs::write(&path, format!("{start}DB_PASSWORD=hunter2\n")).unwrap();
        for output in ["text", "json"] {
            let ended = lint(&[path.to_str().unwrap(), "--readers", "--output", output]);
            let stdout = text(&ended.stdout);
            assert!(stdout.contains("[redacted]") && !stdout.contains("hunter2"), "{stdout}");
        }
    }
}

#[test]
fn fix_keeps_the_mode_and_tells_what_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let fix = |name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, "ECS_CLUSTER=\"prod\"\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let ended = lint(&["--fix", path.to_str().unwrap()]);
        (ended.status.code(), path.metadata().unwrap().permissions().mode() & 0o7777)
    };
    assert_eq!(fix("ecs.config"), (Some(0), 0o640));
    // The file that is to replace it has a longer name.
    assert_eq!(fix(&"n".repeat(255)), (Some(40), 0o640));
}

#[test]
fn mistyped_options_are_refused_with_the_right_one() {
    let ended = lint(&["--fr", "al2023"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("exists: '--for'"), "{}", text(&ended.stderr));
}

#[test]
fn versions_of_both_programs_are_one() {
    let manifest = include_str!("../../../Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    let ended = lint(&["--version"]);
    let expected = format!("ecs-config-lint {}\n", version.trim_matches('"'));
    assert_eq!(text(&ended.stdout), expected);
}
