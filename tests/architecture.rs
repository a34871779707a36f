//! The table "Where power is used" in the crate's documentation (src/lib.rs) is what the code does:
//! each power is used in the modules that its row names, in all of them, and nowhere else.
//!
//! A row has the form ``| other programs | [`guard`], [`install::agent`] |``. The first cell
//! contains the name of one of [`POWERS`]; a module stands for all modules below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Something the program can do to the world around it, and the lines of code that do it.
struct Power {
    name: &'static str,
    uses: fn(&str) -> bool,
}

const POWERS: [Power; 5] = [
    Power { name: "argv", uses: reads_argv_or_environment },
    Power { name: "network", uses: uses_the_network },
    Power { name: "other programs", uses: runs_programs },
    Power { name: "files", uses: uses_files },
    Power { name: "namespaces", uses: uses_namespaces_or_netlink },
];

fn reads_argv_or_environment(line: &str) -> bool {
    contains(line, &["env::var", "env::args", "::try_parse()", "::parse()", "get_matches"])
}

fn uses_the_network(line: &str) -> bool {
    let types = ["TcpStream", "TcpListener", "UdpSocket", "lookup_host"];
    let clients = ["aws_sdk_s3::Client", "aws_sdk_sts::Client", "aws_sdk_iam::Client"];
    contains(line, &types) || contains(line, &clients) || line.contains("hyper::client")
}

fn runs_programs(line: &str) -> bool {
    contains(line, &["process::Command", "process::{", "Command::new("])
        && !line.contains("clap::Command")
}

/// The extension traits of `std::os::unix::fs` open nothing.
fn uses_files(line: &str) -> bool {
    let line = line.replace("os::unix::fs::", "").replace("local_files::{Error", "");
    contains(
        &line,
        &["fs::", "OpenOptions", "File::open", "File::create", "std::fs", "local_files::"],
    )
}

fn uses_namespaces_or_netlink(line: &str) -> bool {
    contains(line, &["SockProtocol::Netlink", "nix::sched", "setns(", "unshare(", "SockType::Raw"])
}

/// Whether one of the words is in the line, not as the end of a longer word.
fn contains(line: &str, words: &[&str]) -> bool {
    let starts = |at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
    };
    words.iter().any(|word| line.match_indices(word).any(|(at, _)| starts(at)))
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every module of the program and its code, without comments and tests.
fn modules() -> BTreeMap<String, String> {
    let (mut modules, mut folders) = (BTreeMap::new(), vec![sources()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                // Crates of their own, tested below or named for what they do, and folders of tests.
                if !["ecs-config", "local-files", "tests"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && name != "tests.rs" {
                modules.insert(module_of(&path), code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    modules
}

/// `src/guard/nft/mod.rs` is `guard::nft`.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(sources()).unwrap().with_extension("");
    let parts = relative.iter().map(|part| part.to_str().unwrap());
    parts.filter(|part| *part != "mod").collect::<Vec<_>>().join("::")
}

/// The text up to the module of tests at its end, without comments.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests = |at: &usize| {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        lines[*at] == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{')
    };
    let end = (0..lines.len()).find(is_tests).unwrap_or(lines.len());
    let without_comment = |line: &&str| line.split("//").next().unwrap().to_owned() + "\n";
    lines[..end].iter().map(without_comment).collect()
}

/// The rows of the table: power, and the modules that may use it.
fn rows() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(sources().join("lib.rs")).unwrap();
    let docs = text.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    let table = docs.skip_while(|line| !line.starts_with("| power |"));
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let named = cells[1].split('`').skip(1).step_by(2);
        let module = |name: &str| name.trim_end_matches(".rs").trim_start_matches("crate::").into();
        (cells[0].to_owned(), named.map(module).collect())
    })
    .collect()
}

fn is_below(module: &str, named: &str) -> bool {
    module == named || module.strip_prefix(named).is_some_and(|rest| rest.starts_with("::"))
}

fn users<'m>(power: &Power, modules: &'m BTreeMap<String, String>) -> BTreeSet<&'m str> {
    let uses = |(_, code): &(&String, &String)| code.lines().any(power.uses);
    modules.iter().filter(uses).map(|(module, _)| module.as_str()).collect()
}

#[test]
fn powers_are_used_only_in_the_modules_of_the_table() {
    let (modules, rows) = (modules(), rows());
    let mut wrong = Vec::new();
    for power in &POWERS {
        let named: Vec<_> = rows.iter().filter(|row| row.0.contains(power.name)).collect();
        assert_eq!(named.len(), 1, "the table needs one row for `{}`: {rows:#?}", power.name);
        let (allowed, users) = (&named[0].1, users(power, &modules));
        for user in users.iter().filter(|user| !allowed.iter().any(|name| is_below(user, name))) {
            wrong.push(format!("{}: used in {user}, which its row does not name", power.name));
        }
        for name in allowed.iter().filter(|name| !users.iter().any(|user| is_below(user, name))) {
            wrong.push(format!("{}: its row names {name}, which does not use it", power.name));
        }
    }
    assert!(wrong.is_empty(), "src/lib.rs, \"Where power is used\": {wrong:#?}");
}

#[test]
fn ecs_config_crate_uses_no_power_but_as_a_command() {
    // The feature `command`, the program that is made of it, and what runs before the compiler.
    const COMMAND: [&str; 3] = ["command", "main.rs", "build.rs"];
    let mut folders = vec![sources().join("ecs-config")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if COMMAND.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() && name != "tests" && name != "target" {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                let code = code(&fs::read_to_string(&path).unwrap());
                for power in &POWERS {
                    let line = code.lines().find(|line| (power.uses)(line));
                    assert_eq!(line, None, "{}: {}", path.display(), power.name);
                }
            }
        }
    }
}

#[test]
fn code_is_read_without_comments_and_tests() {
    let text = "use std::fs; // fs::read\n\n#[cfg(test)]\nmod tests {\n    use std::env;\n}\n";
    assert_eq!(code(text), "use std::fs; \n\n");
    assert!(uses_files("    fs::read(path)?") && uses_files("use std::fs::{self, File};"));
    assert!(!uses_files("use std::os::unix::fs::MetadataExt;") && !uses_files("netfs::x"));
    assert!(uses_the_network("use hyper::client::conn::http1;") && !uses_the_network("url::Url"));
}
