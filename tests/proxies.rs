//! Proxies: instance metadata never uses one, whatever is in the environment; S3 and STS use the
//! one for https.

mod support;

use rehearsal::{Certificate, Manners, Options, Proxy};
use support::{Ended, Host, SOURCE, for_each};

const NAMES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

#[test]
fn metadata_never_uses_a_proxy() {
    let table: Vec<(bool, Vec<&str>)> = [false, true]
        .into_iter()
        .flat_map(|v6| {
            NAMES.iter().map(move |name| (v6, vec![*name])).chain([(v6, NAMES.to_vec())])
        })
        .collect();
    for_each(
        &table,
        |(v6, names)| format!("{names:?} {}", if *v6 { "IPv6" } else { "IPv4" }),
        |(v6, names)| {
            let (host, proxy) = (
                Host::of(Options { imds_v6: *v6, ..Options::default() }),
                Proxy::start(Manners::Forwards),
            );
            let env: Vec<_> = names.iter().map(|name| (*name, proxy.url())).collect();
            let env: Vec<(&str, &str)> =
                env.iter().map(|(name, url)| (*name, url.as_str())).collect();
            host.run_with(&env, &["--config", SOURCE]).succeeds_as("installed");
            assert_eq!((proxy.connections(), proxy.bytes()), (0, 0), "{:?}", proxy.hosts());
            assert!(host.cloud.requests().iter().all(|seen| !seen.forwarded));
        },
    );
}

/// AWS's own names, which the proxy leads to the cloud.
fn run_by_names(host: &Host, proxy: &Proxy, more: &[(&str, &str)]) -> Ended {
    host.machine.write("/ca.pem", host.cloud.ca_pem().unwrap());
    let mut command =
        host.machine.command_with(host.cloud.env_by_names(proxy, &host.machine.path("/ca.pem")));
    command.arg("--root").arg(host.machine.root()).args([
        "run",
        "--output",
        "json",
        "--timeout",
        "4s",
        "--config",
        SOURCE,
    ]);
    Ended::of(command.envs(more.iter().copied()))
}

fn host_with_tls() -> Host {
    Host::of(Options { tls: Some(Certificate::Good), ..Options::default() })
}

#[test]
fn s3_and_sts_use_the_https_proxy() {
    let host = host_with_tls();
    let proxy = Proxy::in_front_of(&host.cloud);
    run_by_names(&host, &proxy, &[]).succeeds_as("installed");
    let mut hosts = proxy.hosts();
    hosts.sort();
    assert_eq!(
        hosts,
        ["fleet-config.s3.eu-west-1.amazonaws.com:443", "sts.eu-west-1.amazonaws.com:443"]
    );
}

#[test]
fn hosts_in_no_proxy_bypass_the_proxy() {
    let host = host_with_tls();
    let proxy = Proxy::in_front_of(&host.cloud);
    // The host is not reachable without the proxy, so the fetch fails; what counts is what the
    // proxy was asked for.
    let ended = run_by_names(&host, &proxy, &[("NO_PROXY", "s3.eu-west-1.amazonaws.com")]);
    ended.fails_as("source_unreachable", 22, &["fleet-config.s3.eu-west-1.amazonaws.com"]);
    assert!(
        !proxy.hosts().is_empty()
            && proxy.hosts().iter().all(|host| host == "sts.eu-west-1.amazonaws.com:443"),
        "{:?}",
        proxy.hosts()
    );
}

#[test]
fn refusing_proxy_is_named_in_the_error() {
    let (host, proxy) = (host_with_tls(), Proxy::start(Manners::Refuses));
    let ended = run_by_names(&host, &proxy, &[("HTTPS_PROXY", &proxy.url())]);
    let address = proxy.url().trim_start_matches("http://").to_owned();
    ended.fails_as("source_unreachable", 22, &["proxy", &address, "NO_PROXY"]);
}
