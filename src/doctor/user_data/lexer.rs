//! The tokens of a shell script (POSIX.1-2017, "Token Recognition").

/// What of a script matters here.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
    /// Without its quotes, and without what is substituted in it.
    pub(super) text: String,
    /// `$(…)`, and what is between backquotes, each with its line.
    pub(super) substitutions: Vec<(usize, String)>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Word,
    /// A word that had quotes.
    Quoted,
    /// Where input comes from or output goes to.
    Redirection,
    HereDocument,
    /// `;`, a line break, `&`, `|`, `(` and so on.
    Operator,
}

/// Splits a script into tokens.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// Here-documents that begin on the next line: the delimiter, and whether tabs are stripped.
    heres: Vec<(Token, bool)>,
}

/// In place of the quote around a word: it is a here-document, which no character ends.
const HERE_DOCUMENT: Option<char> = Some('\0');

impl<'a> Lexer<'a> {
    pub(super) fn new(script: &'a str, line: usize) -> Self {
        Lexer { rest: script, line, heres: Vec::new() }
    }

    fn token(&self, kind: Kind, text: &str) -> Token {
        Token { kind, line: self.line, text: text.to_owned(), substitutions: Vec::new() }
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

    fn word(&mut self, mut quote: Option<char>) -> Token {
        const SUBSTITUTIONS: [(&str, &str); 3] = [("$((", "))"), ("$(", ")"), ("`", "`")];
        let mut word = self.token(Kind::Word, "");
        while let Some(c) = self.rest.chars().next() {
            let expands = quote != Some('\'');
            let mut substitutions = SUBSTITUTIONS.iter().filter(|_| expands);
            if quote.is_none() && " \t\r\n;&|()<>".contains(c) {
                break;
            }
            if let Some((open, close)) = substitutions.find(|(open, _)| self.rest.starts_with(open))
            {
                word.substitutions.push((self.line, self.between(open, close)));
                continue;
            }
            self.bump();
            match c {
                '\'' | '"' if quote.is_none() => (quote, word.kind) = (Some(c), Kind::Quoted),
                c if quote == Some(c) => quote = None,
                '\\' if expands => {
                    if quote.is_some() && !self.rest.starts_with(['$', '`', '"', '\\', '\n']) {
                        word.text.push(c);
                    }
                    word.text.extend(self.bump().filter(|c| *c != '\n'));
                }
                _ => word.text.push(c),
            }
        }
        word
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

    /// The lines up to the delimiter, whose line break is left. Where that has no quotes, the
    /// shell substitutes in them what it substitutes in a word (POSIX.1-2017, "Here-Document").
    fn here_document(&mut self, delimiter: &Token, strip_tabs: bool) -> Token {
        let mut document = self.token(Kind::HereDocument, "");
        document.line += 1;
        while self.bump().is_some() {
            let (line, rest) = self.rest.split_at(self.rest.find('\n').unwrap_or(self.rest.len()));
            self.rest = rest;
            let end = line.trim_end_matches('\r');
            if delimiter.text == if strip_tabs { end.trim_start_matches('\t') } else { end } {
                break;
            }
            document.text.extend([line, "\n"]);
        }
        if delimiter.kind == Kind::Word {
            let mut inside = Lexer::new(&document.text, document.line);
            document.substitutions = inside.word(HERE_DOCUMENT).substitutions;
        }
        document
    }

    fn redirection(&mut self) -> Token {
        let here = self.rest.starts_with("<<") && !self.rest.starts_with("<<<");
        self.rest = self.rest.trim_start_matches(['<', '>', '&']);
        let strip_tabs = here && self.rest.starts_with('-');
        if strip_tabs || self.rest.starts_with('|') {
            self.bump();
        }
        self.skip_blanks();
        let target = self.word(None);
        if here {
            self.heres.push((target.clone(), strip_tabs));
        }
        Token { kind: Kind::Redirection, ..target }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        const OPERATORS: [&str; 8] = ["&&", "||", ";", "|", "(", ")", "&", "\n"];
        self.skip_blanks();
        if self.rest.is_empty() {
            return None;
        }
        if self.rest.starts_with(['<', '>']) || self.rest.starts_with("&>") {
            return Some(self.redirection());
        }
        if self.rest.starts_with('\n') && !self.heres.is_empty() {
            let (delimiter, strip_tabs) = self.heres.remove(0);
            return Some(self.here_document(&delimiter, strip_tabs));
        }
        if self.rest.starts_with("((") {
            let mut arithmetic = self.token(Kind::Word, "((");
            arithmetic.text += &self.between("((", "))");
            return Some(arithmetic);
        }
        let Some(operator) = OPERATORS.into_iter().find(|text| self.rest.starts_with(text)) else {
            return Some(self.word(None));
        };
        let token = self.token(Kind::Operator, operator);
        self.skip(operator);
        Some(token)
    }
}
