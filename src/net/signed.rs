//! One signed request to STS, ECS, ECR, Systems Manager, Secrets Manager or Auto Scaling, for which
//! six more SDK crates would be too much.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};
use url::Url;

use super::aws::Aws;
use super::clock::seconds_ahead;
use super::endpoint::Service;
use super::xml::element;
use super::{Http, NetworkError, Request, RequestFailed, first_paragraph, header as header_of};
use crate::paths::{MAX_CONFIG, MAX_DOCUMENT};

const TIMEOUT: Duration = Duration::from_secs(5);

/// An action of a service.
#[derive(Debug)]
pub(crate) struct Action {
    /// In a policy.
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    /// The service in the scope of a signature.
    scope: &'static str,
    protocol: Protocol,
    /// More than this is not read of its answer, in bytes.
    limit: usize,
}

/// How an action and its parameters are written.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    /// As JSON; the value of `X-Amz-Target`.
    Json(&'static str),
    /// As a form; the version of the API.
    Query(&'static str),
}

pub(crate) const GET_CALLER_IDENTITY: Action = Action {
    name: "sts:GetCallerIdentity",
    service: Service::Sts,
    scope: "sts",
    protocol: Protocol::Query("2011-06-15"),
    limit: MAX_DOCUMENT,
};

pub(crate) const DISCOVER_POLL_ENDPOINT: Action = Action {
    name: "ecs:DiscoverPollEndpoint",
    service: Service::Ecs,
    scope: "ecs",
    protocol: Protocol::Json("AmazonEC2ContainerServiceV20141113.DiscoverPollEndpoint"),
    limit: MAX_DOCUMENT,
};

pub(crate) const GET_AUTHORIZATION_TOKEN: Action = Action {
    name: "ecr:GetAuthorizationToken",
    service: Service::Ecr,
    scope: "ecr",
    protocol: Protocol::Json("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
    limit: MAX_DOCUMENT,
};

pub(crate) const GET_PARAMETER: Action = Action {
    name: "ssm:GetParameter",
    service: Service::Ssm,
    scope: "ssm",
    protocol: Protocol::Json("AmazonSSM.GetParameter"),
    limit: MAX_CONFIG,
};

pub(crate) const GET_SECRET_VALUE: Action = Action {
    name: "secretsmanager:GetSecretValue",
    service: Service::SecretsManager,
    scope: "secretsmanager",
    protocol: Protocol::Json("secretsmanager.GetSecretValue"),
    limit: MAX_CONFIG,
};

pub(crate) const SET_INSTANCE_HEALTH: Action = Action {
    name: "autoscaling:SetInstanceHealth",
    service: Service::AutoScaling,
    scope: "autoscaling",
    protocol: Protocol::Query("2011-01-01"),
    limit: MAX_DOCUMENT,
};

pub(crate) const COMPLETE_LIFECYCLE_ACTION: Action =
    Action { name: "autoscaling:CompleteLifecycleAction", ..SET_INSTANCE_HEALTH };

impl Action {
    /// The body of a request with these parameters.
    fn written(&self, parameters: &Value) -> String {
        let Protocol::Query(version) = self.protocol else { return parameters.to_string() };
        let name = self.name.rsplit(':').next().unwrap_or_default();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", name).append_pair("Version", version);
        for (name, value) in parameters.as_object().into_iter().flatten() {
            form.append_pair(name, value.as_str().unwrap_or_default());
        }
        form.finish()
    }

    fn headers(&self) -> Vec<(&'static str, &'static str)> {
        match self.protocol {
            Protocol::Json(target) => {
                vec![("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)]
            }
            Protocol::Query(_) => vec![("content-type", "application/x-www-form-urlencoded")],
        }
    }
}

/// Who asks, where, and what time it is there.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) region: &'a str,
    pub(crate) credentials: &'a Credentials,
    pub(crate) http: &'a Http,
    pub(crate) time: SystemTime,
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    Unusable(String),
    Network(RequestFailed),
}

impl From<RequestFailed> for NoAnswer {
    fn from(failed: RequestFailed) -> Self {
        NoAnswer::Network(failed)
    }
}

/// An answer of the service.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The error's name, without its namespace; empty if there is none.
    pub(crate) code: String,
    pub(crate) message: String,
    /// Our clock less the answer's `Date`, in seconds.
    pub(crate) clock_ahead: Option<i64>,
    body: Value,
    /// What is not JSON.
    xml: String,
}

/// Error codes that say that the role lacks the permission. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html>
const DENIED: [&str; 3] = ["AccessDeniedException", "AccessDenied", "UnauthorizedOperation"];

impl Answer {
    /// The role lacks the permission.
    pub(crate) fn is_denied(&self) -> bool {
        DENIED.contains(&self.code.as_str())
    }

    /// What is not of the service: neither an error of it nor, in XML, the answer to an action.
    pub(crate) fn is_foreign(&self) -> bool {
        let root = self.xml.split('<').map(|tag| tag.split([' ', '/', '>']).next().unwrap_or(""));
        let root = root.filter(|name| !name.trim().is_empty()).find(|name| !name.starts_with('?'));
        match self.status {
            200 => !root.is_some_and(|name| name.ends_with("Response")),
            _ => self.code.is_empty(),
        }
    }

    /// The answer to an action whose answer is asked for; that of ECR is a password.
    pub(crate) fn into_body(self) -> Value {
        self.body
    }

    /// The text of an element of an answer in XML.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        element(&self.xml, name)
    }

    /// A URL of the answer.
    pub(crate) fn url(&self, field: &str) -> Option<Url> {
        self.body[field].as_str().and_then(|text| Url::parse(text).ok())
    }
}

/// Now, where our clock is ahead of the service's by so many seconds.
pub(crate) fn time_there(ahead: Option<i64>) -> SystemTime {
    let ahead = ahead.unwrap_or_default();
    let by = Duration::from_secs(ahead.unsigned_abs());
    if ahead > 0 { SystemTime::now() - by } else { SystemTime::now() + by }
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
    let caller = Caller { aws, region, credentials, http, time: SystemTime::now() };
    call(action, &json!({}), &caller).await.map_err(|failed| match failed {
        NoAnswer::Unusable(why) => format!("the request cannot be made: {why}"),
        NoAnswer::Network(failed) => failed.kind().to_string(),
    })
}

/// One request; any answer of the service is one.
pub(crate) async fn call(
    action: &Action,
    body: &Value,
    caller: &Caller<'_>,
) -> Result<Answer, NoAnswer> {
    let no_endpoint = || NoAnswer::Unusable("its region has no endpoint".into());
    let url = action.service.url(caller.aws, Some(caller.region)).ok_or_else(no_endpoint)?;
    let request = signed(action, &url, action.written(body), caller)
        .map_err(|why| NoAnswer::Unusable(why.to_string()))?;
    let answer = caller.http.send(request, TIMEOUT, action.limit).await?;
    let status = answer.status();
    let clock_ahead = header_of(answer.headers(), "date").and_then(|date| seconds_ahead(&date));
    let text = match answer.bytes().await {
        // The status tells that it may pass; an error's text only explains.
        Err(_) if NetworkError::of_answer(status, "").is_some() => Vec::new(),
        text => text?,
    };
    Ok(Answer { clock_ahead, ..read(status, &text) })
}

fn signed(
    action: &Action,
    url: &Url,
    body: String,
    caller: &Caller<'_>,
) -> Result<Request, Box<dyn std::error::Error>> {
    let headers = action.headers();
    let identity = caller.credentials.clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(caller.region)
        .name(action.scope)
        .time(caller.time)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableBody::Bytes(body.as_bytes());
    let signable = SignableRequest::new("POST", url.as_str(), headers.iter().copied(), signable)?;
    let signed = sign(signable, &parameters)?.into_parts().0;
    let mut request =
        http::Request::builder().method(Method::POST).uri(url.as_str()).body(Bytes::from(body))?;
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(header::HeaderName::from_static(name), header::HeaderValue::from_str(value)?);
    }
    signed.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// JSON, or what Auto Scaling answers: XML with elements of the same meaning, which moto refuses
/// everything with.
pub(crate) fn read(status: u16, text: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(text).unwrap_or_default();
    let xml = if body.is_null() { String::from_utf8_lossy(text) } else { "".into() };
    let field = |names: [&str; 2], tag| {
        let text = names.into_iter().find_map(|name| body[name].as_str()).map(str::to_owned);
        first_paragraph(&text.or_else(|| element(&xml, tag)).unwrap_or_default())
    };
    let code = field(["__type", "code"], "Code");
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    let message = field(["message", "Message"], "Message");
    let xml = xml.into_owned();
    Answer { status, code, message, clock_ahead: None, body, xml }
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
        let xml = b"<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message>no way</Message></Error></Errors></ErrorResponse>";
        let answer = read(403, xml);
        assert!(answer.is_denied() && answer.message == "no way", "{}", answer.message);
    }

    #[test]
    fn form_names_action_and_version_and_escapes_values() {
        let form = SET_INSTANCE_HEALTH.written(&json!({"InstanceId": "i-1&x=2"}));
        assert_eq!(form, "Action=SetInstanceHealth&Version=2011-01-01&InstanceId=i-1%26x%3D2");
        assert_eq!(GET_PARAMETER.written(&json!({"Name": "/a"})), r#"{"Name":"/a"}"#);
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
        let (aws, http) = (Aws::default(), Http::direct());
        let (region, time) = ("eu-west-1", SystemTime::now());
        let caller = Caller { aws: &aws, region, credentials: &credentials, http: &http, time };
        let request = signed(&DISCOVER_POLL_ENDPOINT, &url, "{}".into(), &caller).unwrap();
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
