//! A rule as text, for `lint --explain`.

use std::fmt::Write as _;

use super::rules::{Rule, Under};

/// One rule for people: what it is, why it matters, the broken lines and the mended ones.
pub fn explain(rule: &Rule) -> String {
    let mut text = format!("{} ({})\n\n{}\n\n", rule.id, rule.severity.word(), rule.why);
    text.push_str(surroundings(rule.under));
    let _ = write!(text, "this\n\n{}\ninstead\n\n{}", example(rule.bad), example(rule.good));
    text
}

fn surroundings(under: Under) -> &'static str {
    match under {
        Under::Plain => "",
        Under::Stretched => "`...` stands for 64 KiB of text.\n\n",
        Under::Whole => "With --whole,\n",
        Under::HostTasks => "With --block-imds-host-tasks,\n",
        Under::External => "With --for external,\n",
        Under::InstanceFile => "In /var/lib/ecs/ecs.config, with --for al2023,\n",
        Under::JsonFile => "With a file /etc/ecs/ecs.config.json that holds `[`, for instance,\n",
        Under::Installed => "When `run` installs it,\n",
        Under::JoinedGreen => "Where an agent has joined the cluster green,\n",
        Under::JoinedSome => "Where an agent has joined a cluster that nobody knows,\n",
    }
}

/// Lines that can be printed: bytes outside ASCII as `\xNN`, indented.
fn example(bytes: &[u8]) -> String {
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
    lines.map(|line| format!("    {}\n", printable(line))).collect()
}

fn printable(line: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let shown = |byte: &u8| {
        if plain(byte) { char::from(*byte).to_string() } else { byte.escape_ascii().to_string() }
    };
    line.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::rules;

    #[test]
    fn an_explanation_shows_odd_bytes_as_escapes() {
        let rule = rules::find("bom").expect("a rule of the table");
        assert!(explain(rule).contains("    \\xef\\xbb\\xbfECS_CLUSTER=prod\n"));
    }
}
