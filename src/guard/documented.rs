//! The rule that AWS documents, at the head of iptables' FORWARD chain: for users and auditors who
//! look for it, never relied upon.
//!
//! Docker puts its own rules above it at every start. So it is repaired when it sank, and whatever
//! goes wrong here only means that it is not shown: the fence stands already.

use serde::Serialize;

use super::iptables::{Change, Failure, Forward};
use super::rules::{self, Rule};
use super::state::{self, State};
use super::{Error, Host, QUEUE, nft};

/// Whether `iptables -S FORWARD 1` shows the rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// Counted from 1; `None`: it is not there.
    pub(crate) place: Option<usize>,
    /// What was done about it.
    pub(crate) changed: bool,
    /// Why it is not shown.
    pub(crate) reason: Option<String>,
    /// Rules above it that may let a packet through before it is asked.
    pub(crate) overtaken_by: Vec<String>,
}

/// Puts the rule first.
pub(crate) fn show(host: &Host, interface: Option<&str>) -> Shown {
    match put_first(host, interface) {
        Ok(changed) => Shown { place: Some(1), changed, reason: None, overtaken_by: vec![] },
        Err(reason) => {
            Shown { place: None, changed: false, reason: Some(reason), overtaken_by: vec![] }
        }
    }
}

fn put_first(host: &Host, interface: Option<&str>) -> Result<bool, String> {
    let _lock = state::lock(host, QUEUE).map_err(|error| error.to_string())?;
    // A kernel without nf_tables has no such table, and iptables keeps its rules elsewhere.
    let table_before = nft::has_filter_table().unwrap_or(true);
    let change = filter(host).put_first(&Rule::documented(interface)).map_err(why)?;
    let mut state = state::read(host);
    if change == Change::Inserted {
        state.documented_is_ours = true;
        state.filter_table_is_ours |= !table_before;
        state::write(host, &state).map_err(|error| error.to_string())?;
    }
    Ok(change != Change::None)
}

/// Where the rule stands, and who stands above it. Changes nothing.
pub(crate) fn look(host: &Host, interface: Option<&str>) -> Shown {
    // Listing would make iptables create its table.
    if let Ok(false) = nft::has_filter_table()
        && !legacy_table_exists()
    {
        return Shown {
            place: None,
            changed: false,
            reason: Some("iptables has no rules on this host".into()),
            overtaken_by: vec![],
        };
    }
    match filter(host).list().map_err(why) {
        Ok(listing) => at(&listing, interface),
        Err(reason) => {
            Shown { place: None, changed: false, reason: Some(reason), overtaken_by: vec![] }
        }
    }
}

fn at(listing: &str, interface: Option<&str>) -> Shown {
    let place = Rule::documented(interface).places(listing).first().copied();
    let overtaken_by = place.map_or(vec![], |place| rules::overtakers(listing, place));
    let reason = place.is_none().then(|| "the rule is not in the FORWARD chain".to_owned());
    Shown { place, changed: false, reason, overtaken_by }
}

/// Takes the rule away if we had put it there, and the table that iptables made for it.
pub(crate) fn hide(host: &Host, state: &State) -> Result<bool, Error> {
    if !state.documented_is_ours {
        return Ok(false);
    }
    let patient = Forward { patience: 10, ..filter(host) };
    let deleted = match patient.delete(&Rule::documented(state.interface.as_deref())) {
        Err(Failure { absent: true, .. }) => false,
        done => done.map_err(|Failure { command, said, .. }| Error::Iptables { command, said })?,
    };
    if state.filter_table_is_ours {
        // If that fails there is an empty table more than before, which filters nothing.
        _ = nft::delete_filter_table_if_empty();
    }
    Ok(deleted)
}

fn filter(host: &Host) -> Forward<'_> {
    Forward { program: &host.iptables, table: "filter", patience: 1 }
}

fn legacy_table_exists() -> bool {
    std::fs::read_to_string("/proc/net/ip_tables_names")
        .is_ok_and(|names| names.lines().any(|name| name == "filter"))
}

fn why(failure: Failure) -> String {
    match failure {
        Failure { absent: true, .. } => "this host has no iptables".into(),
        Failure { command, said, .. } => format!("{command}: {said}"),
    }
}
