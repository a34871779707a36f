//! Every rule of the linter, by its own example.

use std::collections::BTreeSet;

use ecs_config::effective::ConfigFile;
use ecs_config::lint::rules::{self, ExampleContext, Rule};
use ecs_config::lint::{self, Context, File, Finding, Registered, Severity};
use ecs_config::merge::{Layer, Present, merge};

/// What an example needs around it, the broken one or the corrected one.
fn context(rule: &Rule, is_broken: bool) -> Context<'static> {
    let plain = Context::default();
    match rule.context {
        ExampleContext::Plain | ExampleContext::Stretched | ExampleContext::Installed => plain,
        ExampleContext::Whole => Context { whole: true, ..plain },
        ExampleContext::Expanded => Context { expand: true, ..plain },
        ExampleContext::HostTasks => Context { block_host_tasks: true, ..plain },
        ExampleContext::External => Context { host: "external".parse().ok(), ..plain },
        ExampleContext::InstanceFile => {
            Context { host: "al2023".parse().ok(), file: ConfigFile::Var, ..plain }
        }
        ExampleContext::JoinedGreen => {
            Context { registered: Registered::In("green".into()), ..plain }
        }
        ExampleContext::JoinedSome if is_broken => {
            Context { registered: Registered::Unknown, ..plain }
        }
        ExampleContext::JsonFile if is_broken => Context { json_file: Some(b"["), ..plain },
        ExampleContext::JsonField if is_broken => {
            Context { json_file: Some(b"{\"ReservedMemory\":\"256\"}"), ..plain }
        }
        ExampleContext::JoinedSome | ExampleContext::JsonFile | ExampleContext::JsonField => plain,
    }
}

/// The example as the bytes of a file.
fn example(rule: &Rule, is_broken: bool) -> Vec<u8> {
    let lines = if is_broken { rule.bad } else { rule.good };
    if rule.context != ExampleContext::Stretched {
        return lines.to_vec();
    }
    String::from_utf8_lossy(lines).replace("...", &"x".repeat(65_536)).into_bytes()
}

fn findings(rule: &Rule, is_broken: bool) -> Vec<Finding> {
    let bytes = example(rule, is_broken);
    if rule.context == ExampleContext::Installed {
        let (path, owned) = ("/etc/ecs/ecs.config", &Default::default());
        let present = Present { path, bytes: b"", owned, keep: &[], replace: false };
        let merged = merge(&[Layer { name: "layer", bytes: &bytes }], present).unwrap();
        return merged.changes.iter().map(Finding::from).collect();
    }
    lint::check(&File { source: "example", bytes: &bytes }, &context(rule, is_broken))
}

#[test]
fn examples_break_their_rule_until_they_are_corrected() {
    for rule in rules::all() {
        let breaks = |is_broken| findings(rule, is_broken).iter().any(|found| found.id == rule.id);
        assert!(breaks(true), "{}: {:?}", rule.id, findings(rule, true));
        assert!(!breaks(false), "{}: {:?}", rule.id, findings(rule, false));
    }
}

#[test]
fn corrected_examples_are_free_of_errors() {
    for rule in rules::all() {
        let found = findings(rule, false);
        assert!(found.iter().all(|one| one.severity != Severity::Error), "{}: {found:?}", rule.id);
    }
}

#[test]
fn findings_have_words_of_their_rule() {
    for found in rules::all().flat_map(|rule| findings(rule, true)) {
        assert!(!found.message.is_empty(), "{}", found.id);
        let texts = [Some(&found.message), found.fix.as_ref()].into_iter().flatten();
        let is_phrase = |text: &String| !text.ends_with('.') && !text.is_empty();
        assert!(texts.clone().all(is_phrase), "{found:?}");
    }
}

#[test]
fn rule_ids_are_unique_and_in_kebab_case() {
    let ids: Vec<&str> = rules::all().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    assert!(ids.iter().all(|id| id.bytes().all(is_plain)), "{ids:?}");
}
