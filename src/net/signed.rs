//! One signed request to a JSON service (ECS, ECR), for which two more SDK crates would be too
//! much.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::{Method, header};
use reqwest::{Body, Request, Url};
use serde_json::Value;

use crate::net::Http;
use crate::source::transport;

const LIMIT: Duration = Duration::from_secs(5);
/// Answers and errors are far smaller.
const MOST: usize = 64 * 1024;

/// A harmless action, tried to see whether it is allowed.
pub(crate) struct Action {
    /// In a policy.
    pub(crate) name: &'static str,
    /// In the scope of a signature.
    pub(crate) service: &'static str,
    /// `X-Amz-Target`.
    pub(crate) target: &'static str,
}

pub(crate) const DISCOVER_POLL_ENDPOINT: Action = Action {
    name: "ecs:DiscoverPollEndpoint",
    service: "ecs",
    target: "AmazonEC2ContainerServiceV20141113.DiscoverPollEndpoint",
};

pub(crate) const GET_AUTHORIZATION_TOKEN: Action = Action {
    name: "ecr:GetAuthorizationToken",
    service: "ecr",
    target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
};

/// What the service answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The error's name, without its namespace; empty if there is none.
    pub(crate) code: String,
    pub(crate) message: String,
    body: Value,
}

/// Errors with which AWS says that the role may not. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html>
const DENIED: [&str; 3] = ["AccessDeniedException", "AccessDenied", "UnauthorizedOperation"];

impl Answer {
    /// The role may not.
    pub(crate) fn is_denied(&self) -> bool {
        DENIED.contains(&self.code.as_str())
    }

    /// A URL of the answer. Nothing else of it is given away: ECR's answer is a password.
    pub(crate) fn url(&self, field: &str) -> Option<Url> {
        self.body[field].as_str().and_then(|text| Url::parse(text).ok())
    }
}

/// Tries the action without arguments; an error says why there was no answer.
pub(crate) async fn attempt(
    action: &Action,
    url: &Url,
    region: &str,
    credentials: &Credentials,
    http: &Http,
) -> Result<Answer, String> {
    let request = signed(action, url, region, credentials)
        .map_err(|why| format!("the request cannot be made: {why}"))?;
    let host = url.host_str().unwrap_or_default();
    let unanswered = |error: &(dyn std::error::Error + 'static)| {
        transport::failure(error, host).kind.to_string()
    };
    let mut answer = http.send(request, LIMIT).await.map_err(|failed| unanswered(&failed))?;
    let mut text = Vec::new();
    while let Some(more) = answer.chunk().await.map_err(|error| unanswered(&error.without_url()))? {
        text.extend_from_slice(&more);
        if text.len() > MOST {
            return Err("the answer is too long for one of AWS".into());
        }
    }
    Ok(read(answer.status().as_u16(), &text))
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
        .name(action.service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable =
        SignableRequest::new("POST", url.as_str(), headers.into_iter(), SignableBody::Bytes(BODY))?;
    let mut request =
        http::Request::builder().method(Method::POST).uri(url.as_str()).body(Body::from(BODY))?;
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(header::HeaderName::from_static(name), header::HeaderValue::from_str(value)?);
    }
    sign(signable, &parameters)?.into_parts().0.apply_to_request_http1x(&mut request);
    Ok(request.try_into()?)
}

fn read(status: u16, text: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(text).unwrap_or_default();
    let field = |names: [&str; 2]| {
        names
            .into_iter()
            .find_map(|name| body[name].as_str())
            .map(transport::printable)
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
    fn an_error_is_known_by_its_name_without_its_namespace() {
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
    fn a_signature_that_is_refused_is_told_without_the_request_that_aws_quotes() {
        let answer = read(
            403,
            br#"{"__type": "InvalidSignatureException", "message": "No match.\n\nThe Canonical String:\nx-amz-security-token:PLANTED"}"#,
        );
        assert_eq!((&*answer.code, &*answer.message), ("InvalidSignatureException", "No match."));
    }

    #[test]
    fn a_request_is_signed_for_its_service_and_bears_the_token_of_the_session() {
        let credentials =
            Credentials::new("AKID", "PLANTED-SECRET", Some("PLANTED-TOKEN".into()), None, "test");
        let url = Url::parse("https://ecs.eu-west-1.amazonaws.com/").unwrap();
        let request = signed(&DISCOVER_POLL_ENDPOINT, &url, "eu-west-1", &credentials).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert!(header("authorization").contains("/eu-west-1/ecs/aws4_request"));
        assert!(header("authorization").contains("x-amz-target"), "{}", header("authorization"));
        assert_eq!(header("x-amz-security-token"), "PLANTED-TOKEN");
        assert_eq!((request.method().as_str(), request.url()), ("POST", &url));
    }
}
