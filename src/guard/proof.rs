//! Proves with packets that no container reaches instance metadata: what was observed on every
//! network, as text and JSON have it, and what follows for the exit status.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::addresses::IpFamily;
use super::probe::{self, ProbeResults};
use super::state::{self, GuardState};
use super::status::warnings;
use super::{Error, links};
use crate::files::HostFiles;

/// One round over all networks of the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) duration_ms: u64,
    pub(crate) networks: Vec<NetworkProof>,
    /// Whether the host itself reaches metadata; not part of the verdict.
    pub(crate) host: Vec<HostAccess>,
    /// Whether packets to the task credentials' address 169.254.170.2 pass; not part of the
    /// verdict.
    pub(crate) credentials: Vec<CredentialsAccess>,
    pub(crate) notes: Vec<String>,
}

/// One network in one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkProof {
    pub(crate) network: String,
    pub(crate) family: IpFamily,
    pub(crate) verdict: ProbeVerdict,
    /// Why it is inconclusive.
    pub(crate) reason: Option<String>,
}

/// What the packets showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProbeVerdict {
    Blocked,
    Leaks,
    /// Never to be called blocked.
    Inconclusive,
}

/// Whether the host itself reaches one of metadata's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostAccess {
    pub(crate) address: String,
    pub(crate) reached: bool,
    pub(crate) reason: Option<String>,
}

/// Whether a packet from this network to the task credentials' address was observed to pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialsAccess {
    pub(crate) network: String,
    pub(crate) passes: bool,
}

/// Sends packets as containers would, and reports where they went. Takes at most 1.5 s, whatever
/// the number of networks.
///
/// # Errors
/// The probe itself failed. A leak is not an error here: see [`Proof::outcome`].
pub(crate) fn prove(root: &Path) -> Result<Proof, Error> {
    let start = Instant::now();
    let links = links::read()
        .map_err(|source| Error::Probe { doing: "listing the host's links", source })?;
    let (results, host) = std::thread::scope(|scope| {
        let host = scope.spawn(|| IpFamily::ALL.map(host_access).to_vec());
        (probe::probe(&links), host.join().unwrap_or_default())
    });
    let results = results.map_err(|source| match source.kind() {
        ErrorKind::PermissionDenied => Error::ProbeCapability,
        _ => Error::Probe { doing: "making a probe port on a bridge (/dev/net/tun)", source },
    })?;
    let notes = warnings(root, &HostFiles::read(root).effective(), false);
    let mut proof = Proof::new(results, host, notes);
    proof.at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    proof.duration_ms = start.elapsed().as_millis() as u64;
    remember(root, &proof);
    Ok(proof)
}

/// Best effort: a proof that could not be written down is still one.
fn remember(root: &Path, proof: &Proof) {
    if let Ok(_lock) = state::lock(root, Duration::from_secs(1)) {
        let last_proof = Some(proof.clone());
        _ = state::write(root, &GuardState { last_proof, ..state::read(root) });
    }
}

/// Connects to metadata as any program on the host would, and sends nothing.
fn host_access(family: IpFamily) -> HostAccess {
    const HTTP: u16 = 80;
    const TIMEOUT: Duration = Duration::from_millis(200);
    let address = SocketAddr::new(family.metadata(), HTTP);
    let error = TcpStream::connect_timeout(&address, TIMEOUT).err();
    let reason = error.map(|error| match error.kind() {
        ErrorKind::TimedOut => "no answer within 200 ms".into(),
        _ => error.to_string(),
    });
    HostAccess { address: address.ip().to_string(), reached: reason.is_none(), reason }
}

impl Proof {
    fn new(results: ProbeResults, host: Vec<HostAccess>, mut notes: Vec<String>) -> Proof {
        let ProbeResults { networks, credentials } = results;
        let has_v6 = |network: &str| {
            networks.iter().any(|row| row.network == network && row.family == IpFamily::V6)
        };
        notes.extend(networks.iter().filter(|row| !has_v6(&row.network)).map(|row| {
            format!("{} has no global IPv6 address: IPv6 was not probed there", row.network)
        }));
        Proof { networks, host, credentials, notes, ..Proof::default() }
    }

    /// `Ok` if every network is blocked.
    ///
    /// # Errors
    /// [`Error::Leak`] if anything got through, else [`Error::Unproven`] if there is no verdict on
    /// some network, or no network.
    pub(crate) fn outcome(&self) -> Result<(), Error> {
        let named = |verdict: ProbeVerdict| -> String {
            let rows = self.networks.iter().filter(|row| row.verdict == verdict);
            rows.map(|row| format!("{} ({})", row.network, row.family))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let leaks = named(ProbeVerdict::Leaks);
        let inconclusive = named(ProbeVerdict::Inconclusive);
        match () {
            () if !leaks.is_empty() => Err(Error::Leak(leaks)),
            () if self.networks.is_empty() => Err(Error::Unproven(
                "any network: this host has no bridge with an address yet".into(),
            )),
            () if !inconclusive.is_empty() => Err(Error::Unproven(inconclusive)),
            () => Ok(()),
        }
    }
}

impl fmt::Display for ProbeVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProbeVerdict::Blocked => "blocked",
            ProbeVerdict::Leaks => "leaks",
            ProbeVerdict::Inconclusive => "inconclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Diagnostic, ExitStatus};

    fn proof(verdicts: &[ProbeVerdict]) -> Proof {
        let network = |verdict: &ProbeVerdict| NetworkProof {
            network: "docker0".into(),
            family: IpFamily::V4,
            verdict: *verdict,
            reason: None,
        };
        let networks = verdicts.iter().map(network).collect();
        Proof::new(ProbeResults { networks, credentials: vec![] }, vec![], vec![])
    }

    #[test]
    fn one_leak_outweighs_all_and_inconclusive_is_not_blocked() {
        use ProbeVerdict::{Blocked, Inconclusive, Leaks};
        let check = |verdicts: &[ProbeVerdict], status| {
            assert_eq!(proof(verdicts).outcome().err().map(|error| error.status()), status);
        };
        check(&[Blocked, Blocked], None);
        check(&[Blocked, Inconclusive], Some(ExitStatus::GuardUnproven));
        check(&[Inconclusive, Leaks, Blocked], Some(ExitStatus::GuardLeak));
        check(&[], Some(ExitStatus::GuardUnproven));
    }

    #[test]
    fn network_without_ipv6_is_noted_as_not_probed() {
        assert_eq!(
            proof(&[ProbeVerdict::Blocked]).notes,
            ["docker0 has no global IPv6 address: IPv6 was not probed there"]
        );
    }

    #[test]
    fn json_has_the_names_that_scripts_read() {
        let row = serde_json::to_value(&proof(&[ProbeVerdict::Leaks]).networks[0]).unwrap();
        assert_eq!((&row["family"], &row["verdict"]), (&"IPv4".into(), &"leaks".into()));
    }
}
