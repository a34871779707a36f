//! What AWS's own environment variables say, as one checked value.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>

use std::collections::BTreeMap;

use url::Url;

use super::endpoint::Service;
use super::partition::is_region;
use super::{Error, Vars, variable, web_url};

/// AWS's variables that this program honours, besides those of the HTTP client
/// and of the metadata service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aws {
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub(crate) region: Option<String>,
    pub(crate) use_fips: bool,
    pub(crate) use_dualstack: bool,
    endpoints: BTreeMap<Service, Url>,
}

/// A service's own variable, which wins over `AWS_ENDPOINT_URL`.
const ENDPOINTS: [(Service, &str); 7] = [
    (Service::S3, "AWS_ENDPOINT_URL_S3"),
    (Service::Sts, "AWS_ENDPOINT_URL_STS"),
    (Service::Ecs, "AWS_ENDPOINT_URL_ECS"),
    (Service::Ecr, "AWS_ENDPOINT_URL_ECR"),
    (Service::Ssm, "AWS_ENDPOINT_URL_SSM"),
    (Service::SecretsManager, "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
    (Service::AutoScaling, "AWS_ENDPOINT_URL_AUTO_SCALING"),
];

impl Aws {
    pub(crate) fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let mut aws = Self {
            region: region(vars, "AWS_REGION")?.or(region(vars, "AWS_DEFAULT_REGION")?),
            use_fips: switch(vars, "AWS_USE_FIPS_ENDPOINT")?,
            use_dualstack: switch(vars, "AWS_USE_DUALSTACK_ENDPOINT")?,
            endpoints: BTreeMap::new(),
        };
        if !switch(vars, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")? {
            for (service, own) in ENDPOINTS {
                let url = endpoint(vars, own)?.or(endpoint(vars, "AWS_ENDPOINT_URL")?);
                aws.endpoints.extend(url.map(|url| (service, url)));
            }
        }
        // There are no host names for custom endpoints with FIPS or dual stack.
        let custom = [Service::S3, Service::Sts].iter().any(|one| aws.endpoint(*one).is_some());
        match (aws.use_fips, aws.use_dualstack) {
            (true, _) if custom => Err(Error::Endpoint { variable: "AWS_USE_FIPS_ENDPOINT" }),
            (_, true) if custom => Err(Error::Endpoint { variable: "AWS_USE_DUALSTACK_ENDPOINT" }),
            _ => Ok(aws),
        }
    }

    /// Where `service` is, if it is not where AWS has it.
    pub(crate) fn endpoint(&self, service: Service) -> Option<&Url> {
        self.endpoints.get(&service)
    }
}

fn region(vars: &Vars, name: &'static str) -> Result<Option<String>, Error> {
    let region = |text: &str| is_region(text).then(|| text.to_owned());
    variable(vars, name, "a region such as `us-west-2`", region)
}

fn switch(vars: &Vars, name: &'static str) -> Result<bool, Error> {
    let on = variable(vars, name, "`true` or `false`", |text| text.to_lowercase().parse().ok());
    Ok(on?.unwrap_or_default())
}

fn endpoint(vars: &Vars, name: &'static str) -> Result<Option<Url>, Error> {
    variable(vars, name, "an http:// or https:// URL", web_url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Diagnostic;
    use crate::net::tests::pairs;

    fn read(vars: &[(&str, &str)]) -> Result<Aws, Error> {
        Aws::from_vars(&pairs(vars))
    }

    fn endpoint(vars: &[(&str, &str)], service: Service) -> Option<String> {
        read(vars).unwrap().endpoint(service).map(|url| url.to_string())
    }

    #[test]
    fn aws_region_wins_over_aws_default_region() {
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
    fn own_endpoint_of_a_service_wins_and_all_can_be_ignored() {
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
    fn invalid_value_is_refused_with_the_variables_name() {
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
        let error =
            read(&[("AWS_USE_FIPS_ENDPOINT", "TRUE"), ("AWS_ENDPOINT_URL_S3", "http://s3.test")])
                .unwrap_err();
        assert!(matches!(error, Error::Endpoint { variable: "AWS_USE_FIPS_ENDPOINT" }), "{error}");
    }
}
