//! Rule sets in files that the distribution loads at boot or on a restart, and that would undo the
//! guard's rules or those of Docker.

use std::path::Path;

use crate::files::read_text;
use crate::paths::{self, MAX_CONFIG};

/// A file, and what is wrong with it.
pub(crate) struct SavedRules {
    pub(crate) path: &'static str,
    pub(crate) problem: SavedRulesProblem,
    consequence: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SavedRulesProblem {
    FlushesRuleset,
    DockerRules,
    DocumentedRule,
}

const NFTABLES: &[&str] = &["/etc/nftables.conf", "/etc/sysconfig/nftables.conf"];
/// Where `iptables-save >` and `service iptables save` write, as AWS's documentation has it.
const IPTABLES: &[&str] = &[
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/ip6tables",
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
];

/// Which text in which files is a problem, and what follows from it.
#[rustfmt::skip]
const PROBLEMS: [(SavedRulesProblem, &[&str], &[&str], &str); 3] = [
    (SavedRulesProblem::FlushesRuleset, NFTABLES, &["flush ruleset"],
        "loading it deletes every table, the guard's too, until the verify unit restores it"),
    (SavedRulesProblem::DockerRules, IPTABLES, &[":DOCKER", "-A DOCKER"],
        "it holds Docker's rules of the day it was saved: each boot opens what Docker has closed since"),
    (SavedRulesProblem::DocumentedRule, IPTABLES, &["169.254.169.254", "fd00:ec2::254"],
        "it holds a saved copy of the documented rule, which comes back at boot, below Docker's own rules, even after `guard remove`"),
];

impl SavedRules {
    /// The path, and what follows from the problem.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}", self.path, self.consequence)
    }
}

/// What the files below `root` hold, without their comments.
pub(crate) fn saved_rules(root: &Path) -> Vec<SavedRules> {
    let holds = |path: &str, words: &[&str]| {
        let text = read_text(&paths::below(root, path), MAX_CONFIG).unwrap_or_default();
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .any(|line| words.iter().any(|word| line.contains(word)))
    };
    let mut found = Vec::new();
    for (problem, files, words, consequence) in PROBLEMS {
        let holding = files.iter().filter(|path| holds(path, words));
        found.extend(holding.map(|path| SavedRules { path, problem, consequence }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_rules_are_found_outside_comments() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("/etc/nftables.conf", "#!/usr/sbin/nft -f\nflush ruleset\n"),
            ("/etc/sysconfig/iptables", "# -d 169.254.169.254/32 once\n*filter\nCOMMIT\n"),
            (
                "/etc/iptables/rules.v4",
                ":DOCKER - [0:0]\n-A FORWARD -d 169.254.169.254/32 -j DROP\n",
            ),
        ] {
            let path = paths::below(root.path(), path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = saved_rules(root.path());
        assert_eq!(
            found.iter().map(|found| (found.path, found.problem)).collect::<Vec<_>>(),
            [
                ("/etc/nftables.conf", SavedRulesProblem::FlushesRuleset),
                ("/etc/iptables/rules.v4", SavedRulesProblem::DockerRules),
                ("/etc/iptables/rules.v4", SavedRulesProblem::DocumentedRule),
            ]
        );
    }
}
