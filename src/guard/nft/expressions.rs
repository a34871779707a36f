//! The conditions and verdicts of the guard's rules, as expressions of nf_tables. Pure.
//!
//! Kinds of attributes are those of linux/netfilter/nf_tables.h: of each expression's own enum.

use nix::libc;

use super::super::addresses::{IpFamily, number, octets};
use super::super::netlink::{Attributes, attribute, encoded, text};

/// An expression: what is sent, and what is compared with the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(super) name: String,
    pub(super) attributes: Attributes,
}

impl Expression {
    pub(super) fn encoded(&self) -> Vec<u8> {
        [attribute(1, text(&self.name)), attribute(2, encoded(&self.attributes))].concat()
    }
}

/// `ip daddr ADDRESS`, with the `protocol` that it depends on. Of all packets only those go beyond the
/// first comparison that have the address' first word where their destination would be: loading four
/// bytes and comparing them are the two cheapest expressions that the kernel has.
pub(super) fn to_metadata(
    family: IpFamily,
    protocol: fn(IpFamily) -> Vec<Expression>,
) -> Vec<Expression> {
    let octets = octets(family.metadata());
    let offset = if family == IpFamily::V4 { 16 } else { 24 };
    let with = |bytes: &[u8]| vec![of_network_header(offset, bytes.len()), equals(bytes)];
    [with(&octets[..4]), protocol(family), with(&octets)].concat()
}

/// `meta nfproto`, which are the numbers of the address families.
pub(super) fn nfproto(family: IpFamily) -> Vec<Expression> {
    vec![meta(libc::NFT_META_NFPROTO), equals(&[number(family.metadata())])]
}

/// `meta protocol`.
pub(super) fn ether_type(family: IpFamily) -> Vec<Expression> {
    let number = if family == IpFamily::V4 { libc::ETH_P_IP } else { libc::ETH_P_IPV6 };
    vec![meta(libc::NFT_META_PROTOCOL), equals(&(number as u16).to_be_bytes())]
}

/// `iifname NAME`, or `ibrname NAME`; a trailing `+` matches any ending, as in iptables.
pub(super) fn named(key: i32, name: &str) -> Vec<Expression> {
    let beginning = name.strip_suffix('+').map(|beginning| beginning.as_bytes().to_vec());
    vec![meta(key), equals(&beginning.unwrap_or_else(|| whole_name(name)))]
}

fn whole_name(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(libc::IFNAMSIZ, 0);
    bytes
}

/// `iifname != "lo"`.
pub(super) fn not_loopback() -> Vec<Expression> {
    vec![meta(libc::NFT_META_IIFNAME), differs(&whole_name("lo"))]
}

/// `iif != 0`.
pub(super) fn received() -> Vec<Expression> {
    vec![meta(libc::NFT_META_IIF), differs(&[0; 4])]
}

/// `@nh,0,8 != 0x45 meta nfproto ipv4 fib daddr type local`. The first byte of an IPv4 header
/// without options is 0x45, and only those with options are worth a look-up.
pub(super) fn to_the_forwarder() -> Vec<Expression> {
    const DESTINATION: i32 = 2;
    const ADDRESS_TYPE: i32 = 3;
    const LOCAL: u32 = 2;
    let load = load("fib", [(2, word(ADDRESS_TYPE)), (3, word(DESTINATION))]);
    let has_options = vec![of_network_header(0, 1), differs(&[0x45])];
    let to_local = vec![load, equals(&LOCAL.to_ne_bytes())];
    [has_options, nfproto(IpFamily::V4), to_local].concat()
}

/// `ct direction original ct original ip daddr ADDRESS`.
pub(super) fn was_to_metadata(family: IpFamily) -> Vec<Expression> {
    const ORIGINAL: u8 = 0;
    let destination = match family {
        IpFamily::V4 => libc::NFT_CT_DST_IP,
        IpFamily::V6 => libc::NFT_CT_DST_IP6,
    };
    vec![
        load("ct", [(2, word(libc::NFT_CT_DIRECTION))]),
        equals(&[ORIGINAL]),
        load("ct", [(2, word(destination)), (3, vec![ORIGINAL])]),
        equals(&octets(family.metadata())),
    ]
}

fn of_network_header(offset: i32, length: usize) -> Expression {
    payload(libc::NFT_PAYLOAD_NETWORK_HEADER, offset, length as i32)
}

/// Bytes of one of a packet's headers.
pub(super) fn payload(header: i32, offset: i32, length: i32) -> Expression {
    load("payload", [(2, word(header)), (3, word(offset)), (4, word(length))])
}

pub(super) fn meta(key: i32) -> Expression {
    load("meta", [(2, word(key))])
}

/// What is loaded into the register that is compared next.
fn load(name: &str, attributes: impl Into<Attributes>) -> Expression {
    let mut load = expression(name, attributes);
    load.attributes.insert(1, word(libc::NFT_REG_1));
    load
}

pub(super) fn expression(name: &str, attributes: impl Into<Attributes>) -> Expression {
    Expression { name: name.into(), attributes: attributes.into() }
}

pub(super) fn word(value: i32) -> Vec<u8> {
    value.to_be_bytes().into()
}

pub(super) fn equals(bytes: &[u8]) -> Expression {
    compare(libc::NFT_CMP_EQ, bytes)
}

fn differs(bytes: &[u8]) -> Expression {
    compare(libc::NFT_CMP_NEQ, bytes)
}

fn compare(operator: i32, bytes: &[u8]) -> Expression {
    const VALUE: u16 = 1; // NFTA_DATA_VALUE
    let data = attribute(VALUE, bytes);
    expression("cmp", [(1, word(libc::NFT_REG_1)), (2, word(operator)), (3, data)])
}

/// A counter without its numbers, which the kernel counts.
pub(super) fn counter() -> Expression {
    expression("counter", [])
}

pub(super) fn drop_packet() -> Expression {
    verdict(attribute(1, word(libc::NF_DROP)))
}

pub(super) fn go_to(chain: &str) -> Expression {
    verdict([attribute(1, word(libc::NFT_GOTO)), attribute(2, text(chain))].concat())
}

fn verdict(attributes: Vec<u8>) -> Expression {
    const VERDICT: u16 = 2; // NFTA_DATA_VERDICT
    let data = attribute(VERDICT, attributes);
    expression("immediate", [(1, word(libc::NFT_REG_VERDICT)), (2, data)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_matches_whole_unless_it_ends_in_a_plus() {
        let compared = |name| named(libc::NFT_META_IIFNAME, name)[1].attributes[&3].len() - 4;
        assert_eq!(compared("docker0"), 16);
        assert_eq!(compared("br-+"), 4, "three letters and padding");
    }
}
