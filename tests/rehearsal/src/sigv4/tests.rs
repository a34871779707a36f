use super::*;

/// "Example: GET Object" of AWS's S3 reference, "Signature Calculations for the Authorization
/// Header": AWS's own key, time and signature, so that this check agrees with another
/// implementation.
fn documented_request() -> Request {
    let headers = [
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        (
            "x-amz-content-sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("x-amz-date", "20130524T000000Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Request { method: "GET".into(), target: "/test.txt".into(), headers, ..Request::default() }
}

/// The key pair of AWS's documentation, which never opened anything.
fn documented_key() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session_token: String::new(),
        expires: SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
    }
}

fn then() -> SystemTime {
    clock::from_amz_date("20130524T000000Z").unwrap()
}

fn verdict(change: impl FnOnce(&mut Request, &mut Credentials)) -> Result<String, Refusal> {
    let (mut request, mut key) = (documented_request(), documented_key());
    change(&mut request, &mut key);
    check(&request, "s3", &[key], then())
}

#[test]
fn signature_of_the_s3_reference_is_accepted() {
    assert_eq!(verdict(|_, _| {}), Ok("us-east-1".into()));
}

#[test]
fn changed_request_or_secret_is_a_mismatch() {
    let mismatch = |verdict| matches!(verdict, Err(Refusal::Mismatch(_)));
    assert!(mismatch(verdict(|request, _| request.target = "/other.txt".into())));
    assert!(mismatch(verdict(|request, _| request.target.push_str("?versionId=1"))));
    assert!(mismatch(verdict(|request, _| request.headers[1].1 = "bytes=0-8".into())));
    assert!(mismatch(verdict(|_, key| key.secret_access_key.push('x'))));
}

#[test]
fn key_token_and_expiry_are_checked_before_the_signature() {
    assert!(matches!(verdict(|_, key| key.access_key_id.push('x')), Err(Refusal::UnknownKey(_))));
    assert!(matches!(verdict(|_, key| key.session_token.push('x')), Err(Refusal::WrongToken(_))));
    assert!(matches!(verdict(|_, key| key.expires = then()), Err(Refusal::ExpiredToken(_))));
    assert_eq!(verdict(|request, _| request.headers.truncate(4)), Err(Refusal::Anonymous));
}

#[test]
fn x_amz_headers_must_be_signed() {
    let unsigned =
        verdict(|request, _| request.headers.push(("x-amz-acl".into(), "private".into())));
    assert_eq!(unsigned, Err(Refusal::Unsigned("x-amz-acl".into())));
}

#[test]
fn clock_skew_of_fifteen_minutes_is_allowed() {
    let at = |seconds: u64| {
        check(
            &documented_request(),
            "s3",
            &[documented_key()],
            then() + Duration::from_secs(seconds),
        )
    };
    assert!(at(900).is_ok());
    assert_eq!(at(901), Err(Refusal::Skewed("20130524T000000Z".into())));
}

#[test]
fn presigned_query_is_accepted_until_it_expires() {
    let key = Credentials { session_token: "PLANTED+/=".into(), ..documented_key() };
    let query =
        presigned_query("h", "/b/a%20b", "us-east-1", &key, then(), Duration::from_secs(60));
    let headers = vec![("host".to_owned(), "h".to_owned())];
    let request = Request {
        method: "GET".into(),
        target: format!("/b/a%20b?{query}"),
        headers,
        ..Request::default()
    };
    let at = |seconds| {
        check(&request, "s3", std::slice::from_ref(&key), then() + Duration::from_secs(seconds))
    };
    assert_eq!(at(60), Ok("us-east-1".into()));
    assert_eq!(at(61), Err(Refusal::PresignExpired(60)));
}
