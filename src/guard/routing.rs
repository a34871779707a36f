//! The guard's routing policy rules: what is forwarded to instance metadata is prohibited before
//! any firewall has a word in it, and the host's own packets go on. They need neither nf_tables nor
//! iptables, and nothing that clears a firewall clears them.
//!
//! As `ip rule` shows them, for IPv4 and likewise for IPv6:
//!
//! ```text
//! 0:  from all lookup local                                    (the kernel's own)
//! 0:  from all to 169.254.169.254 iif lo goto 1 proto kernel
//! 0:  from all to 169.254.169.254 iif lo lookup main proto kernel
//! 0:  from all to 169.254.169.254 prohibit proto kernel
//! 1:  from all iif lo nop proto kernel
//! ```
//!
//! - Priority 0: a rule that is added without a priority goes in front of the lowest one above 0,
//!   and `ip rule flush` spares 0.
//! - Protocol kernel: systemd-networkd removes all rules that it did not make but those
//!   (systemd/systemd#19106), and Amazon Linux 2023 reloads it whenever an address changes.
//! - `iif lo` is what this host sends itself. It goes on behind priority 0; where `ip rule flush`
//!   has removed that target, the second rule keeps the host connected.
//! - The kernel goes through all of them for each packet that it forwards, and compares the interface
//!   first: where that is enough, a rule costs least.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NlasIterator,
};
use nix::libc;
use nix::sys::socket::SockProtocol;

use super::addresses::IpFamily;
use super::error::Error;
use super::netlink::{self, Message};
use super::parts::{GuardPart, PartInstalled, PartStatus, RulesChange};

/// Attributes of a rule (linux/fib_rules.h).
const DESTINATION: u16 = 1;
const INTERFACE: u16 = 3;
const GOTO: u16 = 4;
const PRIORITY: u16 = 6;
const SUPPRESS_PREFIX: u16 = 14;
const TABLE: u16 = 15;
const PROTOCOL: u16 = 21;
const KERNEL: u8 = 2;

const GO_ON_AT: u32 = 1;

/// What a rule does (linux/fib_rules.h, FR_ACT_*).
#[derive(Clone, Copy)]
enum Action {
    LookUp = 1,
    Goto = 2,
    Nop = 3,
    Prohibit = 8,
}

/// A rule as the kernel lists it, without what says nothing about it: priority 0, protocol kernel
/// (which kernels before 4.17 do not know) and whether a target or interface exists at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    header: [u8; HEADER],
    attributes: BTreeMap<u16, Vec<u8>>,
}

/// `struct fib_rule_hdr`.
const HEADER: usize = 12;

/// The families that this kernel has rules for.
///
/// # Errors
/// [`Error::Unsupported`] by a kernel that has none.
pub(crate) fn families() -> Result<Vec<IpFamily>, Error> {
    let mut families = Vec::new();
    for family in IpFamily::ALL {
        match list(family) {
            // Booted with ipv6.disable=1.
            Err(error) if family == IpFamily::V6 && netlink::unsupported(&error) => {}
            result => result.map(|_| families.push(family)).map_err(failed("reading"))?,
        }
    }
    Ok(families)
}

/// Reads the guard as it is: for both families, or for IPv4 where the kernel has no IPv6.
/// `weakened`: not all of the rules are there, not only these, or in another order.
pub(super) fn status(interface: Option<&str>) -> Result<PartStatus, Error> {
    let (mut any, mut all, mut rules) = (false, true, Vec::new());
    let from = interface.map_or("what is forwarded".into(), |name| format!("what {name} brings"));
    for family in families()? {
        let found = own(family).map_err(failed("reading"))?;
        any |= found.iter().any(Rule::decides);
        all &= found == wanted(family, interface);
        rules.push(format!("refuse {from} to {}", family.metadata()));
    }
    Ok(match (any, all) {
        (true, true) => PartStatus::new("effective", rules),
        (true, false) => PartStatus::new("weakened", vec![]),
        (false, _) => PartStatus::new("absent", vec![]),
    })
}

/// Puts the rules into force, and only those. The new ones are there before the old ones go, and
/// the host is never cut off.
pub(super) fn install(interface: Option<&str>) -> Result<PartInstalled, Error> {
    let (mut before, mut changed) = (false, false);
    let families = families()?;
    let no_ipv6 = (families.len() == 1).then(|| "IPv6 is off on this host".to_owned());
    for family in families {
        let found = own(family).map_err(failed("reading"))?;
        let wanted = wanted(family, interface);
        before |= found.iter().any(Rule::decides);
        if found == wanted {
            continue;
        }
        changed = true;
        // In the order in which they protect: what the exceptions need, the exceptions, the rest.
        let (decisions, targets): (Vec<_>, Vec<_>) = wanted.iter().partition(|rule| rule.decides());
        for rule in targets.into_iter().chain(decisions) {
            rule.add().map_err(failed("adding"))?;
        }
        delete(&found).map_err(failed("deleting"))?;
        if own(family).map_err(failed("reading"))? != wanted {
            return Err(Error::Unlike(GuardPart::Routing));
        }
    }
    let change = match (before, changed) {
        (_, false) => RulesChange::Unchanged,
        (true, true) => RulesChange::Repaired,
        (false, true) => RulesChange::Installed,
    };
    Ok(PartInstalled::in_force(change, no_ipv6.into_iter().collect()))
}

/// Removes the rules. Returns whether there were any; a kernel that has no rules has none of these.
pub(crate) fn remove() -> Result<bool, Error> {
    let mut any = false;
    for family in IpFamily::ALL {
        match own(family) {
            Err(error) if netlink::unsupported(&error) => {}
            Err(error) => return Err(failed("reading")(error)),
            Ok(found) => {
                any |= !found.is_empty();
                delete(&found).map_err(failed("deleting"))?;
            }
        }
    }
    Ok(any)
}

/// Whether a rule of another program comes first, so that it may decide before the guard's: it was
/// there at priority 0 before them.
pub(crate) fn is_preceded() -> bool {
    let precedes = |family| {
        let listed = list(family).unwrap_or_default();
        let first = listed.iter().position(|rule| rule.is_own(family) && rule.decides());
        let foreign = |rule: &Rule| rule.header[4] != libc::RT_TABLE_LOCAL;
        first.is_some_and(|first| listed[..first].iter().any(foreign))
    };
    IpFamily::ALL.into_iter().any(precedes)
}

/// The kernel deletes the first rule that is as described. Those that prohibit go before their
/// exceptions, and what the exceptions need goes last.
fn delete(rules: &[Rule]) -> io::Result<()> {
    let (decisions, targets): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| rule.decides());
    decisions.into_iter().rev().chain(targets).try_for_each(Rule::delete)
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::kernel(GuardPart::Routing, doing, source)
}

/// In the order in which the kernel lists them.
fn wanted(family: IpFamily, interface: Option<&str>) -> Vec<Rule> {
    let rule = |action, interface| Rule::to_metadata(family, action, interface);
    if let Some(name) = interface {
        return vec![rule(Action::Prohibit, Some(name))];
    }
    let own = |action| rule(action, Some("lo"));
    vec![own(Action::Goto), own(Action::LookUp), rule(Action::Prohibit, None), Rule::target(family)]
}

/// The guard's rules among all, whatever became of them.
fn own(family: IpFamily) -> io::Result<Vec<Rule>> {
    Ok(list(family)?.into_iter().filter(|rule| rule.is_own(family)).collect())
}

fn list(family: IpFamily) -> io::Result<Vec<Rule>> {
    let mut header = [0; HEADER];
    header[0] = number(family);
    let request = netlink::request(libc::RTM_GETRULE, NLM_F_DUMP, &header);
    let messages = netlink::ask(SockProtocol::NetlinkRoute, &request, 1)?;
    // A kernel without IPv6 may answer with the rules of another family.
    let rules = messages.iter().filter_map(|message| Rule::read(&message.payload));
    Ok(rules.filter(|rule| rule.header[0] == number(family)).collect())
}

/// How many rules are in a dump, and how many of them read back as they are encoded, for fuzzers.
pub(super) fn count(messages: &[Message]) -> (usize, usize) {
    let rules: Vec<Rule> =
        messages.iter().filter_map(|message| Rule::read(&message.payload)).collect();
    let reads_back = |rule: &&Rule| Rule::read(&rule.encoded()).as_ref() == Some(rule);
    (rules.len(), rules.iter().filter(reads_back).count())
}

fn number(family: IpFamily) -> u8 {
    match family {
        IpFamily::V4 => libc::AF_INET as u8,
        IpFamily::V6 => libc::AF_INET6 as u8,
    }
}

fn octets(family: IpFamily) -> Vec<u8> {
    match family.metadata() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

impl Rule {
    fn new(family: IpFamily, action: Action) -> Rule {
        let table = if let Action::LookUp = action { libc::RT_TABLE_MAIN } else { 0 };
        let mut header = [0; HEADER];
        header[0] = number(family);
        header[4] = table;
        header[7] = action as u8;
        let attributes = [(TABLE, u32::from(table).to_ne_bytes().to_vec())];
        Rule { header, attributes: attributes.into() }
    }

    fn to_metadata(family: IpFamily, action: Action, interface: Option<&str>) -> Rule {
        let mut rule = Rule::new(family, action);
        let destination = octets(family);
        rule.header[1] = u8::try_from(8 * destination.len()).expect("32 or 128");
        rule.attributes.insert(DESTINATION, destination);
        if let Action::Goto = action {
            rule.attributes.insert(GOTO, GO_ON_AT.to_ne_bytes().to_vec());
        }
        let name = interface.map(|name| (INTERFACE, [name.as_bytes(), &[0]].concat()));
        rule.attributes.extend(name);
        rule
    }

    /// What `goto` needs: a rule at its target, which does nothing.
    fn target(family: IpFamily) -> Rule {
        let mut rule = Rule::new(family, Action::Nop);
        let interface = (INTERFACE, b"lo\0".to_vec());
        rule.attributes.extend([(PRIORITY, GO_ON_AT.to_ne_bytes().to_vec()), interface]);
        rule
    }

    fn is_own(&self, family: IpFamily) -> bool {
        let to_metadata = self.attributes.get(&DESTINATION) == Some(&octets(family));
        let kernel = !self.attributes.contains_key(&PROTOCOL);
        // The guard's target had no interface once, and is removed where it is found like that.
        let mut target = self.clone();
        target.attributes.entry(INTERFACE).or_insert(b"lo\0".to_vec());
        target == Rule::target(family) || (kernel && self.decides() && to_metadata)
    }

    /// Whether it has priority 0; the target of `goto` does nothing by itself.
    fn decides(&self) -> bool {
        !self.attributes.contains_key(&PRIORITY)
    }

    fn read(payload: &[u8]) -> Option<Rule> {
        /// FIB_RULE_UNRESOLVED, FIB_RULE_IIF_DETACHED, FIB_RULE_OIF_DETACHED.
        const AT_THE_MOMENT: u32 = 4 | 8 | 16;
        let mut header: [u8; HEADER] = *payload.first_chunk()?;
        let (_, flags) = header.split_last_chunk_mut().expect("it is longer");
        *flags = (u32::from_ne_bytes(*flags) & !AT_THE_MOMENT).to_ne_bytes();
        let attributes = NlasIterator::new(&payload[HEADER..])
            .map_while(Result::ok)
            .map(|attribute| (attribute.kind(), attribute.value().to_vec()))
            .filter(|(kind, value)| match *kind {
                PRIORITY => value.iter().any(|byte| *byte != 0),
                // Not set: the kernel lists it all the same.
                SUPPRESS_PREFIX => value.iter().any(|byte| *byte != u8::MAX),
                PROTOCOL => *value != [KERNEL],
                _ => true,
            });
        Some(Rule { header, attributes: attributes.collect() })
    }

    fn add(&self) -> io::Result<()> {
        // Not NLM_F_EXCL: an equal one may be there, in the wrong place.
        self.change(libc::RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE)
    }

    /// One that another program has just removed is gone, which is what is wanted.
    fn delete(&self) -> io::Result<()> {
        match self.change(libc::RTM_DELRULE, NLM_F_ACK) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    fn change(&self, kind: u16, flags: u16) -> io::Result<()> {
        let request = netlink::request(kind, flags, &self.encoded());
        netlink::ask(SockProtocol::NetlinkRoute, &request, 1).map(drop)
    }

    /// With what [`Rule::read`] leaves out.
    fn encoded(&self) -> Vec<u8> {
        let implied = [(PRIORITY, vec![0; 4]), (PROTOCOL, vec![KERNEL])];
        let mut attributes = BTreeMap::from(implied);
        attributes.extend(self.attributes.clone());
        let attributes: Vec<DefaultNla> =
            attributes.into_iter().map(|(kind, value)| DefaultNla::new(kind, value)).collect();
        let mut encoded = vec![0; attributes.as_slice().buffer_len()];
        attributes.as_slice().emit(&mut encoded);
        [&self.header, encoded.as_slice()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_reads_back_as_it_was_encoded() {
        for family in IpFamily::ALL {
            for rule in [wanted(family, None), wanted(family, Some("docker0"))].concat() {
                assert_eq!(Rule::read(&rule.encoded()), Some(rule.clone()));
                assert!(rule.is_own(family));
            }
        }
    }

    #[test]
    fn exceptions_for_the_host_precede_the_prohibition() {
        let actions = |interface| -> Vec<u8> {
            wanted(IpFamily::V4, interface).iter().map(|rule| rule.header[7]).collect()
        };
        assert_eq!(actions(None), [2, 1, 8, 3]);
        assert_eq!(actions(Some("docker0")), [8]);
    }

    #[test]
    fn target_is_own_with_and_without_its_interface() {
        let mut target = Rule::target(IpFamily::V4);
        target.attributes.insert(INTERFACE, b"eth0\0".to_vec());
        assert!(!target.is_own(IpFamily::V4));
        target.attributes.remove(&INTERFACE);
        assert!(target.is_own(IpFamily::V4) && target != Rule::target(IpFamily::V4));
    }

    #[test]
    fn rule_of_another_protocol_or_with_a_condition_is_not_equal() {
        let rule = Rule::to_metadata(IpFamily::V4, Action::Prohibit, None);
        let with = |kind, value: &[u8]| {
            let mut changed = rule.clone();
            changed.attributes.insert(kind, value.to_vec());
            Rule::read(&changed.encoded()).unwrap()
        };
        assert_ne!(with(PROTOCOL, &[4]), rule);
        assert!(!with(PROTOCOL, &[4]).is_own(IpFamily::V4));
        assert_ne!(with(10, &[1, 0, 0, 0]), rule);
        let mut inverted = rule.clone();
        inverted.header[8] = 2;
        assert_ne!(Rule::read(&inverted.encoded()), Some(rule));
    }
}
