//! An external host's account of itself: its registration with Systems Manager, and the credentials
//! that the SSM agent rotates.
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
use tokio::time::{Instant, sleep};

use super::{Claim, Error};
use crate::identity::host_kind;
use crate::paths;
use crate::settings::Settings;
/// The SSM agent writes whole files, so looking often costs little and a fresh rotation is taken up
/// at once.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Where an external host's credentials are.
#[derive(Debug)]
pub(crate) struct External {
    instance_id: Option<String>,
    region: Option<String>,
    file: PathBuf,
    profile: String,
    deadline: Instant,
    /// The key that STS refused, and why: a rotation brings another.
    refused: RefCell<Option<(String, &'static str)>>,
}

impl External {
    /// Reads the registration and the agent's files; `variables` are those of the process.
    pub(crate) fn new<'a>(
        settings: &Settings,
        variables: impl Iterator<Item = (&'a str, &'a str)>,
        deadline: Instant,
    ) -> Self {
        let (mut file, mut profile) = (None, None);
        for (name, value) in variables.filter(|(_, value)| !value.is_empty()) {
            match name {
                "AWS_SHARED_CREDENTIALS_FILE" => file = Some(PathBuf::from(value)),
                "AWS_PROFILE" => profile = Some(value.to_owned()),
                _ => {}
            }
        }
        let registration = host_kind::registration(settings).unwrap_or_default();
        let configured = |name| host_kind::configured(settings, name);
        External {
            instance_id: Some(registration.instance_id).filter(|id| !id.is_empty()),
            region: configured("AWS_DEFAULT_REGION").or(registration.region),
            file: file.unwrap_or_else(|| settings.path(paths::SSM_CREDENTIALS)),
            profile: profile
                .or_else(|| configured("ECS_ALTERNATE_CREDENTIAL_PROFILE"))
                .unwrap_or_else(|| "default".into()),
            deadline,
            refused: RefCell::default(),
        }
    }

    /// What the host says of itself, once there are credentials that nobody has refused.
    pub(super) async fn claim(&self) -> Result<Claim, Error> {
        let instance_id = self.instance_id.clone().ok_or(Error::NotRegistered)?;
        Ok(Claim {
            kind: "external",
            instance_id,
            region: self.region.clone(),
            availability_zone: None,
            instance_type: None,
            image_id: None,
            account_id: None,
            role: None,
            credentials: self.credentials().await?,
        })
    }

    /// Passes over these credentials from now on; whether there is time to wait for others.
    pub(crate) fn pass_over(&self, credentials: &Credentials, why: &'static str) -> bool {
        self.refused.replace(Some((credentials.access_key_id().to_owned(), why)));
        Instant::now() + LOOK_AGAIN < self.deadline
    }

    fn refusal(&self, credentials: &Credentials) -> Option<&'static str> {
        self.refused
            .borrow()
            .as_ref()
            .filter(|(key, _)| key == credentials.access_key_id())
            .map(|(_, why)| *why)
    }

    /// Waits for the SSM agent's first or next rotation until the deadline.
    async fn credentials(&self) -> Result<Credentials, Error> {
        let mut said = false;
        loop {
            let found = read(&self.file, &self.profile).await;
            let why = match found.map(|found| (self.refusal(&found), found)) {
                Ok((None, found)) => {
                    warn_of_readers(&self.file);
                    return Ok(found);
                }
                Ok((Some(why), _)) => format!("{why}, and it has written no others"),
                Err(why) => why,
            };
            if Instant::now() + LOOK_AGAIN >= self.deadline {
                return Err(Error::NoSsmCredentials {
                    file: self.file.clone(),
                    profile: self.profile.clone(),
                    why,
                });
            }
            if !said {
                tracing::info!("identity: waiting for the SSM agent: {why}");
            }
            said = true;
            sleep(LOOK_AGAIN).await;
        }
    }
}

async fn read(file: &Path, profile: &str) -> Result<Credentials, String> {
    if let Err(error) = std::fs::metadata(file) {
        return Err(format!("it has written no credentials: {error}"));
    }
    let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, file).build();
    // The parser's error may quote the file.
    let found = profile::load(&Fs::real(), &Env::from_slice(&[]), &files, None)
        .await
        .map_err(|_| "it has written no profiles".to_owned())?;
    let found =
        found.get_profile(profile).ok_or_else(|| format!("there is no profile `{profile}`"))?;
    let get = |name| found.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    match (get("aws_access_key_id"), get("aws_secret_access_key"), get("aws_session_token")) {
        (Some(id), Some(secret), Some(token)) => {
            Ok(Credentials::new(id, secret, Some(token), None, "ssm-agent"))
        }
        _ => Err(format!(
            "the profile `{profile}` holds no credentials of a role (key, secret and session token)"
        )),
    }
}

fn warn_of_readers(file: &Path) {
    if std::fs::metadata(file).is_ok_and(|found| found.mode() & 0o077 != 0) {
        tracing::warn!("identity: {} may be read by other users: `chmod 600` it", file.display());
    }
}
