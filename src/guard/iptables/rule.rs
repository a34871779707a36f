//! Rules of iptables' FORWARD chain, without their position: arguments of iptables in one text; and
//! where they are in a listing. Pure.

use super::super::addresses::{IpFamily, octets};

/// `-A FORWARD -d 169.254.169.254/32 -i docker+ -j DROP`: what AWS documents and auditors look for.
///
/// The source is the ECS developer guide, "Amazon ECS task IAM role". Docker inserts its own rules
/// above it at every start, so the guard never relies on it.
pub(crate) fn documented(interface: Option<&str>) -> String {
    dropping(IpFamily::V4, Some(interface.unwrap_or("docker+")))
}

/// A rule that drops what comes in by `interface` and is for instance metadata. Earlier versions
/// inserted such rules into the table mangle on kernels without nf_tables.
pub(crate) fn dropping(family: IpFamily, interface: Option<&str>) -> String {
    let address = family.metadata();
    let prefix = 8 * octets(address).len();
    let interface = interface.map_or(String::new(), |name| format!("-i {name} "));
    format!("-d {address}/{prefix} {interface}-j DROP")
}

/// Where this rule is in a listing of `iptables -S FORWARD`, counted from 1 as iptables counts.
/// iptables lists the options in an order of its own.
pub(crate) fn positions(rule: &str, listing: &str) -> Vec<usize> {
    fn sorted(rule: &str) -> Vec<&str> {
        let mut words: Vec<&str> = rule.split_ascii_whitespace().collect();
        words.sort_unstable();
        words
    }
    let wanted = sorted(rule);
    let rules = forward_rules(listing).zip(1..);
    rules.filter(|(listed, _)| sorted(listed) == wanted).map(|(_, position)| position).collect()
}

/// The rules of a listing, without the chain's policy.
fn forward_rules(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.strip_prefix("-A FORWARD "))
}

/// The rules above `position` that may let a packet through: jumps and accepts.
pub(crate) fn preceding_rules(listing: &str, position: usize) -> Vec<String> {
    let above = forward_rules(listing).take(position.saturating_sub(1));
    above
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
    fn documented_rule_is_spelled_as_aws_documents_it() {
        let text = |interface| documented(interface);
        assert_eq!(text(None), "-d 169.254.169.254/32 -i docker+ -j DROP");
        assert_eq!(text(Some("br-web")), "-d 169.254.169.254/32 -i br-web -j DROP");
    }

    #[test]
    fn rule_is_found_whatever_the_order_of_its_options() {
        let rule = documented(None);
        assert_eq!(positions(&rule, AFTER_A_DOCKER_RESTART), [3]);
        assert_eq!(positions(&rule, "-P FORWARD ACCEPT\n"), [0; 0]);
    }

    #[test]
    fn rule_with_another_condition_is_not_the_same() {
        let narrower = "-A FORWARD -d 169.254.169.254/32 -i docker+ -p tcp -j DROP\n";
        assert!(positions(&documented(None), narrower).is_empty());
    }

    #[test]
    fn preceding_rules_are_those_that_may_accept() {
        assert_eq!(
            preceding_rules(AFTER_A_DOCKER_RESTART, 3),
            ["-j DOCKER-USER", "-i docker0 ! -o docker0 -j ACCEPT"]
        );
        assert!(preceding_rules(AFTER_A_DOCKER_RESTART, 1).is_empty());
    }
}
