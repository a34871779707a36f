//! One signed request to a JSON service (ECS, ECR), for which two more SDK crates would be too
//! much.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{Method, header};
use serde_json::Value;
use url::Url;

use super::aws::Aws;
use super::endpoint::Service;
use super::{Http, Request, RequestFailed, first_paragraph};
use crate::paths::MAX_DOCUMENT;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A harmless action, tried to see whether it is allowed.
pub(crate) struct Action {
    /// In a policy.
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    /// The service in the scope of a signature.
    scope: &'static str,
    /// `X-Amz-Target`.
    target: &'static str,
}

pub(crate) const DISCOVER_POLL_ENDPOINT: Action = Action {
    name: "ecs:DiscoverPollEndpoint",
    service: Service::Ecs,
    scope: "ecs",
    target: "AmazonEC2ContainerServiceV20141113.DiscoverPollEndpoint",
};

pub(crate) const GET_AUTHORIZATION_TOKEN: Action = Action {
    name: "ecr:GetAuthorizationToken",
    service: Service::Ecr,
    scope: "ecr",
    target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
};

/// An answer of the service.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The error's name, without its namespace; empty if there is none.
    pub(crate) code: String,
    pub(crate) message: String,
    body: Value,
}

/// Error codes that say that the role lacks the permission. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html>
const DENIED: [&str; 3] = ["AccessDeniedException", "AccessDenied", "UnauthorizedOperation"];

impl Answer {
    /// The role lacks the permission.
    pub(crate) fn is_denied(&self) -> bool {
        DENIED.contains(&self.code.as_str())
    }

    /// A URL of the answer. Nothing else of it is given away: ECR's answer is a password.
    pub(crate) fn url(&self, field: &str) -> Option<Url> {
        self.body[field].as_str().and_then(|text| Url::parse(text).ok())
    }
}

/// Tries the action without arguments; an error tells why there was no answer.
pub(crate) async fn attempt(
    action: &Action,
    aws: &Aws,
    region: Option<&str>,
    credentials: &Credentials,
    http: &Http,
) -> Result<Answer, String> {
    let region = region.ok_or("the region is unknown: set AWS_REGION")?;
    let url = action.service.url(aws, Some(region)).ok_or("its region has no endpoint")?;
    let request = signed(action, &url, region, credentials)
        .map_err(|why| format!("the request cannot be made: {why}"))?;
    let failed = |failed: RequestFailed| failed.kind().to_string();
    let answer = http.send(request, TIMEOUT, MAX_DOCUMENT).await.map_err(failed)?;
    let status = answer.status();
    Ok(read(status, &answer.bytes().await.map_err(failed)?))
}

fn signed(
    action: &Action,
    url: &Url,
    region: &str,
    credentials: &Credentials,
) -> Result<Request, Box<dyn std::error::Error>> {
    const BODY: &[u8] = b"{}";
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", action.target)];
    let identity = credentials.clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(action.scope)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable =
        SignableRequest::new("POST", url.as_str(), headers.into_iter(), SignableBody::Bytes(BODY))?;
    let mut request = http::Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .body(Bytes::from_static(BODY))?;
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(header::HeaderName::from_static(name), header::HeaderValue::from_str(value)?);
    }
    sign(signable, &parameters)?.into_parts().0.apply_to_request_http1x(&mut request);
    Ok(request)
}

fn read(status: u16, text: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(text).unwrap_or_default();
    let field = |names: [&str; 2]| {
        names
            .into_iter()
            .find_map(|name| body[name].as_str())
            .map(first_paragraph)
            .unwrap_or_default()
    };
    let (code, message) = (field(["__type", "code"]), field(["message", "Message"]));
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    Answer { status, code, message, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_code_is_read_without_its_namespace() {
        let answer = read(
            400,
            br#"{"__type": "com.amazonaws.ecs#AccessDeniedException", "Message": "no\nway"}"#,
        );
        assert_eq!(
            (answer.status, &*answer.code, &*answer.message),
            (400, "AccessDeniedException", "no way")
        );
        assert_eq!(read(502, b"<html>").code, "");
    }

    #[test]
    fn refused_signature_is_reported_without_the_quoted_request() {
        let answer = read(
            403,
            br#"{"__type": "InvalidSignatureException", "message": "No match.\n\nThe Canonical String:\nx-amz-security-token:PLANTED"}"#,
        );
        assert_eq!((&*answer.code, &*answer.message), ("InvalidSignatureException", "No match."));
    }

    #[test]
    fn request_is_signed_for_its_service_with_the_session_token() {
        let credentials =
            Credentials::new("AKID", "PLANTED-SECRET", Some("PLANTED-TOKEN".into()), None, "test");
        let url = Url::parse("https://ecs.eu-west-1.amazonaws.com/").unwrap();
        let request = signed(&DISCOVER_POLL_ENDPOINT, &url, "eu-west-1", &credentials).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert!(header("authorization").contains("/eu-west-1/ecs/aws4_request"));
        assert!(header("authorization").contains("x-amz-target"), "{}", header("authorization"));
        assert_eq!(header("x-amz-security-token"), "PLANTED-TOKEN");
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("POST", url.to_string())
        );
    }
}
