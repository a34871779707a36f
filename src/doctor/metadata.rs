//! The metadata service, as this host and as containers find it.

use super::Patient;
use super::check::{Check, Verdict, check};
use super::words;

pub(crate) const CHECKS: [Check; 5] = [
    check("imds", "a session token of the metadata service (IMDSv2)", imds).needs(&["environment"]),
    check("imds-v1", "whether version 1, without tokens, is still answered", version_1)
        .needs(&["imds"]),
    check("imds-hop-limit", "how far the answer to a token request travels", hop_limit),
    check("imds-ipv6", "the metadata service's IPv6 address", ipv6).needs(&["imds"]),
    check("imds-tags", "instance tags in metadata, if the settings need them", tags)
        .needs(&["imds"]),
];

const NEVER: &str = "an external host never asks instance metadata";

fn imds(patient: &Patient) -> Verdict {
    match patient.heard.metadata.get() {
        _ if patient.external() => Verdict::skipped(NEVER),
        None => Verdict::unanswered(),
        Some(Ok(endpoint)) => Verdict::ok(format!("{endpoint} gives session tokens")),
        Some(Err(error)) => Verdict::failure(words(error), error.remedy()),
    }
}

fn version_1(patient: &Patient) -> Verdict {
    match patient.heard.version_1.get() {
        _ if patient.external() => Verdict::skipped(NEVER),
        Some(Some(200)) => Verdict::warning(
            "requests without a token are answered: whoever can make a program on this host fetch a URL can read the role's credentials, \
             and a hop limit of 1 keeps no container from them",
            "aws ec2 modify-instance-metadata-options --instance-id ID --http-tokens required",
        ),
        Some(Some(status)) => Verdict::ok(format!("refused (HTTP status {status})")),
        Some(None) | None => Verdict::unanswered(),
    }
}

fn hop_limit(patient: &Patient) -> Verdict {
    match patient.external() {
        true => Verdict::skipped(NEVER),
        false => Verdict::skipped(
            "it cannot be read from inside; `aws ec2 describe-instances` shows HttpPutResponseHopLimit. 1 keeps containers on a bridge from \
             session tokens, but not tasks in host network mode, and nobody from version 1; at 2 or more only a fence keeps them out",
        ),
    }
}

fn ipv6(patient: &Patient) -> Verdict {
    match patient.heard.ipv6.get() {
        _ if patient.external() => Verdict::skipped(NEVER),
        Some(Some(true)) => {
            Verdict::ok("it answers too: a fence must cover fd00:ec2::254, as ours does")
        }
        Some(Some(false)) => {
            Verdict::ok("it does not answer: containers find metadata at the IPv4 address only")
        }
        Some(None) => Verdict::skipped(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT or its mode names the one address to ask",
        ),
        None => Verdict::unanswered(),
    }
}

fn tags(patient: &Patient) -> Verdict {
    if patient.external() {
        return Verdict::skipped(NEVER);
    }
    let wanted = patient.settings.from_tags;
    match patient.heard.tags.get() {
        None => Verdict::unanswered(),
        Some(Err(error)) if wanted => Verdict::failure(words(error), error.remedy()),
        Some(Ok(None)) if wanted => Verdict::failure(
            "from_tags is set, and instance metadata shows no tags",
            "aws ec2 modify-instance-metadata-options --instance-id ID --instance-metadata-tags enabled",
        ),
        Some(Ok(Some(_))) => Verdict::ok("metadata shows them"),
        Some(_) => Verdict::ok("metadata does not show them, and no setting asks for them"),
    }
}
