//! What `lint` prints, in each of its formats.

use serde_json::{Value, json};

use super::{Checked, LintArgs, LintResult, Output, Surroundings};
use crate::lint::{Context, File, Finding, Severity, render, sarif};
use crate::readers;

pub(super) fn print(args: &LintArgs, around: &Surroundings<'_>, checked: &[Checked]) -> LintResult {
    let findings: Vec<Finding> = checked.iter().flat_map(|one| one.findings.clone()).collect();
    let has_errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    let text = match around.output {
        Output::Text => text(args, around.color, checked, &findings),
        Output::Json => format!("{:#}\n", document(args, checked, &findings)),
        Output::Sarif => format!("{:#}\n", sarif::document(&findings, env!("CARGO_PKG_VERSION"))),
    };
    LintResult { text, has_errors }
}

fn text(args: &LintArgs, color: bool, checked: &[Checked], findings: &[Finding]) -> String {
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
