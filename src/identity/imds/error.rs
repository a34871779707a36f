//! Why the metadata service did not answer.

use thiserror::Error;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::NetworkError;

#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("instance metadata is switched off by AWS_EC2_METADATA_DISABLED")]
    Disabled,
    #[error(
        "the instance metadata service is off, or refuses this caller (HTTP status {status} on {path})"
    )]
    Refused { status: u16, path: String },
    #[error("{endpoint} is not the instance metadata service: {what}")]
    NotImds { endpoint: String, what: String },
    #[error(
        "token requests to {endpoint} hang while plain requests are answered: the hop limit is too low for where this runs"
    )]
    HopLimit { endpoint: String },
    #[error("no answer from the instance metadata service at {endpoint} after {attempts} attempts")]
    Unreachable { endpoint: String, attempts: u32, source: NetworkError },
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Identity
    }

    fn status(&self) -> ExitStatus {
        ExitStatus::MetadataUnreachable
    }

    fn remedy(&self) -> String {
        match self {
            Error::Disabled => {
                "unset AWS_EC2_METADATA_DISABLED for this program, or use `--host external` on a host outside EC2"
            }
            Error::Refused { .. } => {
                "switch it on: `aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled --http-tokens required`"
            }
            Error::NotImds { .. } => {
                "find out what answers at that address: a proxy, a firewall's page or another tool's metadata server; \
                 AWS_EC2_METADATA_SERVICE_ENDPOINT names the address that is asked"
            }
            Error::HopLimit { .. } => {
                "run it on the host itself, not in a container; or raise the limit: `aws ec2 modify-instance-metadata-options \
                 --instance-id ID --http-put-response-hop-limit 2`"
            }
            Error::Unreachable { .. } => {
                "check whether the network is up, whether a route, a proxy or a firewall rule diverts the address, and whether this is an \
                 EC2 instance at all (else use `--host external`)"
            }
        }
        .into()
    }
}
