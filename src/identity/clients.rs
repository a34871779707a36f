//! How this host reaches AWS, and what reports which host it is: what every command that talks to
//! the network is handed.

use aws_credential_types::Credentials;
use tokio::time::Instant;

use super::host_kind::{self, Evidence};
use super::{Error, External, HostFacts, HostKind, Imds, ec2, imds};
use crate::files::HostFiles;
use crate::log;
use crate::net::{self, Http};
use crate::settings::{self, Environment, Given, Settings};

/// The clients of one run.
pub(crate) struct Clients {
    /// For S3, STS, ECS, ECR and URLs.
    pub(crate) http: Http,
    pub(crate) source: IdentitySource,
    /// What the host is taken for, and why.
    pub(crate) evidence: Evidence,
}

impl Clients {
    /// The settings with what instance tags say, if they are to be read.
    pub(crate) async fn with_tags(
        &self,
        settings: &Settings,
    ) -> Result<Settings, crate::error::Error> {
        if !settings.from_tags {
            return Ok(settings.clone());
        }
        let tags = self.source.tags().await?.ok_or(settings::Error::NoTags)?;
        let is_batch = tags.iter().any(|(name, _)| name == host_kind::BATCH_TAG);
        if is_batch && self.source.kind() != HostKind::Batch {
            tracing::warn!(
                "host: AWS Batch launched this instance, and its user data has not written ECS_CLUSTER \
                 yet: run after user data (/usr/share/ecs-bootstrap/after-user-data.conf)"
            );
        }
        let tags = tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(settings.clone().with_tags(Given::tags(tags)?)?)
    }

    /// The HTTP clients: of the metadata service, and of all else.
    pub(crate) fn https(&self) -> Vec<Http> {
        let imds = self.source.imds().map(|imds| imds.http.clone());
        imds.into_iter().chain([self.http.clone()]).collect()
    }

    /// What a reader of the log should know before anything is asked.
    pub(crate) fn announce(&self, environment: &Environment) {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            if environment.get(name).is_some() {
                tracing::warn!(
                    "{name} is set and ignored: only the instance's own role proves which host this is"
                );
            }
        }
        // Who waits for metadata on a machine of another vendor wants to know why.
        if log::is_verbose() || matches!(self.evidence, Evidence::None { vendor: Some(_) }) {
            tracing::info!("host: {}", self.evidence);
        }
    }

    /// Reads the environment's proxies, CA file and metadata options; opens no connection. The
    /// identity source gives up at `deadline`.
    pub(crate) fn new(
        settings: &Settings,
        files: &HostFiles,
        variables: &[(String, String)],
        deadline: Instant,
    ) -> Result<Self, net::Error> {
        let vars = net::vars(variables);
        let options = imds::Options::from_vars(&vars)?;
        let http = Http::new(&vars)?;
        let config = files.effective();
        let evidence = Evidence::of(settings, &config);
        let source = if evidence.is_external() {
            IdentitySource::External(External::new(settings, &config, &vars, deadline))
        } else {
            let kind = if host_kind::is_batch(files) { HostKind::Batch } else { HostKind::Ec2 };
            IdentitySource::Ec2(Box::new(Imds::new(Http::direct(), options, deadline)), kind)
        };
        Ok(Clients { http, source, evidence })
    }
}

/// What reports which host this is.
pub(crate) enum IdentitySource {
    /// Instance metadata, of an instance of this kind.
    Ec2(Box<Imds>, HostKind),
    /// The SSM agent.
    External(External),
}

impl IdentitySource {
    /// What the host reports of itself, with the credentials that can prove it. `in_region` is
    /// called once the region is known, before the credentials are there.
    pub(crate) async fn facts(
        &self,
        expected_role: Option<&str>,
        in_region: &dyn Fn(Option<&String>),
    ) -> Result<HostFacts, Error> {
        match self {
            IdentitySource::Ec2(imds, kind) => {
                ec2::facts(imds, *kind, expected_role, in_region).await
            }
            IdentitySource::External(external) => {
                in_region(external.region.as_ref());
                external.facts().await
            }
        }
    }

    /// What kind of host it is.
    pub(crate) fn kind(&self) -> HostKind {
        match self {
            IdentitySource::Ec2(_, kind) => *kind,
            IdentitySource::External(_) => HostKind::External,
        }
    }

    /// The metadata service; `None` on an external host, which never asks it.
    pub(crate) fn imds(&self) -> Option<&Imds> {
        match self {
            IdentitySource::Ec2(imds, _) => Some(imds),
            IdentitySource::External(_) => None,
        }
    }

    /// How often something had to be asked again so far.
    pub(crate) fn repeats(&self) -> u32 {
        self.imds().map_or(0, |imds| imds.repeats.get())
    }

    /// Whether to ask for the facts again after AWS refused these credentials: the SSM agent
    /// rotates its own, and those of an earlier registration AWS does not know.
    pub(crate) fn will_rotate(&self, refused: &Credentials, why: &'static str) -> bool {
        match self {
            IdentitySource::Ec2(..) => false,
            IdentitySource::External(external) => external.pass_over(refused, why),
        }
    }

    /// The host's region, as far as it is known without credentials.
    pub(crate) async fn region(&self) -> Option<String> {
        match self {
            IdentitySource::Ec2(imds, _) => imds.get("meta-data/placement/region").await.ok()?,
            IdentitySource::External(external) => external.region.clone(),
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
        let Some(imds) = self.imds().filter(|_| is_tag_name(name)) else { return Ok(None) };
        Ok(imds.get(&format!("meta-data/tags/instance/{name}")).await?)
    }
}

/// The names of tags that metadata can show. `${tag:../../../user-data}` would lead elsewhere.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html>
fn is_tag_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-=.,_:@".contains(&byte);
    !matches!(name, "" | "." | "..") && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_names_do_not_lead_out_of_the_tags() {
        for good in ["Name", "ecs-bootstrap:config", "a.b", "team@x=y+z,_"] {
            assert!(is_tag_name(good), "{good}");
        }
        for bad in ["", ".", "..", "../../../user-data", "a/b", "a b", "a%2fb", "a?b", "a#b", "ä"]
        {
            assert!(!is_tag_name(bad), "{bad}");
        }
    }
}
