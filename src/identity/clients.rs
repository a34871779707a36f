//! How this host reaches AWS, and who reports which host it is: what every command that talks to the
//! network is handed.

use aws_credential_types::Credentials;
use tokio::time::Instant;

use super::host_kind::Evidence;
use super::{Claim, Error, External, Imds, ec2, imds};
use crate::files::HostFiles;
use crate::net::{self, Http};
use crate::settings::{self, Settings};

/// The clients of one run.
pub(crate) struct Clients {
    /// For S3, STS, ECS, ECR and URLs.
    pub(crate) http: Http,
    pub(crate) source: IdentitySource,
    /// What the host is taken for, and why.
    pub(crate) evidence: Evidence,
}

impl Clients {
    /// Reads the environment's proxies, CA file and metadata options; opens no connection. The
    /// identity source gives up at `deadline`.
    pub(crate) fn new(
        settings: &Settings,
        _files: &HostFiles,
        variables: &[(String, String)],
        deadline: Instant,
    ) -> Result<Self, crate::error::Error> {
        let pairs = || variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let options = imds::Options::new(pairs()).map_err(settings::Error::Aws)?;
        let http = Http::new(&net::Options::from_vars(variables.iter().cloned())?)?;
        let evidence = Evidence::of(settings);
        let source = if evidence.is_external() {
            IdentitySource::External(External::new(settings, pairs(), deadline))
        } else {
            IdentitySource::Ec2(Imds::new(net::direct()?, options, deadline))
        };
        Ok(Clients { http, source, evidence })
    }
}

/// Who reports which host this is.
pub(crate) enum IdentitySource {
    Ec2(Imds),
    External(External),
}

impl IdentitySource {
    /// What the host reports of itself, with the credentials that can prove it.
    pub(crate) async fn facts(&self) -> Result<Claim, Error> {
        match self {
            IdentitySource::Ec2(imds) => ec2::claim(imds).await,
            IdentitySource::External(external) => external.claim().await,
        }
    }

    /// The metadata service; `None` on an external host, which never asks it.
    pub(crate) fn imds(&self) -> Option<&Imds> {
        match self {
            IdentitySource::Ec2(imds) => Some(imds),
            IdentitySource::External(_) => None,
        }
    }

    /// How often something had to be asked again so far.
    pub(crate) fn repeats(&self) -> u32 {
        self.imds().map_or(0, Imds::repeats)
    }

    /// Whether to wait for other credentials after STS refused these: the SSM agent rotates its own,
    /// and those of an earlier registration STS does not know.
    pub(crate) fn will_rotate(&self, refused: &Credentials, error: &Error) -> bool {
        let why = match error {
            Error::Expired { .. } => "its credentials have expired",
            Error::Rejected { code, .. } if code == "InvalidClientTokenId" => {
                "STS does not know its credentials (InvalidClientTokenId)"
            }
            _ => return false,
        };
        match self {
            IdentitySource::Ec2(_) => false,
            IdentitySource::External(external) => external.pass_over(refused, why),
        }
    }

    /// The instance's tags; `None` if metadata shows none at all, as outside EC2.
    pub(crate) async fn tags(&self) -> Result<Option<Vec<(String, String)>>, Error> {
        let Some(imds) = self.imds() else { return Ok(None) };
        let Some(names) = imds.get("meta-data/tags/instance/").await? else { return Ok(None) };
        let mut tags = Vec::new();
        for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
            if let Some(value) = self.tag(name).await? {
                tags.push((name.to_owned(), value));
            }
        }
        Ok(Some(tags))
    }

    /// One tag of the instance.
    pub(crate) async fn tag(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(imds) = self.imds() else { return Ok(None) };
        Ok(imds.get(&format!("meta-data/tags/instance/{name}")).await?)
    }
}
