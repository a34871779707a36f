//! Paths, unit names and limits that more than one module uses: each is written here and nowhere
//! else. Paths are those of a real host; `--root` puts them below another folder.

use std::path::{Path, PathBuf};

use ecs_config::effective::ConfigFile;

use crate::files;

/// A path of a real host, below the root. Links of the tree below another root than `/` lead to
/// where they would if that root were `/`: nothing outside of it is read or written. A link in the
/// place of a file that we write is left for the writer to refuse.
pub(crate) fn below(root: &Path, absolute: &str) -> PathBuf {
    let is_written = REPLACED.contains(&absolute) || [LOCK, GUARD_STATE].contains(&absolute);
    files::inside(root, absolute, !is_written)
}

/// The agent's configuration, which systemd, ecs-init and this program read: what `run` installs.
pub(crate) const ECS_CONFIG: &str = ConfigFile::Etc.path();
/// The second file of ecs-init, for one instance: image builds and the ECS Anywhere script write
/// it.
pub(crate) const INSTANCE_CONFIG: &str = ConfigFile::Var.path();
/// The agent's JSON file (`ECS_AGENT_CONFIG_FILE_PATH`, which ecs-init sets to this path).
pub(crate) const JSON_CONFIG: &str = ConfigFile::Json.path();
/// Where the agent keeps the cluster that it has joined.
pub(crate) const AGENT_DB: &str = "/var/lib/ecs/data/agent.db";

/// The settings of this program.
pub(crate) const SETTINGS: &str = "/etc/ecs-bootstrap/ecs-bootstrap.toml";
/// What earlier runs installed. No values.
pub(crate) const STATE: &str = "/var/lib/ecs-bootstrap/state.json";
/// When, and in which boot, a run last verified what is installed. Not synced: lost in a power cut, it
/// leaves the time of the installation.
pub(crate) const VERIFIED: &str = "/var/lib/ecs-bootstrap/verified.json";
/// The file before the last change.
pub(crate) const PREVIOUS_CONFIG: &str = "/var/lib/ecs-bootstrap/ecs.config.previous";
/// The last report of a run.
pub(crate) const REPORT: &str = "/run/ecs-bootstrap/report.json";
/// A later run whose command line or settings were refused.
pub(crate) const REFUSAL: &str = "/run/ecs-bootstrap/refused.json";
/// The agent must still be restarted: written before the file changes, removed after the restart.
/// Below /run, for a reboot starts the agent with the new file anyway.
pub(crate) const RESTART_OWED: &str = "/run/ecs-bootstrap/restart-owed";
/// The files that a run replaces.
pub(crate) const REPLACED: [&str; 7] =
    [ECS_CONFIG, STATE, VERIFIED, PREVIOUS_CONFIG, REPORT, REFUSAL, RESTART_OWED];
/// What the guard has set, and its last proof.
pub(crate) const GUARD_STATE: &str = "/run/ecs-bootstrap/guard.json";
/// One run at a time.
pub(crate) const LOCK: &str = "/run/ecs-bootstrap/lock";

/// Where the SSM agent keeps its registration. The ECS Anywhere script looks for it at the same
/// place.
pub(crate) const SSM_REGISTRATION: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
/// Where the SSM agent writes the credentials of an external host.
pub(crate) const SSM_CONFIG: &str = "/etc/amazon/ssm/amazon-ssm-agent.json";
pub(crate) const SSM_CREDENTIALS: &str = "/root/.aws/credentials";

/// Where the SSM agent of a host looks for custom inventory. <https://docs.aws.amazon.com/systems-manager/latest/userguide/inventory-custom.html>
pub(crate) fn inventory(host: &str) -> String {
    format!("/var/lib/amazon/ssm/{host}/inventory/custom/ecs-bootstrap.json")
}

/// What cloud-init reports of its run, the one of the instance and the one of this boot.
pub(crate) const CLOUD_INIT_RESULTS: [&str; 2] =
    ["/var/lib/cloud/data/result.json", "/run/cloud-init/result.json"];
pub(crate) const CLOUD_INIT_STATUS: [&str; 2] =
    ["/var/lib/cloud/data/status.json", "/run/cloud-init/status.json"];
/// The settings of the Docker daemon.
pub(crate) const DOCKER_CONFIG: &str = "/etc/docker/daemon.json";

/// The agent's units: Amazon Linux, Debian and Red Hat call it `ecs`, SUSE `amazon-ecs`.
pub(crate) const AGENT_UNITS: [&str; 2] = ["ecs.service", "amazon-ecs.service"];
/// What the agent says of itself, once it has registered (its introspection endpoint).
pub(crate) const AGENT_METADATA: &str = "http://127.0.0.1:51678/v1/metadata";
/// The unit of `ecs-bootstrap run`, which the agent's unit waits for.
pub(crate) const RUN_UNIT: &str = "ecs-bootstrap.service";
pub(crate) const DOCKER_UNIT: &str = "docker.service";
/// The unit that keeps containers from instance metadata, before Docker starts.
pub(crate) const GUARD_UNIT: &str = "ecs-bootstrap-guard.service";
/// The units that prove the guard again and again.
pub(crate) const GUARD_VERIFY_UNITS: [&str; 2] =
    ["ecs-bootstrap-guard-verify.service", "ecs-bootstrap-guard-verify.timer"];

/// More than this is not read of any layer or local file, in bytes.
pub(crate) const MAX_CONFIG: usize = ecs_config::MAX_BYTES;
/// So many layers make one configuration, at most.
pub(crate) const MAX_LAYERS: usize = 64;
/// And so many bytes have all of them together, at most.
pub(crate) const MAX_LAYERS_BYTES: usize = 2 * MAX_CONFIG;
/// And so many bytes has the state, which names every variable of one.
pub(crate) const MAX_STATE: usize = 2 * MAX_CONFIG;
/// So many tags has an instance, at most.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
pub(crate) const MAX_TAGS: usize = 50;
/// So many parameters and secrets do the layers of one configuration name, at most.
pub(crate) const MAX_SECRETS: usize = 64;
/// So many variables make one layer, at most; the agent and its like read fewer than 200.
pub(crate) const MAX_KEYS: usize = 4096;
/// And so many lines, comments and all: each costs memory.
pub(crate) const MAX_LINES: usize = 32 * MAX_KEYS;
/// More than this is not read of a document of ours, of IMDS, of STS or of an error, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 64 << 10;
/// So many characters has one text of a report or a log, at most.
pub(crate) const MAX_TEXT: usize = 4096;
/// So many entries has a list in a report, at most.
pub(crate) const MAX_LISTED: usize = 1000;
/// A report has at most so many bytes.
pub(crate) const MAX_REPORT: usize = 512 << 10;
