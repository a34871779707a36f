//! Which commands of a shell script wait for the ECS agent: those that systemd answers only when
//! the agent has started, and loops that end only when it answers.
//!
//! Read as a shell reads it (POSIX.1-2017, "Shell Command Language"): what is quoted, in a
//! here-document, in a comment or in the background does not wait.

use std::mem::take;

use super::lexer::{Lexer, Token};
use crate::paths::AGENT_UNITS;

/// The first line, counted from 1, on which the script waits for the agent.
pub(super) fn waits_for_agent(script: &str) -> Option<usize> {
    waiting_lines(script, 1).into_iter().min()
}

/// Whether this one command waits for it: its words, without quotes.
pub(super) fn command_waits(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = without_prefixes(&words);
    let Some((program, arguments)) = words.split_first() else { return false };
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let names_agent = || arguments.iter().any(|word| is_agent(word));
    match base(program) {
        "systemctl" => {
            let verb = arguments.iter().find(|word| !word.starts_with('-'));
            let starts = match verb {
                Some(&("start" | "restart" | "reload-or-restart")) => true,
                Some(&("enable" | "reenable")) => has(&["--now"]),
                _ => false,
            };
            starts && names_agent() && !has(&["--no-block"])
        }
        "service" => names_agent() && has(&["start", "restart", "--full-restart"]),
        "ecs" => program.contains("init.d/") && has(&["start", "restart"]),
        "sh" | "bash" | "dash" | "su" | "runuser" => {
            let option = |word: &&str| word.starts_with('-') && word.ends_with('c');
            let at = arguments.iter().position(option);
            at.and_then(|at| arguments.get(at + 1))
                .is_some_and(|text| waits_for_agent(text).is_some())
        }
        _ => false,
    }
}

fn is_agent(unit: &str) -> bool {
    AGENT_UNITS.iter().any(|name| *name == unit || name.strip_suffix(".service") == Some(unit))
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Without assignments, and without programs that run another one and wait for it.
fn without_prefixes<'a>(mut words: &'a [&'a str]) -> &'a [&'a str] {
    const PREFIXES: [&str; 10] =
        ["sudo", "env", "exec", "command", "nice", "ionice", "nohup", "eval", "setsid", "builtin"];
    while let [first, rest @ ..] = words {
        let is_assignment = first.split_once('=').is_some_and(|(name, _)| is_name(name));
        let forks =
            base(first) == "setsid" && rest.iter().any(|word| matches!(*word, "-f" | "--fork"));
        if forks || !is_assignment && !PREFIXES.contains(&base(first)) {
            break;
        }
        words = without_options(rest);
    }
    words
}

/// Without the options of a prefix and their values (`-u root`, `-n 19`).
fn without_options<'a>(mut words: &'a [&'a str]) -> &'a [&'a str] {
    while let [option, rest @ ..] = words
        && option.starts_with('-')
    {
        let is_number = rest.first().is_some_and(|next| next.parse::<i32>().is_ok());
        let has_value = ["-u", "-g", "-U"].contains(option) || is_number;
        words = &rest[usize::from(has_value && !rest.is_empty())..];
    }
    words
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A compound command that has begun.
#[derive(Default)]
struct Compound {
    /// `while` or `until`: it ends when something has happened.
    is_loop: bool,
    is_subshell: bool,
    /// Something counts in it, or it ends with its input.
    is_bounded: bool,
    /// A command in it asks whether the agent is there.
    asks: Option<usize>,
    /// Lines that wait, in lists that have ended in the foreground.
    waits: Vec<usize>,
    /// Lines that wait, in the list whose end is yet to come.
    pending: Vec<usize>,
}

fn waiting_lines(script: &str, first_line: usize) -> Vec<usize> {
    let outermost = scan(script, first_line);
    [outermost.waits, outermost.pending].concat()
}

/// The script as one compound command, which also keeps whether anything in it asks for the agent.
fn scan(script: &str, first_line: usize) -> Compound {
    let outermost = Compound { is_loop: true, ..Compound::default() };
    let mut scan = Scan { open: vec![outermost], ..Scan::default() };
    for (line, token) in Lexer::new(script, first_line) {
        scan.take_token(line, token);
    }
    scan.end_command();
    while scan.open.len() > 1 {
        scan.close();
    }
    scan.open.pop().unwrap_or_default()
}

#[derive(Default)]
struct Scan {
    open: Vec<Compound>,
    words: Vec<String>,
    /// Whether a word after the first was quoted does not matter; a quoted keyword is a command.
    first_is_quoted: bool,
    targets: Vec<String>,
    here: Option<(usize, String)>,
    line: usize,
}

impl Scan {
    fn top(&mut self) -> &mut Compound {
        self.open.last_mut().expect("the outermost one is never closed")
    }

    fn take_token(&mut self, line: usize, token: Token) {
        match token {
            Token::Word(word, quoted) => {
                if self.words.is_empty() {
                    (self.line, self.first_is_quoted) = (line, quoted);
                }
                self.words.push(word);
                self.open_compound();
            }
            Token::Redirection(target) => self.targets.push(target),
            Token::Substitution(text) => {
                let inner = scan(&text, line);
                self.top().pending.extend([inner.waits, inner.pending].concat());
                self.asks(inner.asks);
                if self.words.is_empty() {
                    self.line = line;
                }
            }
            Token::HereDocument(text) => self.here = Some((line, text)),
            Token::Operator("(") => {
                self.end_command();
                self.open.push(Compound { is_subshell: true, ..Compound::default() });
            }
            Token::Operator(")") => {
                self.end_command();
                if self.top().is_subshell {
                    self.end_list();
                    self.close();
                }
            }
            Token::Operator(operator) => {
                self.end_command();
                match operator {
                    ";" => self.end_list(),
                    "&" => self.top().pending.clear(),
                    _ => {}
                }
            }
        }
    }

    /// Keywords stand where a command begins.
    fn open_compound(&mut self) {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let keyword = match words[..] {
            [keyword] if !self.first_is_quoted => keyword,
            ["function", _, open @ "{"] => open,
            _ => return,
        };
        match keyword {
            "while" | "until" => self.open.push(Compound { is_loop: true, ..Compound::default() }),
            "if" | "for" | "select" | "case" | "{" => self.open.push(Compound::default()),
            "then" | "do" | "else" | "elif" | "!" | "time" => {}
            "done" | "fi" | "esac" | "}" if self.open.len() > 1 => {
                self.end_list();
                self.close();
            }
            _ => return,
        }
        self.words.clear();
    }

    /// What a compound command waits for, the list waits for that it is part of.
    fn close(&mut self) {
        let Some(closed) = self.open.pop() else { return };
        let endless = closed.asks.filter(|_| closed.is_loop && !closed.is_bounded);
        let waits = [closed.waits, closed.pending].concat();
        self.top().pending.extend(waits.into_iter().chain(endless));
    }

    fn end_list(&mut self) {
        let top = self.top();
        let pending = take(&mut top.pending);
        top.waits.extend(pending);
    }

    fn end_command(&mut self) {
        let (words, targets) = (take(&mut self.words), take(&mut self.targets));
        let line = self.line;
        if command_waits(&words) {
            self.top().pending.push(line);
        }
        if let Some((line, text)) = self.here.take()
            && words.iter().any(|word| ["sh", "bash"].contains(&base(word)))
        {
            self.top().pending.extend(waiting_lines(&text, line));
        }
        let counts = |word: &String| {
            ["-lt", "-le", "-gt", "-ge", "-eq", "-ne", "read", "(("].contains(&word.as_str())
        };
        self.asks(asks_for_agent(&words, &targets).then_some(line));
        self.innermost_loop().is_bounded |= words.iter().any(counts);
    }

    fn asks(&mut self, line: Option<usize>) {
        let innermost = self.innermost_loop();
        innermost.asks = innermost.asks.or(line);
    }

    fn innermost_loop(&mut self) -> &mut Compound {
        let innermost = self.open.iter_mut().rev().find(|open| open.is_loop);
        innermost.expect("the outermost compound counts as a loop and is never closed")
    }
}

/// Whether a command finds out if the agent runs: by its introspection port, its container, its
/// unit or its database.
fn asks_for_agent(words: &[String], targets: &[String]) -> bool {
    const PORT: &str = "51678";
    const WRITERS: [&str; 5] = ["echo", "printf", "cat", "logger", "timeout"];
    if targets.iter().any(|target| target.contains("/dev/tcp/") && target.contains(PORT)) {
        return true;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = without_prefixes(&words);
    let Some(program) = words.first().map(|program| base(program)) else { return false };
    let names = |text: &str| words.iter().any(|word| word.contains(text));
    let unit =
        program == "systemctl" && names("is-active") && words.iter().any(|word| is_agent(word));
    let named = [PORT, "ecs-agent", "/ecs/data/agent.db"].into_iter().any(names);
    unit || named && !WRITERS.contains(&program)
}
