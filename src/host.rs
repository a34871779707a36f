//! What this host is, EC2 or external (ECS Anywhere), read from what lies on its disk: nothing is asked and nothing waited for.

use std::path::Path;

use serde::Deserialize;

use crate::ecs_config::readers::ecs_init;
use crate::settings::{Host, Settings};

/// Where the SSM agent keeps its registration. The ECS Anywhere script looks for it at the same place.
pub const REGISTRATION: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
const CONFIGS: [&str; 2] = ["/etc/ecs/ecs.config", "/var/lib/ecs/ecs.config"];

/// A host outside EC2, registered with Systems Manager.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Registration {
    /// `mi-…`; the session of the host's role bears this name.
    #[serde(rename = "instanceID", alias = "InstanceID", default)]
    pub instance_id: String,
    #[serde(alias = "Region", default)]
    pub region: Option<String>,
}

/// The registration, if the SSM agent has one as an external host.
pub fn registration(settings: &Settings) -> Option<Registration> {
    let text = std::fs::read(settings.path(REGISTRATION)).ok()?;
    let found: Registration = serde_json::from_slice(&text).ok()?;
    found.instance_id.starts_with("mi-").then_some(found)
}

/// Whether the host gets its credentials from the SSM agent. Without evidence for it, it is taken for an EC2 instance: then the metadata
/// service has the word.
pub fn is_external(settings: &Settings) -> bool {
    match settings.host {
        Host::Ec2 => false,
        Host::External => true,
        Host::Auto => registration(settings).is_some() || configured(settings, "ECS_EXTERNAL").as_deref() == Some("true"),
    }
}

/// What one of the agent's two files sets, `/etc` first: it wins.
pub fn configured(settings: &Settings, name: &str) -> Option<String> {
    CONFIGS.iter().find_map(|path| set_in(&settings.path(path), name))
}

fn set_in(path: &Path, name: &str) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let value = ecs_init(&bytes).map().get(name.as_bytes()).copied().flatten()?.to_vec();
    String::from_utf8(value).ok().filter(|value| !value.is_empty())
}
