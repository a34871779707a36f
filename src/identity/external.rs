//! What an external host reports of itself: its registration with Systems Manager, and the
//! credentials that the SSM agent rotates.
//!
//! The SSM agent writes `/root/.aws/credentials` every 30 minutes, valid for 60
//! (aws/amazon-ecs-agent#2665). The metadata service is never asked here: on an EC2 instance that
//! plays an external host it would name the wrong role (aws/amazon-ecs-agent#3604).

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::profile;
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use ecs_config::Effective;
use serde_json::Value;
use tokio::time::Instant;

use super::host_kind::registration;
use super::{Error, HostFacts, HostKind, Identity, is_sendable};
use crate::files;
use crate::net::Vars;
use crate::net::backoff::Poll;
use crate::net::partition::is_region;
use crate::paths;
use crate::settings::Settings;

/// The SSM agent writes whole files, so looking often costs little and a fresh rotation is taken up
/// at once.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Where an external host's credentials are.
#[derive(Debug)]
pub(crate) struct External {
    instance_id: Option<String>,
    pub(super) region: Option<String>,
    file: PathBuf,
    profile: String,
    /// The SSM agent is told not to write credentials down.
    is_unshared: bool,
    deadline: Instant,
    /// The key that STS refused, and why: a rotation brings another.
    refused: RefCell<Option<(String, &'static str)>>,
}

impl External {
    /// Reads the registration; `config` is the agent's.
    pub(super) fn new(
        settings: &Settings,
        config: &Effective,
        vars: &Vars,
        deadline: Instant,
    ) -> Self {
        let registration = registration(settings).unwrap_or_default();
        let file = vars.get("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        let profile = vars.get("AWS_PROFILE").cloned();
        External {
            instance_id: Some(registration.instance_id).filter(|id| !id.is_empty()),
            region: config
                .text("AWS_DEFAULT_REGION")
                .or(registration.region)
                .filter(|region| is_region(region)),
            file: file.unwrap_or_else(|| settings.path(paths::SSM_CREDENTIALS)),
            profile: profile
                .or_else(|| config.text("ECS_ALTERNATE_CREDENTIAL_PROFILE"))
                .unwrap_or_else(|| "default".into()),
            is_unshared: is_unshared(settings),
            deadline,
            refused: RefCell::default(),
        }
    }

    /// What the host reports, once there are credentials that STS has not refused.
    pub(super) async fn facts(&self) -> Result<HostFacts, Error> {
        let reported = Identity {
            kind: HostKind::External,
            instance_id: self.instance_id.clone().ok_or(Error::NotRegistered)?,
            region: self.region.clone(),
            availability_zone: None,
            account_id: None,
            role: None,
            arn: None,
            confirmed_by: None,
        };
        let credentials = self.credentials().await?;
        Ok(HostFacts { reported, instance_type: None, image_id: None, credentials })
    }

    /// Passes over these credentials from now on; whether there is time to wait for others.
    pub(super) fn pass_over(&self, credentials: &Credentials, why: &'static str) -> bool {
        self.refused.replace(Some((credentials.access_key_id().to_owned(), why)));
        Instant::now() < self.deadline
    }

    fn refusal(&self, credentials: &Credentials) -> Option<&'static str> {
        let refused = self.refused.borrow();
        refused.as_ref().filter(|(key, _)| key == credentials.access_key_id()).map(|(_, why)| *why)
    }

    /// Waits for the SSM agent's first or next rotation until the deadline.
    async fn credentials(&self) -> Result<Credentials, Error> {
        let poll = Poll::new(POLL_INTERVAL, self.deadline);
        let mut is_logged = false;
        loop {
            let why = match self.read().await {
                // The SSM agent never writes such ones: no rotation will help.
                Ok(found) if !is_sendable(&found) => {
                    return Err(self.no_credentials("no request can carry what is in it".into()));
                }
                Ok(found) => match self.refusal(&found) {
                    None => {
                        warn_of_readers(&self.file);
                        return Ok(found);
                    }
                    Some(why) => format!("{why}, and it has written no others"),
                },
                Err(why) => why,
            };
            if self.is_unshared {
                return Err(Error::NotShared { why });
            }
            if !is_logged {
                tracing::info!("identity: waiting for the SSM agent: {why}");
            }
            is_logged = true;
            if !poll.wait().await {
                return Err(self.no_credentials(why));
            }
        }
    }

    fn no_credentials(&self, why: String) -> Error {
        Error::NoSsmCredentials { file: self.file.clone(), profile: self.profile.clone(), why }
    }

    async fn read(&self) -> Result<Credentials, String> {
        let text = files::read(&self.file, paths::MAX_CONFIG)
            .map_err(|error| format!("it has written no credentials: {error}"))?;
        in_profile(&String::from_utf8_lossy(&text), &self.profile).await
    }
}

/// The credentials of this profile in the text of a credentials file.
pub(crate) async fn in_profile(text: &str, name: &str) -> Result<Credentials, String> {
    let kind = EnvConfigFileKind::Credentials;
    let files = EnvConfigFiles::builder().with_contents(kind, text).build();
    // The parser's error may quote the file.
    let found = profile::load(&Fs::real(), &Env::from_slice(&[]), &files, None)
        .await
        .map_err(|_| "it has written no profiles".to_owned())?;
    let found =
        found.get_profile(name).ok_or_else(|| format!("the profile `{name}` is missing"))?;
    let get = |key| found.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
    let (Some(id), Some(secret), Some(token)) =
        (get("aws_access_key_id"), get("aws_secret_access_key"), get("aws_session_token"))
    else {
        return Err(format!(
            "the profile `{name}` holds no credentials of a role (key, secret and session token)"
        ));
    };
    Ok(Credentials::new(id, secret, Some(token), None, "ssm-agent"))
}

/// <https://github.com/aws/amazon-ssm-agent/blob/mainline/README.md>, Profile
fn is_unshared(settings: &Settings) -> bool {
    let text = files::read(&settings.path(paths::SSM_CONFIG), paths::MAX_DOCUMENT);
    let config = text.ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    config.is_some_and(|config| config["Profile"]["ShareCreds"] == false)
}

fn warn_of_readers(file: &Path) {
    if std::fs::metadata(file).is_ok_and(|found| found.mode() & 0o077 != 0) {
        tracing::warn!("identity: {} may be read by other users: `chmod 600` it", file.display());
    }
}
