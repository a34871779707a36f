//! Every rule of the linter, by its own example.

use std::collections::BTreeSet;

use ecs_config::lint::registered::Registered;
use ecs_config::lint::rules::{self, Rule, Under};
use ecs_config::lint::{self, Context, File, Place, Severity};
use ecs_config::merge;

/// What an example needs around it. `mended` tells the two that differ by their surroundings alone.
fn context(under: Under, mended: bool) -> Context<'static> {
    let plain = Context::default();
    match under {
        Under::Plain | Under::Stretched | Under::Installed => plain,
        Under::Whole => Context { whole: true, ..plain },
        Under::HostTasks => Context { block_host_tasks: true, ..plain },
        Under::External => Context { host: "external".parse().ok(), ..plain },
        Under::InstanceFile => Context { host: "al2023".parse().ok(), place: Place::Var, ..plain },
        Under::JoinedGreen => Context { registered: Registered::In("green".into()), ..plain },
        Under::JoinedSome if mended => plain,
        Under::JoinedSome => Context { registered: Registered::Unknown, ..plain },
        Under::JsonFile if mended => plain,
        Under::JsonFile => Context { json_file: Some(b"["), ..plain },
    }
}

fn ids(rule: &Rule, lines: &[u8], mended: bool) -> BTreeSet<&'static str> {
    let bytes = rule.example(lines);
    if rule.under == Under::Installed {
        let done = merge::mend(&bytes).1;
        return done.iter().map(|_| rule.id).collect();
    }
    let file = File { source: "example", bytes: &bytes };
    lint::check(&file, &context(rule.under, mended)).into_iter().map(|finding| finding.id).collect()
}

#[test]
fn every_example_gives_its_rule_and_the_mended_one_does_not() {
    for rule in rules::all() {
        let (bad, good) = (ids(rule, rule.bad, false), ids(rule, rule.good, true));
        assert!(bad.contains(rule.id), "{}: the example gives {bad:?}", rule.id);
        assert!(!good.contains(rule.id), "{}: the mended example gives {good:?}", rule.id);
    }
}

#[test]
fn every_mended_example_is_free_of_errors() {
    for rule in rules::all() {
        for id in ids(rule, rule.good, true) {
            let severity = rules::find(id).map(|found| found.severity);
            assert_ne!(severity, Some(Severity::Error), "{}: mended, it gives {id}", rule.id);
        }
    }
}

#[test]
fn ids_are_unique_and_in_kebab_case() {
    let ids: Vec<&str> = rules::all().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    let kebab =
        |id: &str| id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    assert!(ids.iter().all(|id| kebab(id)), "{ids:?}");
}
