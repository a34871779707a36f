//! The rules, as data: id, severity, why it matters, a line that breaks it and the mended line.
//!
//! One table per kind. `lint --explain`, the manual page and the README are made from them, and
//! every example is run by a test: the broken one gives the id, the mended one does not.

use super::Severity;
use super::context::Readers;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Programs that read the file disagree about it.
    Readers,
    /// A value that the agent, ecs-init or the AWS SDK does not take as written.
    Values,
    /// A name that does nothing, or something else.
    Names,
    /// Settings that go wrong only with one another, or with this host.
    Together,
}

/// What an example needs besides its own lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// Nothing.
    Plain,
    /// The file is the host's whole configuration (`lint --whole`).
    Whole,
    /// Tasks in host network mode are fenced off (`run --block-imds-host-tasks`).
    HostTasks,
    /// An ECS Anywhere host (`lint --for external`).
    External,
    /// The file is `/var/lib/ecs/ecs.config` of an Amazon Linux host.
    InstanceFile,
    /// `/etc/ecs/ecs.config.json` lies beside the broken example, holding `[`; not beside the
    /// mended one.
    JsonFile,
    /// An agent has run on the host in the cluster green.
    JoinedGreen,
    /// An agent has run on the host, in a cluster that nobody knows; not so for the mended example.
    JoinedSome,
    /// The file is installed by `run`, which reports it; `lint` does not.
    Installed,
    /// `...` in the example stands for 64 KiB of text.
    Stretched,
}

/// One rule. The id is stable: it is in the contract with whoever allows or denies it.
#[derive(Debug)]
pub struct Rule {
    pub id: &'static str,
    pub severity: Severity,
    pub kind: Kind,
    /// The readers that go wrong; the rule is silent where none of them reads the file.
    pub wrong: Readers,
    pub why: &'static str,
    pub bad: &'static [u8],
    pub good: &'static [u8],
    pub under: Under,
}

/// `NAME "id" Severity READERS "why" b"bad" => b"good"`, then `in Under` where the example needs
/// something.
macro_rules! table {
    ($kind:ident: $($name:ident $id:literal $severity:ident $wrong:ident $why:literal
        $bad:literal => $good:literal $(in $under:ident)?;)*) => {
        use super::{Kind, Rule};
        use crate::lint::{Severity, context::Readers};
        $(pub static $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            kind: Kind::$kind,
            wrong: Readers::$wrong,
            why: $why,
            bad: $bad,
            good: $good,
            under: needs!($($under)?),
        };)*
        pub static TABLE: &[&Rule] = &[$(&$name),*];
    };
}

macro_rules! needs {
    () => {
        super::Under::Plain
    };
    ($under:ident) => {
        super::Under::$under
    };
}

pub mod names;
pub mod readers;
pub mod together;
pub mod values;

/// Every rule, by kind and then in the order of its table.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [readers::TABLE, values::TABLE, names::TABLE, together::TABLE].into_iter().flatten().copied()
}

/// The rule of exactly this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

/// The id that a mistyped one most likely stands for.
pub fn nearest(id: &str) -> Option<&'static str> {
    all()
        .map(|rule| (strsim::osa_distance(rule.id, id), rule.id))
        .min()
        .filter(|(distance, _)| *distance <= id.len().div_ceil(2))
        .map(|(_, known)| known)
}

impl Rule {
    /// The example as the bytes of a file.
    pub fn example(&self, lines: &[u8]) -> Vec<u8> {
        let mut bytes = lines.to_vec();
        while let Some(at) =
            bytes.windows(3).position(|three| self.under == Under::Stretched && three == b"...")
        {
            bytes.splice(at..at + 3, [b'x'; 65_536]);
        }
        bytes
    }
}
