//! The rules, as data: id, severity, why it matters, what a finding says, a line that breaks it and
//! the corrected line.
//!
//! There is one file per kind beside this one, of which `build.rs` makes code: a paragraph for each
//! rule with the fields of [`Rule`], and a static of its id in upper case. `lint --explain` and the
//! manual page are made from them, and a test runs every example: the broken one gives the id, the
//! corrected one does not.

use super::Severity;
use super::context::ReaderSet;

/// What an example needs besides its own lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExampleContext {
    /// Nothing.
    Plain,
    /// The file is the host's whole configuration (`lint --whole`).
    Whole,
    /// The guard stops tasks in host network mode (`run --block-imds-host-tasks`).
    HostTasks,
    /// Values are expanded (`run --expand`).
    Expanded,
    /// An ECS Anywhere host (`lint --for external`).
    External,
    /// The file is `/var/lib/ecs/ecs.config` of an Amazon Linux host.
    InstanceFile,
    /// With the broken example there is an `/etc/ecs/ecs.config.json` that holds `[`; with the
    /// corrected one there is none.
    JsonFile,
    /// The same with `{"ReservedMemory":"256"}`.
    JsonField,
    /// An agent has run on the host in the cluster green.
    JoinedGreen,
    /// An agent has run on the host, in an unknown cluster; not so for the corrected example.
    JoinedSome,
    /// The file is installed by `run`, which reports it; `lint` does not.
    Installed,
    /// `...` in the example means 64 KiB of text.
    Stretched,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Stable: users allow and deny rules by it.
    pub id: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// Programs that read the file disagree about it: a rule of readers.txt.
    pub about_readers: bool,
    /// The readers that go wrong, if not all; the rule is silent where none of them reads the file.
    pub wrong: ReaderSet,
    /// One paragraph.
    pub why: &'static str,
    /// What a finding says, unless that depends on the file.
    pub(super) message: &'static str,
    /// What would fix it, likewise.
    pub(super) fix: &'static str,
    /// Lines that break the rule, with Rust's escapes.
    pub bad: &'static [u8],
    /// The same, corrected.
    pub good: &'static [u8],
    /// What the example needs, if anything.
    pub context: ExampleContext,
}

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// Every rule, by kind and then in the order of its table.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let tables = [readers::TABLE, values::TABLE, names::TABLE, cross_checks::TABLE];
    tables.into_iter().flatten().copied()
}

/// The rule of exactly this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}
