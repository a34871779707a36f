//! What scripts of user data have written and defined.

use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Known {
    /// The units that wait for user data.
    pub(super) units: Vec<&'static str>,
    variables: BTreeMap<String, String>,
    /// Functions by name, files by path.
    scripts: BTreeMap<String, Effect>,
    /// Scripts within scripts that are being read, and how many bytes have been.
    pub(super) depth: usize,
    pub(super) scanned: usize,
}

/// What commands do.
#[derive(Clone, Default)]
pub(super) struct Effect {
    /// The first line that waits.
    pub(super) waits: Option<usize>,
    /// The first line that asks whether the agent is there.
    pub(super) asks: Option<usize>,
    /// What is compared, or read, so that a loop ends by itself.
    pub(super) counted: Vec<String>,
}

impl Effect {
    pub(super) fn add(&mut self, other: Effect) {
        self.waits = earliest(self.waits, other.waits);
        self.asks = self.asks.or(other.asks);
        self.counted.extend(other.counted);
    }
}

pub(super) fn earliest(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    one.into_iter().chain(other).min()
}

impl Known {
    pub(super) fn new(units: Vec<&'static str>) -> Self {
        Known { units, ..Known::default() }
    }

    /// A function, or a file, that does this.
    pub(super) fn define(&mut self, name: &str, effect: Effect) {
        self.scripts.insert(name.trim_start_matches("./").to_owned(), effect);
    }

    pub(super) fn script(&self, name: &str) -> Option<&Effect> {
        self.scripts.get(name.trim_start_matches("./"))
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
