//! Which commands of a shell script wait for the ECS agent: those that systemd answers only when
//! the agent has started, and loops that end only when it answers.
//!
//! Read as a shell reads it (POSIX.1-2017, "Shell Command Language"): what is quoted, in a
//! here-document, in a comment or in the background does not wait, nor does a function or a file
//! that is written and not run. One function for each thing of the grammar returns what it does.

use std::iter::Peekable;
use std::mem::take;

use super::super::has_word;
use super::command::{self, PORT, SHELLS};
use super::known::{Effect, Known, earliest};
use super::lexer::{Kind, Lexer, Token};

/// The effect of a script that begins on this line. Scripts within scripts are read as deep, and
/// as many, as people write them.
pub(super) fn scan(script: &str, first_line: usize, known: &mut Known) -> Effect {
    const MAX_DEPTH: usize = 12;
    const MAX_SCANNED: usize = 1 << 20;
    let mut effect = Effect::default();
    if known.depth == MAX_DEPTH || known.scanned + script.len() > MAX_SCANNED {
        return effect;
    }
    (known.depth, known.scanned) = (known.depth + 1, known.scanned + script.len());
    let tokens = Lexer::new(script, first_line).peekable();
    let mut shell = Shell { known, tokens, nested: 0, written: None, background: None };
    // A keyword that ends nothing is passed over.
    while shell.tokens.peek().is_some() {
        effect.add(shell.list(false, None));
    }
    shell.known.depth -= 1;
    effect
}

/// A file with this content.
pub(super) fn write(path: &str, content: &str, known: &mut Known) {
    if is_shell(content) {
        let effect = scan(content, 1, known);
        known.define(path, effect);
    }
}

/// The interpreter is a shell, by its name.
pub(super) fn is_shell(script: &str) -> bool {
    let first = script.trim_start().lines().next().unwrap_or_default();
    let Some(interpreter) = first.strip_prefix("#!") else { return true };
    interpreter.split_whitespace().any(|word| word.ends_with("sh"))
}

struct Shell<'a, 'k> {
    known: &'k mut Known,
    tokens: Peekable<Lexer<'a>>,
    /// How many compound commands are open.
    nested: usize,
    /// What the last command writes, if that is known: the next one's input, after a `|`.
    written: Option<String>,
    /// The first line that waits in the background.
    background: Option<usize>,
}

/// A simple command.
struct Simple {
    line: usize,
    /// As they are written, and with the values of variables.
    raw: Vec<String>,
    words: Vec<String>,
    /// Of its redirections.
    targets: Vec<String>,
    /// A here-document, or what is piped to it; with its line.
    input: Option<(usize, String)>,
    /// What is substituted in it.
    within: Effect,
}

impl Shell<'_, '_> {
    /// The commands up to the end of the compound command that they are in; `until`: whether they
    /// begin with the condition of `until` or, if false, of `while`.
    fn list(&mut self, in_subshell: bool, mut until: Option<bool>) -> Effect {
        let (mut ended, mut pending) = (Effect::default(), Effect::default());
        let (mut is_negated, mut is_chained) = (false, false);
        while let Some(mark) = self.mark() {
            match mark.as_str() {
                // A pattern of `case` ends.
                ")" if !in_subshell => {}
                ")" | "done" | "fi" | "esac" | "}" => break,
                "do" => until = None,
                "!" => is_negated = true,
                "then" | "else" | "elif" | "time" => {}
                "exit" if self.nested == 0 && !is_chained => self.tokens.by_ref().for_each(drop),
                "exit" => {}
                "&&" | "||" | "|" => {
                    (is_negated, is_chained) = (is_negated && mark == "|", true);
                    self.written = self.written.take().filter(|_| mark == "|");
                    while self.take("\n") {}
                }
                "&" | ";" | "\n" => {
                    (is_negated, is_chained, self.written) = (false, false, None);
                    if mark == "&" {
                        self.background = earliest(self.background, pending.waits.take());
                    }
                    ended.add(take(&mut pending));
                }
                "" => {
                    let command = self.simple();
                    pending.add(self.run(command, until.map(|until| until != is_negated)));
                }
                opening => pending.add(self.compound(opening)),
            }
        }
        ended.add(pending);
        ended
    }

    /// Takes the operator or the keyword that comes next; "" where a simple command begins.
    fn mark(&mut self) -> Option<String> {
        const KEYWORDS: &str = "! { } case do done elif else esac exit fi for function if select then time until while";
        let Token { kind, text, .. } = self.tokens.peek()?;
        match kind {
            Kind::Operator => {}
            Kind::Word if has_word(KEYWORDS, text) => {}
            _ => return Some(String::new()),
        }
        self.tokens.next().map(|token| token.text)
    }

    fn take(&mut self, operator: &str) -> bool {
        let is_next = |it: &Token| it.kind == Kind::Operator && it.text == operator;
        self.tokens.next_if(is_next).is_some()
    }

    /// A compound command that begins so.
    fn compound(&mut self, opening: &str) -> Effect {
        const MAX_NESTED: usize = 20;
        if self.nested == MAX_NESTED {
            return Effect::default();
        }
        self.nested += 1;
        let effect = match opening {
            "while" | "until" => {
                let within = self.list(false, Some(opening == "until"));
                self.end_loop(within)
            }
            "for" => self.for_loop(),
            "function" => {
                let name = self.tokens.next().map(|name| name.text);
                self.define(&name.unwrap_or_default())
            }
            "(" | "{" | "if" | "case" | "select" => self.list(opening == "(", None),
            _ => Effect::default(),
        };
        self.nested -= 1;
        effect
    }

    /// It waits for the agent if it asks for it, and ends by nothing else.
    fn end_loop(&self, Effect { waits, asks, counted }: Effect) -> Effect {
        let is_count = |text: &String| !self.known.expand(text, true).concat().contains(PORT);
        let endless = asks.filter(|_| !counted.iter().any(is_count));
        Effect { waits: earliest(waits, endless), ..Effect::default() }
    }

    fn for_loop(&mut self) -> Effect {
        let Simple { raw, words, within, .. } = self.simple();
        match &words[..] {
            [name, word, items @ ..] if word == "in" => self.known.assign(name, items.join(" ")),
            _ => {}
        }
        // `for ((;;))`, and anything else around its empty condition.
        let arithmetic = raw.first().and_then(|word| word.strip_prefix("(("));
        let condition = arithmetic.and_then(|parts| parts.split(';').nth(1));
        let mut effect = self.list(false, None);
        effect.waits = earliest(effect.waits, within.waits);
        match condition.map(str::trim) {
            Some("") => self.end_loop(effect),
            _ => effect,
        }
    }

    /// What a function waits for, those wait for who call it.
    fn define(&mut self, name: &str) -> Effect {
        self.take("(");
        self.take(")");
        while self.take("\n") {}
        let body = self.mark().map(|opening| self.compound(&opening));
        self.known.define(name, body.unwrap_or_default());
        Effect::default()
    }

    /// A simple command, up to the next operator.
    fn simple(&mut self) -> Simple {
        let line = self.tokens.peek().map_or(0, |token| token.line);
        let (mut raw, mut words, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let mut within = Effect::default();
        let mut input = self.written.take().map(|text| (line, text));
        while let Some(mut token) = self.tokens.next_if(|token| token.kind != Kind::Operator) {
            let answer = self.substitute(take(&mut token.substitutions), &mut within);
            if token.kind == Kind::HereDocument {
                input = Some((token.line, token.text));
                continue;
            }
            let text = token.text + &answer;
            let is_one = token.kind != Kind::Word || command::assignment(&text).is_some();
            let expanded = self.known.expand(&text, is_one);
            if token.kind == Kind::Redirection {
                targets.extend(expanded);
            } else {
                words.extend(expanded);
                raw.push(text);
            }
        }
        Simple { line, raw, words, targets, input, within }
    }

    /// What `$(…)` write: the program that they look for, or else what is known of an answer of
    /// the agent.
    fn substitute(&mut self, scripts: Vec<(usize, String)>, within: &mut Effect) -> String {
        let mut written = String::new();
        for (line, script) in scripts {
            let inner = scan(&script, line, self.known);
            written += match script.split_whitespace().collect::<Vec<_>>()[..] {
                ["which", it] | ["command", "-v", it] | ["type", "-P", it] => it,
                _ if inner.asks.is_some() => PORT,
                _ => "",
            };
            within.add(inner);
        }
        written
    }

    /// What a simple command does; `ends`: as the condition of a loop it ends that by success, or
    /// by failure.
    fn run(&mut self, mut simple: Simple, ends: Option<bool>) -> Effect {
        if let [name] = &simple.raw[..]
            && !name.contains('=')
            && self.take("(")
        {
            return self.define(name);
        }
        if simple.words.first().is_some_and(|word| command::base(word) == "xargs") {
            let input = simple.input.iter().map(|(_, text)| text).chain(&simple.targets);
            let input = input.flat_map(|text| text.split_whitespace()).map(str::to_owned);
            simple.words.extend(input);
        }
        let words: Vec<&str> = simple.words.iter().map(String::as_str).collect();
        self.assign(&words);
        let words = command::without_prefixes(&words);
        let Simple { line, targets, within, .. } = &simple;
        let script = self.script(words, &simple);
        let own = command::waits(words, &self.known.units).then_some(*line);
        let background = self.background.take_if(|_| words.first() == Some(&"wait"));
        let waits = [own, within.waits, script.waits, background].into_iter().flatten().min();
        let mut effect = Effect { waits, ..Effect::default() };
        if script.asks.or(within.asks).is_some() || command::asks(words, targets) {
            // Unless a loop goes on only while the agent is there.
            let ends = ends.zip(command::succeeds_with_agent(words));
            let is_awaited = ends.is_none_or(|(ends, succeeds)| succeeds == ends);
            effect.asks = Some(*line).filter(|_| is_awaited);
        } else if command::counts(words) {
            effect.counted.push(simple.raw.join(" "));
        }
        self.written = self.write(words, simple.input, &simple.targets);
        effect
    }

    fn assign(&mut self, words: &[&str]) {
        const DECLARE: [&str; 5] = ["export", "local", "readonly", "declare", "typeset"];
        let declares = words.first().is_some_and(|word| DECLARE.contains(word));
        let assigned = words[usize::from(declares)..].iter().map(|word| command::assignment(word));
        for (name, value) in assigned.take_while(|it| declares || it.is_some()).flatten() {
            self.known.assign(name, value.to_owned());
        }
    }

    /// The effect of the script that a command runs in the foreground.
    fn script(&mut self, words: &[&str], Simple { line, targets, input, .. }: &Simple) -> Effect {
        if let Some(text) = command::inline(words) {
            return scan(&text, *line, self.known);
        }
        let (name, arguments) = match words {
            ["." | "source", name, arguments @ ..] | [name, arguments @ ..] => (name, arguments),
            [] => return Effect::default(),
        };
        let mut given = arguments.iter().filter_map(|word| self.known.script(word));
        if let Some(called) = self.known.script(name) {
            // A function may call the one whose name it is given.
            let within = given.find_map(|script| script.waits);
            return Effect { waits: called.waits.or(within), ..called.clone() };
        }
        if !has_word(SHELLS, command::base(words[0])) {
            return Effect::default();
        }
        if let Some(file) = given.next().cloned() {
            return file;
        }
        let string = || Some((*line, targets.first()?.clone()));
        let read = input.clone().or_else(string);
        read.map(|(line, text)| scan(&text, line, self.known)).unwrap_or_default()
    }

    /// Keeps the files that a command writes, and returns what it writes.
    fn write(
        &mut self,
        words: &[&str],
        input: Option<(usize, String)>,
        targets: &[String],
    ) -> Option<String> {
        let (program, arguments) = words.split_first()?;
        let text = match command::base(program) {
            "echo" | "printf" => arguments.join(" ").replace("\\n", "\n"),
            "cat" | "tee" => input?.1,
            _ => return None,
        };
        let files = arguments.iter().copied().filter(|_| command::base(program) == "tee");
        for path in files.chain(targets.iter().map(String::as_str)) {
            write(path, &text, self.known);
        }
        Some(text)
    }
}
