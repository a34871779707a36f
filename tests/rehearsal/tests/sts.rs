//! The double's STS against what AWS documents, signed by the SDK's signer.

mod client;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Key;
use client::{Signed, ask, key};
use rehearsal::{Cloud, Options, Service};

fn cloud() -> Cloud {
    Cloud::start(Options::default())
}

/// Status and error code of a request that differs from a good one.
fn refusal(cloud: &Cloud, change: impl FnOnce(&mut Signed)) -> (u16, String) {
    let mut request = Signed::sts(cloud);
    change(&mut request);
    let answer = request.send(cloud);
    (answer.status, answer.xml("Code").unwrap_or_default())
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn caller_identity_names_the_instance_as_session() {
    let cloud = cloud();
    let answer = Signed::sts(&cloud).send(&cloud);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/xml")));
    assert_eq!(
        answer.xml("Arn").unwrap(),
        "arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0ec5b007572a90001"
    );
    assert_eq!(answer.xml("Account").unwrap(), "123456789012");
    assert!(answer.xml("UserId").unwrap().ends_with(":i-0ec5b007572a90001"));
}

#[test]
fn unknown_keys_and_tokens_are_invalid_client_tokens() {
    let cloud = cloud();
    let good = key(&cloud);
    let with =
        |id: &str, secret: &str, token: Option<String>| Key::new(id, secret, token, None, "test");
    let (id, secret, token) =
        (good.access_key_id(), good.secret_access_key(), good.session_token().map(str::to_owned));
    let check = |key: Key| refusal(&cloud, |request| request.key = key);
    assert_eq!(check(with("ASIANOBODY", secret, token.clone())), code(403, "InvalidClientTokenId"));
    assert_eq!(check(with(id, secret, None)), code(403, "InvalidClientTokenId"));
    assert_eq!(
        check(with(id, secret, Some("PLANTED-WRONG".into()))),
        code(403, "InvalidClientTokenId")
    );
    assert_eq!(check(with(id, "PLANTED-WRONG", token)), code(403, "SignatureDoesNotMatch"));
}

#[test]
fn clock_region_and_expiry_are_checked() {
    let cloud = cloud();
    let off = Duration::from_secs(905);
    assert_eq!(
        refusal(&cloud, |request| request.time = SystemTime::now() - off),
        code(403, "SignatureDoesNotMatch")
    );
    assert_eq!(refusal(&cloud, |request| request.region = "us-east-1"), code(200, ""));
    assert_eq!(
        refusal(&cloud, |request| request.region = "eu-west-9"),
        code(403, "SignatureDoesNotMatch")
    );
    cloud.renew_credentials(Duration::ZERO);
    assert_eq!(refusal(&cloud, |_| {}), code(403, "ExpiredToken"));
}

#[test]
fn skewed_signature_is_refused_with_the_allowed_times() {
    let cloud = cloud();
    let early =
        Signed { time: SystemTime::now() - Duration::from_secs(905), ..Signed::sts(&cloud) }
            .send(&cloud);
    assert!(early.xml("Message").unwrap().starts_with("Signature expired: "), "{early:?}");
    let late = Signed { time: SystemTime::now() + Duration::from_secs(905), ..Signed::sts(&cloud) }
        .send(&cloud);
    assert!(late.xml("Message").unwrap().starts_with("Signature not yet current: "), "{late:?}");
}

#[test]
fn unsigned_request_is_missing_its_token() {
    let answer = ask(
        cloud().address(Service::Sts),
        "POST",
        "/",
        &[],
        "Action=GetCallerIdentity&Version=2011-06-15",
    );
    assert_eq!(
        (answer.status, answer.xml("Code").unwrap().as_str()),
        (403, "MissingAuthenticationToken")
    );
}
