//! One value of every kind of failure, for the test over all errors.

use std::collections::BTreeSet;

use super::*;
use crate::error::tests::{PLANTED, examples, network};
use crate::net::endpoint::Service;
use crate::net::signed::GET_PARAMETER;
use crate::source::error::{NO_BUCKET, NO_FILE, NO_KEY, NO_VERSION};

impl Error {
    pub(crate) fn examples() -> Vec<(ExitStatus, Error)> {
        let url = format!("https://user:{PLANTED}@bucket.test/key?X-Amz-Signature={PLANTED}");
        let from = url.parse::<Source>().unwrap().to_string();
        let network = network::network().into_iter();
        let kinds = kinds().into_iter().chain(network.map(|(status, kind)| (status, kind.into())));
        let of = |(status, kind)| {
            let causes = vec!["connection reset by peer".into()];
            (status, Error { from: from.clone(), service: Service::S3, kind, attempts: 2, causes })
        };
        kinds.map(of).collect()
    }
}

fn asked(source: &str) -> ErrorKind {
    let source: Source = source.parse().unwrap();
    let object = Box::new(source.object().unwrap().clone());
    ErrorKind::AccessDenied { object, region: "eu-west-1".into() }
}

fn kinds() -> Vec<(ExitStatus, ErrorKind)> {
    use ErrorKind::*;
    let code = || "InvalidAccessKeyId".to_owned();
    let denied = ["s3://bucket/key", "s3://bucket/key?owner=123456789012&versionId=1"].map(asked);
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1".to_owned();
    let secret = SecretDenied {
        action: &GET_PARAMETER,
        arn: "arn:aws:ssm:eu-west-1:123456789012:parameter/fleet/ecs.config".into(),
    };
    let why = Some("Request has expired".to_owned());
    let digest = Digest { wanted: "0".repeat(64), found: "1".repeat(64) };
    examples!(ErrorKind {
        AccessDenied { .. } => AccessDenied denied,
        SecretDenied { .. } => AccessDenied [secret],
        KmsDenied { .. } => AccessDenied [KmsDenied { key: Some(key) }, KmsDenied { key: None }],
        KmsKey { .. } => AccessDenied [KmsKey { code: code() }],
        Credentials { .. } => AccessDenied [Credentials { code: code() }],
        UrlRefused { .. } => AccessDenied [
            UrlRefused { status: 403, why },
            UrlRefused { status: 400, why: None },
        ],
        Refused { .. } => AccessDenied [Refused { status: 400, code: code() }],
        Archived => AccessDenied [Archived],
        FileDenied => AccessDenied [FileDenied],
        NotFound(_) => NotFound [NO_KEY, NO_BUCKET, NO_VERSION, NO_FILE],
        DeleteMarker => NotFound [DeleteMarker],
        NoUrl(_) => NotFound [NoUrl(404)],
        RegionLoop(_) => SourceUnreachable [
            RegionLoop(vec!["eu-west-1".into(), "us-east-1".into()]),
        ],
        Redirected(_) => SourceUnreachable [Redirected("https://other.test/key".into())],
        Unexpected(_) => SourceUnreachable [Unexpected(204)],
        Network(_) => SourceUnreachable [Network(NetworkError::Deadline)],
        FileIo(_) => SourceUnreachable [FileIo("input/output error".into())],
        TooManySecrets(_) => Integrity [TooManySecrets(65)],
        TooLarge => Integrity [TooLarge],
        TooMuch => Integrity [TooMuch],
        Checksum => Integrity [Checksum],
        Digest { .. } => Integrity [digest],
        Owner { .. } => Integrity [Owner { owner: "123456789012".into() }],
        NotPlainFile(_) => Settings [NotPlainFile("a folder")],
        NoCredentials => NoRole [NoCredentials],
    })
}

impl Invalid {
    /// One for each remedy.
    pub(crate) fn examples() -> Vec<(ExitStatus, Invalid)> {
        let urls = [
            format!("http://user:{PLANTED}@host.test/key?sig={PLANTED}"),
            format!("HTTPS://[x/?{PLANTED}"),
        ];
        let sources = [
            "",
            "arn:aws:s3",
            "s3://bucket/a\nb",
            "s3://my!bucket/key",
            "s3://b--usw2-az1--x-s3/key",
            "s3://bucket",
            "s3://bucket/folder/",
            "s3://bucket/a/../b",
            "s3://bucket/100%",
            "s3://bucket/%FF",
            "s3://bucket/key?versionID=1",
            "s3://bucket/key?owner=1",
            "s3://bucket/key#frag",
            "ssm://fleet/ecs.config",
            "secretsmanager://a b",
            "file://etc/ecs.config",
            "file:///etc/ecs.config?region=eu-west-1",
        ];
        let sources = sources.into_iter().chain(urls.iter().map(String::as_str));
        sources.map(|text| (ExitStatus::Settings, text.parse::<Source>().unwrap_err())).collect()
    }
}

/// A remedy is a constant, which no match can list.
#[test]
fn every_remedy_of_an_invalid_source_has_an_example() {
    let found: BTreeSet<_> = Invalid::examples().iter().map(|(_, it)| it.remedy()).collect();
    let constants = include_str!("../invalid.rs").matches("pub(super) const ").count();
    assert_eq!(found.len(), constants, "{found:#?}");
}
