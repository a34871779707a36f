//! Which rules we want, as values: the fence, the rule that AWS documents, and the fence for
//! kernels without nf_tables. Pure.
//!
//! Exactly two addresses are fenced. Task credentials (169.254.170.2), time (169.254.169.123) and
//! DNS (169.254.169.253) stay open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Instance metadata over IPv4, on every instance.
pub(crate) const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Instance metadata over IPv6, on Nitro instances where it is switched on.
pub(crate) const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// Task credentials, as ecs-init redirects them to the agent.
pub(crate) const CREDENTIALS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Family; 2] = [Family::V4, Family::V6];

    pub(crate) fn metadata(self) -> IpAddr {
        match self {
            Family::V4 => METADATA_V4.into(),
            Family::V6 => METADATA_V6.into(),
        }
    }

    /// The VPC's resolver: an address of the same kind that no fence should touch.
    pub(crate) fn control(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(169, 254, 169, 253).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253).into(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// One rule of iptables' FORWARD chain, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    words: Vec<String>,
}

impl Rule {
    /// `-A FORWARD -d 169.254.169.254/32 -i docker+ -j DROP`: what AWS documents and auditors look
    /// for.
    ///
    /// The source is the ECS developer guide, "Amazon ECS task IAM role". It loses its place at
    /// every start of Docker, so it is shown and never relied upon.
    pub(crate) fn documented(interface: Option<&str>) -> Rule {
        Rule::drop(&format!("{METADATA_V4}/32"), Some(interface.unwrap_or("docker+")))
    }

    /// The fence where the kernel has no nf_tables, for `-t mangle`: Docker never writes there.
    pub(crate) fn mangle(family: Family, interface: Option<&str>) -> Rule {
        let host = match family {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        Rule::drop(&format!("{}/{host}", family.metadata()), interface)
    }

    fn drop(destination: &str, interface: Option<&str>) -> Rule {
        let interface = interface.map_or(vec![], |name| vec!["-i", name]);
        let words = ["-d", destination].into_iter().chain(interface).chain(["-j", "DROP"]);
        Rule { words: words.map(str::to_owned).collect() }
    }

    /// As arguments of iptables.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// Whether a line of `iptables -S` is this rule: iptables lists the options in an order of its
    /// own.
    fn is(&self, listed: &str) -> bool {
        let mut there: Vec<&str> = listed.split_ascii_whitespace().collect();
        let mut wanted: Vec<&str> = self.words().collect();
        there.sort_unstable();
        wanted.sort_unstable();
        there == wanted
    }

    /// Where this rule stands in a listing of `iptables -S FORWARD`, counted from 1 as iptables
    /// counts.
    pub(crate) fn places(&self, listing: &str) -> Vec<usize> {
        let rules = forward_rules(listing).enumerate();
        rules.filter(|(_, rule)| self.is(rule)).map(|(index, _)| index + 1).collect()
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.words.join(" "))
    }
}

/// The rules of a listing, without the chain's policy.
pub(crate) fn forward_rules(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.strip_prefix("-A FORWARD "))
}

/// The rules that decide before `place` does, and may let a packet through: jumps and accepts.
pub(crate) fn overtakers(listing: &str, place: usize) -> Vec<String> {
    let before = forward_rules(listing).take(place.saturating_sub(1));
    before
        .filter(|rule| !rule.ends_with("-j DROP") && !rule.contains("-j REJECT"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER_A_DOCKER_RESTART: &str = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n\
        -A FORWARD -i docker+ -d 169.254.169.254/32 -j DROP\n";

    #[test]
    fn the_documented_rule_reads_as_aws_documents_it() {
        assert_eq!(Rule::documented(None).to_string(), "-d 169.254.169.254/32 -i docker+ -j DROP");
        assert_eq!(
            Rule::documented(Some("br-web")).to_string(),
            "-d 169.254.169.254/32 -i br-web -j DROP"
        );
    }

    #[test]
    fn a_sunken_rule_is_found_where_docker_left_it_whatever_the_order_of_its_words() {
        assert_eq!(Rule::documented(None).places(AFTER_A_DOCKER_RESTART), [3]);
        assert_eq!(Rule::documented(None).places("-P FORWARD ACCEPT\n"), [0; 0]);
    }

    #[test]
    fn a_rule_with_one_more_condition_is_another_rule() {
        let narrower = "-A FORWARD -d 169.254.169.254/32 -i docker+ -p tcp -j DROP\n";
        assert!(Rule::documented(None).places(narrower).is_empty());
    }

    #[test]
    fn what_stands_above_the_documented_rule_is_named() {
        assert_eq!(
            overtakers(AFTER_A_DOCKER_RESTART, 3),
            ["-j DOCKER-USER", "-i docker0 ! -o docker0 -j ACCEPT"]
        );
        assert!(overtakers(AFTER_A_DOCKER_RESTART, 1).is_empty());
    }

    #[test]
    fn the_fence_knows_two_addresses_and_the_control_is_neither() {
        assert_eq!(
            Family::ALL.map(|family| family.metadata().to_string()),
            ["169.254.169.254", "fd00:ec2::254"]
        );
        assert_eq!(
            Family::ALL.map(|family| family.control().to_string()),
            ["169.254.169.253", "fd00:ec2::253"]
        );
    }
}
