//! S3's errors, in the words of S3. Pure.

use std::time::SystemTime;

use crate::clock;
use crate::http::Response;
use crate::sigv4::{ALLOWED_SKEW, Refusal};
use crate::state::CloudState;

/// An error body: code, message, then what this code adds, then the ids of the request.
pub(crate) fn error(status: u16, code: &str, message: &str, more: &[(&str, &str)]) -> Response {
    let more: String =
        more.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escaped(value))).collect();
    let message = escaped(message);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}<RequestId>{REQUEST_ID}</RequestId><HostId>{HOST_ID}</HostId></Error>"
    );
    with_ids(Response::new(status, "application/xml", body))
}

/// Every answer of S3 carries the two ids that AWS support asks for.
pub(crate) fn with_ids(response: Response) -> Response {
    response
        .with("x-amz-request-id", REQUEST_ID)
        .with("x-amz-id-2", HOST_ID)
        .with("Server", "AmazonS3")
}

const REQUEST_ID: &str = "REHEARSAL0000001";
const HOST_ID: &str =
    "rehearsal/host+id/0000000000000000000000000000000000000000000000000000000001=";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// S3's answer when no policy allows an action. Since 2024 it names caller, action and resource
/// within an account.
pub(crate) fn not_allowed(state: &CloudState, action: &str, resource: &str) -> Response {
    let user = state.host.arn();
    let message = format!(
        "User: {user} is not authorized to perform: {action} on resource: \"{resource}\" because no identity-based policy allows the {action} action"
    );
    error(403, "AccessDenied", &message, &[])
}

/// The short form: another account's bucket, a wrong owner, no credentials.
pub(crate) fn denied() -> Response {
    error(403, "AccessDenied", "Access Denied", &[])
}

/// The bucket is in another region than the one the request was signed for: status 301 without
/// a Location.
pub(crate) fn moved(state: &CloudState, bucket: &str, region: &str) -> Response {
    const MESSAGE: &str = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    let endpoint = format!("{bucket}.s3.{region}.{}", state.host.domain);
    error(301, "PermanentRedirect", MESSAGE, &[("Endpoint", &endpoint), ("Bucket", bucket)])
        .with("x-amz-bucket-region", region)
}

/// The same mistake as the global endpoint answers it.
pub(crate) fn wrong_scope(signed_for: &str, region: &str) -> Response {
    let message = format!(
        "The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{region}'"
    );
    error(400, "AuthorizationHeaderMalformed", &message, &[("Region", region)])
}

/// How S3 answers a signature that it refuses.
pub(crate) fn refused(refusal: &Refusal, now: SystemTime) -> Response {
    const UNKNOWN_KEY: &str = "The AWS Access Key Id you provided does not exist in our records.";
    const WRONG_TOKEN: &str = "The provided token is malformed or otherwise invalid.";
    const UNSIGNED: &str = "There were headers present in the request which were not signed";
    const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    match refusal {
        Refusal::Anonymous => denied(),
        Refusal::Malformed("Authorization" | "credential scope") => error(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed.",
            &[],
        ),
        Refusal::Malformed("x-amz-content-sha256") => error(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            &[],
        ),
        Refusal::Malformed(what) => error(
            400,
            "AuthorizationQueryParametersError",
            &format!("Error parsing the {what}"),
            &[],
        ),
        Refusal::UnknownKey(id) => {
            error(403, "InvalidAccessKeyId", UNKNOWN_KEY, &[("AWSAccessKeyId", id)])
        }
        // S3 really sends the token back: a client that prints error bodies leaks it.
        Refusal::WrongToken(token) => {
            error(400, "InvalidToken", WRONG_TOKEN, &[("Token-0", token)])
        }
        Refusal::ExpiredToken(token) => {
            error(400, "ExpiredToken", "The provided token has expired.", &[("Token-0", token)])
        }
        Refusal::Skewed(signed_at) => skewed(signed_at, now),
        Refusal::PresignExpired(lifetime) => expired(*lifetime, now),
        Refusal::Unsigned(names) => {
            error(403, "AccessDenied", UNSIGNED, &[("HeadersNotSigned", names)])
        }
        Refusal::Mismatch(calculation) => {
            let more = [
                ("AWSAccessKeyId", calculation.access_key_id.as_str()),
                ("StringToSign", &calculation.string_to_sign),
                ("SignatureProvided", &calculation.signature),
                ("CanonicalRequest", &calculation.canonical_request),
            ];
            error(403, "SignatureDoesNotMatch", MISMATCH, &more)
        }
    }
}

fn skewed(signed_at: &str, now: SystemTime) -> Response {
    let (server, allowed) = (clock::rfc3339(now), ALLOWED_SKEW.as_millis().to_string());
    let more = [
        ("RequestTime", signed_at),
        ("ServerTime", &server),
        ("MaxAllowedSkewMilliseconds", &allowed),
    ];
    error(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        &more,
    )
}

fn expired(lifetime: u64, now: SystemTime) -> Response {
    let (lifetime, server) = (lifetime.to_string(), clock::rfc3339(now));
    error(
        403,
        "AccessDenied",
        "Request has expired",
        &[("X-Amz-Expires", &lifetime), ("ServerTime", &server)],
    )
}
