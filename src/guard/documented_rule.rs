//! The rule that AWS documents, kept first in iptables' FORWARD chain for users and auditors who
//! look for it.
//!
//! The guard does not rely on it: Docker inserts its own rules above it at every start. So it is
//! moved up again, and a failure here is only reported.

use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;

use super::addresses::IpFamily;
use super::error::Error;
use super::iptables::{self, ForwardChain, IptablesError, preceding_rules};
use super::nft;
use super::state::GuardState;
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

/// Makes the rule the first one, and notes in `state` what has to be undone. The caller holds the
/// guard's lock, and writes the state.
pub(crate) fn install(state: &mut GuardState) -> DocumentedRule {
    match insert_first(state) {
        Ok(changed) => DocumentedRule { position: Some(1), changed, ..DocumentedRule::default() },
        Err(error) => absent(error.to_string()),
    }
}

fn insert_first(state: &mut GuardState) -> Result<bool, IptablesError> {
    // A kernel without nf_tables has no such table, and iptables keeps its rules elsewhere.
    let table_before = nft::has_filter_table().unwrap_or(true);
    let rule = iptables::documented(state.options.interface.as_deref());
    let chain = filter_chain(1);
    let copies = iptables::positions(&rule, &chain.list()?);
    if copies.first() == Some(&1) {
        return Ok(false);
    }
    if state.documented_is_ours && copies.len() > state.documented_copies {
        chain.move_first(&rule)?;
    } else {
        chain.insert_first(&rule)?;
        state.documented_is_ours = true;
        state.documented_copies = copies.len();
        state.filter_table_is_ours |= !table_before;
    }
    Ok(true)
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
    match iptables::positions(&iptables::documented(interface), &listing).first() {
        None => absent("the chain does not have the rule"),
        Some(position) => DocumentedRule {
            position: Some(*position),
            preceding_rules: preceding_rules(&listing, *position),
            ..DocumentedRule::default()
        },
    }
}

/// Removes the rule if the guard had inserted it, and the table that iptables created for it.
/// Returns whether there was one; adds to `notes` if the copies of others are not what they were.
pub(crate) fn remove(state: &GuardState, notes: &mut Vec<String>) -> Result<bool, Error> {
    if !state.documented_is_ours {
        return Ok(false);
    }
    let (rule, others) =
        (iptables::documented(state.options.interface.as_deref()), state.documented_copies);
    let copies = match filter_chain(10).delete(&rule, others) {
        Err(error) if error.kind == ErrorKind::NotFound => others,
        result => result?,
    };
    if copies > others + 1 || (copies < others && others > 0) {
        notes.push(format!(
            "FORWARD had {others} copies of the documented rule before `install`, and other programs have changed them since: compare their places with `iptables -S FORWARD`"
        ));
    }
    if state.filter_table_is_ours {
        // If that fails an empty table remains, which filters nothing.
        _ = nft::delete_filter_table_if_empty();
    }
    Ok(copies > others)
}

fn absent(reason: impl Into<String>) -> DocumentedRule {
    DocumentedRule { reason: Some(reason.into()), ..DocumentedRule::default() }
}

fn filter_chain(lock_seconds: u64) -> ForwardChain {
    ForwardChain { family: IpFamily::V4, table: "filter", lock_seconds }
}

fn legacy_table_exists() -> bool {
    read_text(Path::new("/proc/net/ip_tables_names"), MAX_DOCUMENT)
        .is_some_and(|names| names.lines().any(|name| name == "filter"))
}
