//! Options: those of the program are in the pages, and those of the pages in the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ecs_bootstrap::testing;

use crate::page::{Page, code, option, pages, rows};

pub(crate) fn program() -> clap::Command {
    let mut program = testing::command();
    program.build();
    program
}

pub(crate) fn subcommands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help")
}

fn options(command: &clap::Command) -> impl Iterator<Item = &str> {
    command.get_arguments().filter_map(clap::Arg::get_long)
}

/// The page that describes an option of a command: an option of `run` that is a setting is
/// described with the settings.
fn page(command: &clap::Command, option: &str) -> &'static str {
    match command.get_name() {
        "run" if testing::settings().any(|name| name.replace('_', "-") == option) => {
            "ecs-bootstrap.toml.5"
        }
        "run" => "ecs-bootstrap-run.8",
        "lint" => "ecs-bootstrap-lint.1",
        "guard" => "ecs-bootstrap-guard.8",
        "doctor" => "ecs-bootstrap-doctor.8",
        "role" => "ecs-bootstrap-role.1",
        _ => "ecs-bootstrap.8",
    }
}

/// The options that each page describes; the global ones are in the main page, and those that are
/// settings with the settings, too.
fn options_by_page(program: &clap::Command) -> BTreeMap<&'static str, BTreeSet<&str>> {
    let global: BTreeSet<&str> = options(program).collect();
    let mut found = BTreeMap::from([
        ("ecs-bootstrap.8", global.clone()),
        ("ecs-bootstrap.toml.5", BTreeSet::from(["output", "log-format"])),
    ]);
    for command in subcommands(program) {
        let own = options(command).chain(subcommands(command).flat_map(options));
        for option in own.filter(|name| !global.contains(name)) {
            found.entry(page(command, option)).or_default().insert(option);
        }
    }
    found
}

/// The options that a page describes: in headings, and in the first cells of tables.
fn entries(page: &Page) -> BTreeSet<&str> {
    let headings = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .flat_map(str::split_whitespace);
    let cells = rows(&page.text).into_iter().flat_map(|row| code(row[0]).collect::<Vec<_>>());
    headings.chain(cells).filter_map(option).collect()
}

#[test]
fn every_option_has_an_entry_in_its_page_and_no_other_has() {
    let program = program();
    let check = subcommands(&program).flat_map(subcommands).any(|one| one.get_name() == "check");
    for (name, mut options) in options_by_page(&program) {
        // `role check` is in the administrators' build only.
        if name == "ecs-bootstrap-role.1" && !check {
            options.extend(["role", "timeout"]);
        }
        let page = Page::named(name);
        assert_eq!(entries(&page), options, "the options in {name}.md (left) and in the program");
    }
}

/// Options of AWS's install script, which a page names without it.
const OTHERS: [&str; 10] = [
    "quick",
    "no-start",
    "cluster",
    "docker-install-source",
    "enable-gpu",
    "ip-compatibility",
    "certs-file",
    "ecs-version",
    "ecs-endpoint",
    "skip-registration",
];

/// A line that calls the program: the options of the command that it names must exist.
fn check_call(line: &str, program: &clap::Command, page: &Path) {
    let words = line.split_whitespace().skip_while(|word| *word == "sudo" || *word == "$").skip(1);
    let words = words.take_while(|word| !["|", "||", "&&", "#", ">"].contains(word));
    let mut command = program;
    for word in words {
        // `role check` is in the administrators' build only.
        if command.get_name() == "role"
            && word == "check"
            && command.find_subcommand(word).is_none()
        {
            return;
        }
        match option(word) {
            Some(name) => assert!(
                command.get_arguments().any(|one| one.get_long() == Some(name)),
                "{}: `{line}`: there is no option --{name} of {}",
                page.display(),
                command.get_name()
            ),
            None => command = command.find_subcommand(word).unwrap_or(command),
        }
    }
}

#[test]
fn pages_name_only_options_that_exist() {
    let program = program();
    let all: BTreeSet<&str> = std::iter::once(&program)
        .chain(subcommands(&program))
        .chain(subcommands(&program).flat_map(subcommands))
        .flat_map(options)
        .chain(OTHERS)
        .collect();
    for page in pages().into_iter().chain([Page::at("README.md"), Page::at("tests/README.md")]) {
        let joined = page.text.replace("\\\n", " ");
        for (number, block) in joined.split("```").enumerate() {
            let calls: Vec<&str> =
                if number % 2 == 1 { block.lines().collect() } else { code(block).collect() };
            for call in calls {
                let call = call.trim();
                let bare = call.trim_start_matches("$ ").trim_start_matches("sudo ");
                if bare.starts_with("ecs-bootstrap ") {
                    check_call(call, &program, &page.path);
                } else if let Some(name) = option(bare).filter(|_| number % 2 == 0) {
                    assert!(all.contains(name), "{}: there is no --{name}", page.path.display());
                }
            }
        }
    }
}
