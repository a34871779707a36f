//! Tables, chains and rules read from the attributes of a dump. Pure.

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ExpressionAttribute, Expressions, Hook, ListAttribute, RuleAttribute,
    TableAttribute,
};

use super::expressions::counter;
use super::record;
use super::table::{NftChain, NftRule, NftTable, TableFamily};

/// Reads the attributes of a dumped table.
pub(crate) fn read_table(family: TableFamily, attributes: &[TableAttribute]) -> NftTable {
    let (chains, rules) = (vec![], vec![]);
    let mut table = NftTable { family, flags: 0, owner: None, members: 0, chains, rules };
    for attribute in attributes {
        match attribute {
            TableAttribute::Flags(flags) => table.flags = flags.bits(),
            TableAttribute::Owner(port) => table.owner = Some(*port),
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
            ChainAttribute::Name(name) => chain.name.clone_from(name),
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
        *packets = packets.saturating_add(u64::from_be_bytes(number));
        return counter();
    }
    if expression_type == "dynset" {
        attributes.retain(|attribute| record::is_of_update(attribute.kind()));
    }
    attributes.sort_by_key(Nla::kind);
    Expressions::Other { expression_type, attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
