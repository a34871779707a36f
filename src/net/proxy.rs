//! Which proxy, if any, a request goes through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY`, read once from the variables handed in. Pure.
//!
//! `NO_PROXY` is read by Go's rules, as ecs-init and the agent read it ([`covers`]). Loopback and
//! the link-local metadata addresses never go through a proxy, whatever the variables say: one that
//! answers a metadata request answers with its own host's role.

use std::net::{IpAddr, Ipv6Addr};

use aws_smithy_types::base64;
use ecs_config::proxy::covers;
use percent_encoding::percent_decode_str;
use url::Url;

use super::connect::Target;
use super::{Error, Vars};

/// The proxies of one process, with their credentials, which is why there is no `Debug`.
#[derive(Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    no_proxy: String,
}

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) at: Target,
    /// The user and password of its URL, as `Proxy-Authorization` has them.
    pub(super) authorization: Option<String>,
}

impl Proxies {
    /// Lower case wins over upper case, as in curl and Python; `ALL_PROXY` fills in for both
    /// schemes.
    pub(super) fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let all = find(vars, "ALL_PROXY")?;
        Ok(Self {
            http: find(vars, "HTTP_PROXY")?.or_else(|| all.clone()),
            https: find(vars, "HTTPS_PROXY")?.or(all),
            no_proxy: either_case(vars, "NO_PROXY").map_or("", |(_, list)| list).into(),
        })
    }

    /// The proxy on the way to a server.
    pub(super) fn for_target(&self, target: &Target) -> Option<&Proxy> {
        let proxy = if target.is_tls { &self.https } else { &self.http };
        let Target { host, port, .. } = target;
        let is_direct = || stays_on_this_host(host) || covers(&self.no_proxy, host, *port);
        proxy.as_ref().filter(|_| !is_direct())
    }
}

/// The user and password of a proxy's URL, as a header's value.
fn authorization(proxy: &Url) -> Option<String> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (proxy.username(), proxy.password().unwrap_or_default());
    (!user.is_empty() || !password.is_empty()).then(|| {
        format!("Basic {}", base64::encode(format!("{}:{}", plain(user), plain(password))))
    })
}

fn either_case<'v>(vars: &'v Vars, name: &'static str) -> Option<(String, &'v str)> {
    let names = [name.to_ascii_lowercase(), name.to_owned()];
    names.into_iter().find_map(|name| vars.get(&name).map(|value| (name, &**value)))
}

fn find(vars: &Vars, name: &'static str) -> Result<Option<Proxy>, Error> {
    let Some((variable, value)) = either_case(vars, name) else { return Ok(None) };
    let with_scheme =
        if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&with_scheme).ok();
    let why = match url.as_ref().and_then(|url| Some((url, Target::of_url(url)?))) {
        Some((url, at)) if matches!(url.scheme(), "http" | "https") => {
            return Ok(Some(Proxy { at, authorization: authorization(url) }));
        }
        Some((url, _)) => format!("a {} proxy is not supported", url.scheme()),
        None => "it is not a URL".into(),
    };
    Err(Error::Proxy { variable, why })
}

fn stays_on_this_host(host: &str) -> bool {
    /// `fd00:ec2::254`.
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unicast_link_local() || address == METADATA
        }
        Err(_) => format!(".{host}").to_ascii_lowercase().ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::pairs;

    fn way(vars: &[(&str, &str)], url: &str) -> String {
        let target = Target::of_url(&Url::parse(url).unwrap()).unwrap();
        let proxies = Proxies::from_vars(&pairs(vars)).unwrap();
        proxies.for_target(&target).map_or("direct".into(), |proxy| proxy.at.authority())
    }

    #[test]
    fn proxy_is_chosen_by_scheme_and_lower_case_wins() {
        let vars = [
            ("HTTPS_PROXY", "http://tls.test:3128"),
            ("http_proxy", "lower.test"),
            ("HTTP_PROXY", "upper.test"),
        ];
        assert_eq!(way(&vars, "https://b.s3.us-west-2.amazonaws.com/k"), "tls.test:3128");
        assert_eq!(way(&vars, "http://store.test/k"), "lower.test:80");
        assert_eq!(way(&[("ALL_PROXY", "all.test:1")], "https://store.test/k"), "all.test:1");
        assert_eq!(way(&[], "https://store.test/k"), "direct");
        assert_eq!(way(&[("HTTPS_PROXY", "")], "https://store.test/k"), "direct");
    }

    #[test]
    fn loopback_and_metadata_never_take_a_proxy() {
        let hosts = [
            "169.254.169.254",
            "[fd00:ec2::254]",
            "127.0.0.1:8080",
            "[::1]",
            "[::ffff:169.254.169.254]",
            "localhost",
            "s3.localhost",
        ];
        for host in hosts {
            for scheme in ["http", "https"] {
                assert_eq!(
                    way(
                        &[("ALL_PROXY", "http://proxy.test:3128")],
                        &format!("{scheme}://{host}/latest")
                    ),
                    "direct",
                    "{host}"
                );
            }
        }
    }

    #[test]
    fn no_proxy_takes_names_addresses_networks_and_ports() {
        let table = [
            ("amazonaws.com", "https://b.s3.us-west-2.amazonaws.com/", true),
            (".amazonaws.com", "https://b.s3.us-west-2.amazonaws.com/", true),
            ("*.amazonaws.com", "https://b.s3.us-west-2.amazonaws.com/", true),
            ("other.test, s3.test", "https://S3.test/", true),
            ("s3.test:443", "https://s3.test/", true),
            ("s3.test:8443", "https://s3.test/", false),
            ("3.test", "https://s3.test/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("10.1.2.3", "https://10.1.2.3/", true),
            ("2001:db8::/32", "https://[2001:db8::1]/", true),
            ("[2001:db8::1]:443", "https://[2001:db8::1]/", true),
            ("2001:db8::1", "https://[2001:db8::1]/", true),
            ("s3.test other.test", "https://s3.test/", false),
            ("0.0.0.0/0", "https://10.1.2.3/", true),
            ("0.0.0.0/0", "https://[2001:db8::1]/", false),
            ("*", "https://s3.test/", true),
        ];
        for (list, url, direct) in table {
            let found = way(&[("HTTPS_PROXY", "http://proxy.test:3128"), ("NO_PROXY", list)], url);
            assert_eq!(found == "direct", direct, "NO_PROXY={list} {url}");
        }
    }

    #[test]
    fn unusable_proxy_is_refused_without_showing_its_password() {
        for bad in
            ["socks5://u:MARKER@proxy.test", "http://u:MARKER@", "http://u:MARKER@proxy:port"]
        {
            let vars = [("HTTPS_PROXY".to_owned(), bad.to_owned())].into();
            let error = Proxies::from_vars(&vars).err().unwrap();
            assert!(!format!("{error} {error:?}").contains("MARKER"), "{error}");
            assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        }
        let vars =
            [("HTTPS_PROXY".to_owned(), "http://u:MARKER@proxy.test:3128".to_owned())].into();
        let http = crate::net::Http::new(&vars).unwrap();
        assert!(!format!("{http:?}").contains("MARKER"));
    }

    #[test]
    fn credentials_of_a_proxy_are_decoded() {
        let header = |url: &str| authorization(&Url::parse(url).unwrap());
        assert_eq!(header("http://u%40:p%3A@proxy.test").unwrap(), "Basic dUA6cDo=");
        assert_eq!(header("http://proxy.test"), None);
    }
}
