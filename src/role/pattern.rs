//! IAM's wildcards: `*` is any text, `?` one character, `${*}`, `${?}` and `${$}` themselves. Pure.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>

/// How surely something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sure {
    No,
    Maybe,
    Yes,
}

impl Sure {
    /// The opposite: an unsure thing stays unsure.
    pub(crate) fn not(self) -> Sure {
        match self {
            Sure::No => Sure::Yes,
            Sure::Maybe => Sure::Maybe,
            Sure::Yes => Sure::No,
        }
    }
}

impl From<bool> for Sure {
    fn from(yes: bool) -> Self {
        if yes { Sure::Yes } else { Sure::No }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    One,
    Any,
}

/// One pattern of a policy, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
    /// It holds a variable such as `${aws:username}`, whose value only the request knows; it
    /// stands here as `*`.
    variable: bool,
}

impl Pattern {
    /// `variables` is false in documents of version 2008-10-17, where `${` is plain text.
    pub(crate) fn new(text: &str, variables: bool) -> Pattern {
        let mut pattern = Pattern { pieces: Vec::new(), variable: false };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let variable = rest
                .strip_prefix("${")
                .filter(|_| variables)
                .and_then(|inner| inner.split_once('}'));
            rest = match variable {
                Some((name, after)) => {
                    pattern.push_variable(name);
                    after
                }
                None => {
                    pattern.pieces.push(piece(first));
                    &rest[first.len_utf8()..]
                }
            };
        }
        pattern
    }

    /// Text in which nothing is a wildcard.
    pub(crate) fn literal(text: &str) -> Pattern {
        Pattern { pieces: text.chars().map(Piece::Char).collect(), variable: false }
    }

    fn push_variable(&mut self, name: &str) {
        let literal = ["*", "?", "$"].contains(&name).then(|| name.chars().next()).flatten();
        self.variable |= literal.is_none();
        self.pieces.push(literal.map_or(Piece::Any, Piece::Char));
    }

    /// Whether whatever `other` can be, this is too. Unsure where only a part of it is, or where a
    /// variable decides.
    pub(crate) fn covers(&self, other: &Pattern) -> Sure {
        let meet = self.meets(other);
        match meet && !self.variable && self.spans(other) {
            true => Sure::Yes,
            false if meet => Sure::Maybe,
            false => Sure::No,
        }
    }

    /// Every text of `other` is one of ours: a wildcard of `other` must fall into a wildcard of
    /// ours.
    fn spans(&self, other: &Pattern) -> bool {
        let fits = |ours: Piece, theirs: Piece| {
            ours == theirs || ours == Piece::One && theirs != Piece::Any
        };
        self.by_segment(other, &|ours, theirs| walk(ours, theirs, fits))
    }

    /// Some text is one of both.
    fn meets(&self, other: &Pattern) -> bool {
        self.by_segment(other, &meet)
    }

    /// In an ARN a wildcard stays between its colons, but for the last part, which may hold some.
    fn by_segment(&self, other: &Pattern, hold: &dyn Fn(&[Piece], &[Piece]) -> bool) -> bool {
        let [ours, theirs] = [self, other].map(|pattern| {
            pattern.pieces.splitn(6, |piece| *piece == Piece::Char(':')).collect::<Vec<_>>()
        });
        match ours.len() == 6 && theirs.len() == 6 {
            true => ours.iter().zip(theirs).all(|(ours, theirs)| hold(ours, theirs)),
            false => hold(&self.pieces, &other.pieces),
        }
    }
}

fn piece(char: char) -> Piece {
    match char {
        '*' => Piece::Any,
        '?' => Piece::One,
        other => Piece::Char(other),
    }
}

/// Whether `ours` matches the whole of `theirs`, a `*` of ours taking any number of pieces: one row
/// of a table for each piece of ours.
fn walk(ours: &[Piece], theirs: &[Piece], fits: impl Fn(Piece, Piece) -> bool) -> bool {
    let mut row = vec![false; theirs.len() + 1];
    row[0] = true;
    for piece in ours {
        let mut next = vec![false; theirs.len() + 1];
        next[0] = row[0] && *piece == Piece::Any;
        for (at, their) in theirs.iter().enumerate() {
            next[at + 1] = match piece {
                Piece::Any => row[at + 1] || next[at],
                piece => row[at] && fits(*piece, *their),
            };
        }
        row = next;
    }
    row[theirs.len()]
}

/// Whether two patterns have a text in common: the same table, with `*` on either side.
fn meet(ours: &[Piece], theirs: &[Piece]) -> bool {
    let mut row = vec![false; theirs.len() + 1];
    row[0] = true;
    for (at, their) in theirs.iter().enumerate() {
        row[at + 1] = row[at] && *their == Piece::Any;
    }
    for our in ours {
        let mut next = vec![false; theirs.len() + 1];
        next[0] = row[0] && *our == Piece::Any;
        for (at, their) in theirs.iter().enumerate() {
            let any = *our == Piece::Any || *their == Piece::Any;
            let same = *our == Piece::One || *their == Piece::One || our == their;
            next[at + 1] = if any { row[at] || row[at + 1] || next[at] } else { row[at] && same };
        }
        row = next;
    }
    row[theirs.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_every_text_of_the_other_is() {
        use Sure::{Maybe, No, Yes};
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
            ("b/${aws:username}/k", "b/somebody/k", Maybe),
            ("b/${aws:username}/k", "c/somebody/k", No),
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
    fn a_literal_has_no_wildcards_and_an_old_document_no_variables() {
        assert_eq!(
            Pattern::new("b/${*}${?}${$}", true).covers(&Pattern::literal("b/*?$")),
            Sure::Yes
        );
        assert_eq!(Pattern::new("b/x", true).covers(&Pattern::literal("b/*")), Sure::No);
        assert_eq!(Pattern::new("b/${x}", false).covers(&Pattern::literal("b/${x}")), Sure::Yes);
    }
}
