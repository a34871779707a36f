//! The conditions and verdicts of the guard's rules, as expressions of nf_tables. Pure.

use std::net::IpAddr;

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Cmp, DataAttribute, Expressions, Immediate, Meta, MetaKey, Operator, Payload, Register,
    Verdict, VerdictAttribute,
};

use super::super::addresses::IpFamily;

const DROP: u32 = 0;

/// `ip daddr ADDRESS`, with the `protocol` that it depends on. Of all packets only those go beyond the
/// first comparison that have the address' first word where their destination would be: loading four
/// bytes and comparing them are the two cheapest expressions that the kernel has.
pub(super) fn to_metadata(
    family: IpFamily,
    protocol: fn(IpFamily) -> Vec<Expressions>,
) -> Vec<Expressions> {
    let octets = octets(family);
    let offset = if family == IpFamily::V4 { 16 } else { 24 };
    let with = |bytes: &[u8]| vec![of_header(offset, bytes.len() as u32), equals(bytes)];
    [with(&octets[..4]), protocol(family), with(&octets)].concat()
}

/// Bytes of the network header.
fn of_header(offset: u32, length: u32) -> Expressions {
    const NETWORK_HEADER: u32 = 1;
    Expressions::Payload(vec![
        Payload::DestinationRegister(Register::Reg1),
        Payload::Base(NETWORK_HEADER),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
}

fn octets(family: IpFamily) -> Vec<u8> {
    match family.metadata() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `meta nfproto`: NFPROTO_IPV4 or NFPROTO_IPV6 of linux/netfilter.h.
pub(super) fn nfproto(family: IpFamily) -> Vec<Expressions> {
    let number = match family {
        IpFamily::V4 => 2,
        IpFamily::V6 => 10,
    };
    vec![meta(MetaKey::Nfproto), equals(&[number])]
}

/// `meta protocol`: ETH_P_IP or ETH_P_IPV6 of linux/if_ether.h.
pub(super) fn ether_type(family: IpFamily) -> Vec<Expressions> {
    let number: u16 = match family {
        IpFamily::V4 => 0x0800,
        IpFamily::V6 => 0x86dd,
    };
    vec![meta(MetaKey::EtherTypeProtocol), equals(&number.to_be_bytes())]
}

/// `iifname NAME`, or `ibrname NAME`; a trailing `+` matches any ending, as in iptables.
pub(super) fn named(key: MetaKey, name: &str) -> Vec<Expressions> {
    let bytes = match name.strip_suffix('+') {
        Some(beginning) => beginning.as_bytes().to_vec(),
        None => whole_name(name),
    };
    vec![meta(key), equals(&bytes)]
}

fn whole_name(name: &str) -> Vec<u8> {
    const IFNAMSIZ: usize = 16;
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(IFNAMSIZ, 0);
    bytes
}

/// `iifname != "lo"`.
pub(super) fn not_loopback() -> Vec<Expressions> {
    vec![meta(MetaKey::Iifname), differs(&whole_name("lo"))]
}

/// `iif != 0`.
pub(super) fn received() -> Vec<Expressions> {
    vec![meta(MetaKey::Iif), differs(&[0; 4])]
}

/// `@nh,0,8 != 0x45 meta nfproto ipv4 fib daddr type local`: linux/netfilter/nf_tables.h, enum nft_fib_attributes. The
/// first byte of an IPv4 header without options is 0x45, and only those with options are worth a
/// look-up.
pub(super) fn to_the_forwarder() -> Vec<Expressions> {
    const DESTINATION: u32 = 2;
    const ADDRESS_TYPE: u32 = 3;
    const LOCAL: u32 = 2;
    let attributes =
        vec![word(1, Register::Reg1.into()), word(2, ADDRESS_TYPE), word(3, DESTINATION)];
    let load = Expressions::Other { expression_type: "fib".into(), attributes };
    let has_options = vec![of_header(0, 1), differs(&[0x45])];
    let to_local = vec![load, equals(&LOCAL.to_ne_bytes())];
    [has_options, nfproto(IpFamily::V4), to_local].concat()
}

/// `ct direction original ct original ip daddr ADDRESS`: enum nft_ct_attributes and nft_ct_keys.
pub(super) fn was_to_metadata(family: IpFamily) -> Vec<Expressions> {
    const DIRECTION: u32 = 1;
    const ORIGINAL: u8 = 0;
    let destination: u32 = match family {
        IpFamily::V4 => 20,
        IpFamily::V6 => 22,
    };
    let load = |key: u32, direction: Option<u8>| {
        let direction = direction.map(|direction| DefaultNla::new(3, vec![direction]));
        let attributes = [word(1, Register::Reg1.into()), word(2, key)].into_iter();
        Expressions::Other {
            expression_type: "ct".into(),
            attributes: attributes.chain(direction).collect(),
        }
    };
    vec![
        load(DIRECTION, None),
        equals(&[ORIGINAL]),
        load(destination, Some(ORIGINAL)),
        equals(&octets(family)),
    ]
}

pub(super) fn word(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

pub(super) fn meta(key: MetaKey) -> Expressions {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::Reg1)])
}

pub(super) fn equals(bytes: &[u8]) -> Expressions {
    compare(Operator::Equal, bytes)
}

fn differs(bytes: &[u8]) -> Expressions {
    compare(Operator::NotEqual, bytes)
}

fn compare(operator: Operator, bytes: &[u8]) -> Expressions {
    let data = Cmp::Data(DataAttribute::Value(bytes.to_vec()));
    Expressions::Cmp(vec![Cmp::SourceRegister(Register::Reg1), Cmp::Op(operator), data])
}

/// A counter without its numbers, which the kernel counts.
pub(super) fn counter() -> Expressions {
    Expressions::Other { expression_type: "counter".into(), attributes: vec![] }
}

pub(super) fn drop_packet() -> Expressions {
    verdict(vec![VerdictAttribute::Code(Verdict::Other(DROP))])
}

pub(super) fn go_to(chain: String) -> Expressions {
    verdict(vec![VerdictAttribute::Code(Verdict::Goto), VerdictAttribute::Chain(chain)])
}

fn verdict(attributes: Vec<VerdictAttribute>) -> Expressions {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(attributes)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_matches_whole_unless_it_ends_in_a_plus() {
        let compared = |name| match &named(MetaKey::Iifname, name)[1] {
            Expressions::Cmp(parts) => format!("{:?}", parts[2]).matches(',').count() + 1,
            other => panic!("{other:?}"),
        };
        assert_eq!(compared("docker0"), 16);
        assert_eq!(compared("br-+"), 3);
    }
}
