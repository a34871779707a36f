//! What AWS's own environment variables say, as one checked value, and the SDK configuration made
//! of it.
//!
//! Nothing here looks at `~/.aws` or at the metadata service: region and credentials are handed in,
//! so that no call waits for a second look-up of what the identity step already found. <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use reqwest::Url;

pub(crate) use super::partition::{PARTITIONS, Partition, is_region};
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::{self, Http};

/// A service this program calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Sts,
    /// `doctor` alone calls this one and the next.
    Ecs,
    Ecr,
}

/// AWS's variables that this program honours, besides those of [`net::Options`] and of the
/// metadata service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aws {
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub(crate) region: Option<String>,
    pub(crate) use_fips: bool,
    pub(crate) use_dualstack: bool,
    s3_endpoint: Option<Url>,
    sts_endpoint: Option<Url>,
    ecs_endpoint: Option<Url>,
    ecr_endpoint: Option<Url>,
}

/// A variable that cannot mean anything. Always [`ExitStatus::Settings`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("{variable} is `{value}`, which is not {wanted}")]
    Value { variable: &'static str, value: String, wanted: &'static str },
    #[error(
        "{variable} and a custom endpoint (AWS_ENDPOINT_URL…) exclude each other: there is no such host name"
    )]
    Endpoint { variable: &'static str },
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Settings
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::Settings
    }

    fn remedy(&self) -> String {
        match self {
            Error::Value { variable, wanted, .. } => {
                format!("Set {variable} to {wanted}, or unset it.")
            }
            Error::Endpoint { variable } => format!("Unset {variable} or the endpoint variables."),
        }
    }
}

impl Aws {
    /// From the variables of the process, in any order. An empty value counts as unset, as in the
    /// AWS SDKs.
    pub(crate) fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let vars = Vars(vars.into_iter().filter(|(_, value)| !value.is_empty()).collect());
        let endpoints = !vars.switch("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")?;
        let endpoint = |own| if endpoints { vars.endpoint(own) } else { Ok(None) };
        let aws = Self {
            region: vars.region("AWS_REGION")?.or(vars.region("AWS_DEFAULT_REGION")?),
            use_fips: vars.switch("AWS_USE_FIPS_ENDPOINT")?,
            use_dualstack: vars.switch("AWS_USE_DUALSTACK_ENDPOINT")?,
            s3_endpoint: endpoint("AWS_ENDPOINT_URL_S3")?,
            sts_endpoint: endpoint("AWS_ENDPOINT_URL_STS")?,
            ecs_endpoint: endpoint("AWS_ENDPOINT_URL_ECS")?,
            ecr_endpoint: endpoint("AWS_ENDPOINT_URL_ECR")?,
        };
        aws.agrees()
    }

    fn agrees(self) -> Result<Self, Error> {
        let custom = self.s3_endpoint.is_some() || self.sts_endpoint.is_some();
        let excluded = [
            (self.use_fips, "AWS_USE_FIPS_ENDPOINT"),
            (self.use_dualstack, "AWS_USE_DUALSTACK_ENDPOINT"),
        ];
        match excluded.into_iter().find(|(on, _)| *on && custom) {
            Some((_, variable)) => Err(Error::Endpoint { variable }),
            None => Ok(self),
        }
    }

    /// Where `service` is, if it is not where AWS has it.
    pub(crate) fn endpoint(&self, service: Service) -> Option<&Url> {
        match service {
            Service::S3 => self.s3_endpoint.as_ref(),
            Service::Sts => self.sts_endpoint.as_ref(),
            Service::Ecs => self.ecs_endpoint.as_ref(),
            Service::Ecr => self.ecr_endpoint.as_ref(),
        }
    }
}

struct Vars(BTreeMap<String, String>);

impl Vars {
    fn bad(&self, variable: &'static str, wanted: &'static str) -> Error {
        Error::Value { variable, value: self.0[variable].clone(), wanted }
    }

    fn switch(&self, variable: &'static str) -> Result<bool, Error> {
        match self.0.get(variable).map(|value| value.to_ascii_lowercase()).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.bad(variable, "`true` or `false`")),
        }
    }

    fn region(&self, variable: &'static str) -> Result<Option<String>, Error> {
        match self.0.get(variable) {
            Some(value) if !is_region(value) => {
                Err(self.bad(variable, "a region such as `us-west-2`"))
            }
            value => Ok(value.cloned()),
        }
    }

    /// The service's own variable wins over the one for all.
    fn endpoint(&self, own: &'static str) -> Result<Option<Url>, Error> {
        let Some(variable) =
            [own, "AWS_ENDPOINT_URL"].into_iter().find(|name| self.0.contains_key(*name))
        else {
            return Ok(None);
        };
        let url = Url::parse(&self.0[variable])
            .ok()
            .filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        url.map(Some).ok_or_else(|| self.bad(variable, "an http:// or https:// URL"))
    }
}

/// What S3 and STS clients are made of.
///
/// Retries go on until the caller's deadline cuts them off: transient failures only, for the SDK
/// takes 400, 403 and 404 as final. A stalled answer is ended by the HTTP client
/// ([`net::SILENCE`]), so the SDK's own watch over streams is off.
pub(crate) fn sdk_config(
    aws: &Aws,
    service: Service,
    http: &Http,
    credentials: Option<Credentials>,
    region: &str,
) -> SdkConfig {
    let retries = RetryConfig::standard()
        .with_max_attempts(100)
        .with_initial_backoff(Duration::from_millis(400))
        .with_max_backoff(Duration::from_secs(5));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .app_name(
            AppName::new(env!("CARGO_PKG_NAME")).expect("the crate's name is a token of HTTP"),
        )
        .http_client(http.for_sdk())
        .sleep_impl(TokioSleep::new())
        .region(Region::new(region.to_owned()))
        .use_fips(aws.use_fips)
        .use_dual_stack(aws.use_dualstack)
        .retry_config(retries)
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(net::CONNECT)
                .read_timeout(net::SILENCE)
                .build(),
        )
        .stalled_stream_protection(
            aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled(),
        );
    config.set_endpoint_url(aws.endpoint(service).map(|url| url.as_str().to_owned()));
    config.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
    config.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Aws, Error> {
        Aws::from_vars(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    fn endpoint(vars: &[(&str, &str)], service: Service) -> Option<String> {
        read(vars).unwrap().endpoint(service).map(|url| url.to_string())
    }

    #[test]
    fn the_region_is_the_newer_variable_else_the_older() {
        assert_eq!(
            read(&[("AWS_DEFAULT_REGION", "eu-west-1")]).unwrap().region.as_deref(),
            Some("eu-west-1")
        );
        assert_eq!(
            read(&[("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_REGION", "us-west-2")])
                .unwrap()
                .region
                .as_deref(),
            Some("us-west-2")
        );
        assert_eq!(read(&[("AWS_REGION", "")]).unwrap(), Aws::default());
    }

    #[test]
    fn a_services_own_endpoint_wins_and_all_can_be_ignored() {
        let both = [
            ("AWS_ENDPOINT_URL", "http://all.test"),
            ("AWS_ENDPOINT_URL_S3", "http://s3.test:9000/x"),
        ];
        assert_eq!(endpoint(&both, Service::S3).as_deref(), Some("http://s3.test:9000/x"));
        assert_eq!(endpoint(&both, Service::Sts).as_deref(), Some("http://all.test/"));
        let ignored = [
            ("AWS_ENDPOINT_URL", "http://all.test"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
        ];
        assert_eq!(endpoint(&ignored, Service::S3), None);
    }

    #[test]
    fn a_value_that_means_nothing_is_refused_by_the_name_of_its_variable() {
        let table = [
            ("AWS_REGION", "us west"),
            ("AWS_REGION", "US-WEST-2"),
            ("AWS_DEFAULT_REGION", "us-west-2.evil.test"),
            ("AWS_ENDPOINT_URL", "s3.test"),
            ("AWS_ENDPOINT_URL_S3", "ftp://s3.test"),
            ("AWS_ENDPOINT_URL_STS", "http://"),
            ("AWS_USE_FIPS_ENDPOINT", "yes"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "1"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "on"),
        ];
        for (variable, value) in table {
            let error = read(&[(variable, value)]).unwrap_err();
            assert!(
                error.to_string().contains(variable) && error.remedy().contains(variable),
                "{error}"
            );
        }
        assert_eq!(
            read(&[("AWS_USE_FIPS_ENDPOINT", "TRUE"), ("AWS_ENDPOINT_URL_S3", "http://s3.test")])
                .unwrap_err(),
            Error::Endpoint { variable: "AWS_USE_FIPS_ENDPOINT" }
        );
    }

    #[test]
    fn every_region_has_its_partition() {
        let table = [
            ("us-west-2", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-east-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ];
        for (region, name) in table {
            assert_eq!(Partition::of_region(region).name, name);
        }
        assert!(
            PARTITIONS
                .iter()
                .all(|partition| Partition::of_region(partition.home).name == partition.name)
        );
    }
}
