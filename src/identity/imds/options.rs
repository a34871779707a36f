//! What AWS's own environment variables say about the metadata service.

use std::time::Duration;

use super::{IPV4, IPV6};
use crate::net::{Error, Vars, variable, web_url};

/// Where the metadata service is, and how long it may take.
#[derive(Debug)]
pub(crate) struct Options {
    /// AWS_EC2_METADATA_DISABLED.
    pub(super) disabled: bool,
    /// The one that AWS_EC2_METADATA_SERVICE_ENDPOINT or AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE
    /// names, without a trailing slash; else both, IPv4 first.
    pub(super) endpoints: Vec<String>,
    /// AWS_METADATA_SERVICE_TIMEOUT: of one attempt. By default attempts grow longer, from 1 s to
    /// 8 s.
    pub(super) timeout: Option<Duration>,
    /// AWS_METADATA_SERVICE_NUM_ATTEMPTS. By default the deadline alone ends the trying.
    pub(super) attempts: Option<u32>,
}

impl Options {
    pub(crate) fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let (url, name) = ("a URL such as http://169.254.169.254", "AWS_EC2_METADATA_DISABLED");
        let disabled = vars.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let named = variable(vars, "AWS_EC2_METADATA_SERVICE_ENDPOINT", url, endpoint)?;
        let of_mode =
            variable(vars, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4 or IPv6", mode)?;
        let one = named.or(of_mode).map(|endpoint| vec![endpoint]);
        Ok(Options {
            disabled,
            endpoints: one.unwrap_or_else(|| vec![IPV4.into(), IPV6.into()]),
            timeout: variable(vars, "AWS_METADATA_SERVICE_TIMEOUT", "seconds above 0", seconds)?,
            attempts: variable(vars, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1 or more", count)?,
        })
    }
}

/// Without a user name and a password: they are not sent, and must not be shown.
fn endpoint(text: &str) -> Option<String> {
    let mut url = web_url(text)?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn mode(text: &str) -> Option<String> {
    match text.to_ascii_lowercase().as_str() {
        "ipv4" => Some(IPV4.into()),
        "ipv6" => Some(IPV6.into()),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds < 3600.0);
    seconds.map(Duration::from_secs_f64)
}

fn count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::pairs;

    const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

    #[test]
    fn endpoint_variable_beats_mode_beats_both_addresses() {
        let table: [(&[_], &[&str]); 6] = [
            (&[], &[IPV4, IPV6]),
            (&[(MODE, "IPv6")], &[IPV6]),
            (&[(MODE, "ipv4")], &[IPV4]),
            (&[(ENDPOINT, "http://[::1]:1338/"), (MODE, "IPv4")], &["http://[::1]:1338"]),
            (&[(ENDPOINT, "http://user:pass@127.0.0.1:9")], &["http://127.0.0.1:9"]),
            (&[(ENDPOINT, "")], &[IPV4, IPV6]),
        ];
        for (variables, endpoints) in table {
            assert_eq!(Options::from_vars(&pairs(variables)).unwrap().endpoints, endpoints);
        }
    }

    #[test]
    fn invalid_variable_is_refused_by_name() {
        let table = [
            (ENDPOINT, "169.254.169.254", "a URL such as http://169.254.169.254"),
            (MODE, "v6", "IPv4 or IPv6"),
            ("AWS_METADATA_SERVICE_TIMEOUT", "0", "seconds above 0"),
            ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "x", "1 or more"),
        ];
        for (variable, value, wanted) in table {
            assert_eq!(
                Options::from_vars(&pairs(&[(variable, value)])).unwrap_err().to_string(),
                format!("{variable} is `{value}`, which is not {wanted}")
            );
        }
    }
}
