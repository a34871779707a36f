//! STS: the Query API's GetCallerIdentity and the errors it answers with. Pure.

use std::time::SystemTime;

use crate::clock;
use crate::http::{Request, Response, decoded};
use crate::sigv4::{self, ALLOWED_SKEW, Refusal};
use crate::state::CloudState;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// One answer of STS.
pub(crate) fn answer(state: &CloudState, request: &Request, now: SystemTime) -> Response {
    match sigv4::check(request, "sts", &state.credentials, now) {
        Err(refusal) => refused(&refusal, now),
        // Every other region has an endpoint of its own, which knows no other scope; us-east-1 is
        // the global one.
        Ok(region) if region != state.host.region && region != "us-east-1" => {
            error(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
        }
        Ok(_) => action(state, request),
    }
}

/// The identity that GetCallerIdentity reports.
pub(crate) fn identity(arn: &str, account: &str, session: &str) -> Response {
    let body = format!(
        r#"<GetCallerIdentityResponse xmlns="{NAMESPACE}">
  <GetCallerIdentityResult>
    <Arn>{arn}</Arn>
    <UserId>AROAREHEARSAL00000001:{session}</UserId>
    <Account>{account}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>{REQUEST_ID}</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
"#
    );
    Response::new(200, "text/xml", body).with("x-amzn-RequestId", REQUEST_ID)
}

/// An error as the Query protocol writes it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let body = format!(
        r#"<ErrorResponse xmlns="{NAMESPACE}">
  <Error>
    <Type>{kind}</Type>
    <Code>{code}</Code>
    <Message>{message}</Message>
  </Error>
  <RequestId>{REQUEST_ID}</RequestId>
</ErrorResponse>
"#
    );
    Response::new(status, "text/xml", body).with("x-amzn-RequestId", REQUEST_ID)
}

const REQUEST_ID: &str = "0ec5b007-572a-4000-8000-000000000001";

fn action(state: &CloudState, request: &Request) -> Response {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let from_body = body.split('&').find_map(|pair| pair.strip_prefix("Action=").map(decoded));
    match from_body.or_else(|| request.parameter("Action")).as_deref() {
        Some("GetCallerIdentity") => {
            identity(&state.host.arn(), &state.host.account_id, &state.host.instance_id)
        }
        Some(_) => error(400, "InvalidAction", "Could not find operation for version 2011-06-15"),
        None => error(400, "MissingAction", "Missing Action"),
    }
}

fn refused(refusal: &Refusal, now: SystemTime) -> Response {
    const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
    match refusal {
        Refusal::Anonymous => {
            error(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        }
        Refusal::UnknownKey(_) | Refusal::WrongToken(_) => error(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ),
        Refusal::ExpiredToken(_) => {
            error(403, "ExpiredToken", "The security token included in the request is expired")
        }
        Refusal::Skewed(signed_at) => {
            error(403, "SignatureDoesNotMatch", &skew_message(signed_at, now))
        }
        Refusal::PresignExpired(_) => error(400, "RequestExpired", "Request has expired."),
        Refusal::Malformed(what) => {
            error(400, "IncompleteSignature", &format!("{what} is not what was expected"))
        }
        Refusal::Unsigned(names) => error(
            403,
            "SignatureDoesNotMatch",
            &format!("Host or X-Amz headers must be signed: {names}"),
        ),
        Refusal::Mismatch(_) => error(403, "SignatureDoesNotMatch", MISMATCH),
    }
}

/// `Signature expired: 20261122T000000Z is now earlier than 20261122T001500Z (20261122T003000Z - 15
/// min.)`
fn skew_message(signed_at: &str, now: SystemTime) -> String {
    let (earliest, latest) =
        (clock::amz_date(now - ALLOWED_SKEW), clock::amz_date(now + ALLOWED_SKEW));
    let now = clock::amz_date(now);
    match signed_at < earliest.as_str() {
        true => format!(
            "Signature expired: {signed_at} is now earlier than {earliest} ({now} - 15 min.)"
        ),
        false => format!(
            "Signature not yet current: {signed_at} is still later than {latest} ({now} + 15 min.)"
        ),
    }
}
