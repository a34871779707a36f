//! Checks that a request is signed by credentials that this cloud handed out. Signature version 4,
//! as AWS describes it in "Create a signed AWS API request": the canonical request is built here
//! from what came over the wire, key derivation and HMAC are the `aws-sigv4` crate's. Pure: takes a
//! request, the credentials and the server's clock.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};

use crate::clock;
use crate::http::{Request, decoded};

/// A request may be this much older or newer than the server's clock (S3 and STS alike).
pub(crate) const ALLOWED_SKEW: Duration = Duration::from_secs(900);

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

/// Why a signature is refused; each service words it differently.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
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
    Mismatch(Box<Calculation>),
}

/// What S3 shows to a client whose signature is wrong. The canonical request holds the session
/// token, here as at AWS.
#[derive(Debug, PartialEq)]
pub(crate) struct Calculation {
    pub access_key_id: String,
    pub string_to_sign: String,
    pub signature: String,
    pub canonical_request: String,
}

/// What a request says about its own signature, in its headers or in its query.
struct SignatureParts {
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
pub(crate) fn check(
    request: &Request,
    service: &str,
    known: &[Credentials],
    now: SystemTime,
) -> Result<String, Refusal> {
    let parts = signature_parts(request)?;
    let key = known.iter().rev().find(|c| c.access_key_id == parts.key_id);
    let key = key.ok_or_else(|| Refusal::UnknownKey(parts.key_id.clone()))?;
    check_token(&parts, key, now)?;
    check_scope(&parts, service)?;
    check_time(&parts, now)?;
    check_headers(request, &parts)?;
    check_payload(request)?;
    check_signature(request, &parts, key)?;
    Ok(parts.region)
}

fn signature_parts(request: &Request) -> Result<SignatureParts, Refusal> {
    match (request.header("authorization"), request.parameter("X-Amz-Algorithm")) {
        (Some(value), _) => from_header(request, value).ok_or(Refusal::Malformed("Authorization")),
        (None, Some(algorithm)) if algorithm == ALGORITHM => {
            from_query(request).ok_or(Refusal::Malformed("query parameters"))
        }
        (None, Some(_)) => Err(Refusal::Malformed("X-Amz-Algorithm")),
        (None, None) => Err(Refusal::Anonymous),
    }
}

fn from_header(request: &Request, authorization: &str) -> Option<SignatureParts> {
    let fields = authorization.strip_prefix(ALGORITHM)?;
    let field = |name: &str| {
        fields.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let mut parts = scoped(field("Credential")?)?;
    parts.signed_headers = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
    parts.signature = field("Signature")?.to_owned();
    parts.time = request.header("x-amz-date")?.to_owned();
    parts.token = request.header("x-amz-security-token").map(str::to_owned);
    Some(parts)
}

fn from_query(request: &Request) -> Option<SignatureParts> {
    let mut parts = scoped(&request.parameter("X-Amz-Credential")?)?;
    parts.signed_headers =
        request.parameter("X-Amz-SignedHeaders")?.split(';').map(str::to_owned).collect();
    parts.signature = request.parameter("X-Amz-Signature")?;
    parts.time = request.parameter("X-Amz-Date")?;
    parts.token = request.parameter("X-Amz-Security-Token");
    parts.expires = Some(request.parameter("X-Amz-Expires")?.parse().ok()?);
    Some(parts)
}

fn scoped(credential: &str) -> Option<SignatureParts> {
    let (key_id, scope) = credential.split_once('/')?;
    let parts: Vec<&str> = scope.split('/').collect();
    let [_date, region, service, "aws4_request"] = parts[..] else { return None };
    Some(SignatureParts {
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

fn check_token(parts: &SignatureParts, key: &Credentials, now: SystemTime) -> Result<(), Refusal> {
    let token = parts.token.clone().unwrap_or_default();
    if token != key.session_token {
        return Err(Refusal::WrongToken(token));
    }
    if key.expires <= now {
        return Err(Refusal::ExpiredToken(token));
    }
    Ok(())
}

fn check_scope(parts: &SignatureParts, service: &str) -> Result<(), Refusal> {
    let same_day = parts.time.get(..8).is_some_and(|day| parts.scope.starts_with(day));
    match parts.service == service && same_day {
        true => Ok(()),
        false => Err(Refusal::Malformed("credential scope")),
    }
}

fn check_time(parts: &SignatureParts, now: SystemTime) -> Result<(), Refusal> {
    let signed_at = clock::from_amz_date(&parts.time).ok_or(Refusal::Malformed("x-amz-date"))?;
    let age = now.duration_since(signed_at);
    match (parts.expires, age) {
        (Some(expires), Ok(age)) if age > Duration::from_secs(expires) => {
            Err(Refusal::PresignExpired(expires))
        }
        (Some(_), Ok(_)) => Ok(()),
        (_, age) if age.clone().unwrap_or_else(|early| early.duration()) > ALLOWED_SKEW => {
            Err(Refusal::Skewed(parts.time.clone()))
        }
        _ => Ok(()),
    }
}

fn check_headers(request: &Request, parts: &SignatureParts) -> Result<(), Refusal> {
    let must_be_signed = |name: &str| name == "host" || name.starts_with("x-amz-");
    let unsigned = request.headers.iter().map(|(name, _)| name).filter(|name| must_be_signed(name));
    let unsigned: Vec<&str> =
        unsigned.filter(|name| !parts.signed_headers.contains(name)).map(String::as_str).collect();
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

fn check_signature(
    request: &Request,
    parts: &SignatureParts,
    key: &Credentials,
) -> Result<(), Refusal> {
    let expected = calculation(request, parts, key);
    if expected.signature == parts.signature {
        return Ok(());
    }
    let signature = parts.signature.clone();
    Err(Refusal::Mismatch(Box::new(Calculation { signature, ..expected })))
}

/// What a right signature of this request is, and what it is made from.
fn calculation(request: &Request, parts: &SignatureParts, key: &Credentials) -> Calculation {
    let canonical_request = canonical_request(request, parts);
    let string_to_sign = format!(
        "{ALGORITHM}\n{}\n{}\n{}",
        parts.time,
        parts.scope,
        sha256_hex(canonical_request.as_bytes())
    );
    let day = clock::from_amz_date(&parts.time).unwrap_or(SystemTime::UNIX_EPOCH);
    let signing_key =
        generate_signing_key(&key.secret_access_key, day, &parts.region, &parts.service);
    let signature = calculate_signature(signing_key, string_to_sign.as_bytes());
    Calculation {
        access_key_id: parts.key_id.clone(),
        string_to_sign,
        signature,
        canonical_request,
    }
}

fn canonical_request(request: &Request, parts: &SignatureParts) -> String {
    let path = utf8_percent_encode(&decoded(request.path()), UNRESERVED_AND_SLASH).to_string();
    let headers: String =
        parts.signed_headers.iter().map(|name| canonical_header(request, name)).collect();
    let payload = match (parts.expires, request.header("x-amz-content-sha256")) {
        (Some(_), _) => "UNSIGNED-PAYLOAD".to_owned(),
        (None, Some(hash)) => hash.to_owned(),
        (None, None) => sha256_hex(&request.body),
    };
    let signed = parts.signed_headers.join(";");
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
pub(crate) fn presigned_query(
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
    let request = Request { method: "GET".into(), target, headers, ..Request::default() };
    let parts = from_query(&request).expect("the query above has every part of a signature");
    format!("{query}&X-Amz-Signature={}", calculation(&request, &parts, key).signature)
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
