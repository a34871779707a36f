//! Tables, chains and rules read from the attributes of a dump. Pure.
//!
//! Attributes that are not whole are left out, and so make a difference from what is wanted.

use super::super::netlink::{Message, decoded, string, text, value, values};
use super::expressions::{Expression, counter};
use super::table::{NAME, NftChain, NftRule, NftTable, TableFamily};
use super::{HEADER, TABLE, record};

/// Reads the attributes of a dumped table.
pub(crate) fn read_table(family: TableFamily, message: &Message) -> NftTable {
    const FLAGS: u16 = 2;
    const USE: u16 = 3;
    const OWNER: u16 = 7;
    let table = message.attributes(HEADER);
    let number = |kind| Some(u32::from_be_bytes(value(table, kind)?.try_into().ok()?));
    NftTable {
        family,
        flags: number(FLAGS).unwrap_or_default(),
        owner: number(OWNER),
        members: number(USE).unwrap_or_default(),
        chains: vec![],
        rules: vec![],
    }
}

/// Reads the attributes of a dumped chain.
pub(crate) fn read_chain(message: &Message) -> NftChain {
    let chain = message.attributes(HEADER);
    let mut settings = decoded(chain);
    settings.retain(|kind, _| NftChain::SETTINGS.contains(kind));
    NftChain { name: named(chain, NftChain::NAME), settings }
}

/// Reads a dumped rule, and how many packets its counter has counted, if it is in the guard's table:
/// kernels before 4.9 do not filter a dump by table.
pub(crate) fn read_rule(message: &Message) -> Option<(NftRule, u64)> {
    const ELEMENT: u16 = 1;
    let rule = message.attributes(HEADER);
    let mut packets = 0;
    let list = value(rule, NftRule::EXPRESSIONS).unwrap_or_default();
    let expressions = values(list, ELEMENT).map(|one| read_expression(one, &mut packets)).collect();
    let userdata = value(rule, NftRule::USERDATA).unwrap_or_default().to_vec();
    let chain = named(rule, NftRule::CHAIN);
    let is_own = value(rule, TABLE) == Some(&*text(NAME));
    is_own.then_some((NftRule { chain, expressions, userdata }, packets))
}

/// Without the numbers of a counter, and without what the kernel adds to an update of a set.
fn read_expression(expression: &[u8], packets: &mut u64) -> Expression {
    const NAME: u16 = 1;
    const DATA: u16 = 2;
    const PACKETS: u16 = 2;
    let (name, data) = (named(expression, NAME), value(expression, DATA).unwrap_or_default());
    if name == "counter" {
        let number = value(data, PACKETS).and_then(|number| number.try_into().ok());
        *packets = packets.saturating_add(number.map_or(0, u64::from_be_bytes));
        return counter();
    }
    let mut attributes = decoded(data);
    if name == "dynset" {
        attributes.retain(|kind, _| record::UPDATE.contains(kind));
    }
    Expression { name, attributes }
}

fn named(attributes: &[u8], kind: u16) -> String {
    string(value(attributes, kind).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_equal_whatever_they_count() {
        let numbers =
            [(1, 840u64), (2, 14)].map(|(kind, number)| (kind, number.to_be_bytes().to_vec()));
        let counted = Expression { attributes: numbers.into(), ..counter() };
        let mut packets = 0;
        assert_eq!(read_expression(&counted.encoded(), &mut packets), counter());
        assert_eq!(packets, 14);
    }
}
