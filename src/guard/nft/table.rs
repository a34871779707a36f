//! The guard's table of nf_tables: the wanted one, and one read from a dump, in the same types, so
//! that `==` compares them in full. Pure.
//!
//! As `nft list` shows it:
//!
//! ```text
//! table inet ecs-bootstrap {
//!     chain forward {
//!         type filter hook forward priority filter - 10; policy accept;
//!         meta nfproto ipv4 fib daddr type local counter drop comment "…"
//!         ip daddr 169.254.169.254 counter drop comment "…"
//!         ip6 daddr fd00:ec2::254 counter drop comment "…"
//!     }
//! }
//! ```
//! A drop is final in any base chain and an accept ends only its own, so no other program's rules
//! can let a packet pass these, and the forward hook excludes the host's own traffic by definition.
//!
//! The first rule closes a detour: a source-routed packet has the host's own address as destination
//! here and gets metadata's only afterwards (possible where `net.ipv4.conf.all.accept_source_route`
//! is 1). No other packet is forwarded to an address of the forwarder. Matching the option instead
//! (`ip option lsrr exists`) misses a packet whose route pointer is already advanced: the kernel
//! parses it for a match as it would a packet of its own, and finds none.

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, Cmp, DataAttribute, ExpressionAttribute, Expressions, Hook, Immediate,
    InetHookNumber, ListAttribute, Meta, MetaKey, Operator, Payload, Register, RuleAttribute,
    TableAttribute, Verdict, VerdictAttribute,
};

use super::super::addresses::IpFamily;

/// The table's name; its family is inet.
pub(crate) const NAME: &str = "ecs-bootstrap";
/// Not `fwd`, which is a reserved word of nft.
pub(crate) const CHAIN: &str = "forward";

const COMMENT: &str = "ecs-bootstrap: containers stay away from instance metadata";
const BEFORE_OTHER_FILTERS: i32 = -10;
pub(crate) const POLICY_ACCEPT: u32 = 1;
const BASE_CHAIN: u32 = 1;
const DROP: u32 = 0;

/// One table with the one chain it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NftTable {
    /// Dormant is a flag: a table may be listed and disabled.
    pub(crate) flags: u32,
    /// Chains, sets and objects inside: more than one means that another program added some.
    pub(crate) members: u32,
    pub(crate) chain: Option<NftChain>,
    pub(crate) rules: Vec<NftRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NftChain {
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

/// The table that is wanted. `source_routes` is false only for kernels that lack the `fib`
/// expression for inet.
pub(crate) fn wanted(interface: Option<&str>, source_routes: bool) -> NftTable {
    let detour = source_routes.then(to_the_forwarder);
    let conditions = detour.into_iter().chain(IpFamily::ALL.map(to_metadata));
    let rules = conditions.map(|condition| rule(interface, condition)).collect();
    let hook = InetHookNumber::Forward.into();
    let chain = NftChain {
        kind: "filter".into(),
        hook,
        priority: BEFORE_OTHER_FILTERS,
        policy: POLICY_ACCEPT,
        flags: BASE_CHAIN,
    };
    NftTable { flags: 0, members: 1, chain: Some(chain), rules }
}

fn rule(interface: Option<&str>, condition: Vec<Expressions>) -> NftRule {
    let expressions = interface
        .map_or(vec![], from_interface)
        .into_iter()
        .chain(condition)
        .chain([counter(), drop_packet()]);
    NftRule { chain: CHAIN.into(), expressions: expressions.collect(), userdata: comment() }
}

/// `ip daddr ADDRESS`, which in family inet begins with the protocol.
fn to_metadata(family: IpFamily) -> Vec<Expressions> {
    const NETWORK_HEADER: u32 = 1;
    let (offset, octets) = match family.metadata() {
        IpAddr::V4(address) => (16, address.octets().to_vec()),
        IpAddr::V6(address) => (24, address.octets().to_vec()),
    };
    let load = vec![
        Payload::DestinationRegister(Register::Reg1),
        Payload::Base(NETWORK_HEADER),
        Payload::Offset(offset),
        Payload::Len(octets.len() as u32),
    ];
    [protocol(family), vec![Expressions::Payload(load), equals(&octets)]].concat()
}

/// `meta nfproto`: NFPROTO_IPV4 or NFPROTO_IPV6 of linux/netfilter.h.
fn protocol(family: IpFamily) -> Vec<Expressions> {
    let number = match family {
        IpFamily::V4 => 2,
        IpFamily::V6 => 10,
    };
    vec![meta(MetaKey::Nfproto), equals(&[number])]
}

/// `iifname NAME`; a trailing `+` or `*` matches any ending, as in iptables and nft.
fn from_interface(name: &str) -> Vec<Expressions> {
    const IFNAMSIZ: usize = 16;
    let mut bytes = name.trim_end_matches(['+', '*']).as_bytes().to_vec();
    if bytes.len() == name.len() {
        bytes.resize(IFNAMSIZ, 0);
    }
    vec![meta(MetaKey::Iifname), equals(&bytes)]
}

/// `fib daddr type local`: linux/netfilter/nf_tables.h, enum nft_fib_attributes.
fn to_the_forwarder() -> Vec<Expressions> {
    const DESTINATION: u32 = 2;
    const ADDRESS_TYPE: u32 = 3;
    const LOCAL: u32 = 2;
    let word = |kind, value: u32| DefaultNla::new(kind, value.to_be_bytes().to_vec());
    let attributes =
        vec![word(1, Register::Reg1.into()), word(2, ADDRESS_TYPE), word(3, DESTINATION)];
    let load = Expressions::Other { expression_type: "fib".into(), attributes };
    [protocol(IpFamily::V4), vec![load, equals(&LOCAL.to_ne_bytes())]].concat()
}

fn meta(key: MetaKey) -> Expressions {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::Reg1)])
}

fn equals(bytes: &[u8]) -> Expressions {
    let data = Cmp::Data(DataAttribute::Value(bytes.to_vec()));
    Expressions::Cmp(vec![Cmp::SourceRegister(Register::Reg1), Cmp::Op(Operator::Equal), data])
}

/// A counter without its numbers, which the kernel counts.
fn counter() -> Expressions {
    Expressions::Other { expression_type: "counter".into(), attributes: vec![] }
}

fn drop_packet() -> Expressions {
    let verdict = DataAttribute::Verdict(vec![VerdictAttribute::Code(Verdict::Other(DROP))]);
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(verdict),
    ])
}

/// libnftnl's type, length, value; a comment is type 0 and ends in a NUL.
fn comment() -> Vec<u8> {
    let length = u8::try_from(COMMENT.len() + 1).expect("the comment is short");
    [&[0, length], COMMENT.as_bytes(), &[0]].concat()
}

/// Reads the attributes of a dumped table.
pub(crate) fn read_table(attributes: &[TableAttribute]) -> NftTable {
    let mut table = NftTable { flags: 0, members: 0, chain: None, rules: vec![] };
    for attribute in attributes {
        match attribute {
            TableAttribute::Flags(flags) => table.flags = flags.bits(),
            TableAttribute::Use(count) => table.members = *count,
            _ => {}
        }
    }
    table
}

/// Reads the attributes of a dumped chain.
pub(crate) fn read_chain(attributes: &[ChainAttribute]) -> NftChain {
    let mut chain = NftChain::default();
    for attribute in attributes {
        match attribute {
            ChainAttribute::Type(kind) => chain.kind.clone_from(kind),
            ChainAttribute::Policy(policy) => chain.policy = *policy,
            ChainAttribute::Flags(flags) => chain.flags = flags.bits(),
            ChainAttribute::Hook(hook) => hook.iter().for_each(|hook| match hook {
                Hook::Number(number) => chain.hook = (*number).into(),
                Hook::Priority(priority) => chain.priority = priority.cast_signed(),
                _ => {}
            }),
            _ => {}
        }
    }
    chain
}

/// Reads a dumped rule, and how many packets its counter has counted.
pub(crate) fn read_rule(attributes: Vec<RuleAttribute>) -> (NftRule, u64) {
    let (mut rule, mut packets) =
        (NftRule { chain: String::new(), expressions: vec![], userdata: vec![] }, 0);
    for attribute in attributes {
        match attribute {
            RuleAttribute::Chain(chain) => rule.chain = chain,
            RuleAttribute::UserData(bytes) => rule.userdata = bytes,
            RuleAttribute::Expressions(list) => {
                rule.expressions =
                    list.into_iter().map(|item| read_expression(item, &mut packets)).collect()
            }
            _ => {}
        }
    }
    (rule, packets)
}

fn read_expression(item: ListAttribute<ExpressionAttribute>, packets: &mut u64) -> Expressions {
    let ListAttribute::Element(attributes) = item else { return Expressions::Unknown(vec![]) };
    let data = attributes.into_iter().find_map(|attribute| match attribute {
        ExpressionAttribute::Data(data) => Some(data),
        _ => None,
    });
    match data {
        Some(Expressions::Other { expression_type, attributes }) => {
            read_other(expression_type, attributes, packets)
        }
        other => other.unwrap_or(Expressions::Unknown(vec![])),
    }
}

/// Expressions that netlink-packet-netfilter has no types for: the counter without its numbers, the
/// others in the order of their attributes' kinds.
fn read_other(
    expression_type: String,
    mut attributes: Vec<DefaultNla>,
    packets: &mut u64,
) -> Expressions {
    const PACKETS: u16 = 2;
    if expression_type == "counter" {
        let mut number = [0; 8];
        let count = attributes.iter().find(|attribute| attribute.kind() == PACKETS);
        if let Some(count) = count.filter(|count| count.value_len() == number.len()) {
            count.emit_value(&mut number);
        }
        *packets += u64::from_be_bytes(number);
        return counter();
    }
    attributes.sort_by_key(Nla::kind);
    Expressions::Other { expression_type, attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_table_is_not_equal_to_the_wanted_one() {
        let table = wanted(None, true);
        assert_eq!(table.rules.len(), 3);
        assert_ne!(table, NftTable { flags: 1, ..table.clone() });
        assert_ne!(table, NftTable { members: 2, ..table.clone() });
        assert_ne!(
            table,
            NftTable { rules: table.rules.iter().rev().cloned().collect(), ..table.clone() }
        );
    }

    #[test]
    fn counters_are_equal_whatever_they_count() {
        let numbers = vec![
            DefaultNla::new(1, 840u64.to_be_bytes().to_vec()),
            DefaultNla::new(2, 14u64.to_be_bytes().to_vec()),
        ];
        let mut packets = 0;
        assert_eq!(read_other("counter".into(), numbers, &mut packets), counter());
        assert_eq!(packets, 14);
    }

    #[test]
    fn interface_matches_whole_unless_it_ends_in_a_plus() {
        let compared = |name| match &from_interface(name)[1] {
            Expressions::Cmp(parts) => format!("{:?}", parts[2]).matches(',').count() + 1,
            other => panic!("{other:?}"),
        };
        assert_eq!(compared("docker0"), 16);
        assert_eq!(compared("br-+"), 3);
    }
}
