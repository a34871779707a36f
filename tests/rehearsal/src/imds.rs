//! Instance metadata, version 2 only: tokens, their rules, and the tree of values. Statuses,
//! headers and the HTML of the error pages are those of EC2's own service and of AWS's
//! documentation ("Use IMDS"). Changes the state's tokens, nothing else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock;
use crate::http::{Request, Response, decoded, reason};
use crate::state::{CloudState, Token};

const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
pub(crate) const TOKEN_PATH: &str = "/latest/api/token";
/// Seconds; six hours is the longest.
const TTL: std::ops::RangeInclusive<u64> = 1..=21600;
const VERSIONS: [&str; 5] = ["latest", "2019-10-01", "2021-01-03", "2021-07-15", "2024-04-11"];

/// One answer of IMDS.
pub(crate) fn answer(state: &mut CloudState, request: &Request) -> Response {
    match request.method.as_str() {
        "PUT" => token(state, request),
        "GET" | "HEAD" if request.path() == TOKEN_PATH => page(405),
        "GET" | "HEAD" if !has_token(state, request) => page(401),
        "GET" | "HEAD" => item(state, request.path()),
        _ => page(405),
    }
}

/// The HTML that EC2 sends with an error.
pub(crate) fn page(status: u16) -> Response {
    let title = format!("{status} - {}", reason(status));
    let body = format!(
        r#"<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
 </body>
</html>
"#
    );
    Response::new(status, "text/html", body).with("Server", "EC2ws")
}

fn token(state: &mut CloudState, request: &Request) -> Response {
    if request.header("x-forwarded-for").is_some() || request.path() != TOKEN_PATH {
        return page(403);
    }
    let ttl =
        request.header(TTL_HEADER).and_then(|ttl| ttl.parse().ok()).filter(|ttl| TTL.contains(ttl));
    let Some(ttl) = ttl else { return page(400) };
    let text = format!("PLANTED-IMDS-TOKEN-{:035}==", state.tokens.len() + 1);
    state
        .tokens
        .push(Token { text: text.clone(), expires: Instant::now() + Duration::from_secs(ttl) });
    let mut response = plain(text).with("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl.to_string());
    response.manner.hop_limit = Some(state.host.hop_limit);
    response
}

fn has_token(state: &CloudState, request: &Request) -> bool {
    let given = request.header("x-aws-ec2-metadata-token");
    state
        .tokens
        .iter()
        .any(|token| Some(token.text.as_str()) == given && token.expires > Instant::now())
}

fn plain(text: impl Into<Vec<u8>>) -> Response {
    Response::new(200, "text/plain", text).with("Server", "EC2ws")
}

fn item(state: &CloudState, path: &str) -> Response {
    let path = decoded(path);
    let (version, rest) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_matches('/'), ""));
    if version.is_empty() {
        return plain(VERSIONS.map(|v| format!("{v}\n")).concat());
    }
    if !VERSIONS.contains(&version) {
        return page(404);
    }
    let tree = tree(state);
    let rest = rest.trim_end_matches('/');
    match tree.iter().find(|(path, _)| path == rest) {
        Some((_, value)) => plain(value.clone()),
        None => listing(&tree, rest),
    }
}

/// A folder lists what is in it, a line feed between two names, folders with a slash.
fn listing(tree: &[(String, String)], folder: &str) -> Response {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let mut names: Vec<String> = Vec::new();
    for rest in tree.iter().filter_map(|(path, _)| path.strip_prefix(&prefix)) {
        let name = rest.split_once('/').map_or(rest.to_owned(), |(name, _)| format!("{name}/"));
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    match names.is_empty() {
        true => page(404),
        false => plain(names.join("\n")),
    }
}

/// Every item this host has, with its path below the version.
fn tree(state: &CloudState) -> Vec<(String, String)> {
    let host = &state.host;
    let interface = format!("meta-data/network/interfaces/macs/{}", host.mac);
    let mut tree: Vec<(String, String)> = [
        ("dynamic/instance-identity/document", identity_document(state)),
        ("meta-data/ami-id", host.ami_id.clone()),
        ("meta-data/instance-id", host.instance_id.clone()),
        ("meta-data/instance-type", host.instance_type.clone()),
        ("meta-data/local-ipv4", "10.0.0.10".into()),
        ("meta-data/mac", host.mac.clone()),
        ("meta-data/placement/availability-zone", host.availability_zone.clone()),
        ("meta-data/placement/region", host.region.clone()),
        ("meta-data/services/domain", host.domain.clone()),
        ("meta-data/services/partition", host.partition.clone()),
    ]
    .map(|(path, value)| (path.to_owned(), value))
    .to_vec();
    tree.push((format!("{interface}/owner-id"), host.account_id.clone()));
    tree.extend(iam(state));
    let optional = [
        ("meta-data/autoscaling/target-lifecycle-state", &host.lifecycle_state),
        ("user-data", &host.user_data),
    ];
    tree.extend(
        optional.into_iter().filter_map(|(path, value)| Some((path.to_owned(), value.clone()?))),
    );
    let tags = host.tags.iter().flatten();
    tree.extend(tags.map(|(key, value)| (format!("meta-data/tags/instance/{key}"), value.clone())));
    tree
}

fn iam(state: &CloudState) -> Vec<(String, String)> {
    let host = &state.host;
    let Some(role) = &host.role else { return Vec::new() };
    let info = json!({
        "Code": "Success",
        "LastUpdated": clock::rfc3339(state.updated),
        "InstanceProfileArn": format!("arn:{}:iam::{}:instance-profile/{}", host.partition, host.account_id, host.instance_profile),
        "InstanceProfileId": "AIPAREHEARSAL00000001",
    });
    let credentials = pretty(&state.credentials_document());
    vec![
        ("meta-data/iam/info".into(), pretty(&info)),
        (format!("meta-data/iam/security-credentials/{role}"), credentials),
    ]
}

fn identity_document(state: &CloudState) -> String {
    let host = &state.host;
    pretty(&json!({
        "accountId": host.account_id,
        "architecture": "x86_64",
        "availabilityZone": host.availability_zone,
        "billingProducts": null,
        "devpayProductCodes": null,
        "marketplaceProductCodes": null,
        "imageId": host.ami_id,
        "instanceId": host.instance_id,
        "instanceType": host.instance_type,
        "kernelId": null,
        "pendingTime": clock::rfc3339(state.updated),
        "privateIp": "10.0.0.10",
        "ramdiskId": null,
        "region": host.region,
        "version": "2017-09-30",
    }))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
