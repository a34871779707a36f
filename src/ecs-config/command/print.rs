//! What `lint` prints, in each of its formats.

use std::io::IsTerminal as _;

use serde_json::{Value, json};

use super::{Checked, LintArgs, Output};
use crate::lint::{Context, File, Finding, render, sarif};
use crate::readers;

/// The text to print.
pub(super) fn result(
    args: &LintArgs,
    output: Output,
    checked: &[Checked],
    findings: &[Finding],
) -> String {
    match output {
        Output::Text => text(args, checked, findings),
        Output::Json => format!("{:#}\n", document(args, checked, findings)),
        Output::Sarif => format!("{:#}\n", sarif::document(findings, env!("CARGO_PKG_VERSION"))),
    }
}

/// stdout is a terminal, and colours were not declined: <https://no-color.org>.
fn has_color() -> bool {
    let is_declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !is_declined
}

fn text(args: &LintArgs, checked: &[Checked], findings: &[Finding]) -> String {
    let color = has_color();
    let readers = Context { host: args.host, ..Context::default() }.readers();
    let mut out = String::new();
    for Checked { name, bytes, findings, fixed } in checked {
        if args.readers {
            out.push_str(&render::readers(bytes, readers, args.show_secrets));
            out.push('\n');
        }
        for fixed in fixed {
            out.push_str(&format!("fixed {name}:{}: {}\n", fixed.line, fixed.id));
        }
        let file = File { source: name, bytes };
        out.push_str(&render::text(&file, findings, render::Style { color, readers }));
    }
    out + &render::summary(findings) + "\n"
}

fn document(args: &LintArgs, checked: &[Checked], findings: &[Finding]) -> Value {
    let mut document = json!({});
    if let (true, [one]) = (args.readers, checked) {
        document["readers"] = readers::json(&one.bytes, args.show_secrets);
    }
    document["findings"] = json!(findings);
    if args.fix {
        let fixed = checked.iter().flat_map(|one| one.fixed.iter().map(move |fixed| (one, fixed)));
        document["fixed"] = fixed
            .map(|(one, fixed)| json!({"source": one.name, "line": fixed.line, "id": fixed.id}))
            .collect();
    }
    document
}
