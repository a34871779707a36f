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

use std::io;

use nix::libc;

use super::addresses::{self, IpFamily, octets};
use super::error::Error;
use super::netlink::{self, Attributes, decoded, encoded, text};
use super::parts::{GuardOptions, GuardPart, PartInstalled, PartStatus, RulesChange};

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
pub(super) struct Rule {
    header: [u8; HEADER],
    attributes: Attributes,
}

/// `struct fib_rule_hdr`.
const HEADER: usize = 12;

/// Reads the guard as it is: for both families, or for IPv4 where the kernel has no IPv6.
/// `weakened`: not all of the rules are there, not only these, or in another order.
pub(super) fn status(options: &GuardOptions) -> Result<PartStatus, Error> {
    let (own, interface) = (own()?, options.interface.as_deref());
    if !own.iter().flat_map(|(_, found)| found).any(Rule::decides) {
        return Ok(PartStatus::new("absent", vec![]));
    }
    if own.iter().any(|(family, found)| *found != wanted(*family, interface)) {
        return Ok(PartStatus::new("weakened", vec![]));
    }
    let from = interface.map_or("what is forwarded".into(), |name| format!("what {name} brings"));
    let rule = |(family, _): &(IpFamily, _)| format!("refuse {from} to {}", family.metadata());
    Ok(PartStatus::new("effective", own.iter().map(rule).collect()))
}

/// Puts the rules into force, and only those. The new ones are there before the old ones go, and
/// the host is never cut off.
pub(super) fn install(options: &GuardOptions) -> Result<PartInstalled, Error> {
    let own = own()?;
    let mut change = RulesChange::Unchanged;
    for (family, found) in &own {
        let wanted = wanted(*family, options.interface.as_deref());
        if *found == wanted {
            continue;
        }
        in_order(&wanted).try_for_each(Rule::add).map_err(failed("adding"))?;
        delete(found)?;
        if own_of(*family)? != wanted {
            return Err(Error::Unlike(GuardPart::Routing));
        }
        let before = own.iter().flat_map(|(_, found)| found).any(Rule::decides);
        change = if before { RulesChange::Repaired } else { RulesChange::Installed };
    }
    let no_ipv6 = (own.len() == 1).then(|| "IPv6 is off on this host".to_owned());
    Ok(PartInstalled::in_force(change, no_ipv6.into_iter().collect()))
}

/// Removes the rules. Returns whether there were any; a kernel that has no rules has none of these.
pub(crate) fn remove() -> Result<bool, Error> {
    let own = match own() {
        Err(Error::Unsupported(_)) => return Ok(false),
        own => own?,
    };
    for (_, found) in &own {
        delete(found)?;
    }
    Ok(own.iter().any(|(_, found)| !found.is_empty()))
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

/// In the order in which they protect: what the exceptions need, the exceptions, the rest.
fn in_order(rules: &[Rule]) -> impl DoubleEndedIterator<Item = &Rule> {
    let targets = rules.iter().filter(|rule| !rule.decides());
    targets.chain(rules.iter().filter(|rule| rule.decides()))
}

/// In the reverse order. The kernel deletes the first rule that is as described.
fn delete(rules: &[Rule]) -> Result<(), Error> {
    in_order(rules).rev().try_for_each(Rule::delete).map_err(failed("deleting"))
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

/// The guard's rules among all, whatever became of them, by the families that this kernel has rules
/// for.
///
/// # Errors
/// [`Error::Unsupported`] by a kernel that has none.
fn own() -> Result<Vec<(IpFamily, Vec<Rule>)>, Error> {
    let mut own = Vec::new();
    for family in IpFamily::ALL {
        match own_of(family) {
            // Booted with ipv6.disable=1.
            Err(Error::Unsupported(_)) if family == IpFamily::V6 => {}
            rules => own.push((family, rules?)),
        }
    }
    Ok(own)
}

fn own_of(family: IpFamily) -> Result<Vec<Rule>, Error> {
    let mut rules = list(family).map_err(failed("reading"))?;
    rules.retain(|rule| rule.is_own(family));
    Ok(rules)
}

fn list(family: IpFamily) -> io::Result<Vec<Rule>> {
    let mut header = [0; HEADER];
    header[0] = number(family);
    let messages = netlink::route(libc::RTM_GETRULE, libc::NLM_F_DUMP, &header)?;
    // A kernel without IPv6 may answer with the rules of another family.
    let rules = messages.iter().filter_map(|message| Rule::read(&message.payload));
    Ok(rules.filter(|rule| rule.header[0] == number(family)).collect())
}

fn number(family: IpFamily) -> u8 {
    addresses::number(family.metadata())
}

impl Rule {
    fn new(family: IpFamily, action: Action, interface: Option<&str>) -> Rule {
        let table = if let Action::LookUp = action { libc::RT_TABLE_MAIN } else { 0 };
        let mut header = [0; HEADER];
        (header[0], header[4], header[7]) = (number(family), table, action as u8);
        let mut attributes = Attributes::from([(TABLE, u32::from(table).to_ne_bytes().into())]);
        attributes.extend(interface.map(|name| (INTERFACE, text(name))));
        Rule { header, attributes }
    }

    fn to_metadata(family: IpFamily, action: Action, interface: Option<&str>) -> Rule {
        let mut rule = Rule::new(family, action, interface);
        let destination = octets(family.metadata());
        rule.header[1] = 8 * destination.len() as u8;
        rule.attributes.insert(DESTINATION, destination);
        if let Action::Goto = action {
            rule.attributes.insert(GOTO, GO_ON_AT.to_ne_bytes().into());
        }
        rule
    }

    /// What `goto` needs: a rule at its target, which does nothing.
    fn target(family: IpFamily) -> Rule {
        let mut rule = Rule::new(family, Action::Nop, Some("lo"));
        rule.attributes.insert(PRIORITY, GO_ON_AT.to_ne_bytes().into());
        rule
    }

    fn is_own(&self, family: IpFamily) -> bool {
        let to_metadata = self.attributes.get(&DESTINATION) == Some(&octets(family.metadata()));
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

    pub(super) fn read(payload: &[u8]) -> Option<Rule> {
        /// FIB_RULE_UNRESOLVED, FIB_RULE_IIF_DETACHED, FIB_RULE_OIF_DETACHED.
        const AT_THE_MOMENT: u32 = 4 | 8 | 16;
        let mut header: [u8; HEADER] = *payload.first_chunk()?;
        let (_, flags) = header.split_last_chunk_mut().expect("it is longer");
        *flags = (u32::from_ne_bytes(*flags) & !AT_THE_MOMENT).to_ne_bytes();
        let mut attributes = decoded(&payload[HEADER..]);
        attributes.retain(|kind, value| match *kind {
            PRIORITY => value.iter().any(|byte| *byte != 0),
            // Not set: the kernel lists it all the same.
            SUPPRESS_PREFIX => value.iter().any(|byte| *byte != u8::MAX),
            PROTOCOL => *value != [KERNEL],
            _ => true,
        });
        Some(Rule { header, attributes })
    }

    fn add(&self) -> io::Result<()> {
        // Not NLM_F_EXCL: an equal one may be there, in the wrong place.
        self.change(libc::RTM_NEWRULE, libc::NLM_F_ACK | libc::NLM_F_CREATE)
    }

    /// One that another program has just removed is gone, which is what is wanted.
    fn delete(&self) -> io::Result<()> {
        match self.change(libc::RTM_DELRULE, libc::NLM_F_ACK) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    fn change(&self, kind: u16, flags: i32) -> io::Result<()> {
        netlink::route(kind, flags, &self.encoded()).map(drop)
    }

    /// With what [`Rule::read`] leaves out.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let implied = [(PRIORITY, vec![0; 4]), (PROTOCOL, vec![KERNEL])];
        let mut attributes = Attributes::from(implied);
        attributes.extend(self.attributes.clone());
        [&self.header, &*encoded(&attributes)].concat()
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
