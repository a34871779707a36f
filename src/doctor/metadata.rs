//! The metadata service, as this host and as containers find it.

use super::check::{Check, Verdict, check};
use super::{Target, with_causes};
use crate::error::Diagnostic;
use crate::identity::imds;

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

/// The verdict of a check that an external host skips.
fn unless_external(target: &Target, verdict: impl FnOnce() -> Verdict) -> Verdict {
    if target.is_external() {
        return Verdict::skipped("an external host never asks instance metadata");
    }
    verdict()
}

fn failed(error: &imds::Error) -> Verdict {
    Verdict::failure(with_causes(error), error.remedy())
}

fn check_imds(target: &Target) -> Verdict {
    unless_external(target, || match target.observed.imds.get() {
        None => Verdict::unanswered(),
        Some(Ok(endpoint)) => Verdict::ok(format!("{endpoint} grants session tokens")),
        Some(Err(error)) => failed(error),
    })
}

fn check_v1(target: &Target) -> Verdict {
    unless_external(target, || match target.observed.imds_v1.get() {
        Some(Some(200)) => Verdict::warning(
            "requests without a token are answered: whoever can make a program on this host fetch a URL can read the role's credentials, \
             and a hop limit of 1 keeps no container from them",
            "aws ec2 modify-instance-metadata-options --instance-id ID --http-tokens required",
        ),
        Some(Some(status)) => Verdict::ok(format!("refused (HTTP status {status})")),
        Some(None) | None => Verdict::unanswered(),
    })
}

fn check_hop_limit(target: &Target) -> Verdict {
    unless_external(target, || {
        Verdict::skipped(
            "it cannot be read on the host; `aws ec2 describe-instances` shows HttpPutResponseHopLimit. 1 keeps containers on a bridge from \
             session tokens, but not tasks in host network mode, and no container from IMDSv1; at 2 or more only the guard keeps them out",
        )
    })
}

fn check_ipv6(target: &Target) -> Verdict {
    unless_external(target, || match target.observed.imds_ipv6.get() {
        None => Verdict::unanswered(),
        Some(Some(true)) => Verdict::ok(
            "it answers too: firewall rules must cover fd00:ec2::254, as the guard's do",
        ),
        Some(Some(false)) => {
            Verdict::ok("it does not answer: containers find metadata at the IPv4 address only")
        }
        Some(None) => Verdict::skipped(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT or its mode names the one address to ask",
        ),
    })
}

fn check_tags(target: &Target) -> Verdict {
    let wanted = target.settings.from_tags;
    unless_external(target, || match target.observed.imds_tags.get() {
        None => Verdict::unanswered(),
        Some(Err(error)) if wanted => failed(error),
        Some(Ok(None)) if wanted => Verdict::failure(
            "from_tags is set, and instance metadata shows no tags; EC2 refuses to show them while one has a blank or a slash in its name",
            "aws ec2 modify-instance-metadata-options --instance-id ID --instance-metadata-tags enabled; rename such tags first",
        ),
        Some(Ok(Some(_))) => Verdict::ok("metadata shows them"),
        Some(_) => Verdict::ok("metadata does not show them, and no setting needs them"),
    })
}
