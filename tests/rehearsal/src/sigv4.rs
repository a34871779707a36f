//! Is this request signed by credentials we handed out? Signature version 4, as AWS describes it in
//! "Create a signed AWS API request": the canonical request is built here from what came over the
//! wire, key derivation and HMAC are the `aws-sigv4` crate's. Pure: takes a request, the
//! credentials and the server's clock.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};

use crate::clock;
use crate::http::{Request, decoded};

/// A request may be this much older or newer than the server's clock (S3 and STS alike).
pub const ALLOWED_SKEW: Duration = Duration::from_secs(900);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const UNRESERVED_AND_SLASH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Credentials that this cloud knows.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
    pub expires: SystemTime,
}

/// Why a request is not believed; each service has its own words for it.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// No signature at all.
    Anonymous,
    Malformed(&'static str),
    UnknownKey(String),
    /// The session token is missing or not the one that belongs to the key.
    WrongToken(String),
    ExpiredToken(String),
    /// The time at which the request says it was signed, as it says it.
    Skewed(String),
    /// A presigned URL past its time; seconds it was good for.
    PresignExpired(u64),
    /// Headers that AWS wants signed and were not.
    Unsigned(String),
    Mismatch(Box<Evidence>),
}

/// What S3 shows to somebody whose signature is wrong. The canonical request holds the session
/// token, here as at AWS.
#[derive(Debug, PartialEq)]
pub struct Evidence {
    pub access_key_id: String,
    pub string_to_sign: String,
    pub signature: String,
    pub canonical_request: String,
}

/// What a request says about its own signature, in its headers or in its query.
struct Claim {
    key_id: String,
    /// `20260131/eu-west-1/s3/aws4_request`
    scope: String,
    region: String,
    service: String,
    signed_headers: Vec<String>,
    signature: String,
    time: String,
    token: Option<String>,
    /// Seconds a presigned URL is good for.
    expires: Option<u64>,
}

/// Checks the signature; gives the region it was made for.
pub fn check(
    request: &Request,
    service: &str,
    known: &[Credentials],
    now: SystemTime,
) -> Result<String, Refusal> {
    let claim = claim(request)?;
    let key = known.iter().rev().find(|c| c.access_key_id == claim.key_id);
    let key = key.ok_or_else(|| Refusal::UnknownKey(claim.key_id.clone()))?;
    check_token(&claim, key, now)?;
    check_scope(&claim, service)?;
    check_time(&claim, now)?;
    check_headers(request, &claim)?;
    check_payload(request)?;
    check_signature(request, &claim, key)?;
    Ok(claim.region)
}

fn claim(request: &Request) -> Result<Claim, Refusal> {
    match (request.header("authorization"), request.parameter("X-Amz-Algorithm")) {
        (Some(value), _) => header_claim(request, value).ok_or(Refusal::Malformed("Authorization")),
        (None, Some(algorithm)) if algorithm == ALGORITHM => {
            query_claim(request).ok_or(Refusal::Malformed("query parameters"))
        }
        (None, Some(_)) => Err(Refusal::Malformed("X-Amz-Algorithm")),
        (None, None) => Err(Refusal::Anonymous),
    }
}

fn header_claim(request: &Request, authorization: &str) -> Option<Claim> {
    let fields = authorization.strip_prefix(ALGORITHM)?;
    let field = |name: &str| {
        fields.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let mut claim = scoped(field("Credential")?)?;
    claim.signed_headers = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
    claim.signature = field("Signature")?.to_owned();
    claim.time = request.header("x-amz-date")?.to_owned();
    claim.token = request.header("x-amz-security-token").map(str::to_owned);
    Some(claim)
}

fn query_claim(request: &Request) -> Option<Claim> {
    let mut claim = scoped(&request.parameter("X-Amz-Credential")?)?;
    claim.signed_headers =
        request.parameter("X-Amz-SignedHeaders")?.split(';').map(str::to_owned).collect();
    claim.signature = request.parameter("X-Amz-Signature")?;
    claim.time = request.parameter("X-Amz-Date")?;
    claim.token = request.parameter("X-Amz-Security-Token");
    claim.expires = Some(request.parameter("X-Amz-Expires")?.parse().ok()?);
    Some(claim)
}

fn scoped(credential: &str) -> Option<Claim> {
    let (key_id, scope) = credential.split_once('/')?;
    let parts: Vec<&str> = scope.split('/').collect();
    let [_date, region, service, "aws4_request"] = parts[..] else { return None };
    Some(Claim {
        key_id: key_id.into(),
        scope: scope.into(),
        region: region.into(),
        service: service.into(),
        signed_headers: Vec::new(),
        signature: String::new(),
        time: String::new(),
        token: None,
        expires: None,
    })
}

fn check_token(claim: &Claim, key: &Credentials, now: SystemTime) -> Result<(), Refusal> {
    let token = claim.token.clone().unwrap_or_default();
    if token != key.session_token {
        return Err(Refusal::WrongToken(token));
    }
    if key.expires <= now {
        return Err(Refusal::ExpiredToken(token));
    }
    Ok(())
}

fn check_scope(claim: &Claim, service: &str) -> Result<(), Refusal> {
    let same_day = claim.time.get(..8).is_some_and(|day| claim.scope.starts_with(day));
    match claim.service == service && same_day {
        true => Ok(()),
        false => Err(Refusal::Malformed("credential scope")),
    }
}

fn check_time(claim: &Claim, now: SystemTime) -> Result<(), Refusal> {
    let signed_at = clock::from_amz_date(&claim.time).ok_or(Refusal::Malformed("x-amz-date"))?;
    let age = now.duration_since(signed_at);
    match (claim.expires, age) {
        (Some(expires), Ok(age)) if age > Duration::from_secs(expires) => {
            Err(Refusal::PresignExpired(expires))
        }
        (Some(_), Ok(_)) => Ok(()),
        (_, age) if age.clone().unwrap_or_else(|early| early.duration()) > ALLOWED_SKEW => {
            Err(Refusal::Skewed(claim.time.clone()))
        }
        _ => Ok(()),
    }
}

fn check_headers(request: &Request, claim: &Claim) -> Result<(), Refusal> {
    let must_be_signed = |name: &str| name == "host" || name.starts_with("x-amz-");
    let unsigned = request.headers.iter().map(|(name, _)| name).filter(|name| must_be_signed(name));
    let unsigned: Vec<&str> =
        unsigned.filter(|name| !claim.signed_headers.contains(name)).map(String::as_str).collect();
    match unsigned.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Unsigned(unsigned.join(", "))),
    }
}

fn check_payload(request: &Request) -> Result<(), Refusal> {
    match request.header("x-amz-content-sha256") {
        Some(hash) if hash.len() == 64 && hash != sha256_hex(&request.body) => {
            Err(Refusal::Malformed("x-amz-content-sha256"))
        }
        _ => Ok(()),
    }
}

fn check_signature(request: &Request, claim: &Claim, key: &Credentials) -> Result<(), Refusal> {
    let expected = evidence(request, claim, key);
    if expected.signature == claim.signature {
        return Ok(());
    }
    let signature = claim.signature.clone();
    Err(Refusal::Mismatch(Box::new(Evidence { signature, ..expected })))
}

/// What a right signature of this request is, and what it is made from.
fn evidence(request: &Request, claim: &Claim, key: &Credentials) -> Evidence {
    let canonical_request = canonical_request(request, claim);
    let string_to_sign = format!(
        "{ALGORITHM}\n{}\n{}\n{}",
        claim.time,
        claim.scope,
        sha256_hex(canonical_request.as_bytes())
    );
    let day = clock::from_amz_date(&claim.time).unwrap_or(SystemTime::UNIX_EPOCH);
    let signing_key =
        generate_signing_key(&key.secret_access_key, day, &claim.region, &claim.service);
    let signature = calculate_signature(signing_key, string_to_sign.as_bytes());
    Evidence { access_key_id: claim.key_id.clone(), string_to_sign, signature, canonical_request }
}

fn canonical_request(request: &Request, claim: &Claim) -> String {
    let path = utf8_percent_encode(&decoded(request.path()), UNRESERVED_AND_SLASH).to_string();
    let headers: String =
        claim.signed_headers.iter().map(|name| canonical_header(request, name)).collect();
    let payload = match (claim.expires, request.header("x-amz-content-sha256")) {
        (Some(_), _) => "UNSIGNED-PAYLOAD".to_owned(),
        (None, Some(hash)) => hash.to_owned(),
        (None, None) => sha256_hex(&request.body),
    };
    let signed = claim.signed_headers.join(";");
    format!(
        "{}\n{path}\n{}\n{headers}\n{signed}\n{payload}",
        request.method,
        canonical_query(request)
    )
}

fn canonical_header(request: &Request, name: &str) -> String {
    let one_space = |value: &String| value.split_whitespace().collect::<Vec<_>>().join(" ");
    let values =
        request.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| one_space(value));
    format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
}

fn canonical_query(request: &Request) -> String {
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let pairs = request.query().into_iter().filter(|(name, _)| name != "X-Amz-Signature");
    let mut pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", encode(&name), encode(&value))).collect();
    pairs.sort();
    pairs.join("&")
}

/// A presigned GET of `https://HOST/PATH`, good for `lifetime`: the query to add to it.
pub fn presigned_query(
    host: &str,
    path: &str,
    region: &str,
    key: &Credentials,
    at: SystemTime,
    lifetime: Duration,
) -> String {
    let time = clock::amz_date(at);
    let scope = format!("{}/{region}/s3/aws4_request", &time[..8]);
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let query = format!(
        "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={time}&X-Amz-Expires={}&X-Amz-Security-Token={}&X-Amz-SignedHeaders=host",
        encode(&format!("{}/{scope}", key.access_key_id)),
        lifetime.as_secs(),
        encode(&key.session_token),
    );
    let headers = vec![("host".to_owned(), host.to_owned())];
    let target = format!("{path}?{query}&X-Amz-Signature=");
    let request = Request { method: "GET".into(), target, headers, body: Vec::new() };
    let claim = query_claim(&request).expect("the query above has every part of a claim");
    format!("{query}&X-Amz-Signature={}", evidence(&request, &claim, key).signature)
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Example: GET Object" of AWS's S3 reference, "Signature Calculations for the Authorization
    /// Header": AWS's own key, time and signature, so that this check agrees with a party that
    /// is not us.
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
        Request { method: "GET".into(), target: "/test.txt".into(), headers, body: Vec::new() }
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
    fn the_signature_in_the_s3_reference_is_accepted() {
        assert_eq!(verdict(|_, _| {}), Ok("us-east-1".into()));
    }

    #[test]
    fn a_changed_request_or_secret_is_a_mismatch() {
        let mismatch = |verdict| matches!(verdict, Err(Refusal::Mismatch(_)));
        assert!(mismatch(verdict(|request, _| request.target = "/other.txt".into())));
        assert!(mismatch(verdict(|request, _| request.target.push_str("?versionId=1"))));
        assert!(mismatch(verdict(|request, _| request.headers[1].1 = "bytes=0-8".into())));
        assert!(mismatch(verdict(|_, key| key.secret_access_key.push('x'))));
    }

    #[test]
    fn key_token_and_expiry_are_checked_before_the_signature() {
        assert!(matches!(
            verdict(|_, key| key.access_key_id.push('x')),
            Err(Refusal::UnknownKey(_))
        ));
        assert!(matches!(
            verdict(|_, key| key.session_token.push('x')),
            Err(Refusal::WrongToken(_))
        ));
        assert!(matches!(verdict(|_, key| key.expires = then()), Err(Refusal::ExpiredToken(_))));
        assert_eq!(verdict(|request, _| request.headers.truncate(4)), Err(Refusal::Anonymous));
    }

    #[test]
    fn a_header_of_amazons_must_be_signed() {
        let unsigned =
            verdict(|request, _| request.headers.push(("x-amz-acl".into(), "private".into())));
        assert_eq!(unsigned, Err(Refusal::Unsigned("x-amz-acl".into())));
    }

    #[test]
    fn a_clock_may_be_off_by_fifteen_minutes_and_no_more() {
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
    fn a_presigned_query_is_accepted_until_it_expires() {
        let key = Credentials { session_token: "PLANTED+/=".into(), ..documented_key() };
        let query =
            presigned_query("h", "/b/a%20b", "us-east-1", &key, then(), Duration::from_secs(60));
        let headers = vec![("host".to_owned(), "h".to_owned())];
        let request = Request {
            method: "GET".into(),
            target: format!("/b/a%20b?{query}"),
            headers,
            body: Vec::new(),
        };
        let at = |seconds| {
            check(&request, "s3", std::slice::from_ref(&key), then() + Duration::from_secs(seconds))
        };
        assert_eq!(at(60), Ok("us-east-1".into()));
        assert_eq!(at(61), Err(Refusal::PresignExpired(60)));
    }
}
