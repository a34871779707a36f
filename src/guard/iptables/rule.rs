//! Rules of iptables' FORWARD chain as values, and where they are in a listing. Pure.

use super::super::addresses::{IpFamily, METADATA_V4};

/// A rule without its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IptablesRule {
    arguments: Vec<String>,
}

impl IptablesRule {
    /// `-A FORWARD -d 169.254.169.254/32 -i docker+ -j DROP`: what AWS documents and auditors look
    /// for.
    ///
    /// The source is the ECS developer guide, "Amazon ECS task IAM role". Docker inserts its own
    /// rules above it at every start, so the guard never relies on it.
    pub(crate) fn documented(interface: Option<&str>) -> IptablesRule {
        let destination = format!("{METADATA_V4}/32");
        IptablesRule::drop(&destination, Some(interface.unwrap_or("docker+")))
    }

    /// What earlier versions inserted into the table mangle on kernels without nf_tables.
    pub(crate) fn mangle(family: IpFamily, interface: Option<&str>) -> IptablesRule {
        let prefix = if family == IpFamily::V4 { 32 } else { 128 };
        IptablesRule::drop(&format!("{}/{prefix}", family.metadata()), interface)
    }

    fn drop(destination: &str, interface: Option<&str>) -> IptablesRule {
        let interface = interface.map_or(vec![], |name| vec!["-i", name]);
        let arguments = [&["-d", destination], &*interface, &["-j", "DROP"]].concat();
        IptablesRule { arguments: arguments.into_iter().map(str::to_owned).collect() }
    }

    /// As arguments of iptables.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    /// Whether a line of `iptables -S` is this rule: iptables lists the options in an order of its
    /// own.
    fn is(&self, listed: &str) -> bool {
        let mut listed: Vec<&str> = listed.split_ascii_whitespace().collect();
        let mut arguments = self.arguments();
        listed.sort_unstable();
        arguments.sort_unstable();
        listed == arguments
    }

    /// Where this rule is in a listing of `iptables -S FORWARD`, counted from 1 as iptables counts.
    pub(crate) fn positions(&self, listing: &str) -> Vec<usize> {
        let rules = forward_rules(listing).zip(1..);
        rules.filter(|(rule, _)| self.is(rule)).map(|(_, position)| position).collect()
    }
}

impl std::fmt::Display for IptablesRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.arguments.join(" "))
    }
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
        let text = |interface| IptablesRule::documented(interface).to_string();
        assert_eq!(text(None), "-d 169.254.169.254/32 -i docker+ -j DROP");
        assert_eq!(text(Some("br-web")), "-d 169.254.169.254/32 -i br-web -j DROP");
    }

    #[test]
    fn rule_is_found_whatever_the_order_of_its_options() {
        let rule = IptablesRule::documented(None);
        assert_eq!(rule.positions(AFTER_A_DOCKER_RESTART), [3]);
        assert_eq!(rule.positions("-P FORWARD ACCEPT\n"), [0; 0]);
    }

    #[test]
    fn rule_with_another_condition_is_not_the_same() {
        let narrower = "-A FORWARD -d 169.254.169.254/32 -i docker+ -p tcp -j DROP\n";
        assert!(IptablesRule::documented(None).positions(narrower).is_empty());
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
