//! What kind of host this is, EC2 or external (ECS Anywhere), by its files and its firmware:
//! nothing is asked and nothing waited for. Only without any such evidence the metadata service
//! decides.

use std::fmt;

use ecs_config::Effective;
use ecs_config::effective::Setting;
use ecs_config::merge;
use ecs_config::text::printable;
use serde::Deserialize;

use crate::files::{self, HostFiles};
use crate::net::partition::is_instance_id;
use crate::paths::{self, MAX_DOCUMENT};
use crate::settings::{Host, Settings};

/// A host outside EC2, registered with Systems Manager.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(crate) struct Registration {
    /// `mi-…`; the session of the host's role has this name.
    #[serde(rename = "instanceID", alias = "InstanceID", default)]
    pub(crate) instance_id: String,
    #[serde(alias = "Region", default)]
    pub(crate) region: Option<String>,
}

/// The registration, if the SSM agent has one as an external host.
pub(crate) fn registration(settings: &Settings) -> Option<Registration> {
    parse_registration(&files::read(&settings.path(paths::SSM_REGISTRATION), MAX_DOCUMENT).ok()?)
}

/// The registration of a managed instance.
pub(crate) fn parse_registration(text: &[u8]) -> Option<Registration> {
    let found: Registration = serde_json::from_slice(text).ok()?;
    let instance_id = printable(&found.instance_id);
    let is_managed = instance_id.starts_with("mi-") && is_instance_id(&instance_id);
    is_managed.then_some(Registration { instance_id, ..found })
}

/// What a host is taken for, and by which evidence, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The setting `host`.
    Set { external: bool },
    /// The SSM agent's registration, with this `mi-` id. It is stronger than the firmware: an EC2
    /// instance may play an external host.
    Registered(String),
    /// `ECS_EXTERNAL=true` in this one of the agent's files.
    Configured(&'static str),
    /// A field of the firmware that only EC2 writes so.
    Firmware { field: &'static str, value: String },
    /// Nothing; the machine's vendor, if the firmware names one. A foreign vendor proves nothing:
    /// virtual machines on EC2's bare metal have one too.
    None { vendor: Option<String> },
}

impl Evidence {
    /// Weighs what is there.
    pub(crate) fn of(settings: &Settings, config: &Effective) -> Self {
        match settings.host {
            Host::Ec2 => return Evidence::Set { external: false },
            Host::External => return Evidence::Set { external: true },
            Host::Auto => {}
        }
        if let Some(registration) = registration(settings) {
            return Evidence::Registered(registration.instance_id);
        }
        match config.get("ECS_EXTERNAL") {
            Some(set) if is_true(&set) => Evidence::Configured(set.file.path()),
            _ => firmware(settings).unwrap_or_else(|| Evidence::None { vendor: vendor(settings) }),
        }
    }

    /// Whether the host gets its credentials from the SSM agent.
    pub(crate) fn is_external(&self) -> bool {
        matches!(
            self,
            Evidence::Registered(_) | Evidence::Configured(_) | Evidence::Set { external: true }
        )
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if self.is_external() { "external (ECS Anywhere): " } else { "EC2: " })?;
        match self {
            Evidence::Set { .. } => f.write_str("by the setting `host`"),
            Evidence::Registered(id) => write!(f, "the SSM agent is registered as {id}"),
            Evidence::Configured(path) => write!(f, "{path} sets ECS_EXTERNAL=true"),
            Evidence::Firmware { field, value } => write!(f, "the firmware's {field} is {value}"),
            Evidence::None { vendor: Some(vendor) } => {
                write!(
                    f,
                    "no sign that it is external, though the machine's vendor is {vendor}; instance metadata decides"
                )
            }
            Evidence::None { vendor: None } => f.write_str(
                "no sign that it is external, and no firmware to read; instance metadata decides",
            ),
        }
    }
}

/// A field of the firmware, and whether its value is EC2's.
type Sign = (&'static str, fn(&str) -> bool);

/// What AWS documents as signs of an EC2 instance, and what its firmware is seen to hold: Nitro and
/// bare metal, then Xen. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html>
const FIRMWARE: [Sign; 4] = [
    ("sys_vendor", |vendor| vendor.starts_with("Amazon")),
    ("board_asset_tag", |tag| tag.starts_with("i-")),
    ("bios_version", |version| version.ends_with(".amazon")),
    ("product_uuid", is_ec2s),
];

/// Whether the firmware is one that EC2 gives its instances.
pub(crate) fn firmware(settings: &Settings) -> Option<Evidence> {
    FIRMWARE.into_iter().find_map(|(field, is_ec2s)| {
        let value = dmi(settings, field).filter(|value| is_ec2s(value))?;
        Some(Evidence::Firmware { field, value })
    })
}

/// Who made the machine, by the firmware. Xen instances of EC2 name Xen.
pub(crate) fn vendor(settings: &Settings) -> Option<String> {
    dmi(settings, "sys_vendor")
}

fn dmi(settings: &Settings, field: &str) -> Option<String> {
    let path = settings.path(&format!("/sys/class/dmi/id/{field}"));
    files::read_text(&path, MAX_DOCUMENT)
        .map(|text| printable(&text))
        .filter(|value| !value.is_empty())
}

/// A UUID begins with EC2, or with the same bytes from the other end, as SMBIOS 2.4 writes them.
fn is_ec2s(uuid: &str) -> bool {
    let uuid = uuid.to_ascii_lowercase();
    uuid.starts_with("ec2") || (uuid.get(6..8) == Some("ec") && uuid.get(4..5) == Some("2"))
}

/// Whether AWS Batch writes this host's `ecs.config`: its keys stay its own.
pub(crate) fn is_batch(files: &HostFiles) -> bool {
    files.ecs_config().is_some_and(merge::is_batch)
}

/// How such a host is called, for people: in the report's JSON it is of kind `ec2`.
pub(crate) const OF_BATCH: &str = ", in a compute environment of AWS Batch";

/// The tag by which AWS Batch, and its service-linked role, know its instances.
pub(crate) const BATCH_TAG: &str = "AWSBatchServiceTag";

/// What the agent misses on an external host, besides registration and credentials: these keys tell
/// it where it is.
pub(crate) fn missing(config: &Effective) -> Vec<String> {
    let [etc, var] = [paths::ECS_CONFIG, paths::INSTANCE_CONFIG];
    let external = match config.get("ECS_EXTERNAL") {
        Some(set) if is_true(&set) => None,
        Some(_) => Some(format!(
            "ECS_EXTERNAL is not exactly `true` in {etc} or {var}: ecs-init would take this host for an EC2 instance"
        )),
        None => Some(format!(
            "ECS_EXTERNAL=true is in neither {etc} nor {var}: the agent would take this host for an EC2 instance"
        )),
    };
    let region = config.text("AWS_DEFAULT_REGION").is_none().then(|| {
        format!("AWS_DEFAULT_REGION is in neither {etc} nor {var}: the agent exits without it, and AWS_REGION alone is not enough")
    });
    external.into_iter().chain(region).collect()
}

/// As ecs-init reads it: no other spelling of a boolean will do
/// (aws/amazon-ecs-agent: ecs-init/config/common.go, RunningInExternal).
fn is_true(set: &Setting<'_>) -> bool {
    set.value == b"true"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ec2_uuid_is_recognised_in_either_byte_order() {
        let of_ec2 = [
            "EC2E1916-9099-7CAF-FD21-012345ABCDEF",
            "ec2e1916-9099",
            "45E12AEC-DCD1-B213-94ED-012345ABCDEF",
        ];
        let of_others =
            ["", "e", "4c4c4544-0046-3610-8031-b9c04f503532", "4d3adeec-1111", "é5E12AEC-DCD1"];
        assert!(of_ec2.into_iter().all(is_ec2s));
        assert!(!of_others.into_iter().any(is_ec2s));
    }
}
