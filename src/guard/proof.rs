//! Proves with packets that no container reaches instance metadata: what was observed on every
//! network, as text and JSON have it, and what follows for the exit status.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::addresses::IpFamily;
use super::error::Error;
use super::state::{self, GuardState};
use super::status::warnings;
use super::{links, probe};
use crate::files::HostFiles;

/// In every proof.
const BRIDGES_ONLY: &str = "bridges only: networks without a bridge (macvlan, ipvlan, routed veth pairs) and tasks in host network mode were not probed";

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
    /// Why the probe could not send packets, if it could not.
    #[serde(default)]
    pub(crate) failure: Option<String>,
}

/// One network in one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkProof {
    pub(crate) network: String,
    pub(crate) family: IpFamily,
    #[serde(default)]
    pub(crate) path: ProbePath,
    pub(crate) verdict: ProbeVerdict,
    /// `None` if it is inconclusive.
    #[serde(default)]
    pub(crate) evidence: Option<Evidence>,
    /// How it leaks, or why it is inconclusive.
    pub(crate) reason: Option<String>,
    /// It is inconclusive now, and leaked when there was a verdict last.
    #[serde(default)]
    pub(crate) leaked_before: bool,
}

/// How a packet of a container gets to metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProbePath {
    /// The host forwards it.
    #[default]
    Routed,
    /// The bridge passes its frame on to an uplink among its ports.
    Bridged,
}

/// What the packets showed, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProbeVerdict {
    Blocked,
    /// Never to be called blocked.
    Inconclusive,
    Leaks,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Evidence {
    /// The host answered the very packet with "administratively prohibited".
    RefusedByHost,
    /// The guard's own rule dropped the very packet.
    DroppedByRule,
    /// The kernel, asked what it would do, refuses the packet; none was sent, or none was answered.
    WouldBeRefused,
    /// The control left the host, and the packet did not.
    OnlyControlLeft,
    /// The packet left the host.
    LeftHost,
    /// The container's address got metadata's answer.
    Answered,
}

/// Whether the host itself reaches one of metadata's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostAccess {
    pub(crate) address: String,
    pub(crate) reached: bool,
    pub(crate) reason: Option<String>,
}

/// Whether this host answered a packet from this network to the task credentials' address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialsAccess {
    pub(crate) network: String,
    pub(crate) passes: bool,
}

/// Sends packets as containers would, and reports what became of them. Takes 1.5 s at most, and a
/// millisecond for each network beyond 20.
///
/// # Errors
/// The probe itself failed. A leak is not an error here: see [`Proof::outcome`].
pub(crate) fn prove(root: &Path) -> Result<Proof, Error> {
    let start = Instant::now();
    let links = links::read()
        .map_err(|source| Error::Probe { doing: "listing the host's links", source })?;
    let (found, host) = std::thread::scope(|scope| {
        let host = scope.spawn(|| IpFamily::ALL.map(host_access).to_vec());
        (probe::probe(&links), host.join().unwrap_or_default())
    });
    let found = found.map_err(|source| match source.kind() {
        ErrorKind::PermissionDenied => Error::ProbeCapability,
        _ => Error::Probe { doing: "observing what leaves this host", source },
    })?;
    let mut proof = Proof { host, ..found };
    proof.add_notes(warnings(root, &HostFiles::read(root).effective(), false));
    proof.at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    proof.duration_ms = start.elapsed().as_millis() as u64;
    remember(root, &mut proof);
    Ok(proof)
}

/// Best effort: a proof that could not be written down is still one.
fn remember(root: &Path, proof: &mut Proof) {
    let Ok(_lock) = state::lock(root, Duration::from_secs(1)) else { return };
    let state = state::read(root);
    if let Some(before) = &state.last_proof {
        proof.compare(before);
    }
    _ = state::write(root, &GuardState { last_proof: Some(proof.clone()), ..state });
}

/// Connects to metadata as any program on the host would, and sends nothing.
fn host_access(family: IpFamily) -> HostAccess {
    const HTTP: u16 = 80;
    const TIMEOUT: Duration = Duration::from_millis(30);
    let address = SocketAddr::new(family.metadata(), HTTP);
    let error = TcpStream::connect_timeout(&address, TIMEOUT).err();
    let reason = error.map(|error| match error.kind() {
        ErrorKind::TimedOut => "no answer within 30 ms".into(),
        _ => error.to_string(),
    });
    HostAccess { address: address.ip().to_string(), reached: reason.is_none(), reason }
}

impl NetworkProof {
    /// Whether both are about one network, family and path.
    pub(crate) fn is_about_same(&self, other: &NetworkProof) -> bool {
        (&self.network, self.family, self.path) == (&other.network, other.family, other.path)
    }

    fn name(&self) -> String {
        match self.path {
            ProbePath::Routed => format!("{} ({})", self.network, self.family),
            ProbePath::Bridged => format!("{} (frames, {})", self.network, self.family),
        }
    }
}

impl Proof {
    /// What weakens the guard, and what was not probed, around the notes of the probe.
    fn add_notes(&mut self, mut notes: Vec<String>) {
        let routed = || self.networks.iter().filter(|row| row.path == ProbePath::Routed);
        let has_v6 = |network: &str| {
            routed().any(|row| row.network == network && row.family == IpFamily::V6)
        };
        notes.extend(routed().filter(|row| !has_v6(&row.network)).map(|row| {
            format!("{} has no global IPv6 address: IPv6 was not probed there", row.network)
        }));
        notes.append(&mut self.notes);
        notes.push(BRIDGES_ONLY.to_owned());
        self.notes = notes;
    }

    /// A network that leaked when there was a verdict last has not been shown to be blocked since.
    fn compare(&mut self, before: &Proof) {
        let inconclusive =
            self.networks.iter_mut().filter(|row| row.verdict == ProbeVerdict::Inconclusive);
        for row in inconclusive {
            row.leaked_before = before.networks.iter().any(|old| {
                old.is_about_same(row) && (old.verdict == ProbeVerdict::Leaks || old.leaked_before)
            });
        }
    }

    /// `Ok` if every network is blocked.
    ///
    /// # Errors
    /// [`Error::Leak`] if anything got through, or did when there was a verdict last; else
    /// [`Error::ProbeFailed`] if a verdict is missing because the probe could not send; else
    /// [`Error::Unproven`] if there is no verdict on some network, or no network.
    pub(crate) fn outcome(&self) -> Result<(), Error> {
        let named = |is_meant: &dyn Fn(&NetworkProof) -> bool| -> String {
            let rows = self.networks.iter().filter(|row| is_meant(row));
            rows.map(NetworkProof::name).collect::<Vec<_>>().join(", ")
        };
        let leaks = named(&|row| row.verdict == ProbeVerdict::Leaks);
        let leaked = named(&|row| row.leaked_before);
        let inconclusive = named(&|row| row.verdict == ProbeVerdict::Inconclusive);
        match &self.failure {
            _ if !leaks.is_empty() => Err(Error::Leak(leaks)),
            _ if !leaked.is_empty() => Err(Error::LeakedBefore(leaked)),
            Some(failure) if !inconclusive.is_empty() => {
                Err(Error::ProbeFailed { networks: inconclusive, reason: failure.clone() })
            }
            _ if self.networks.is_empty() => Err(Error::Unproven(
                "any network: this host has no bridge with an address yet".into(),
            )),
            _ if !inconclusive.is_empty() => Err(Error::Unproven(inconclusive)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for NetworkProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = if self.path == ProbePath::Bridged { " frames" } else { "" };
        write!(f, "{}{frames} {}: {}", self.network, self.family, self.verdict)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}")?,
            None => self.evidence.iter().try_for_each(|evidence| write!(f, ": {evidence}"))?,
        }
        if self.leaked_before { f.write_str("; it leaked when last proven") } else { Ok(()) }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Evidence::RefusedByHost => "refused by this host",
            Evidence::DroppedByRule => "dropped by the guard's rule",
            Evidence::WouldBeRefused => "would be refused by this host's routing rules",
            Evidence::OnlyControlLeft => "the control packet left, the packet to metadata did not",
            Evidence::LeftHost => "it left this host",
            Evidence::Answered => "metadata answered",
        })
    }
}

/// As serde spells it.
impl fmt::Display for ProbeVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Diagnostic, ExitStatus};

    fn network(verdict: ProbeVerdict) -> NetworkProof {
        NetworkProof {
            network: "docker0".into(),
            family: IpFamily::V4,
            path: ProbePath::Routed,
            verdict,
            evidence: None,
            reason: None,
            leaked_before: false,
        }
    }

    fn proof(verdicts: &[ProbeVerdict]) -> Proof {
        let networks = verdicts.iter().map(|verdict| network(*verdict)).collect();
        let mut proof = Proof { networks, ..Proof::default() };
        proof.add_notes(vec![]);
        proof
    }

    fn status(proof: &Proof) -> Option<ExitStatus> {
        proof.outcome().err().map(|error| error.status())
    }

    #[test]
    fn one_leak_outweighs_all_and_inconclusive_is_not_blocked() {
        use ProbeVerdict::{Blocked, Inconclusive, Leaks};
        let check =
            |verdicts: &[ProbeVerdict], wanted| assert_eq!(status(&proof(verdicts)), wanted);
        check(&[Blocked, Blocked], None);
        check(&[Blocked, Inconclusive], Some(ExitStatus::GuardUnproven));
        check(&[Inconclusive, Leaks, Blocked], Some(ExitStatus::GuardLeak));
        check(&[], Some(ExitStatus::GuardUnproven));
    }

    #[test]
    fn failed_probe_is_not_a_missing_network() {
        let failed = |verdict| Proof { failure: Some("no tun".into()), ..proof(&[verdict]) };
        let check = |verdict, wanted| assert_eq!(status(&failed(verdict)), wanted);
        check(ProbeVerdict::Inconclusive, Some(ExitStatus::GuardProbe));
        check(ProbeVerdict::Leaks, Some(ExitStatus::GuardLeak));
        check(ProbeVerdict::Blocked, None);
    }

    #[test]
    fn leak_lasts_until_its_network_is_proven_blocked() {
        use ProbeVerdict::{Blocked, Inconclusive, Leaks};
        let mut last = proof(&[Leaks]);
        for (verdict, wanted) in [
            (Inconclusive, Some(ExitStatus::GuardLeak)),
            (Inconclusive, Some(ExitStatus::GuardLeak)),
            (Blocked, None),
            (Inconclusive, Some(ExitStatus::GuardUnproven)),
        ] {
            let mut next = proof(&[verdict]);
            next.compare(&last);
            assert_eq!(status(&next), wanted);
            last = next;
        }
    }

    #[test]
    fn network_without_ipv6_is_noted_as_not_probed() {
        assert_eq!(
            proof(&[ProbeVerdict::Blocked]).notes,
            ["docker0 has no global IPv6 address: IPv6 was not probed there", BRIDGES_ONLY]
        );
    }

    #[test]
    fn json_has_the_names_that_scripts_read() {
        let row = NetworkProof {
            evidence: Some(Evidence::RefusedByHost),
            ..network(ProbeVerdict::Blocked)
        };
        let value = serde_json::to_value(&row).unwrap();
        assert_eq!((&value["family"], &value["verdict"]), (&"IPv4".into(), &"blocked".into()));
        assert_eq!(
            (&value["path"], &value["evidence"]),
            (&"routed".into(), &"refused_by_host".into())
        );
        assert_eq!(row.to_string(), "docker0 IPv4: blocked: refused by this host");
    }

    #[test]
    fn proof_of_an_earlier_version_is_read() {
        let old = r#"{"at":"","duration_ms":1,"networks":[{"network":"docker0","family":"IPv4","verdict":"leaks","reason":null}],"host":[],"credentials":[],"notes":[]}"#;
        let proof: Proof = serde_json::from_str(old).unwrap();
        assert_eq!(proof.networks, [network(ProbeVerdict::Leaks)]);
    }
}
