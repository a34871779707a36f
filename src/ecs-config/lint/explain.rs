//! A rule as text, for `lint --explain`.

use super::rules::{ExampleContext, Rule};

/// One rule for people: what it is, why it matters, the broken lines and the corrected ones.
pub fn explain(rule: &Rule) -> String {
    let Rule { id, severity, why, bad, good, context, .. } = rule;
    let (severity, context) = (severity.word(), introduction(*context));
    let (bad, good) = (example(bad), example(good));
    format!("{id} ({severity})\n\n{why}\n\n{context}this\n\n{bad}\ninstead\n\n{good}")
}

fn introduction(context: ExampleContext) -> &'static str {
    match context {
        ExampleContext::Plain => "",
        ExampleContext::Stretched => "`...` means 64 KiB of text.\n\n",
        ExampleContext::Whole => "With --whole,\n",
        ExampleContext::HostTasks => "With --block-imds-host-tasks,\n",
        ExampleContext::Expanded => "With --expand,\n",
        ExampleContext::External => "With --for external,\n",
        ExampleContext::InstanceFile => "In /var/lib/ecs/ecs.config, with --for al2023,\n",
        ExampleContext::JsonFile => {
            "With a file /etc/ecs/ecs.config.json that holds `[`, for instance,\n"
        }
        ExampleContext::JsonField => {
            "With `{\"ReservedMemory\":\"256\"}` in /etc/ecs/ecs.config.json, for instance,\n"
        }
        ExampleContext::Installed => "When `run` installs it,\n",
        ExampleContext::JoinedGreen => "Where an agent has joined the cluster green,\n",
        ExampleContext::JoinedSome => "Where an agent has joined an unknown cluster,\n",
    }
}

/// Lines that can be printed: bytes outside ASCII as `\xNN`, indented.
fn example(bytes: &[u8]) -> String {
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
    lines.map(|line| format!("    {}\n", printable(line))).collect()
}

fn printable(line: &[u8]) -> String {
    let shown = |byte: &u8| match byte.is_ascii_graphic() || *byte == b' ' {
        true => char::from(*byte).to_string(),
        false => byte.escape_ascii().to_string(),
    };
    line.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::rules;

    #[test]
    fn explain_shows_odd_bytes_as_escapes() {
        let rule = rules::find("bom").expect("a rule of the table");
        assert!(explain(rule).contains("    \\xef\\xbb\\xbfECS_CLUSTER=prod\n"));
    }
}
