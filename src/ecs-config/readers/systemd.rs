//! systemd's `EnvironmentFile=`, as the units of ecs-init use it (src/basic/env-file.c
//! `parse_env_file_internal`, `load_env_file_push`, and env-util.c `strv_env_clean_with_callback`;
//! before 2018 src/shared/fileio.c).

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Assignment, Note, Reading, is_name};

/// The generations of its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Amazon Linux 2. Cuts the file at a NUL, removes backslashes inside quotes too, drops values
    /// with control characters.
    V219,
    /// Up to 253; Amazon Linux 2023 and Debian 12 have it. A comment that ends in a backslash
    /// swallows the next line.
    V252,
    /// From 254 on: it no longer does.
    V254,
}

/// The states of `parse_env_file_internal`, by their names there.
#[derive(Clone, Copy, PartialEq)]
enum State {
    PreKey,
    Key,
    PreValue,
    Value,
    ValueEscape,
    SingleQuote,
    SingleQuoteEscape,
    DoubleQuote,
    DoubleQuoteEscape,
    Comment,
    CommentEscape,
}

struct Machine<'a> {
    text: &'a [u8],
    generation: Generation,
    state: State,
    /// The current line, and that on which the current name began.
    line: usize,
    key_line: usize,
    /// Where the current name began; and the name, once its `=` was met.
    key_start: usize,
    key: &'a [u8],
    /// The value so far.
    value: Vec<u8>,
    /// This much of the value must not be trimmed: a backslash was there.
    solid: usize,
    reading: Reading<'a>,
}

/// What systemd would put into ecs-init's environment. A NUL (not in 219) or a name or value that
/// is not UTF-8 rejects the whole file, which the `-` in `EnvironmentFile=-` then hides. No limit
/// on sizes is applied: `ARG_MAX` is above what a layer may hold.
pub fn systemd(bytes: &[u8], generation: Generation) -> Reading<'_> {
    let text = match bytes.iter().position(|&c| c == 0) {
        Some(at) if generation == Generation::V219 => &bytes[..at],
        Some(at) => {
            let line = 1 + bytes[..at].iter().filter(|&&c| c == b'\n').count();
            return Reading::rejected(Note::new(line, "holds a NUL: systemd rejects the file"));
        }
        None => bytes,
    };
    let machine = Machine {
        text,
        generation,
        state: State::PreKey,
        line: 1,
        key_line: 1,
        key_start: 0,
        key: &[],
        value: Vec::new(),
        solid: 0,
        reading: Reading::default(),
    };
    machine.run().map_or_else(Reading::rejected, |reading| clean(reading, generation))
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Reading<'a>, Note> {
        for (at, &c) in self.text.iter().enumerate() {
            self.state = self.step(at, c)?;
            self.line += usize::from(c == b'\n');
        }
        match self.state {
            State::PreKey | State::Comment | State::CommentEscape => {}
            State::Key => _ = self.no_equals(),
            state => self.push(state)?,
        }
        Ok(self.reading)
    }

    /// The transitions, one a row: the state we are in, the byte we see, the state it leads to.
    fn step(&mut self, at: usize, c: u8) -> Result<State, Note> {
        use State::*;
        let old = self.generation == Generation::V219;
        Ok(match (self.state, c) {
            (PreKey, b'#' | b';') => Comment,
            (PreKey, b' ' | b'\t' | b'\n' | b'\r') => PreKey,
            (PreKey, _) => {
                (self.key_start, self.key_line) = (at, self.line);
                Key
            }

            (Key, b'\n' | b'\r') => self.no_equals(),
            (Key, b'=') => {
                self.key = trim_end(&self.text[self.key_start..at], 0);
                self.solid = 0;
                PreValue
            }
            (Key, _) => Key,

            (state @ (PreValue | Value), b'\n' | b'\r') => {
                self.push(state)?;
                PreKey
            }
            (PreValue, b'\'') => SingleQuote,
            (PreValue, b'"') => DoubleQuote,
            (PreValue, b' ' | b'\t') => PreValue,
            (PreValue | Value, b'\\') => self.solid(ValueEscape),
            (PreValue | Value, _) => self.take(at, Value),
            (ValueEscape, b'\n' | b'\r') => Value,
            (ValueEscape, _) => {
                self.take(at, Value);
                self.solid(Value)
            }

            (SingleQuote, b'\'') | (DoubleQuote, b'"') => PreValue,
            (SingleQuote, b'\\') if old => SingleQuoteEscape,
            (DoubleQuote, b'\\') => DoubleQuoteEscape,
            (quote @ (SingleQuote | DoubleQuote), _) => self.take(at, quote),
            (SingleQuoteEscape, b'\n' | b'\r') => SingleQuote,
            (SingleQuoteEscape, _) => self.take(at, SingleQuote),
            (DoubleQuoteEscape, b'\r') if old => DoubleQuote,
            (DoubleQuoteEscape, b'\n') => DoubleQuote,
            (DoubleQuoteEscape, b'"' | b'\\' | b'`' | b'$') => self.take(at, DoubleQuote),
            (DoubleQuoteEscape, _) => {
                if !old {
                    self.take(at - 1, DoubleQuote); // the backslash stays, as in a shell
                }
                self.take(at, DoubleQuote)
            }

            (Comment, b'\\') => CommentEscape,
            (Comment, b'\n' | b'\r') => PreKey,
            (CommentEscape, b'\n' | b'\r') if self.generation == Generation::V254 => PreKey,
            (Comment | CommentEscape, _) => Comment,
        })
    }

    fn no_equals(&mut self) -> State {
        self.reading.dropped.push(Note::new(self.key_line, "has no =; skipped silently"));
        State::PreKey
    }

    fn take(&mut self, at: usize, next: State) -> State {
        self.value.push(self.text[at]);
        next
    }

    fn solid(&mut self, next: State) -> State {
        self.solid = self.value.len();
        next
    }

    /// `load_env_file_push`: one name or value that is not UTF-8 ends the reading of the file.
    fn push(&mut self, state: State) -> Result<(), Note> {
        let mut value = std::mem::take(&mut self.value);
        if state == State::Value {
            value.truncate(trim_end(&value, self.solid).len());
        }
        let line = self.key_line;
        if !is_utf8(self.key) || !is_utf8(&value) {
            let what = "holds bytes that are not UTF-8: systemd rejects the file";
            return Err(Note::new(line, what));
        }
        let (name, value) = (self.key, Some(Cow::Owned(value)));
        if is_name(name) {
            self.reading.variables.push(Assignment { name, value, line });
        } else {
            self.reading.dropped.push(Note::new(line, "not a name that systemd takes; ignored"));
        }
        Ok(())
    }
}

/// Without the white space at the end, but never less than `solid` bytes.
fn trim_end(text: &[u8], solid: usize) -> &[u8] {
    let end = text.iter().rposition(|c| !b" \t\n\r".contains(c)).map_or(0, |last| last + 1);
    &text[..end.max(solid)]
}

/// `utf8_is_valid`: UTF-8 without the code points that Unicode sets aside for no character.
fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii()
        || str::from_utf8(text).is_ok_and(|text| {
            !text
                .chars()
                .any(|c| matches!(c, '\u{fdd0}'..='\u{fdef}') || (c as u32) & 0xfffe == 0xfffe)
        })
}

/// `strv_env_clean` of 219: a value with a control character other than a tab is dropped. Since
/// only the last assignment to a name counts, those before it do not come back.
fn clean(mut reading: Reading<'_>, generation: Generation) -> Reading<'_> {
    if generation != Generation::V219 || !reading.variables.iter().any(has_control) {
        return reading;
    }
    let is_lost: HashMap<&[u8], bool> =
        reading.variables.iter().map(|set| (set.name, has_control(set))).collect();
    let lost = reading.variables.iter().filter(|set| has_control(set));
    reading.dropped.extend(
        lost.map(|set| Note::new(set.line, "has a control character in its value; ignored")),
    );
    reading.variables.retain(|set| !has_control(set) && !is_lost[set.name]);
    reading
}

fn has_control(set: &Assignment<'_>) -> bool {
    set.value.iter().any(|value| value.iter().any(|&c| c.is_ascii_control() && c != b'\t'))
}
