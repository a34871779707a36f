//! What README.md says is what the program does.

use ecs_bootstrap::testing;

const README: &str = include_str!("../README.md");

/// The cells of every row of README's tables that begins with this cell.
fn rows(first: &str) -> Vec<Vec<&'static str>> {
    let cells =
        |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    README
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(cells)
        .filter(|row| row[0] == first)
        .collect()
}

#[test]
fn every_exit_status_stands_in_the_table_with_its_word_and_a_remedy() {
    for (status, word, _) in testing::exit_statuses() {
        let rows = rows(&status.to_string());
        let row = rows.first().unwrap_or_else(|| panic!("{word} is not in README.md"));
        assert_eq!(row[1], format!("`{word}`"));
        assert!(row[3].len() > 10, "{word} has no remedy");
    }
}

#[test]
fn every_setting_and_every_flag_of_run_is_described() {
    let table = README.split("## Settings").nth(1).unwrap();
    for name in testing::settings() {
        assert!(table.contains(&format!("`{name}`")), "{name}");
    }
    let command = testing::command();
    let run = command.find_subcommand("run").unwrap();
    for flag in run
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|flag| *flag != "help")
    {
        assert!(table.contains(&format!("--{flag}")), "--{flag}");
    }
}

#[test]
fn every_command_is_in_the_table() {
    let command = testing::command();
    for name in
        command.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help")
    {
        assert!(
            README.contains(&format!("`ecs-bootstrap {name}"))
                || README.contains(&format!("`{name}`")),
            "{name}"
        );
    }
}

/// There is one page: what looks like a reference to another leads nowhere.
#[test]
fn the_manual_page_names_every_command_and_no_other_page() {
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_ecs-bootstrap"))
        .arg("man")
        .output()
        .unwrap();
    let page = String::from_utf8(made.stdout).unwrap().replace('\\', "");
    for name in testing::command().get_subcommands().map(clap::Command::get_name) {
        assert!(page.contains(&format!("ecs-bootstrap {name}")), "{name}");
        assert!(!page.contains(&format!("ecs-bootstrap-{name}(1)")), "{name}");
    }
}
