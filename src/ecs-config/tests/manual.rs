//! The manual page of the linter lists every rule, and no other.

use std::collections::BTreeSet;

use ecs_config::lint::rules;

const PAGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/man/ecs-bootstrap-lint.1.md");

#[test]
fn every_rule_has_an_entry_with_its_severity() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let rules = page.split("\n## ").find(|part| part.starts_with("RULES\n")).unwrap();
    let rows = rules.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    let found: BTreeSet<Vec<String>> = rows.map(|row| cells(row)[..2].to_vec()).collect();
    let known: BTreeSet<Vec<String>> = rules::all()
        .map(|rule| vec![rule.id.to_owned(), rule.severity.word().to_owned()])
        .collect();
    let difference: Vec<_> = found.symmetric_difference(&known).collect();
    assert!(difference.is_empty(), "in the page or in the program only: {difference:?}");
}
