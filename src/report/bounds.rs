//! A report has an end: one line a text, 1,000 entries a list, 512 KiB in all, whatever it is about.

use ecs_config::text::one_line;
use serde_json::Value;

use crate::paths::{MAX_LISTED, MAX_REPORT, MAX_TEXT};

/// The report as JSON, within its bounds. Lists lose their ends, rather than the report its.
pub(super) fn bounded(mut report: Value) -> String {
    let mut listed = MAX_LISTED;
    loop {
        bound(&mut report, listed);
        let text = serde_json::to_string_pretty(&report).expect("it is JSON");
        if text.len() <= MAX_REPORT || listed == 0 {
            return text;
        }
        listed /= 2;
    }
}

/// The same for what is shown of it to people.
pub(super) fn bound(value: &mut Value, listed: usize) {
    match value {
        Value::String(text) if is_plain(text) => {}
        Value::String(text) => *text = one_line(text, MAX_TEXT),
        Value::Array(items) => {
            items.truncate(listed);
            items.iter_mut().for_each(|item| bound(item, listed));
        }
        Value::Object(fields)
            if fields.len() <= FIELDS.max(listed) && fields.keys().all(|name| is_plain(name)) =>
        {
            fields.values_mut().for_each(|value| bound(value, listed));
        }
        Value::Object(fields) => {
            // The report itself has fewer fields than that.
            let all = std::mem::take(fields).into_iter().take(listed.max(FIELDS));
            fields.extend(all.map(|(name, mut value)| {
                bound(&mut value, listed);
                (one_line(&name, MAX_TEXT), value)
            }));
        }
        _ => {}
    }
}

/// What [`one_line`] leaves as it is: nearly every text of a report.
fn is_plain(text: &str) -> bool {
    let is_shown = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    text.len() <= MAX_TEXT && text.bytes().all(is_shown) && text.trim().len() == text.len()
}

/// An object that is not a list has at most so many fields.
const FIELDS: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_texts_and_the_whole_are_bounded() {
        let texts = vec!["x\nremedy: \u{202e}y".repeat(1000); 5000];
        let keys: serde_json::Map<_, _> =
            (0..5000).map(|at| (format!("KEY{at}"), json!({"from": "s3://b/k"}))).collect();
        let text = bounded(json!({"schema": 1, "findings": texts, "keys": keys, "error": null}));
        let report: Value = serde_json::from_str(&text).unwrap();
        assert!(text.len() <= MAX_REPORT && !text.contains('\u{202e}'), "{}", text.len());
        assert_eq!(report["error"], Value::Null);
        assert!(report["findings"].as_array().is_some_and(|all| (1..1000).contains(&all.len())));
    }

    #[test]
    fn an_ordinary_report_is_left_as_it_is() {
        let report = json!({"command": "run", "steps": [{"step": "fetch", "attempts": 1}]});
        assert_eq!(bounded(report.clone()), format!("{report:#}"));
    }
}
