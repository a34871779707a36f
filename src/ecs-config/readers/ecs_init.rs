//! ecs-init's own reader, whose result the agent gets (amazon-ecs-agent, ecs-init/docker/docker.go
//! `getEnvVars`).

use super::{Assignment, Note, Reading, cut, trim, trim_start};

/// Trims the file, splits it at line feeds, trims each line, cuts it at the first `=`. Knows no
/// comments, quotes or escapes, and takes any name, even an empty one. Never rejects a file.
pub fn ecs_init(bytes: &[u8]) -> Reading<'_> {
    let mut reading = Reading::default();
    let skipped = bytes.len() - trim_start(bytes).len();
    let first = 1 + bytes[..skipped].iter().filter(|&&c| c == b'\n').count();
    for (line, text) in (first..).zip(trim(bytes).split(|&c| c == b'\n')) {
        let text = trim(text);
        match cut(text) {
            Some((name, value)) => {
                reading.variables.push(Assignment { name, value: Some(value.into()), line })
            }
            None if matches!(text.first(), None | Some(b'#')) => {}
            None => reading.dropped.push(Note::new(line, "has no =; skipped")),
        }
    }
    reading
}
