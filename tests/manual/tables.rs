//! Tables that have one row for each setting, exit status, rule or command.

use std::collections::BTreeSet;
use std::process::Command;

use ecs_bootstrap::testing;

use crate::options::{program, subcommands};
use crate::page::{Page, code, rows};

#[test]
fn every_setting_has_an_entry_with_its_option_and_type() {
    let page = Page::named("ecs-bootstrap.toml.5");
    let entries = page.section("SETTINGS").split("\n### ").skip(1);
    let entries: Vec<(&str, &str)> = entries.filter_map(|entry| entry.split_once(", ")).collect();
    let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, testing::settings().collect::<Vec<_>>());
    for (name, text) in entries {
        let (option, text) = text.split_once('\n').unwrap();
        assert!(option.starts_with(&format!("--{}", name.replace('_', "-"))), "{name}: {option}");
        assert!(text.trim_start().starts_with('*'), "{name}: its type is not given");
    }
}

#[test]
fn every_exit_status_is_in_the_table_with_word_meaning_and_remedy() {
    let page = Page::named("ecs-bootstrap.8");
    let failures: Vec<Vec<&str>> =
        rows(page.section("EXIT STATUS")).into_iter().filter(|row| row[0] != "0").collect();
    let found: Vec<(&str, &str, &str)> =
        failures.iter().map(|row| (row[0], row[1].trim_matches('`'), row[2])).collect();
    let known: Vec<(String, &str, &str)> = testing::exit_statuses()
        .map(|(code, word, meaning)| (code.to_string(), word, meaning))
        .collect();
    let known: Vec<(&str, &str, &str)> =
        known.iter().map(|(code, word, meaning)| (code.as_str(), *word, *meaning)).collect();
    assert_eq!(found, known, "the table in the page (left) and in the program");
    assert!(failures.iter().all(|row| row[3].len() > 5), "a remedy is missing: {failures:?}");
}

/// The unit's list of those that are not retried is the other half of the sentence in the page.
#[test]
fn the_retried_exit_statuses_are_named() {
    let unit = Page::at("systemd/ecs-bootstrap.service").text;
    let prevented =
        unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
    let prevented: Vec<&str> = prevented.split(' ').collect();
    let retried: Vec<String> = testing::exit_statuses()
        .filter(|(code, ..)| *code < 128) // the others are those of signals
        .map(|(code, ..)| code.to_string())
        .filter(|code| !prevented.contains(&code.as_str()))
        .collect();
    let (last, first) = retried.split_last().unwrap();
    let page = Page::named("ecs-bootstrap.8").text;
    assert!(page.contains(&format!("{} and {last} can pass with time", first.join(", "))));
}

#[test]
fn every_check_of_doctor_has_an_entry() {
    let page = Page::named("ecs-bootstrap-doctor.8");
    let rows = rows(page.section("CHECKS"));
    let found: BTreeSet<&str> =
        rows.iter().flat_map(|row| code(row[0]).collect::<Vec<_>>()).collect();
    let known: BTreeSet<&str> = testing::doctor_checks().collect();
    assert_eq!(found, known, "the checks in the page (left) and in the program");
}

#[test]
fn every_command_is_in_the_table() {
    let page = Page::named("ecs-bootstrap.8");
    let found: Vec<&str> = rows(page.section("COMMANDS").split("\n### ").next().unwrap())
        .iter()
        .map(|row| row[0].trim_matches('`'))
        .collect();
    assert_eq!(found, subcommands(&program()).map(clap::Command::get_name).collect::<Vec<_>>());
}

#[test]
fn man_prints_every_command_and_exit_status() {
    let made = Command::new(env!("CARGO_BIN_EXE_ecs-bootstrap")).arg("man").output().unwrap();
    let page = String::from_utf8(made.stdout).unwrap().replace('\\', "");
    for command in subcommands(&program()) {
        assert!(page.contains(&format!("ecs-bootstrap {}", command.get_name())), "{page}");
    }
    for (_, word, _) in testing::exit_statuses() {
        assert!(page.contains(&format!("{word}: ")), "{word}");
    }
}
