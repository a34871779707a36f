//! The rule that AWS documents, kept first in iptables' FORWARD chain for users and auditors who
//! look for it.
//!
//! The guard does not rely on it: Docker inserts its own rules above it at every start. So it is
//! moved up again, and a failure here is only reported.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::addresses::IpFamily;
use super::iptables::{ForwardChain, Insertion, IptablesRule, preceding_rules};
use super::state::{self, GuardState};
use super::{Error, LOCK_TIMEOUT, nft};
use crate::files::read_text;
use crate::paths::MAX_DOCUMENT;

/// Where the documented rule is in FORWARD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DocumentedRule {
    /// Counted from 1; `None`: it is not there.
    #[serde(rename = "place")]
    pub(crate) position: Option<usize>,
    /// Whether it was inserted or moved.
    pub(crate) changed: bool,
    /// Why it is not there.
    pub(crate) reason: Option<String>,
    /// Rules above it that may accept a packet first.
    #[serde(rename = "overtaken_by")]
    pub(crate) preceding_rules: Vec<String>,
}

/// Makes the rule the first one.
pub(crate) fn install(root: &Path, interface: Option<&str>) -> DocumentedRule {
    match insert_first(root, interface) {
        Ok(changed) => DocumentedRule { position: Some(1), changed, ..DocumentedRule::default() },
        Err(error) => absent(error.to_string()),
    }
}

fn insert_first(root: &Path, interface: Option<&str>) -> Result<bool, Error> {
    let _lock = state::lock(root, LOCK_TIMEOUT)?;
    // A kernel without nf_tables has no such table, and iptables keeps its rules elsewhere.
    let table_before = nft::has_filter_table().unwrap_or(true);
    let rule = IptablesRule::documented(interface);
    let insertion = filter_chain(1).insert_first(&rule)?;
    if insertion == Insertion::Inserted {
        let mut state = state::read(root);
        state.documented_is_ours = true;
        state.filter_table_is_ours |= !table_before;
        state::write(root, &state)?;
    }
    Ok(insertion != Insertion::AlreadyFirst)
}

/// Finds the rule. Changes nothing.
pub(crate) fn find(interface: Option<&str>) -> DocumentedRule {
    // Listing would make iptables create its table.
    if let Ok(false) = nft::has_filter_table()
        && !legacy_table_exists()
    {
        return absent("iptables has no rules on this host");
    }
    let listing = match filter_chain(1).list() {
        Ok(listing) => listing,
        Err(error) => return absent(error.to_string()),
    };
    match IptablesRule::documented(interface).positions(&listing).first() {
        None => absent("the chain does not have the rule"),
        Some(position) => DocumentedRule {
            position: Some(*position),
            preceding_rules: preceding_rules(&listing, *position),
            ..DocumentedRule::default()
        },
    }
}

/// Removes the rule if the guard had inserted it, and the table that iptables created for it.
/// Returns whether there was one.
pub(crate) fn remove(state: &GuardState) -> Result<bool, Error> {
    if !state.documented_is_ours {
        return Ok(false);
    }
    let rule = IptablesRule::documented(state.interface.as_deref());
    let deleted = match filter_chain(10).delete(&rule) {
        Err(error) if error.kind == ErrorKind::NotFound => false,
        result => result?,
    };
    if state.filter_table_is_ours {
        // If that fails an empty table remains, which filters nothing.
        _ = nft::delete_filter_table_if_empty();
    }
    Ok(deleted)
}

fn absent(reason: impl Into<String>) -> DocumentedRule {
    DocumentedRule { reason: Some(reason.into()), ..DocumentedRule::default() }
}

fn filter_chain(lock_seconds: u64) -> ForwardChain {
    let lock_timeout = Duration::from_secs(lock_seconds);
    ForwardChain { family: IpFamily::V4, table: "filter", lock_timeout }
}

fn legacy_table_exists() -> bool {
    read_text(Path::new("/proc/net/ip_tables_names"), MAX_DOCUMENT)
        .is_some_and(|names| names.lines().any(|name| name == "filter"))
}
