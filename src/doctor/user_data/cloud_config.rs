//! The commands of a `#cloud-config` document: the items of `runcmd` and `bootcmd`.
//!
//! Only as much of YAML as such lists are written in; what is written otherwise is in
//! `scripts/runcmd` all the same, where cloud-init has written it out.

use super::shell;

/// The first line, counted from 1, whose command waits for the agent.
pub(super) fn waits_for_agent(text: &str) -> Option<usize> {
    let waits = |(line, item): &(usize, Vec<&str>)| item_waits(item).then_some(*line);
    items(text).iter().find_map(waits)
}

/// Each item with its line; its first line is without the dash.
fn items(text: &str) -> Vec<(usize, Vec<&str>)> {
    let (mut items, mut in_list, mut dash) = (Vec::<(usize, Vec<&str>)>::new(), false, None);
    for (number, line) in text.lines().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        if indent == 0 && !body.starts_with('-') {
            in_list = body.starts_with("runcmd:") || body.starts_with("bootcmd:");
            dash = None;
        } else if !in_list {
            continue;
        } else if body.starts_with('-') && dash.is_none_or(|dash| indent <= dash) {
            dash = Some(indent);
            items.push((number + 1, vec![body[1..].trim()]));
        } else if let Some((_, lines)) = items.last_mut() {
            lines.push(line);
        }
    }
    items
}

fn item_waits(lines: &[&str]) -> bool {
    let [first, rest @ ..] = lines else { return false };
    let joined =
        |lines: &[&str], by| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(by);
    if first.starts_with('[') {
        let list = joined(lines, " ");
        let list = list.trim_matches(['[', ']', ' ']);
        return shell::command_waits(&list.split(',').map(scalar).collect::<Vec<_>>());
    }
    if let Some(nested) = first.strip_prefix("- ") {
        let others = rest.iter().filter_map(|line| line.trim().strip_prefix('-'));
        return shell::command_waits(
            &[nested].into_iter().chain(others).map(scalar).collect::<Vec<_>>(),
        );
    }
    let script = match first.chars().next() {
        Some('|') => joined(rest, "\n"),
        Some('>') => joined(rest, " "),
        _ => scalar(&joined(lines, " ")),
    };
    shell::waits_for_agent(&script).is_some()
}

/// A string without its quotes.
fn scalar(text: &str) -> String {
    let text = text.trim();
    let inner =
        ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(text).to_owned()
}
