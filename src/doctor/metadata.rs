//! The metadata service, as this host and as containers find it.

use std::sync::OnceLock;

use super::Target;
use super::check::{Check, Found, answered, check, failed, failure, ok, skipped, warning};

pub(super) const CHECKS: &[Check] = &[
    check("imds", "a session token of the metadata service (IMDSv2)", check_imds)
        .needs(&["environment"]),
    check("imds-v1", "whether requests without a token are still answered (IMDSv1)", check_v1)
        .needs(&["imds"]),
    check("imds-hop-limit", "how far the answer to a token request travels", check_hop_limit),
    check("imds-ipv6", "the metadata service's IPv6 address", check_ipv6).needs(&["imds"]),
    check("imds-tags", "instance tags in metadata, if the settings need them", check_tags)
        .needs(&["imds"]),
];

/// What an external host is not asked for.
fn unless_external(target: &Target) -> Found<()> {
    match target.is_external() {
        true => skipped("an external host never asks instance metadata"),
        false => Ok(()),
    }
}

fn metadata<'t, T>(target: &Target, cell: &'t OnceLock<T>) -> Found<&'t T> {
    unless_external(target)?;
    answered(cell)
}

fn check_imds(target: &Target) -> Found {
    match metadata(target, &target.observed.imds)? {
        Ok(endpoint) => ok(format!("{endpoint} grants session tokens")),
        Err(error) => failed(error),
    }
}

fn check_v1(target: &Target) -> Found {
    match metadata(target, &target.observed.imds_v1)? {
        200 => warning(
            "requests without a token are answered: whoever can make a program on this host fetch a URL can read the role's credentials, \
             and a hop limit of 1 keeps no container from them",
            "aws ec2 modify-instance-metadata-options --instance-id ID --http-tokens required",
        ),
        status => ok(format!("refused (HTTP status {status})")),
    }
}

fn check_hop_limit(target: &Target) -> Found {
    unless_external(target)?;
    skipped(
        "it cannot be read on the host; `aws ec2 describe-instances` shows HttpPutResponseHopLimit. 1 keeps containers on a bridge from \
         session tokens, but not tasks in host network mode, and no container from IMDSv1; at 2 or more only the guard keeps them out",
    )
}

fn check_ipv6(target: &Target) -> Found {
    match metadata(target, &target.observed.imds_ipv6)? {
        Some(true) => {
            ok("it answers too: firewall rules must cover fd00:ec2::254, as the guard's do")
        }
        Some(false) => ok("it does not answer: containers find metadata at the IPv4 address only"),
        None => {
            skipped("AWS_EC2_METADATA_SERVICE_ENDPOINT or its mode names the one address to ask")
        }
    }
}

fn check_tags(target: &Target) -> Found {
    let wanted = target.settings.from_tags;
    match metadata(target, &target.observed.imds_tags)? {
        Err(error) if wanted => failed(error),
        Ok(None) if wanted => failure(
            "from_tags is set, and instance metadata shows no tags; EC2 refuses to show them while one has a blank or a slash in its name",
            "aws ec2 modify-instance-metadata-options --instance-id ID --instance-metadata-tags enabled; rename such tags first",
        ),
        Ok(Some(_)) => ok("metadata shows them"),
        _ => ok("metadata does not show them, and no setting needs them"),
    }
}
