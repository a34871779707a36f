//! The places at AWS that a container instance talks to: their names, and whether they can be
//! reached from here.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use reqwest::{Method, Request, Url};
use tokio::time::timeout;

use crate::net::aws::{Aws, Partition, Service};
use crate::net::{Http, Proxies};
use crate::source::transport;

/// How long a name, and how long an answer, may take.
const LIMIT: Duration = Duration::from_secs(4);

/// What is talked to. The last two are named by the answer to ecs:DiscoverPollEndpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Sts,
    S3,
    Ecs,
    Ecr,
    Agent,
    Telemetry,
}

/// How a place is called: by people, in host names, with FIPS, and among VPC endpoints.
struct Names {
    people: &'static str,
    host: &'static str,
    fips: &'static str,
    vpc_endpoint: &'static str,
}

/// In the order of [`Place`]. <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html>
const NAMES: [Names; 6] = [
    Names { people: "STS", host: "sts", fips: "sts-fips", vpc_endpoint: "sts (interface)" },
    Names { people: "S3", host: "s3", fips: "s3-fips", vpc_endpoint: "s3 (gateway)" },
    Names { people: "ECS", host: "ecs", fips: "ecs-fips", vpc_endpoint: "ecs (interface)" },
    Names {
        people: "ECR",
        host: "api.ecr",
        fips: "ecr-fips",
        vpc_endpoint: "ecr.api and ecr.dkr (interface)",
    },
    Names {
        people: "the agent's endpoint of ECS",
        host: "ecs-a",
        fips: "ecs-a",
        vpc_endpoint: "ecs-agent (interface)",
    },
    Names {
        people: "the telemetry endpoint of ECS",
        host: "ecs-t",
        fips: "ecs-t",
        vpc_endpoint: "ecs-telemetry (interface)",
    },
];

/// Those whose names are known beforehand, each with its service.
pub(crate) const SERVICES: [(Place, Service); 4] = [
    (Place::Sts, Service::Sts),
    (Place::S3, Service::S3),
    (Place::Ecs, Service::Ecs),
    (Place::Ecr, Service::Ecr),
];

impl Place {
    pub(crate) fn name(self) -> &'static str {
        NAMES[self as usize].people
    }

    /// What lets a subnet without a way to the internet reach it.
    pub(crate) fn remedy(self) -> String {
        format!(
            "see route, security group and proxy for port 443; without a way to the internet the VPC needs the endpoint {}",
            NAMES[self as usize].vpc_endpoint
        )
    }
}

/// Where a service is; `None` while no region is known.
pub(crate) fn url(place: Place, service: Service, aws: &Aws, region: Option<&str>) -> Option<Url> {
    if let Some(url) = aws.endpoint(service) {
        return Some(url.clone());
    }
    let (region, names) = (region?, &NAMES[place as usize]);
    let partition = Partition::of_region(region).name;
    let host = if aws.use_fips { names.fips } else { names.host };
    let address = match (aws.use_dualstack, place) {
        (false, _) => format!("{host}.{region}.{}", suffix(partition)),
        (true, Place::S3) => format!("{host}.dualstack.{region}.{}", suffix(partition)),
        (true, _) => {
            format!("{}.{region}.{}", host.trim_start_matches("api."), dual_stack_suffix(partition))
        }
    };
    Url::parse(&format!("https://{address}/")).ok()
}

/// The domain of each partition (botocore's partitions.json).
fn suffix(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "amazonaws.com.cn",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-iso-e" => "cloud.adc-e.uk",
        "aws-iso-f" => "csp.hci.ic.gov",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

fn dual_stack_suffix(partition: &str) -> &'static str {
    match partition {
        "aws" | "aws-us-gov" => "api.aws",
        "aws-cn" => "api.amazonwebservices.com.cn",
        "aws-eusc" => "api.amazonwebservices.eu",
        other => suffix(other),
    }
}

/// What came of knocking at a place.
#[derive(Clone, Debug)]
pub(crate) struct Knock {
    pub(crate) host: String,
    pub(crate) name: Name,
    /// Any answer of HTTP is one; why there was none.
    pub(crate) answered: Result<(), String>,
    /// By how many seconds our clock is ahead of the server's.
    pub(crate) ahead: Option<i64>,
}

/// What DNS says of a host.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    /// It is an address, or the proxy looks its name up.
    NotAsked,
    Resolved(Vec<IpAddr>),
    Unresolved(String),
}

impl Knock {
    /// The name leads into the VPC: an interface endpoint.
    pub(crate) fn is_private(&self) -> bool {
        matches!(&self.name, Name::Resolved(addresses) if !addresses.is_empty() && addresses.iter().all(is_private))
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
pub(crate) async fn knock(http: &Http, proxies: &Proxies, url: &Url) -> Knock {
    let host = url.host_str().unwrap_or_default().to_owned();
    let bare = host.trim_matches(['[', ']']);
    let asked = bare.parse::<IpAddr>().is_err() && proxies.name_for(url).is_none();
    let name = async { if asked { resolve(bare, url).await } else { Name::NotAsked } };
    let answer = http.send(Request::new(Method::GET, url.clone()), LIMIT);
    let (name, answer) = tokio::join!(name, answer);
    let ahead =
        answer.as_ref().ok().and_then(|answer| ahead(answer.headers().get("date")?.to_str().ok()?));
    let answered =
        answer.map(drop).map_err(|failed| transport::failure(&failed, &host).kind.to_string());
    Knock { host, name, answered, ahead }
}

async fn resolve(host: &str, url: &Url) -> Name {
    match timeout(
        LIMIT,
        tokio::net::lookup_host((host, url.port_or_known_default().unwrap_or(443))),
    )
    .await
    {
        Ok(Ok(found)) => Name::Resolved(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Name::Unresolved(error.to_string()),
        Err(_) => Name::Unresolved(format!("no answer within {} s", LIMIT.as_secs())),
    }
}

fn ahead(date: &str) -> Option<i64> {
    let theirs = DateTime::from_str(date, Format::HttpDate).ok()?;
    Some(DateTime::from(SystemTime::now()).secs() - theirs.secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_url(
        place: Place,
        service: Service,
        vars: &[(&str, &str)],
        region: Option<&str>,
        host: Option<&str>,
    ) {
        let aws =
            Aws::from_vars(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())))
                .unwrap();
        assert_eq!(url(place, service, &aws, region).map(|url| url.to_string()).as_deref(), host);
    }

    #[test]
    fn every_place_has_its_name_in_its_partition_unless_a_variable_names_another() {
        let fips = [("AWS_USE_FIPS_ENDPOINT", "true")];
        let dual = [("AWS_USE_DUALSTACK_ENDPOINT", "true")];
        check_url(
            Place::Ecs,
            Service::Ecs,
            &[],
            Some("eu-west-1"),
            Some("https://ecs.eu-west-1.amazonaws.com/"),
        );
        check_url(
            Place::Ecr,
            Service::Ecr,
            &[],
            Some("cn-north-1"),
            Some("https://api.ecr.cn-north-1.amazonaws.com.cn/"),
        );
        check_url(
            Place::Ecr,
            Service::Ecr,
            &fips,
            Some("us-east-1"),
            Some("https://ecr-fips.us-east-1.amazonaws.com/"),
        );
        check_url(
            Place::Sts,
            Service::Sts,
            &dual,
            Some("eu-west-1"),
            Some("https://sts.eu-west-1.api.aws/"),
        );
        check_url(
            Place::S3,
            Service::S3,
            &dual,
            Some("eu-west-1"),
            Some("https://s3.dualstack.eu-west-1.amazonaws.com/"),
        );
        check_url(
            Place::Ecs,
            Service::Ecs,
            &[("AWS_ENDPOINT_URL_ECS", "http://e.test:1")],
            None,
            Some("http://e.test:1/"),
        );
        check_url(Place::Ecs, Service::Ecs, &[], None, None);
    }
}
