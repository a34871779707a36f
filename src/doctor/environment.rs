//! What the program was given, and what kind of host it is on.

use ecs_config::proxy::exposed;
use ecs_config::text::plural;

use super::check::{Check, Found, check, failure, ok, warning};
use super::{Target, unit_files};
use crate::identity::host_kind::{self, Evidence};
use crate::net::vars;
use crate::paths::{AGENT_UNITS, DOCKER_UNIT, SSM_REGISTRATION};

pub(super) const CHECKS: &[Check] = &[
    check("settings", "flags, ECS_BOOTSTRAP_* and the settings file", check_settings),
    check("environment", "AWS's own variables, and those of proxies and CAs", check_environment),
    check("proxy", "whether a proxy would get requests for instance metadata", check_proxy),
    check("host-kind", "EC2, AWS Batch or external, and what shows it", check_host_kind),
];

fn check_settings(target: &Target) -> Found {
    if let Some((message, remedy)) = &target.settings_error {
        return failure(message, remedy);
    }
    let (sources, keys) = (target.settings.config.len(), target.settings.set.len());
    if sources + keys == 0 {
        return warning(
            "no configuration is named: `run` would have nothing to install",
            "write where ecs.config is: `config = [\"s3://BUCKET/KEY\"]` in /etc/ecs-bootstrap/ecs-bootstrap.toml",
        );
    }
    ok(format!("{}, {} set by hand", plural(sources, "source"), plural(keys, "key")))
}

fn check_environment(target: &Target) -> Found {
    const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    if let Some((message, remedy)) = target.observed.unreachable.get() {
        return failure(message, remedy);
    }
    let set = vars(&target.variables);
    match KEYS.into_iter().filter(|name| set.contains_key(*name)).collect::<Vec<_>>() {
        none if none.is_empty() => ok("nothing in it interferes"),
        set => warning(
            format!(
                "{}: this program ignores it, other programs would use it instead of the host's role",
                set.join(", ")
            ),
            format!("unset {}", set.join(" ")),
        ),
    }
}

fn check_proxy(target: &Target) -> Found {
    let units = AGENT_UNITS.into_iter().chain([DOCKER_UNIT]);
    let places = [("the environment", target.variables.clone())].into_iter().chain(
        units.filter_map(|name| Some((name, unit_files::read(target.root(), name)?.environment()))),
    );
    let mut proxied = places
        .map(|(place, variables)| (place, exposed(|name| variable(&variables, name)).join(",")))
        .filter(|(_, addresses)| !addresses.is_empty());
    match proxied.next() {
        None => ok("metadata is asked directly"),
        Some((place, missing)) => warning(
            format!(
                "{place} names a proxy, and NO_PROXY lacks {missing}: other programs would ask the proxy for this host's metadata"
            ),
            format!("add {missing} to NO_PROXY there"),
        ),
    }
}

/// The last value of a variable counts. ALL_PROXY is a proxy for plain HTTP too, as curl has it.
fn variable(variables: &[(String, String)], name: &str) -> Option<String> {
    let last = |wanted: &str| variables.iter().rev().find(|(name, _)| name == wanted);
    let all = || match name {
        "HTTP_PROXY" => last("ALL_PROXY"),
        "http_proxy" => last("all_proxy"),
        _ => None,
    };
    last(name).or_else(all).map(|(_, value)| value.clone())
}

fn check_host_kind(target: &Target) -> Found {
    let registered = host_kind::registration(&target.settings).is_some();
    match (target.is_external(), registered) {
        (true, false) => failure(
            format!(
                "it is to be an external host, and the SSM agent is not registered: {SSM_REGISTRATION} has no mi- id"
            ),
            "register it: `amazon-ssm-agent -register -code CODE -id ID -region REGION`, or set host to `ec2`",
        ),
        (true, true) if host_kind::firmware(&target.settings).is_some() => warning(
            "an EC2 instance that is registered as an external host: the agent may take the instance's role and be refused",
            "detach the instance profile, or deregister from Systems Manager and use `host = \"ec2\"`",
        ),
        (true, true) => external(target),
        (false, true) => warning(
            "taken for an EC2 instance, although the SSM agent is registered as on an external host",
            "use `host = \"external\"`, or remove the registration that another host left",
        ),
        (false, false) => ec2(target),
    }
}

fn external(target: &Target) -> Found {
    match host_kind::missing(&target.files.effective()) {
        none if none.is_empty() => ok(target.kind.to_string()),
        missing => warning(
            missing.join("; "),
            "add ECS_EXTERNAL=true and AWS_DEFAULT_REGION=REGION to /var/lib/ecs/ecs.config, as AWS's ecs-anywhere-install.sh does where no \
             agent is installed yet",
        ),
    }
}

fn ec2(target: &Target) -> Found {
    let batch = if host_kind::is_batch(&target.files) {
        format!("{} (the generated ECS_CLUSTER)", host_kind::OF_BATCH)
    } else if target.observed.is_tagged(host_kind::BATCH_TAG) {
        format!("{} (the instance's tags)", host_kind::OF_BATCH)
    } else {
        String::new()
    };
    match &target.kind {
        Evidence::None { vendor: Some(vendor) } => warning(
            format!(
                "nothing shows that it is external, but the machine's vendor is {vendor}, not Amazon EC2{batch}"
            ),
            "register it with Systems Manager (ECS Anywhere); if it is an EC2 instance all the same, set host to `ec2`",
        ),
        kind => ok(format!("{kind}{batch}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [&str; 2] = ["169.254.169.254", "169.254.170.2"];

    #[track_caller]
    fn check_addresses(variables: &[(&str, &str)], proxied: &[&str]) {
        let owned: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(exposed(|name| variable(&owned, name)), proxied, "{variables:?}");
    }

    #[test]
    fn only_a_proxy_for_plain_http_gets_metadata_requests() {
        check_addresses(&[("HTTPS_PROXY", "http://p:3128")], &[]);
        check_addresses(&[("http_proxy", "http://p:3128")], &BOTH);
        check_addresses(&[("ALL_PROXY", "http://p:3128"), ("NO_PROXY", "169.254.0.0/16")], &[]);
        check_addresses(&[("all_proxy", "http://p:3128")], &BOTH);
        check_addresses(&[("HTTP_PROXY", ""), ("NO_PROXY", "")], &[]);
        check_addresses(&[("HTTP_PROXY", "http://p"), ("HTTP_PROXY", "")], &[]);
    }

    #[test]
    fn no_proxy_is_read_by_the_rules_of_go() {
        let table: [(&str, &[&str]); 10] = [
            ("localhost,169.254.169.254", &["169.254.170.2"]),
            ("169.254.169.254:80, 169.254.170.2", &[]),
            ("169.254.169.254:443,169.254.170.2", &["169.254.169.254"]),
            ("169.254.169.254/32,169.254.170.2/32", &[]),
            ("169.254.0.0/16", &[]),
            ("0.0.0.0/0", &[]),
            ("*", &[]),
            ("169.254.", &BOTH),
            ("169.254.*", &BOTH),
            ("169.254.169.254 169.254.170.2", &BOTH),
        ];
        for (no_proxy, proxied) in table {
            check_addresses(&[("HTTP_PROXY", "http://p"), ("NO_PROXY", no_proxy)], proxied);
        }
    }
}
