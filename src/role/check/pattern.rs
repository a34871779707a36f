//! IAM's wildcards: `*` is any text, `?` one character, `${*}`, `${?}` and `${$}` themselves. Pure.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>

/// Whether something holds, as far as that is known: a value of Kleene's three-valued logic, in
/// which "and" is the lesser and "or" the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ternary {
    No,
    Maybe,
    Yes,
}

impl std::ops::Not for Ternary {
    type Output = Ternary;

    fn not(self) -> Ternary {
        match self {
            Ternary::No => Ternary::Yes,
            Ternary::Maybe => Ternary::Maybe,
            Ternary::Yes => Ternary::No,
        }
    }
}

impl From<bool> for Ternary {
    fn from(yes: bool) -> Self {
        if yes { Ternary::Yes } else { Ternary::No }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Any,
}

/// One pattern of a policy, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    /// It holds a variable such as `${aws:username}`, whose value only the request knows; it is
    /// `*` here.
    variable: bool,
}

impl Pattern {
    /// `variables` is false in documents of version 2008-10-17, where `${` is plain text.
    pub(super) fn new(text: &str, variables: bool) -> Pattern {
        let mut pattern = Pattern { tokens: Vec::new(), variable: false };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let variable = rest.strip_prefix("${").filter(|_| variables);
            let (token, after) = match variable.and_then(|inner| inner.split_once('}')) {
                Some(("*", after)) => (Token::Char('*'), after),
                Some(("?", after)) => (Token::Char('?'), after),
                Some(("$", after)) => (Token::Char('$'), after),
                Some((_, after)) => {
                    pattern.variable = true;
                    (Token::Any, after)
                }
                None => {
                    let token = match first {
                        '*' => Token::Any,
                        '?' => Token::One,
                        other => Token::Char(other),
                    };
                    (token, &rest[first.len_utf8()..])
                }
            };
            pattern.tokens.push(token);
            rest = after;
        }
        pattern
    }

    /// Text in which nothing is a wildcard.
    pub(super) fn literal(text: &str) -> Pattern {
        Pattern { tokens: text.chars().map(Token::Char).collect(), variable: false }
    }

    /// Whether whatever `other` can be, this is too. Unsure where only a part of it is, or where a
    /// variable decides.
    pub(super) fn covers(&self, other: &Pattern) -> Ternary {
        if !self.matches(other, true) {
            Ternary::No
        } else if !self.variable && self.matches(other, false) {
            Ternary::Yes
        } else {
            Ternary::Maybe
        }
    }

    /// Whether some text is one of both, or else whether every text of `other` is one of ours. In
    /// an ARN a wildcard stays between its colons, but for the last part, which may hold some.
    fn matches(&self, other: &Pattern, some: bool) -> bool {
        let [ours, theirs] = [self, other].map(|pattern| {
            pattern.tokens.splitn(6, |token| *token == Token::Char(':')).collect::<Vec<_>>()
        });
        match ours.len() == 6 && theirs.len() == 6 {
            true => ours.iter().zip(theirs).all(|(ours, theirs)| overlap(ours, theirs, some)),
            false => overlap(&self.tokens, &other.tokens, some),
        }
    }
}

/// Fills the table of which beginnings of `ours` match which beginnings of `theirs`, one row for
/// each token of ours. Wildcards of `theirs` count as such only if `some` text is enough: else a
/// wildcard of theirs must fall into a wildcard of ours.
fn overlap(ours: &[Token], theirs: &[Token], some: bool) -> bool {
    let fits = |our: Token, their: Token| {
        our == their || our == Token::One && their != Token::Any || some && their == Token::One
    };
    let mut row = vec![true];
    for their in theirs {
        row.push(row[row.len() - 1] && some && *their == Token::Any);
    }
    for our in ours {
        let mut next = vec![row[0] && *our == Token::Any];
        for (at, their) in theirs.iter().enumerate() {
            let any = *our == Token::Any || some && *their == Token::Any;
            next.push(match any {
                true => row[at] || row[at + 1] || next[at],
                false => row[at] && fits(*our, *their),
            });
        }
        row = next;
    }
    row[theirs.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_compares_all_texts_of_both_patterns() {
        use Ternary::{Maybe, No, Yes};
        let table = [
            ("*", "anything", Yes),
            ("*", "*", Yes),
            ("s3:Get*", "s3:GetObject", Yes),
            ("s3:Get*", "s3:PutObject", No),
            ("s3:GetObject", "s3:GetObjectVersion", No),
            ("s3:Get?bject", "s3:GetObject", Yes),
            ("a?", "a", No),
            ("a*b*c", "abbbc", Yes),
            ("a*b*c", "abbb", No),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k", Yes),
            ("arn:aws:s3:::b", "arn:aws:s3:::b/k", No),
            ("arn:aws:s3:::b/k", "arn:aws:s3:::b/*", Maybe),
            ("container-instance/prod/*", "container-instance/*", Maybe),
            ("container-instance/*", "container-instance/prod/*", Yes),
            ("cluster/*", "container-instance/*", No),
            ("b/${*}", "b/${*}", Yes),
            ("b/${*}", "b/k", No),
            ("b/${aws:username}/k", "b/alice/k", Maybe),
            ("b/${aws:username}/k", "c/alice/k", No),
            ("arn:aws:ecs:*:*:container-instance/prod/*", "arn:aws:ecs:*:*:cluster/*", No),
            ("arn:aws:ecs:*", "arn:aws:ecs:us-west-2:123456789012:cluster/a", Yes),
            ("arn:*:s3:::b/*", "arn:aws:s3:::b/a:b", Yes),
            ("", "", Yes),
            ("", "a", No),
        ];
        for (ours, theirs, want) in table {
            assert_eq!(
                Pattern::new(ours, true).covers(&Pattern::new(theirs, true)),
                want,
                "{ours} covers {theirs}"
            );
        }
    }

    #[test]
    fn literals_have_no_wildcards_and_old_documents_no_variables() {
        assert_eq!(
            Pattern::new("b/${*}${?}${$}", true).covers(&Pattern::literal("b/*?$")),
            Ternary::Yes
        );
        assert_eq!(Pattern::new("b/x", true).covers(&Pattern::literal("b/*")), Ternary::No);
        assert_eq!(Pattern::new("b/${x}", false).covers(&Pattern::literal("b/${x}")), Ternary::Yes);
    }
}
