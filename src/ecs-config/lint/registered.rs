//! The cluster that an agent on this host has joined before.
//!
//! The agent keeps its name in `/var/lib/ecs/data/agent.db` and exits with status 5 when it starts
//! with another one (aws/amazon-ecs-agent, agent/app/agent.go). It compares strings: a cluster's name
//! and its ARN are two clusters to it.

/// What is known about an earlier registration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Registered {
    /// `agent.db` is missing, or was not looked for.
    #[default]
    Never,
    /// In this cluster, as our own state or the agent's introspection port reports.
    In(String),
    /// `agent.db` is there, and the cluster in it is unknown.
    Unknown,
}

impl Registered {
    /// Whether an agent that starts with the configured cluster would exit with status 5. No name
    /// at all means `default`.
    pub fn conflicts_with(&self, configured: Option<&str>) -> bool {
        let Registered::In(joined) = self else { return false };
        let configured = configured.map(str::trim).filter(|name| !name.is_empty());
        configured.unwrap_or("default") != joined.trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(configured: Option<&str>, joined: &str) -> bool {
        Registered::In(joined.to_owned()).conflicts_with(configured)
    }

    #[test]
    fn another_cluster_than_the_saved_one_conflicts() {
        assert!(conflict(Some("blue"), "green"));
        assert!(conflict(None, "green"));
        assert!(!conflict(Some(""), "default"));
        assert!(conflict(Some("green"), "arn:aws:ecs:eu-west-1:123456789012:cluster/green"));
        assert!(conflict(Some("arn:aws:ecs:eu-west-1:123456789012:cluster/green"), "green"));
    }

    #[test]
    fn an_unknown_registration_does_not_conflict() {
        assert!(!Registered::Never.conflicts_with(Some("blue")));
        assert!(!Registered::Unknown.conflicts_with(Some("blue")));
    }
}
