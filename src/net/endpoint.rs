//! The services of AWS that a container instance talks to: their host names, and whether they can
//! be reached from here.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use http::Method;
use tokio::time::timeout;
use url::Url;

use super::aws::Aws;
use super::clock::seconds_ahead;
use super::partition::Partition;
use super::{Http, header, request};

/// How long the look-up of a name, and how long an answer, may take.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A service of AWS. The last two are named by the answer to ecs:DiscoverPollEndpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Sts,
    S3,
    Ecs,
    Ecr,
    Ssm,
    SecretsManager,
    AutoScaling,
    EcsAgent,
    EcsTelemetry,
}

/// Its name for people, the first label of its hosts, and its VPC endpoints, in the order of
/// [`Service`]. <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html>
const NAMES: [[&str; 3]; 9] = [
    ["STS", "sts", "sts (interface)"],
    ["S3", "s3", "s3 (gateway)"],
    ["ECS", "ecs", "ecs (interface)"],
    ["ECR", "api.ecr", "ecr.api and ecr.dkr (interface)"],
    ["Systems Manager", "ssm", "ssm (interface)"],
    ["Secrets Manager", "secretsmanager", "secretsmanager (interface)"],
    ["Auto Scaling", "autoscaling", "autoscaling (interface)"],
    ["the agent's endpoint of ECS", "ecs-a", "ecs-agent (interface)"],
    ["the telemetry endpoint of ECS", "ecs-t", "ecs-telemetry (interface)"],
];

/// Those that every container instance talks to, and whose host names are known beforehand.
pub(crate) const SERVICES: [Service; 4] = [Service::Sts, Service::S3, Service::Ecs, Service::Ecr];

impl Service {
    pub(crate) fn name(self) -> &'static str {
        NAMES[self as usize][0]
    }

    /// What lets a host reach it, in a subnet without a way to the internet too.
    pub(crate) fn remedy(self) -> String {
        let [.., vpc_endpoint] = NAMES[self as usize];
        format!(
            "check route, security group and proxy for port 443; without a way to the internet the VPC needs the endpoint com.amazonaws.REGION.{vpc_endpoint}"
        )
    }

    /// Where it is, by the rules of AWS's SDKs; `None` while no region is known, and where it has
    /// no endpoint of this kind.
    pub(crate) fn url(self, aws: &Aws, region: Option<&str>) -> Option<Url> {
        if let Some(url) = aws.endpoint(self) {
            return Some(url.clone());
        }
        let (region, [_, host, _]) = (region?, NAMES[self as usize]);
        let Partition { name, suffix, dual_stack_suffix, .. } = Partition::of_region(region);
        let (fips, ipv6) = (aws.use_fips, aws.use_dualstack);
        let host = match (self, *name) {
            (Service::S3, "aws-cn") if fips => return None,
            // In GovCloud the usual names of these are FIPS.
            (Service::Sts | Service::Ssm | Service::AutoScaling, "aws-us-gov") if !ipv6 => {
                host.into()
            }
            _ if fips => format!("{host}-fips"),
            _ => host.to_owned(),
        };
        let usual = format!("{host}.{region}.{suffix}");
        let address = match (self, *name) {
            _ if !ipv6 => usual,
            // Its usual names have IPv6 addresses.
            (Service::SecretsManager, "aws" | "aws-us-gov") => usual,
            (Service::SecretsManager, "aws-cn") if !fips => usual,
            (Service::S3, _) => format!("{host}.dualstack.{region}.{suffix}"),
            _ => format!("{}.{region}.{dual_stack_suffix}", host.trim_start_matches("api.")),
        };
        Url::parse(&format!("https://{address}/")).ok()
    }
}

/// What came of a request to a service.
#[derive(Clone, Debug)]
pub(crate) struct ProbeResult {
    pub(crate) host: String,
    pub(crate) name: Resolution,
    /// Any answer of HTTP is one; why there was none.
    pub(crate) answered: Result<(), String>,
    /// By how many seconds our clock is ahead of the server's.
    pub(crate) ahead: Option<i64>,
}

/// What DNS answers for a host.
#[derive(Clone, Debug)]
pub(crate) enum Resolution {
    /// It is an address, or the proxy looks its name up.
    NotAsked,
    Resolved(Vec<IpAddr>),
    Unresolved(String),
}

impl ProbeResult {
    /// The name leads into the VPC: an interface endpoint.
    pub(crate) fn is_private(&self) -> bool {
        matches!(&self.name, Resolution::Resolved(addresses)
            if !addresses.is_empty() && addresses.iter().all(is_private))
    }
}

fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => Ipv6Addr::is_unique_local(address),
    }
}

/// Looks the name up and asks for `/`, both at once. No credentials, no signature: any status will
/// do.
pub(crate) async fn probe(http: &Http, url: &Url) -> ProbeResult {
    let host = url.host_str().unwrap_or_default().to_owned();
    let bare = host.trim_matches(['[', ']']);
    let asked = bare.parse::<IpAddr>().is_err() && !http.is_proxied(url);
    let name = async { if asked { resolve(bare, url).await } else { Resolution::NotAsked } };
    let answer = async { http.send(request(Method::GET, url)?, TIMEOUT, 0).await };
    let (name, answer) = tokio::join!(name, answer);
    let date = answer.as_ref().ok().and_then(|answer| header(&answer.head.headers, "date"));
    let ahead = date.and_then(|date| seconds_ahead(&date));
    let answered = answer.map(drop).map_err(|failed| failed.kind().to_string());
    ProbeResult { host, name, answered, ahead }
}

async fn resolve(host: &str, url: &Url) -> Resolution {
    let port = url.port_or_known_default().unwrap_or(443);
    match timeout(TIMEOUT, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => Resolution::Resolved(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Resolution::Unresolved(error.to_string()),
        Err(_) => Resolution::Unresolved(format!("no answer within {} s", TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_url(
        service: Service,
        vars: &[(&str, &str)],
        region: Option<&str>,
        host: Option<&str>,
    ) {
        let aws = Aws::from_vars(&crate::net::tests::pairs(vars)).unwrap();
        assert_eq!(service.url(&aws, region).map(|url| url.to_string()).as_deref(), host);
    }

    #[test]
    fn endpoint_variables_win_and_a_region_is_needed() {
        check_url(
            Service::Ecs,
            &[("AWS_ENDPOINT_URL_ECS", "http://e.test:1")],
            None,
            Some("http://e.test:1/"),
        );
        check_url(Service::Ecs, &[], None, None);
    }

    /// `tests/endpoints/record.py` prints the table.
    #[test]
    fn endpoints_are_those_of_botocores_rules() {
        let table = include_str!("../../tests/endpoints/botocore.tsv");
        let rows = table.lines().filter(|line| !line.starts_with('#'));
        let mut differ = Vec::new();
        let mut count = 0;
        for row in rows {
            let [service, region, fips, dual, host] = row.split('\t').collect::<Vec<_>>()[..]
            else {
                panic!("{row}")
            };
            let service = match service {
                "sts" => Service::Sts,
                "s3" => Service::S3,
                "ecs" => Service::Ecs,
                "ecr" => Service::Ecr,
                "ssm" => Service::Ssm,
                "secretsmanager" => Service::SecretsManager,
                "autoscaling" => Service::AutoScaling,
                other => panic!("{other}"),
            };
            let switch = |on: &str| if on == "1" { "true" } else { "false" };
            let vars = [
                ("AWS_USE_FIPS_ENDPOINT", switch(fips)),
                ("AWS_USE_DUALSTACK_ENDPOINT", switch(dual)),
            ];
            let aws = Aws::from_vars(&crate::net::tests::pairs(&vars)).unwrap();
            let url = service.url(&aws, Some(region));
            let ours = url.as_ref().and_then(Url::host_str).unwrap_or("-");
            if ours != host {
                differ.push(format!("{row}: {ours}"));
            }
            count += 1;
        }
        assert!(differ.is_empty(), "{} of {count} differ: {differ:#?}", differ.len());
        assert_eq!(count, 7 * 13 * 4);
    }
}
