//! The guard's tables of nf_tables: the wanted ones, and those read from a dump, in the same types,
//! so that `==` compares them in full. Pure.
//!
//! As `nft list` shows them, without counters and comments:
//!
//! ```text
//! table inet ecs-bootstrap {
//!     chain forward {
//!         type filter hook forward priority filter - 10; policy accept;
//!         @nh,0,8 != 0x45 meta nfproto ipv4 fib daddr type local goto forward-drop
//!         @nh,128,32 0xa9fea9fe ip daddr 169.254.169.254 goto forward-drop
//!         @nh,192,32 0xfd000ec2 ip6 daddr fd00:ec2::254 goto forward-drop
//!     }
//!     chain forward-drop {
//!         meta l4proto tcp @th,96,8 0x50 update @probed { @th,32,32 }
//!         drop
//!     }
//!     chain postrouting {
//!         type filter hook postrouting priority filter - 10; policy accept;
//!         @nh,128,32 0xa9fea9fe ip daddr 169.254.169.254 iif != 0 goto postrouting-drop
//!         @nh,192,32 0xfd000ec2 ip6 daddr fd00:ec2::254 iif != 0 goto postrouting-drop
//!     }
//!     chain postrouting-drop { … }
//!     chain input {
//!         type filter hook input priority filter - 10; policy accept;
//!         ct direction original ct original ip daddr 169.254.169.254 iifname != "lo" goto input-drop
//!         ct direction original ct original ip6 daddr fd00:ec2::254 iifname != "lo" goto input-drop
//!     }
//!     chain input-drop { … }
//! }
//! table bridge ecs-bootstrap {
//!     chain forward {
//!         type filter hook forward priority filter - 10; policy accept;
//!         @nh,128,32 0xa9fea9fe ip daddr 169.254.169.254 goto forward-drop
//!         @nh,192,32 0xfd000ec2 ip6 daddr fd00:ec2::254 goto forward-drop
//!     }
//!     chain forward-drop { … }
//! }
//! ```
//! Every packet that the host forwards passes these chains, and hardly any is for metadata: each
//! condition begins with the comparison that rules out most packets at the least cost. What drops,
//! and what records the proof's packets before (see `record`), has a chain of its own behind each.
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

use nix::libc;

use super::super::addresses::IpFamily;
use super::super::netlink::{Attributes, attribute, encoded, text};
use super::expressions::{
    Expression, counter, drop_packet, ether_type, go_to, named, nfproto, not_loopback, received,
    to_metadata, to_the_forwarder, was_to_metadata, word,
};
use super::record;

/// The name of both tables.
pub(crate) const NAME: &str = "ecs-bootstrap";
/// Not `fwd`, which is a reserved word of nft.
const FORWARD: &str = "forward";
const POSTROUTING: &str = "postrouting";
const INPUT: &str = "input";

const COMMENT: &str = "ecs-bootstrap: containers stay away from instance metadata";

/// The family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableFamily {
    Inet = libc::NFPROTO_INET as isize,
    Bridge = libc::NFPROTO_BRIDGE as isize,
}

impl TableFamily {
    pub(crate) const ALL: [TableFamily; 2] = [TableFamily::Inet, TableFamily::Bridge];
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
    /// Those of [`NftChain::SETTINGS`]; none where packets come from another chain, not by a hook.
    pub(super) settings: Attributes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NftRule {
    pub(crate) chain: String,
    pub(crate) expressions: Vec<Expression>,
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

impl NftChain {
    pub(super) const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    const TYPE: u16 = 7;
    const FLAGS: u16 = 10;
    pub(super) const SETTINGS: [u16; 4] =
        [NftChain::HOOK, NftChain::POLICY, NftChain::TYPE, NftChain::FLAGS];

    /// One that filters what comes by this hook, just before other programs' filters.
    fn base(name: &str, hook: i32, priority: i32) -> NftChain {
        const BASE_CHAIN: i32 = 1; // NFT_CHAIN_BASE
        let hook = [attribute(1, word(hook)), attribute(2, word(priority))].concat();
        let settings = [
            (NftChain::HOOK, hook),
            (NftChain::POLICY, word(libc::NF_ACCEPT)),
            (NftChain::TYPE, text("filter")),
            (NftChain::FLAGS, word(BASE_CHAIN)),
        ];
        NftChain { name: name.into(), settings: settings.into() }
    }

    /// Whether a packet passes that no rule in it drops.
    pub(super) fn accepts(&self) -> bool {
        self.settings.get(&NftChain::POLICY) == Some(&word(libc::NF_ACCEPT))
    }

    pub(super) fn encoded(&self) -> Vec<u8> {
        [attribute(NftChain::NAME, text(&self.name)), encoded(&self.settings)].concat()
    }
}

impl NftRule {
    pub(super) const CHAIN: u16 = 2;
    pub(super) const EXPRESSIONS: u16 = 4;
    pub(super) const USERDATA: u16 = 7;

    pub(super) fn encoded(&self) -> Vec<u8> {
        const ELEMENT: u16 = 1;
        let expressions = self.expressions.iter().map(|one| attribute(ELEMENT, one.encoded()));
        let expressions: Vec<_> = expressions.collect();
        [
            attribute(NftRule::CHAIN, text(&self.chain)),
            attribute(NftRule::EXPRESSIONS, expressions.concat()),
            attribute(NftRule::USERDATA, &self.userdata),
        ]
        .concat()
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

/// A rule that selects packets to be dropped, and what that means in words.
pub(crate) struct Condition {
    pub(crate) words: String,
    pub(crate) family: TableFamily,
    pub(crate) rule: NftRule,
}

/// The tables that are wanted, with these of the parts that may be lacking.
pub(crate) fn wanted(interface: Option<&str>, with: &[Optional]) -> Vec<NftTable> {
    let conditions = conditions(interface, with);
    let record = with.contains(&Optional::Record);
    let table = |family| {
        let (mut chains, mut rules) = (vec![], vec![]);
        for [base, behind] in base_chains(family) {
            let of_chain = conditions.iter().filter(|condition| {
                (condition.family, &condition.rule.chain) == (family, &base.name)
            });
            let of_chain: Vec<_> = of_chain.map(|condition| condition.rule.clone()).collect();
            let Some(first) = of_chain.first() else { continue };
            let record = record.then(|| rule(behind.name.clone(), record::record()));
            let drop = dropping(first);
            rules.extend(of_chain.into_iter().chain(record).chain([drop]));
            chains.extend([base, behind]);
        }
        let members = chains.len() as u32 + u32::from(record);
        NftTable { family, flags: 0, owner: None, members, chains, rules }
    };
    TableFamily::ALL.map(table).into_iter().filter(|table| !table.rules.is_empty()).collect()
}

/// The chains by which packets come to a table, each with the one behind it.
pub(super) fn base_chains(family: TableFamily) -> Vec<[NftChain; 2]> {
    let (hooks, priority): (&[_], _) = match family {
        TableFamily::Inet => (
            &[
                (FORWARD, libc::NF_INET_FORWARD),
                (POSTROUTING, libc::NF_INET_POST_ROUTING),
                (INPUT, libc::NF_INET_LOCAL_IN),
            ],
            -10,
        ),
        TableFamily::Bridge => (&[(FORWARD, libc::NF_BR_FORWARD)], -210),
    };
    let chains = |(name, hook): &(&str, i32)| {
        let behind = NftChain { name: drop_chain(name), ..NftChain::default() };
        [NftChain::base(name, *hook, priority), behind]
    };
    hooks.iter().map(chains).collect()
}

/// The chain that drops what the conditions of this one select.
fn drop_chain(chain: &str) -> String {
    format!("{chain}-drop")
}

/// The rule that drops what `condition` selects.
pub(crate) fn dropping(condition: &NftRule) -> NftRule {
    rule(drop_chain(&condition.chain), vec![counter(), drop_packet()])
}

/// The conditions of all chains, in the order of their rules.
pub(crate) fn conditions(interface: Option<&str>, with: &[Optional]) -> Vec<Condition> {
    let families = |part| IpFamily::ALL.into_iter().filter(move |_| with.contains(&part));
    let from = interface.map_or(String::new(), |name| format!(" from {name}"));
    let condition = |chain: &str, what: String, conditions: [Vec<Expression>; 2]| Condition {
        words: format!("drop {what}"),
        family: TableFamily::Inet,
        rule: rule(chain.into(), [conditions.concat(), vec![go_to(&drop_chain(chain))]].concat()),
    };
    let incoming =
        |otherwise| interface.map_or(otherwise, |name| named(libc::NFT_META_IIFNAME, name));
    let mut rules = Vec::new();
    if with.contains(&Optional::SourceRoutes) {
        let what = format!("forwarded packets{from} with a source route (IPv4)");
        rules.push(condition(FORWARD, what, [to_the_forwarder(), incoming(vec![])]));
    }
    for family in IpFamily::ALL {
        let what = format!("forwarded packets{from} to {}", family.metadata());
        let to_metadata = to_metadata(family, nfproto);
        rules.push(condition(FORWARD, what, [to_metadata, incoming(vec![])]));
    }
    for family in families(Optional::AfterRouting) {
        let what = format!("packets{from} that leave for {} after all", family.metadata());
        let to_metadata = to_metadata(family, nfproto);
        rules.push(condition(POSTROUTING, what, [to_metadata, incoming(received())]));
    }
    for family in families(Optional::Redirected) {
        let what =
            format!("connections{from} to {} that are redirected to this host", family.metadata());
        let was_to_metadata = was_to_metadata(family);
        rules.push(condition(INPUT, what, [was_to_metadata, incoming(not_loopback())]));
    }
    for family in families(Optional::Bridges) {
        let what = format!("frames{from} that a bridge passes on to {}", family.metadata());
        let bridge = interface.map_or(vec![], |name| named(libc::NFT_META_BRI_IIFNAME, name));
        let frame = condition(FORWARD, what, [to_metadata(family, ether_type), bridge]);
        rules.push(Condition { family: TableFamily::Bridge, ..frame });
    }
    rules
}

fn rule(chain: String, expressions: Vec<Expression>) -> NftRule {
    // libnftnl's type, length, value; a comment is type 0 and ends in a NUL.
    let length = u8::try_from(COMMENT.len() + 1).expect("the comment is short");
    let userdata = [&[0, length], COMMENT.as_bytes(), &[0]].concat();
    NftRule { chain, expressions, userdata }
}

#[cfg(test)]
mod tests {
    use super::super::expressions::meta;
    use super::*;

    #[test]
    fn altered_table_is_not_equal_to_the_wanted_one() {
        let [table, bridge] = wanted(None, &Optional::ALL).try_into().unwrap();
        assert_eq!((table.chains.len(), table.rules.len(), table.members), (6, 13, 7));
        assert_eq!((bridge.chains.len(), bridge.rules.len(), bridge.members), (2, 4, 3));
        assert_ne!(table, NftTable { flags: 1, ..table.clone() });
        assert_ne!(table, NftTable { members: 8, ..table.clone() });
        assert_ne!(table, NftTable { owner: Some(77), ..table.clone() });
        assert_ne!(
            table,
            NftTable { rules: table.rules.iter().rev().cloned().collect(), ..table.clone() }
        );
    }

    #[test]
    fn kernel_that_lacks_all_optional_parts_gets_one_hook() {
        let [table] = wanted(None, &[]).try_into().unwrap();
        assert_eq!((table.chains.len(), table.rules.len(), table.members), (2, 3, 2));
    }

    #[test]
    fn restricted_conditions_all_name_the_interface() {
        for described in conditions(Some("docker0"), &Optional::ALL) {
            let words = described.words;
            assert!(words.contains("from docker0"), "{words}");
            let has_name = |key| described.rule.expressions.contains(&meta(key));
            assert!(has_name(libc::NFT_META_IIFNAME) || has_name(libc::NFT_META_BRI_IIFNAME));
        }
    }

    #[test]
    fn ordinary_packet_costs_each_condition_two_expressions() {
        for described in conditions(None, &Optional::ALL) {
            let [load, compare] = described.rule.expressions.first_chunk().unwrap();
            assert!(described.rule.chain == INPUT || load.name == "payload", "{load:?}");
            assert_eq!(compare.name, "cmp");
        }
    }
}
