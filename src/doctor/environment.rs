//! What the program was told, and what kind of host it is on.

use ecs_config::text::plural;

use super::check::{Check, Verdict, check};
use super::{Patient, unit_files};
use crate::identity::host_kind::{self, Evidence};
use crate::paths;

pub(crate) const CHECKS: [Check; 4] = [
    check("settings", "flags, ECS_BOOTSTRAP_* and the settings file", settings),
    check("environment", "AWS's own variables, and those of proxies and CAs", environment),
    check(
        "proxy",
        "whether a proxy would be asked for metadata: here, in ecs.service and in docker.service",
        proxy,
    ),
    check(
        "host-kind",
        "SSM registration, ECS_EXTERNAL and the firmware, in this order; the marks of AWS Batch",
        host_kind,
    ),
];

fn settings(patient: &Patient) -> Verdict {
    if let Some((message, remedy)) = &patient.unsettled {
        return Verdict::failure(message, remedy);
    }
    let layers = patient.settings.config.len();
    match layers + patient.settings.set.len() {
        0 => Verdict::warning(
            "no configuration is named: `run` would have nothing to install",
            "say where ecs.config is: `config = [\"s3://BUCKET/KEY\"]` in /etc/ecs-bootstrap/ecs-bootstrap.toml",
        ),
        _ => Verdict::ok(format!(
            "{}, {} set by hand",
            plural(layers, "source"),
            plural(patient.settings.set.len(), "key")
        )),
    }
}

fn environment(patient: &Patient) -> Verdict {
    const STRANGERS: [&str; 3] =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    if let Some((message, remedy)) = patient.heard.unusable.get() {
        return Verdict::failure(message, remedy);
    }
    let set: Vec<&str> =
        STRANGERS.into_iter().filter(|name| patient.variable(name).is_some()).collect();
    match set.as_slice() {
        [] => Verdict::ok("nothing in it stands in the way"),
        names => Verdict::warning(
            format!(
                "{}: this program ignores it, others would take it instead of the host's role",
                names.join(", ")
            ),
            format!("unset {}", names.join(" ")),
        ),
    }
}

/// The metadata service and the agent's own endpoint for task credentials.
const LINK_LOCAL: [&str; 2] = ["169.254.169.254", "169.254.170.2"];

/// Metadata is plain HTTP, so HTTPS_PROXY alone does no harm. A proxy that answers for metadata
/// answers with its own host's role.
fn proxy(patient: &Patient) -> Verdict {
    let here = patient.variables.clone();
    let services = ["ecs.service", "amazon-ecs.service", "docker.service"];
    let units = services.map(|name| (name, environment_of(patient, name)));
    let places = std::iter::once(("the environment", here)).chain(units);
    let mut open = places
        .filter_map(|(place, variables)| Some((place, sends_metadata_to_a_proxy(&variables)?)));
    match open.next() {
        None => Verdict::ok("metadata is asked directly"),
        Some((place, missing)) => Verdict::warning(
            format!(
                "{place} names a proxy, and NO_PROXY lacks {missing}: other programs would ask the proxy for this host's metadata"
            ),
            format!("add {missing} to NO_PROXY there"),
        ),
    }
}

/// `Environment=` of a unit. Quotes go around whole assignments (systemd.exec(5)).
fn environment_of(patient: &Patient, unit: &str) -> Vec<(String, String)> {
    let unit = unit_files::read(&patient.settings.root, unit).unwrap_or_default();
    let words =
        unit.list("Environment").into_iter().map(|word| word.trim_matches(['"', '\'']).to_owned());
    words
        .filter_map(|word| {
            word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

fn sends_metadata_to_a_proxy(variables: &[(String, String)]) -> Option<String> {
    let get = |name: &str| {
        variables
            .iter()
            .find(|(known, value)| known.eq_ignore_ascii_case(name) && !value.is_empty())
    };
    get("HTTP_PROXY").or_else(|| get("ALL_PROXY"))?;
    let bypass: Vec<&str> =
        get("NO_PROXY").map_or("", |(_, list)| list).split([',', ' ']).collect();
    let missing: Vec<&str> = LINK_LOCAL
        .into_iter()
        .filter(|host| !bypass.iter().any(|entry| covers(entry, host)))
        .collect();
    (!missing.is_empty()).then(|| missing.join(","))
}

fn covers(entry: &str, host: &str) -> bool {
    ["*", "169.254.0.0/16", "169.254."].contains(&entry) || entry == host
}

fn host_kind(patient: &Patient) -> Verdict {
    let settings = &patient.settings;
    let registered = host_kind::registration(settings).is_some();
    match (patient.external(), registered) {
        (true, false) => Verdict::failure(
            format!(
                "it is to be an external host, and the SSM agent is not registered: {} holds no mi- id",
                paths::SSM_REGISTRATION
            ),
            "register it: `amazon-ssm-agent -register -code CODE -id ID -region REGION`, or set host to `ec2`",
        ),
        (true, true) if host_kind::firmware(settings).is_some() => Verdict::warning(
            "an EC2 instance that is registered as an external host: the agent may take the instance's role and be refused",
            "detach the instance profile, or deregister from Systems Manager and use `host = \"ec2\"`",
        ),
        (true, true) => external(patient),
        (false, true) => Verdict::warning(
            "taken for an EC2 instance, although the SSM agent is registered as on an external host",
            "use `host = \"external\"`, or remove the registration that another host left",
        ),
        (false, false) => ec2(patient),
    }
}

fn external(patient: &Patient) -> Verdict {
    match host_kind::missing(&patient.settings) {
        none if none.is_empty() => Verdict::ok(patient.kind.to_string()),
        missing => Verdict::warning(
            missing.join("; "),
            "add ECS_EXTERNAL=true and AWS_DEFAULT_REGION=REGION to /var/lib/ecs/ecs.config, as AWS's ecs-anywhere-install.sh does where no \
             agent is installed yet",
        ),
    }
}

fn ec2(patient: &Patient) -> Verdict {
    let by = match (
        host_kind::is_batch(&patient.settings),
        patient.heard.is_tagged(host_kind::BATCH_TAG),
    ) {
        (true, _) => Some("the generated ECS_CLUSTER"),
        (false, true) => Some("the instance's tags"),
        (false, false) => None,
    };
    let of_batch = by.map(|by| format!("{} ({by})", host_kind::OF_BATCH)).unwrap_or_default();
    match &patient.kind {
        Evidence::None { vendor: Some(vendor) } => Verdict::warning(
            format!(
                "nothing says that it is external, but the machine's vendor is {vendor}, not Amazon EC2{of_batch}"
            ),
            "register it with Systems Manager (ECS Anywhere); if it is an EC2 instance all the same, set host to `ec2`",
        ),
        kind => Verdict::ok(format!("{kind}{of_batch}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_proxy(variables: &[(&str, &str)], missing: Option<&str>) {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(sends_metadata_to_a_proxy(&variables).as_deref(), missing);
    }

    #[test]
    fn only_a_proxy_for_plain_http_without_the_two_addresses_in_no_proxy_is_one_for_metadata() {
        check_proxy(&[("HTTPS_PROXY", "http://p:3128")], None);
        check_proxy(&[("http_proxy", "http://p:3128")], Some("169.254.169.254,169.254.170.2"));
        check_proxy(
            &[("HTTP_PROXY", "http://p:3128"), ("no_proxy", "localhost,169.254.169.254")],
            Some("169.254.170.2"),
        );
        check_proxy(&[("ALL_PROXY", "http://p:3128"), ("NO_PROXY", "169.254.0.0/16")], None);
        check_proxy(&[("HTTP_PROXY", ""), ("NO_PROXY", "")], None);
    }
}
