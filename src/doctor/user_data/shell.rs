//! Which commands of a shell script wait for the ECS agent: those that systemd answers only when
//! the agent has started, and loops that end only when it answers.
//!
//! Read as a shell reads it (POSIX.1-2017, "Shell Command Language"): what is quoted, in a
//! here-document, in a comment or in the background does not wait, nor does a function or a file
//! that is written and not run.

use std::mem::take;

use super::command::{self, PORT, Script};
use super::known::{Effect, Known};
use super::lexer::{Lexer, Token};

/// The first line, counted from 1, on which the script waits for the agent.
pub(super) fn waits_for_agent(script: &str, known: &mut Known) -> Option<usize> {
    known.scan(script, 1).waits
}

/// The effect of a script that begins on this line.
pub(super) fn scan(script: &str, first_line: usize, known: &mut Known) -> Effect {
    let mut scan = Scan::new(known);
    for (line, token) in Lexer::new(script, first_line) {
        scan.take_token(line, token);
    }
    scan.finish()
}

/// Whether this one command waits for it: its words, without quotes.
pub(super) fn command_waits(words: &[String], known: &mut Known) -> bool {
    let mut scan = Scan::new(known);
    scan.words = words.iter().map(|word| (word.clone(), true)).collect();
    scan.finish().waits.is_some()
}

/// A compound command that has begun.
#[derive(Default)]
struct Compound {
    /// `while` or `until`: it ends when something has happened.
    is_loop: bool,
    /// Its commands before `do`: whether they are of `until`.
    condition: Option<bool>,
    is_subshell: bool,
    /// Of a function that is defined.
    function: Option<String>,
    /// What is compared in it, or read, so that it ends by itself.
    counted: Vec<String>,
    /// A command in it asks whether the agent is there.
    asks: Option<usize>,
    /// Lines that wait, in lists that have ended in the foreground.
    waits: Vec<usize>,
    /// Lines that wait, in the list whose end is yet to come.
    pending: Vec<usize>,
}

struct Scan<'k> {
    known: &'k mut Known,
    open: Vec<Compound>,
    /// The words of a command, and whether each is quoted.
    words: Vec<(String, bool)>,
    targets: Vec<String>,
    here: Option<(usize, String)>,
    /// What a command before a `|` writes.
    piped: Option<String>,
    /// Lines that wait in the background.
    background: Vec<usize>,
    /// The function whose body comes next.
    defines: Option<String>,
    /// The command asks by something that is substituted in it.
    asks_within: bool,
    is_negated: bool,
    is_for: bool,
    line: usize,
}

impl<'k> Scan<'k> {
    fn new(known: &'k mut Known) -> Self {
        Scan {
            known,
            open: vec![Compound { is_loop: true, ..Compound::default() }],
            words: Vec::new(),
            targets: Vec::new(),
            here: None,
            piped: None,
            background: Vec::new(),
            defines: None,
            asks_within: false,
            is_negated: false,
            is_for: false,
            line: 1,
        }
    }

    /// The script as one compound command, which also keeps whether anything in it asks.
    fn finish(mut self) -> Effect {
        self.end_command();
        while self.open.len() > 1 {
            self.close();
        }
        let outermost = self.top();
        let waits = outermost.waits.iter().chain(&outermost.pending).min().copied();
        Effect { waits, asks: outermost.asks }
    }

    fn top(&mut self) -> &mut Compound {
        self.open.last_mut().expect("the outermost one is never closed")
    }

    fn take_token(&mut self, line: usize, token: Token) {
        match token {
            Token::Word(word, quoted) => {
                if self.words.is_empty() {
                    self.line = line;
                }
                self.words.push((word, quoted));
                self.open_compound();
            }
            Token::Redirection(target) => {
                let target = self.known.expand(&target, true).concat();
                self.targets.push(target);
            }
            Token::Substitution(text) => self.substitute(&text, line),
            Token::HereDocument(text) => self.here = Some((line, text)),
            Token::Operator("(") => self.open_parenthesis(),
            Token::Operator(")") => {
                self.end_command();
                if self.top().is_subshell {
                    self.end_list();
                    self.close();
                }
            }
            Token::Operator(operator) => self.end_pipeline(operator),
        }
    }

    /// A subshell, or the parentheses after a function's name.
    fn open_parenthesis(&mut self) {
        let name = match &self.words[..] {
            [(name, false)] if !name.contains('=') => Some(name.clone()),
            [(function, _), (name, false)] if function == "function" => Some(name.clone()),
            _ => None,
        };
        let mut opened = Compound { is_subshell: true, ..Compound::default() };
        if name.is_some() {
            self.defines = name;
            self.words.clear();
        } else {
            self.end_command();
            opened.function = self.defines.take();
        }
        self.open.push(opened);
    }

    /// `$(…)`: what it writes is the program that it looks for, or else what is known of an answer
    /// of the agent.
    fn substitute(&mut self, text: &str, line: usize) {
        if self.words.is_empty() {
            self.line = line;
        }
        let inner = self.known.scan(text, line);
        self.top().pending.extend(inner.waits);
        self.asks_within |= inner.asks.is_some();
        let words: Vec<&str> = text.split_whitespace().collect();
        let written = match words[..] {
            ["which", program] | ["command", "-v", program] | ["type", "-P", program] => program,
            _ if inner.asks.is_some() => PORT,
            _ => "",
        };
        if let Some((word, _)) = self.words.last_mut() {
            *word += written;
        }
    }

    /// Keywords are where a command begins.
    fn open_compound(&mut self) {
        let words: Vec<&str> = self.words.iter().map(|(word, _)| word.as_str()).collect();
        let keyword = match words[..] {
            [keyword] if !self.words[0].1 => keyword.to_owned(),
            ["function", name, "{"] => {
                self.defines = Some(name.to_owned());
                "{".to_owned()
            }
            _ => return,
        };
        let opened = Compound::default();
        match keyword.as_str() {
            "while" | "until" => {
                let condition = Some(keyword == "until");
                self.open.push(Compound { is_loop: true, condition, ..opened });
            }
            "if" | "for" | "select" | "case" => {
                self.open.push(opened);
                self.is_for = keyword == "for";
            }
            "{" => {
                let function = self.defines.take();
                self.open.push(Compound { function, ..opened });
            }
            "do" => self.top().condition = None,
            "!" => self.is_negated = true,
            "then" | "else" | "elif" | "time" => {}
            "done" | "fi" | "esac" | "}" if self.open.len() > 1 => {
                self.end_list();
                self.close();
            }
            _ => return,
        }
        self.words.clear();
    }

    /// What a compound command waits for, the list waits for that it is part of; what a function
    /// waits for, those who call it.
    fn close(&mut self) {
        let Some(closed) = self.open.pop() else { return };
        let waits = closed.waits.into_iter().chain(closed.pending);
        if let Some(name) = closed.function {
            let effect = Effect { waits: waits.min(), asks: closed.asks };
            return self.known.define(name, effect);
        }
        let is_count = |text: &String| !self.known.expand(text, true).concat().contains(PORT);
        let is_bounded = closed.counted.iter().any(is_count);
        let endless = closed.asks.filter(|_| closed.is_loop && !is_bounded);
        let waits: Vec<usize> = waits.chain(endless).collect();
        self.top().pending.extend(waits);
    }

    fn end_list(&mut self) {
        let top = self.top();
        let pending = take(&mut top.pending);
        top.waits.extend(pending);
    }

    fn end_pipeline(&mut self, operator: &str) {
        let written = self.end_command();
        self.is_negated &= operator == "|";
        match operator {
            "|" => self.piped = written,
            ";" => self.end_list(),
            "&" => {
                let pending = take(&mut self.top().pending);
                self.background.extend(pending);
            }
            _ => {}
        }
    }

    /// What the command writes, if that is known.
    fn end_command(&mut self) -> Option<String> {
        let (raw, targets) = (take(&mut self.words), take(&mut self.targets));
        let (here, piped) = (self.here.take(), self.piped.take());
        let asks_within = take(&mut self.asks_within);
        if raw.is_empty() && targets.is_empty() {
            return None;
        }
        self.defines = None;
        let expand = |(word, quoted): &(String, bool)| {
            self.known.expand(word, *quoted || command::assignment(word).is_some())
        };
        let mut words: Vec<String> = raw.iter().flat_map(expand).collect();
        if take(&mut self.is_for) && words.get(1).is_some_and(|word| word == "in") {
            self.known.assign(&words[0], words[2..].join(" "));
            return None;
        }
        if words.first().is_some_and(|word| command::base(word) == "xargs") {
            let input = piped.iter().chain(&targets).flat_map(|text| text.split_whitespace());
            words.extend(input.map(str::to_owned).collect::<Vec<_>>());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.assign(&words);
        let words = command::without_prefixes(&words);
        let input = here.or_else(|| Some((self.line, piped?)));
        let string = targets.first().map(|text| (self.line, text.clone()));
        let effect = self.effect(words, input.as_ref().or(string.as_ref()));
        if effect.asks.is_some() || asks_within || command::asks(words, &targets) {
            self.ask(words);
        } else if command::counts(words) {
            let text = raw.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>().join(" ");
            self.innermost_loop().counted.push(text);
        }
        self.write(words, &targets, input)
    }

    fn assign(&mut self, words: &[&str]) {
        const DECLARE: [&str; 5] = ["export", "local", "readonly", "declare", "typeset"];
        let declares = words.first().is_some_and(|word| DECLARE.contains(word));
        let assigned = words[usize::from(declares)..].iter().map(|word| command::assignment(word));
        for (name, value) in assigned.take_while(|it| declares || it.is_some()).flatten() {
            self.known.assign(name, value.to_owned());
        }
    }

    /// What a command does, and the script that it runs.
    fn effect(&mut self, words: &[&str], input: Option<&(usize, String)>) -> Effect {
        let line = self.line;
        let mut run = Effect::default();
        match command::script(words) {
            Some(Script::Text(text)) => run = self.known.scan(&text, line),
            Some(Script::Stored(name)) => {
                // A function may call the one whose name it is given.
                let called = self.known.script(name).map(|effect| {
                    let given = words[1..].iter().filter_map(|word| self.known.script(word));
                    given.fold(effect, |all, one| Effect { waits: all.waits.or(one.waits), ..all })
                });
                run = called.unwrap_or_default();
            }
            Some(Script::Input(arguments)) => {
                let file = arguments.iter().find_map(|path| self.known.script(path));
                let scan = |(line, text): &(usize, String)| self.known.scan(text, *line);
                run = file.or_else(|| input.map(scan)).unwrap_or_default();
            }
            None => {}
        }
        let background =
            if words.first() == Some(&"wait") { take(&mut self.background) } else { Vec::new() };
        let own = command::waits(words, &self.known.units).then_some(line);
        self.top().pending.extend(own.into_iter().chain(run.waits).chain(background));
        run
    }

    /// Unless it is the condition of a loop that goes on only while the agent is there.
    fn ask(&mut self, words: &[&str]) {
        let (line, negated) = (self.line, self.is_negated);
        let until = self.top().condition;
        let ends = until.zip(command::succeeds_with_agent(words));
        if ends.is_none_or(|(until, succeeds)| (succeeds != negated) == until) {
            let innermost = self.innermost_loop();
            innermost.asks = innermost.asks.or(Some(line));
        }
    }

    /// Keeps the files that a command writes.
    fn write(
        &mut self,
        words: &[&str],
        targets: &[String],
        input: Option<(usize, String)>,
    ) -> Option<String> {
        let (program, arguments) = words.split_first()?;
        let text = match command::base(program) {
            "echo" | "printf" => Some(arguments.join(" ").replace("\\n", "\n")),
            "cat" | "tee" => Some(input?.1),
            _ => None,
        }?;
        let files = arguments.iter().copied().filter(|_| command::base(program) == "tee");
        for path in files.chain(targets.iter().map(String::as_str)) {
            self.known.write(path, &text);
        }
        Some(text)
    }

    fn innermost_loop(&mut self) -> &mut Compound {
        let is_innermost = |open: &&mut Compound| open.is_loop || open.function.is_some();
        let innermost = self.open.iter_mut().rev().find(is_innermost);
        innermost.expect("the outermost compound counts as a loop and is never closed")
    }
}
