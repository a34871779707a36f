//! The cluster that an agent on this host has joined before.
//!
//! The agent keeps its name in `/var/lib/ecs/data/agent.db` and exits with status 5 when it starts
//! with another one (amazon-ecs-agent agent/app/agent.go). Takes what is known and what is
//! configured; says whether they agree.

/// What is known about an earlier registration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Registered {
    /// `agent.db` is not there, or nobody looked.
    #[default]
    Never,
    /// In this cluster: our own state or the agent's introspection port says so.
    In(String),
    /// `agent.db` is there, and nothing says which cluster it names.
    Unknown,
}

/// Two clusters that the agent would find to differ. Names only: a cluster's name is no secret, but
/// it is a value, so no message shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict;

/// Whether an agent that starts with the configured cluster would exit 5. No name at all means
/// `default`.
pub fn conflict(configured: Option<&str>, registered: &Registered) -> Option<Conflict> {
    let Registered::In(joined) = registered else { return None };
    let configured = configured.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("default");
    (name(configured) != name(joined.trim())).then_some(Conflict)
}

/// The agent may be configured with a name and have saved the ARN that ends in it.
fn name(cluster: &str) -> &str {
    match cluster.strip_prefix("arn:") {
        Some(_) => cluster.rsplit('/').next().unwrap_or(cluster),
        None => cluster,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(name: &str) -> Registered {
        Registered::In(name.to_owned())
    }

    #[test]
    fn another_cluster_than_the_saved_one_is_a_conflict() {
        assert_eq!(conflict(Some("blue"), &joined("green")), Some(Conflict));
        assert_eq!(conflict(None, &joined("green")), Some(Conflict));
        assert_eq!(conflict(Some(""), &joined("default")), None);
        assert_eq!(
            conflict(Some("green"), &joined("arn:aws:ecs:eu-west-1:123456789012:cluster/green")),
            None
        );
    }

    #[test]
    fn without_knowledge_there_is_no_conflict() {
        assert_eq!(conflict(Some("blue"), &Registered::Never), None);
        assert_eq!(conflict(Some("blue"), &Registered::Unknown), None);
    }
}
