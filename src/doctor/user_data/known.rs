//! What scripts of user data have written and defined.

use std::collections::BTreeMap;

use super::shell;

#[derive(Default)]
pub(super) struct Known {
    /// The units that wait for user data.
    pub(super) units: Vec<&'static str>,
    variables: BTreeMap<String, String>,
    /// Functions by name, files by path.
    scripts: BTreeMap<String, Effect>,
    depth: usize,
    scanned: usize,
}

/// The first line that waits, and the first that asks whether the agent is there.
#[derive(Clone, Copy, Default)]
pub(super) struct Effect {
    pub(super) waits: Option<usize>,
    pub(super) asks: Option<usize>,
}

impl Known {
    pub(super) fn new(units: Vec<&'static str>) -> Self {
        Known { units, ..Known::default() }
    }

    /// With the next document.
    pub(super) fn begin(&mut self) {
        (self.depth, self.scanned) = (0, 0);
    }

    /// A file with this content.
    pub(super) fn write(&mut self, path: &str, content: &str) {
        if super::is_shell(content) {
            let effect = self.scan(content, 1);
            self.define(path.trim_start_matches("./").to_owned(), effect);
        }
    }

    /// A function, or a file, that does this.
    pub(super) fn define(&mut self, name: String, effect: Effect) {
        self.scripts.insert(name, effect);
    }

    pub(super) fn script(&self, name: &str) -> Option<Effect> {
        self.scripts.get(name.trim_start_matches("./")).copied()
    }

    /// Scripts within scripts are scanned as deep, and as many, as people write them.
    pub(super) fn scan(&mut self, script: &str, first_line: usize) -> Effect {
        const MAX_DEPTH: usize = 12;
        const MAX_SCANNED: usize = 1 << 20;
        if self.depth == MAX_DEPTH || self.scanned + script.len() > MAX_SCANNED {
            return Effect::default();
        }
        (self.depth, self.scanned) = (self.depth + 1, self.scanned + script.len());
        let effect = shell::scan(script, first_line, self);
        self.depth -= 1;
        effect
    }

    /// A word with the values of its variables, as long as it does not get too long; unless it is
    /// quoted, each word of a value is one.
    pub(super) fn expand(&self, word: &str, quoted: bool) -> Vec<String> {
        const MAX_WORD: usize = 64 << 10;
        let Some((mut text, rest)) =
            word.split_once('$').map(|(text, rest)| (text.to_owned(), rest))
        else {
            return vec![word.to_owned()];
        };
        for piece in rest.split('$') {
            let name = piece.strip_prefix('{').unwrap_or(piece);
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, after) = name.split_at(end.unwrap_or(name.len()));
            match self.variables.get(name) {
                Some(value) if text.len() < MAX_WORD => {
                    text += &[value, after.strip_prefix('}').unwrap_or(after)].concat()
                }
                _ => text += &["$", piece].concat(),
            }
        }
        if quoted { vec![text] } else { text.split_whitespace().map(str::to_owned).collect() }
    }

    pub(super) fn assign(&mut self, name: &str, value: String) {
        const MAX_VALUE: usize = 1024;
        if value.len() <= MAX_VALUE {
            self.variables.insert(name.to_owned(), value);
        }
    }
}
