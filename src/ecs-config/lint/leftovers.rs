//! What a shell or a template was to replace, and left in a value.

use super::parsed_value::is_json;
use super::rules::{Rule, values as rule};
use crate::variables::Variable;

/// The rule that such a value breaks. `${name}` is not among them: `run --expand` replaces it.
pub(super) fn rule(known: Option<&Variable>, value: &str) -> Option<&'static Rule> {
    let is_known = known.is_some();
    match value {
        _ if is_json(value) => None,
        _ if is_known && is_placeholder(value) => Some(&rule::PLACEHOLDER_LEFT_IN),
        _ if is_redirected(value) => Some(&rule::SHELL_IN_VALUE),
        _ if is_known && is_substitution(value) => Some(&rule::SHELL_IN_VALUE),
        _ => None,
    }
}

/// A redirection, a pipe, or a further command, each a word of its own.
fn is_redirected(value: &str) -> bool {
    const WORDS: [&str; 6] = [">", ">>", "|", "||", "&&", ";"];
    const STARTS: [&str; 7] = [">/", ">>/", ">>.", "<<", "2>", "1>", "&>"];
    value
        .split_whitespace()
        .any(|word| WORDS.contains(&word) || STARTS.iter().any(|start| word.starts_with(start)))
}

/// A command whose output was meant, or the end of a command.
fn is_substitution(value: &str) -> bool {
    value.ends_with(';') || encloses(value, "$(", ")") || encloses(value, "`", "`")
}

/// Marks of Jinja, Go templates, ERB, Ansible, Puppet, CloudFormation and CDK, and words that ask
/// to be replaced.
fn is_placeholder(value: &str) -> bool {
    const PAIRS: [(&str, &str); 6] =
        [("{{", "}}"), ("{%", "%}"), ("<%", "%>"), ("#{", "}"), ("%{", "}"), ("${Token[", "}")];
    const AROUND: [(&str, &str); 4] = [("<", ">"), ("@@", "@@"), ("##", "##"), ("__", "__")];
    const STARTS: [&str; 5] = ["!Ref ", "!Sub ", "!GetAtt ", "!ImportValue ", "Fn::"];
    const WORDS: [&str; 5] =
        ["CHANGEME", "CHANGE_ME", "REPLACEME", "REPLACE_ME", "[OBJECT OBJECT]"];
    let is_around = |(open, close): &(&str, &str)| {
        let inner = value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| !inner.is_empty())
    };
    PAIRS.iter().any(|(open, close)| encloses(value, open, close))
        || AROUND.iter().any(is_around)
        || STARTS.iter().any(|start| value.starts_with(start))
        || WORDS.contains(&value.to_ascii_uppercase().as_str())
}

fn encloses(value: &str, open: &str, close: &str) -> bool {
    value.split_once(open).is_some_and(|(_, rest)| rest.contains(close))
}
