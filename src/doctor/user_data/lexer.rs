//! The tokens of a shell script (POSIX.1-2017, "Token Recognition").

/// What of a script matters here.
#[derive(Debug, PartialEq)]
pub(super) enum Token {
    /// Without its quotes; whether it had some.
    Word(String, bool),
    /// Where input comes from or output goes to.
    Redirection(String),
    /// `$(…)`, and what is between backquotes.
    Substitution(String),
    HereDocument(String),
    /// `;`, `&`, `|`, `(` and so on; a line break is `;`.
    Operator(&'static str),
}

/// Splits a script into tokens, each with its line.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// Delimiters of here-documents that begin on the next line, and whether tabs are stripped.
    heres: Vec<(String, bool)>,
    queue: Vec<(usize, Token)>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(script: &'a str, line: usize) -> Self {
        Lexer { rest: script, line, heres: Vec::new(), queue: Vec::new() }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn skip(&mut self, text: &str) {
        text.chars().for_each(|_| _ = self.bump());
    }

    fn skip_blanks(&mut self) {
        loop {
            if self.rest.starts_with("\\\n") {
                self.skip("\\\n");
            } else if self.rest.starts_with([' ', '\t', '\r']) {
                self.bump();
            } else if self.rest.starts_with('#') {
                self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
            } else {
                return;
            }
        }
    }

    /// A word without its quotes, and whether it had some; what is substituted in it goes to the
    /// queue.
    fn word(&mut self) -> (String, bool) {
        let (mut word, mut quote, mut quoted) = (String::new(), None, false);
        while let Some(c) = self.rest.chars().next() {
            match (quote, c) {
                (None, c) if " \t\r\n;&|()<>".contains(c) => break,
                (None, '\'' | '"') => (quote, quoted) = (Some(c), true),
                (Some(open), c) if c == open => quote = None,
                (None | Some('"'), '$') if self.rest.starts_with("$((") => {
                    self.between("$((", "))");
                    continue;
                }
                (None | Some('"'), '$') if self.rest.starts_with("$(") => {
                    let (line, text) = (self.line, self.between("$(", ")"));
                    self.queue.push((line, Token::Substitution(text)));
                    continue;
                }
                (None | Some('"'), '`') => {
                    self.bump();
                    let (line, text) = (self.line, self.between("", "`"));
                    self.queue.push((line, Token::Substitution(text)));
                    continue;
                }
                (None | Some('"'), '\\') => {
                    self.bump();
                    if quote.is_some() && !self.rest.starts_with(['$', '`', '"', '\\', '\n']) {
                        word.push(c);
                    }
                    if !self.rest.starts_with('\n') {
                        word.extend(self.rest.chars().next());
                    }
                }
                _ => word.push(c),
            }
            self.bump();
        }
        (word, quoted)
    }

    /// What is between an opening and its closing, which is taken too.
    fn between(&mut self, open: &str, close: &str) -> String {
        let mut text = String::new();
        self.skip(open);
        let mut depth = 1;
        while !self.rest.is_empty() {
            if self.rest.starts_with(close) {
                depth -= 1;
                if depth == 0 {
                    self.skip(close);
                    break;
                }
            } else if close == ")" && self.rest.starts_with('(') {
                depth += 1;
            }
            text.extend(self.bump());
        }
        text
    }

    /// The lines up to the delimiter.
    fn here_document(&mut self, delimiter: &str, strip_tabs: bool) -> Token {
        let mut body = String::new();
        while !self.rest.is_empty() {
            let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
            let (line, rest) = self.rest.split_at(end);
            (self.rest, self.line) = (rest, self.line + 1);
            let text = line.trim_end_matches(['\r', '\n']);
            if delimiter == if strip_tabs { text.trim_start_matches('\t') } else { text } {
                break;
            }
            body += line;
        }
        Token::HereDocument(body)
    }

    fn redirection(&mut self) -> Token {
        let here = self.rest.starts_with("<<") && !self.rest.starts_with("<<<");
        while self.rest.starts_with(['<', '>', '&']) {
            self.bump();
        }
        let strip_tabs = here && self.rest.starts_with('-');
        if strip_tabs || self.rest.starts_with('|') {
            self.bump();
        }
        self.skip_blanks();
        let (target, _) = self.word();
        if here {
            self.heres.push((target.clone(), strip_tabs));
        }
        Token::Redirection(target)
    }
}

impl Iterator for Lexer<'_> {
    type Item = (usize, Token);

    fn next(&mut self) -> Option<Self::Item> {
        const OPERATORS: [(&str, &str); 8] = [
            ("&&", "&&"),
            ("||", "||"),
            (";", ";"),
            ("|", "|"),
            ("(", "("),
            (")", ")"),
            ("&", "&"),
            ("\n", ";"),
        ];
        if let Some(token) = self.queue.pop() {
            return Some(token);
        }
        self.skip_blanks();
        let line = self.line;
        if self.rest.starts_with(['<', '>']) || self.rest.starts_with("&>") {
            return Some((line, self.redirection()));
        }
        if self.rest.starts_with('\n') && !self.heres.is_empty() {
            let (delimiter, strip_tabs) = self.heres.remove(0);
            self.bump();
            let (line, document) = (self.line, self.here_document(&delimiter, strip_tabs));
            self.queue.push((line, Token::Operator(";")));
            return Some((line, document));
        }
        if self.rest.starts_with("((") {
            self.between("((", "))");
            return Some((line, Token::Word("((".into(), false)));
        }
        if let Some((text, operator)) =
            OPERATORS.iter().find(|(text, _)| self.rest.starts_with(text))
        {
            self.skip(text);
            return Some((line, Token::Operator(operator)));
        }
        if self.rest.is_empty() {
            return None;
        }
        let (word, quoted) = self.word();
        Some((line, Token::Word(word, quoted)))
    }
}
