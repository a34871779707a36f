//! The proof as a value: what the packets showed on every network, in words for people and for
//! JSON, and what follows for the exit status.

use serde::{Deserialize, Serialize};

use super::Error;
use super::probe::{Finding, Findings, Verdict};
use super::rules::Family;

/// One round over all networks of the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) duration_ms: u64,
    pub(crate) networks: Vec<Network>,
    /// Whether the host itself reaches metadata; no part of the verdict.
    pub(crate) host: Vec<Reach>,
    /// Whether packets to the task credentials' address 169.254.170.2 pass; no part of the
    /// verdict.
    pub(crate) credentials: Vec<Credentials>,
    pub(crate) notes: Vec<String>,
}

/// One network in one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) network: String,
    pub(crate) family: String,
    /// `blocked`, `leaks` or `inconclusive`.
    pub(crate) verdict: String,
    pub(crate) reason: Option<String>,
}

/// How the host fared with one of metadata's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    pub(crate) address: String,
    pub(crate) reached: bool,
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) network: String,
    pub(crate) passes: bool,
}

impl Network {
    fn new(finding: Finding) -> Network {
        let (verdict, reason) = match finding.verdict {
            Verdict::Blocked => ("blocked", None),
            Verdict::Leaks => ("leaks", None),
            Verdict::Inconclusive(reason) => ("inconclusive", Some(reason)),
        };
        Network {
            network: finding.network,
            family: finding.family.name().into(),
            verdict: verdict.into(),
            reason,
        }
    }

    fn name(&self) -> String {
        format!("{} ({})", self.network, self.family)
    }
}

impl Proof {
    pub(super) fn new(findings: Findings, host: Vec<Reach>, notes: Vec<String>) -> Proof {
        let credentials = findings
            .credentials
            .into_iter()
            .map(|(network, passes)| Credentials { network, passes })
            .collect();
        let mut proof = Proof { host, credentials, notes, ..Proof::default() };
        proof.networks = findings.networks.into_iter().map(Network::new).collect();
        proof.notes.extend(proof.not_probed());
        proof
    }

    /// Networks without a global IPv6 address, where nothing could be sent.
    fn not_probed(&self) -> Vec<String> {
        let has = |network: &str, family: Family| {
            self.networks.iter().any(|row| row.network == network && row.family == family.name())
        };
        let only_v4 = self.networks.iter().filter(|row| !has(&row.network, Family::V6));
        only_v4
            .map(|row| {
                format!("{} has no global IPv6 address: IPv6 was not probed there", row.network)
            })
            .collect()
    }

    /// What the proof comes to: nothing if every network is blocked.
    ///
    /// # Errors
    /// [`Error::Leak`] if anything got through, else [`Error::Unproven`] if there is no verdict on
    /// some network, or no network.
    pub(crate) fn outcome(&self) -> Result<(), Error> {
        let named = |verdict: &str| -> Vec<String> {
            self.networks.iter().filter(|row| row.verdict == verdict).map(Network::name).collect()
        };
        let (leaks, open) = (named("leaks"), named("inconclusive"));
        match () {
            () if !leaks.is_empty() => Err(Error::Leak(leaks.join(", "))),
            () if self.networks.is_empty() => Err(Error::Unproven(
                "any network: this host has no bridge with an address yet".into(),
            )),
            () if !open.is_empty() => Err(Error::Unproven(open.join(", "))),
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Diagnostic;
    use crate::error::ExitStatus;

    fn check(verdicts: &[Verdict], wanted: Option<ExitStatus>) {
        let finding = |verdict: &Verdict| Finding {
            network: "docker0".into(),
            family: Family::V4,
            verdict: verdict.clone(),
        };
        let findings =
            Findings { networks: verdicts.iter().map(finding).collect(), credentials: vec![] };
        let outcome = Proof::new(findings, vec![], vec![]).outcome();
        assert_eq!(outcome.err().map(|error| error.status()), wanted);
    }

    #[test]
    fn one_leak_outweighs_all_and_nothing_inconclusive_is_called_blocked() {
        let doubt = Verdict::Inconclusive("forwarding is off".into());
        check(&[Verdict::Blocked, Verdict::Blocked], None);
        check(&[Verdict::Blocked, doubt.clone()], Some(ExitStatus::GuardUnproven));
        check(&[doubt, Verdict::Leaks, Verdict::Blocked], Some(ExitStatus::GuardLeak));
        check(&[], Some(ExitStatus::GuardUnproven));
    }

    #[test]
    fn a_network_without_ipv6_says_that_ipv6_was_not_probed() {
        let findings = Findings {
            networks: vec![Finding {
                network: "docker0".into(),
                family: Family::V4,
                verdict: Verdict::Blocked,
            }],
            credentials: vec![],
        };
        assert_eq!(
            Proof::new(findings, vec![], vec![]).notes,
            ["docker0 has no global IPv6 address: IPv6 was not probed there"]
        );
    }
}
