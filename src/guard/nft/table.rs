//! The guard's tables of nf_tables: the wanted ones, and those read from a dump, in the same types,
//! so that `==` compares them in full. Pure.
//!
//! As `nft list` shows them, without counters and comments:
//!
//! ```text
//! table inet ecs-bootstrap {
//!     chain forward {
//!         type filter hook forward priority filter - 10; policy accept;
//!         meta nfproto ipv4 @nh,0,8 != 0x45 fib daddr type local drop
//!         ip daddr 169.254.169.254 drop
//!         ip6 daddr fd00:ec2::254 drop
//!     }
//!     chain postrouting {
//!         type filter hook postrouting priority filter - 10; policy accept;
//!         iif != 0 ip daddr 169.254.169.254 drop
//!         iif != 0 ip6 daddr fd00:ec2::254 drop
//!     }
//!     chain input {
//!         type filter hook input priority filter - 10; policy accept;
//!         iifname != "lo" ct direction original ct original ip daddr 169.254.169.254 drop
//!         iifname != "lo" ct direction original ct original ip6 daddr fd00:ec2::254 drop
//!     }
//! }
//! table bridge ecs-bootstrap {
//!     chain forward {
//!         type filter hook forward priority filter - 10; policy accept;
//!         ip daddr 169.254.169.254 drop
//!         ip6 daddr fd00:ec2::254 drop
//!     }
//! }
//! ```
//! In front of each rule on metadata's address is another that records the proof's packets: see
//! `record`.
//!
//! A drop is final in any base chain and an accept ends only its own, so no other program's rules
//! can let a packet pass these.
//!
//! - `forward` excludes the host's own traffic by definition. Its first rule closes a detour: a
//!   source-routed packet has the host's own address as destination here and gets metadata's only
//!   afterwards (possible where `net.ipv4.conf.all.accept_source_route` is 1). No other packet is
//!   forwarded to an address of the forwarder. Matching the option instead (`ip option lsrr exists`)
//!   misses a packet whose route pointer is already advanced: the kernel parses it for a match as it
//!   would a packet of its own, and finds none.
//! - `postrouting` sees what source routing has made of a packet, whatever policy routing made of
//!   the hop. What the host sends itself has no incoming interface; kernels before 5.7 show none
//!   there at all, and the rule drops nothing.
//! - `input` is for what was redirected to a proxy on this host. The host's own connections have the
//!   same original destination in their replies, but not in this direction.
//! - Table `bridge` sees frames that a bridge passes on to an uplink without routing them.

use netlink_packet_netfilter::nftables::{Expressions, MetaKey};

use super::super::addresses::IpFamily;
use super::expressions::{
    counter, drop_packet, ether_type, named, nfproto, not_loopback, received, to_metadata,
    to_the_forwarder, was_to_metadata,
};
use super::record::record;

/// The name of both tables.
pub(crate) const NAME: &str = "ecs-bootstrap";
/// Not `fwd`, which is a reserved word of nft.
const FORWARD: &str = "forward";
const POSTROUTING: &str = "postrouting";
const INPUT: &str = "input";

const COMMENT: &str = "ecs-bootstrap: containers stay away from instance metadata";
pub(crate) const POLICY_ACCEPT: u32 = 1;
const BASE_CHAIN: u32 = 1;

/// The family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableFamily {
    Inet,
    Bridge,
}

/// One table with the chains that it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NftTable {
    pub(crate) family: TableFamily,
    /// Dormant is a flag: a table may be listed and disabled.
    pub(crate) flags: u32,
    /// The netlink socket that alone may change the table, in general named after its process.
    pub(crate) owner: Option<u32>,
    /// Chains, sets and objects inside: more than the guard's mean that another program added some.
    pub(crate) members: u32,
    pub(crate) chains: Vec<NftChain>,
    pub(crate) rules: Vec<NftRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NftChain {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) hook: u32,
    pub(crate) priority: i32,
    pub(crate) policy: u32,
    pub(crate) flags: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NftRule {
    pub(crate) chain: String,
    pub(crate) expressions: Vec<Expressions>,
    /// The comment, in the layout of libnftnl.
    pub(crate) userdata: Vec<u8>,
}

/// A part of the tables that some kernels lack, or that a host may not want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Optional {
    SourceRoutes,
    AfterRouting,
    Redirected,
    Bridges,
    Record,
}

impl NftTable {
    /// Whether its rules record the proof's packets, for which it needs a set.
    pub(super) fn has_record(&self) -> bool {
        self.members as usize > self.chains.len()
    }
}

impl Optional {
    pub(crate) const ALL: [Optional; 5] = [
        Optional::SourceRoutes,
        Optional::AfterRouting,
        Optional::Redirected,
        Optional::Bridges,
        Optional::Record,
    ];

    /// What it means that this kernel lacks it.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Optional::SourceRoutes => "this kernel cannot recognise source-routed packets",
            Optional::AfterRouting => "this kernel cannot match the interface after routing",
            Optional::Redirected => "this kernel cannot recognise redirected connections",
            Optional::Bridges => "this kernel cannot match frames that a bridge passes on",
            Optional::Record => "this kernel cannot record which packets of a proof were dropped",
        }
    }
}

/// A rule, and what it does in words, if it drops something.
#[derive(Clone)]
pub(crate) struct DescribedRule {
    pub(crate) words: Option<String>,
    pub(crate) family: TableFamily,
    pub(crate) rule: NftRule,
}

/// The tables that are wanted, with these of the parts that may be lacking.
pub(crate) fn wanted(interface: Option<&str>, with: &[Optional]) -> Vec<NftTable> {
    let rules = described(interface, with);
    let table = |(family, chains): (TableFamily, Vec<NftChain>)| NftTable {
        family,
        flags: 0,
        owner: None,
        members: chains.len() as u32 + u32::from(with.contains(&Optional::Record)),
        rules: rules
            .iter()
            .filter(|described| described.family == family)
            .map(|described| described.rule.clone())
            .collect(),
        chains,
    };
    let has_rules = |name: &str| rules.iter().any(|described| described.rule.chain == name);
    let inet = chains(TableFamily::Inet).into_iter().filter(|chain| has_rules(&chain.name));
    let bridge = (TableFamily::Bridge, chains(TableFamily::Bridge));
    let bridge = with.contains(&Optional::Bridges).then_some(bridge);
    [(TableFamily::Inet, inet.collect())].into_iter().chain(bridge).map(table).collect()
}

/// All chains that a table may have.
pub(crate) fn chains(family: TableFamily) -> Vec<NftChain> {
    // NF_INET_* of linux/netfilter.h, NF_BR_FORWARD of linux/netfilter_bridge.h; just before the
    // filters of other programs.
    let (hooks, priority): (&[_], _) = match family {
        TableFamily::Inet => (&[(FORWARD, 2), (POSTROUTING, 4), (INPUT, 1)], -10),
        TableFamily::Bridge => (&[(FORWARD, 2)], -210),
    };
    let chain = |(name, hook): &(&str, u32)| NftChain {
        name: (*name).into(),
        kind: "filter".into(),
        hook: *hook,
        priority,
        policy: POLICY_ACCEPT,
        flags: BASE_CHAIN,
    };
    hooks.iter().map(chain).collect()
}

/// All rules in their order, each with what it does in words.
pub(crate) fn described(interface: Option<&str>, with: &[Optional]) -> Vec<DescribedRule> {
    let has = |optional| with.contains(&optional);
    let from = interface.map_or(String::new(), |name| format!(" from {name}"));
    let rule = |chain: &str, what: String, condition: Vec<Vec<Expressions>>| DescribedRule {
        words: Some(format!("drop {what}")),
        family: TableFamily::Inet,
        rule: rule(chain, condition.concat()),
    };
    let incoming = || interface.map_or(vec![], |name| named(MetaKey::Iifname, name));
    let source_routes = has(Optional::SourceRoutes).then(|| {
        let what = format!("forwarded packets{from} with a source route (IPv4)");
        rule(FORWARD, what, vec![incoming(), to_the_forwarder()])
    });
    let mut rules = Vec::new();
    for family in IpFamily::ALL {
        let what = format!("forwarded packets{from} to {}", family.metadata());
        rules.push(rule(FORWARD, what, vec![incoming(), nfproto(family), to_metadata(family)]));
    }
    for family in IpFamily::ALL.into_iter().filter(|_| has(Optional::AfterRouting)) {
        let what = format!("packets{from} that leave for {} after all", family.metadata());
        let incoming = if interface.is_some() { incoming() } else { received() };
        rules.push(rule(POSTROUTING, what, vec![incoming, nfproto(family), to_metadata(family)]));
    }
    for family in IpFamily::ALL.into_iter().filter(|_| has(Optional::Redirected)) {
        let what =
            format!("connections{from} to {} that are redirected to this host", family.metadata());
        let incoming = if interface.is_some() { incoming() } else { not_loopback() };
        rules.push(rule(INPUT, what, vec![incoming, was_to_metadata(family)]));
    }
    for family in IpFamily::ALL.into_iter().filter(|_| has(Optional::Bridges)) {
        let what = format!("frames{from} that a bridge passes on to {}", family.metadata());
        let bridge = interface.map_or(vec![], |name| named(MetaKey::BriIifname, name));
        let condition = vec![bridge, ether_type(family), to_metadata(family)];
        rules.push(DescribedRule { family: TableFamily::Bridge, ..rule(FORWARD, what, condition) });
    }
    let rules = rules.into_iter();
    let rules: Vec<_> =
        if has(Optional::Record) { rules.flat_map(with_record).collect() } else { rules.collect() };
    source_routes.into_iter().chain(rules).collect()
}

/// What drops, behind what records the proof's packets that it will drop.
fn with_record(dropping: DescribedRule) -> [DescribedRule; 2] {
    let NftRule { chain, expressions, .. } = &dropping.rule;
    let condition = &expressions[..expressions.len() - 2];
    let expressions = [condition, &record()].concat();
    let rule = NftRule { chain: chain.clone(), expressions, userdata: comment() };
    [DescribedRule { words: None, family: dropping.family, rule }, dropping]
}

fn rule(chain: &str, mut expressions: Vec<Expressions>) -> NftRule {
    expressions.extend([counter(), drop_packet()]);
    NftRule { chain: chain.into(), expressions, userdata: comment() }
}

/// libnftnl's type, length, value; a comment is type 0 and ends in a NUL.
fn comment() -> Vec<u8> {
    let length = u8::try_from(COMMENT.len() + 1).expect("the comment is short");
    [&[0, length], COMMENT.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_table_is_not_equal_to_the_wanted_one() {
        let [table, bridge] = wanted(None, &Optional::ALL).try_into().unwrap();
        assert_eq!((table.chains.len(), table.rules.len()), (3, 13));
        assert_eq!((bridge.chains.len(), bridge.rules.len()), (1, 4));
        assert_ne!(table, NftTable { flags: 1, ..table.clone() });
        assert_ne!(table, NftTable { members: 5, ..table.clone() });
        assert_ne!(table, NftTable { owner: Some(77), ..table.clone() });
        assert_ne!(
            table,
            NftTable { rules: table.rules.iter().rev().cloned().collect(), ..table.clone() }
        );
    }

    #[test]
    fn kernel_that_lacks_all_optional_parts_gets_one_chain() {
        let [table] = wanted(None, &[]).try_into().unwrap();
        assert_eq!((table.chains.len(), table.rules.len(), table.members), (1, 2, 1));
    }

    #[test]
    fn restricted_rules_all_name_the_interface() {
        for described in described(Some("docker0"), &Optional::ALL) {
            let words = described.words.unwrap_or("from docker0".into());
            assert!(words.contains("from docker0"), "{words}");
            assert!(format!("{:?}", described.rule.expressions[0]).contains("ifname"));
        }
    }
}
