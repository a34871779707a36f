//! Examples that need neither a host nor a network print what they show.

use std::path::Path;
use std::process::Command;

use crate::page::Page;

/// The examples of the two commands that need neither a host nor a network.
#[test]
fn examples_of_lint_and_role_print_what_they_show() {
    for name in ["ecs-bootstrap-lint.1", "ecs-bootstrap-role.1"] {
        let folder = tempfile::tempdir().unwrap();
        let page = Page::named(name);
        for block in page.section("EXAMPLES").split("```").skip(1).step_by(2) {
            let (language, body) = block.split_once('\n').unwrap();
            match language {
                "sh" if !body.contains("# needs an account") => {
                    shell(folder.path(), &format!("set -e\n{body}"), None);
                }
                "console" => body.split("$ ").skip(1).for_each(|typed| {
                    let (command, printed) = typed.split_once('\n').unwrap();
                    shell(folder.path(), command, Some(printed));
                }),
                _ => {}
            }
        }
    }
}

/// Runs a command where `ecs-bootstrap` is in PATH.
#[track_caller]
fn shell(folder: &Path, command: &str, printed: Option<&str>) {
    let program = Path::new(env!("CARGO_BIN_EXE_ecs-bootstrap")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let ran = Command::new("bash")
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .envs([("PATH", path.as_str()), ("LC_ALL", "C.UTF-8")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{command}: {told}{}", String::from_utf8_lossy(&ran.stderr));
    let shown = printed.unwrap_or("…").trim();
    assert!(matches(shown, told.trim()), "{command}: the page has\n{shown}\nand it prints\n{told}");
}

/// Whether this is what the page shows, in which `…` stands for anything.
fn matches(shown: &str, told: &str) -> bool {
    let Some((start, rest)) = shown.split_once('…') else { return shown == told };
    let ends = |told: &str| {
        (0..=told.len())
            .filter(|at| told.is_char_boundary(*at))
            .any(|at| matches(rest, &told[at..]))
    };
    told.strip_prefix(start).is_some_and(ends)
}
