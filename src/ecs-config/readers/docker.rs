//! `docker run --env-file` (docker/cli 28, pkg/kvfile and opts/file.go), which starts the agent on
//! hosts without ecs-init.

use super::{Assignment, Note, Reading, cut, trim_start};
use crate::lines::{BOM, lines};

/// Go's `bufio.MaxScanTokenSize`, in bytes: a line must fit into it together with its line feed.
const MAX_LINE: usize = 64 * 1024;

/// Skips empty lines and `#` comments, trims the start of a line, keeps its end. Any line that it
/// does not accept rejects the whole file. A name without `=` is kept without a value; duplicates
/// are all kept, since docker sends them all.
pub fn docker(bytes: &[u8]) -> Reading<'_> {
    lines(bytes)
        .filter_map(|line| assignment(line.number, line.body()).transpose())
        .collect::<Result<_, _>>()
        .map_or_else(Reading::rejected, |variables| Reading { variables, ..Reading::default() })
}

fn assignment(line: usize, text: &[u8]) -> Result<Option<Assignment<'_>>, Note> {
    if text.len() >= MAX_LINE {
        return Err(Note::new(line, "is longer than 65535 bytes"));
    }
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if str::from_utf8(text).is_err() {
        return Err(Note::new(line, "holds bytes that are not UTF-8"));
    }
    let text = if line == 1 { text.strip_prefix(BOM).unwrap_or(text) } else { text };
    let text = trim_start(text);
    if matches!(text, [] | [b'#', ..]) {
        return Ok(None);
    }
    let (name, value) = match cut(text) {
        Some((name, value)) => (name, Some(value.into())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(Note::new(line, "has no name before the ="));
    }
    if name.iter().any(|c| b" \t".contains(c)) {
        return Err(Note::new(line, "has white space in its name"));
    }
    Ok(Some(Assignment { name, value, line }))
}
