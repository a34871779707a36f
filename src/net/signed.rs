//! One signed request to STS, ECS, ECR, Systems Manager, Secrets Manager or Auto Scaling, for which
//! six more SDK crates would be too much.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use ecs_config::text::printable;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use url::Url;

use super::aws::Aws;
use super::clock::seconds_ahead;
use super::endpoint::Service;
use super::error::first_paragraph;
use super::xml::element;
use super::{Http, NetworkError, Request, RequestFailed, header as header_of};
use crate::paths::{MAX_CONFIG, MAX_DOCUMENT};

const TIMEOUT: Duration = Duration::from_secs(5);

/// An action of a service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// In a policy: the service, as in the scope of a signature too, and the action.
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    protocol: Protocol,
}

/// How an action and its parameters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// As JSON; what is before the action in `X-Amz-Target`.
    Json(&'static str),
    /// As a form; the version of the API.
    Query(&'static str),
}
use Protocol::{Json, Query};

const fn action(name: &'static str, service: Service, protocol: Protocol) -> Action {
    Action { name, service, protocol }
}

pub(crate) const GET_CALLER_IDENTITY: Action =
    action("sts:GetCallerIdentity", Service::Sts, Query("2011-06-15"));
pub(crate) const DISCOVER_POLL_ENDPOINT: Action =
    action("ecs:DiscoverPollEndpoint", Service::Ecs, Json("AmazonEC2ContainerServiceV20141113"));
pub(crate) const GET_AUTHORIZATION_TOKEN: Action =
    action("ecr:GetAuthorizationToken", Service::Ecr, Json("AmazonEC2ContainerRegistry_V20150921"));
pub(crate) const GET_PARAMETER: Action =
    action("ssm:GetParameter", Service::Ssm, Json("AmazonSSM"));
pub(crate) const GET_SECRET_VALUE: Action =
    action("secretsmanager:GetSecretValue", Service::SecretsManager, Json("secretsmanager"));
pub(crate) const SET_INSTANCE_HEALTH: Action =
    action("autoscaling:SetInstanceHealth", Service::AutoScaling, Query("2011-01-01"));
pub(crate) const COMPLETE_LIFECYCLE_ACTION: Action =
    action("autoscaling:CompleteLifecycleAction", Service::AutoScaling, Query("2011-01-01"));

impl Action {
    /// The service and the action in [`Action::name`].
    fn scope_and_verb(&self) -> (&'static str, &'static str) {
        self.name.split_once(':').expect("every name above has a colon")
    }

    /// What is not of the service: neither an error of it nor, in XML, the answer to this action.
    pub(crate) fn is_foreign(&self, answer: &Answer) -> bool {
        match answer.status {
            200 => !answer.xml.contains(&format!("<{}Response", self.scope_and_verb().1)),
            _ => answer.code.is_empty(),
        }
    }

    /// The body of a request with these parameters.
    fn written(&self, parameters: &Value) -> String {
        let Query(version) = self.protocol else { return parameters.to_string() };
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", self.scope_and_verb().1).append_pair("Version", version);
        for (name, value) in parameters.as_object().into_iter().flatten() {
            form.append_pair(name, value.as_str().unwrap_or_default());
        }
        form.finish()
    }

    /// More than this is not read of its answer, in bytes.
    fn limit(&self) -> usize {
        match self.service {
            Service::Ssm | Service::SecretsManager => MAX_CONFIG,
            _ => MAX_DOCUMENT,
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

/// An answer of the service.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The error's name, without its namespace; empty if there is none.
    pub(crate) code: String,
    pub(crate) message: String,
    /// Our clock less the answer's `Date`, in seconds.
    pub(crate) clock_ahead: Option<i64>,
    /// Of an action whose answer is asked for; that of ECR is a password.
    pub(crate) body: Value,
    /// What is not JSON.
    xml: String,
}

/// Error codes that say that the role lacks the permission. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html>
const DENIED: [&str; 3] = ["AccessDeniedException", "AccessDenied", "UnauthorizedOperation"];

impl Answer {
    /// From JSON, or from what S3, STS and Auto Scaling answer: XML with elements of the same
    /// meaning, which moto refuses everything with.
    pub(crate) fn new(status: u16, date: Option<String>, text: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(text).unwrap_or_default();
        let xml = if body.is_null() { String::from_utf8_lossy(text) } else { "".into() };
        let field = |names: [&str; 2], tag| {
            let text = names.into_iter().find_map(|name| body[name].as_str()).map(str::to_owned);
            first_paragraph(&text.or_else(|| element(&xml, tag)).unwrap_or_default())
        };
        let code = field(["__type", "code"], "Code");
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        let message = field(["message", "Message"], "Message");
        let (clock_ahead, xml) = (date.and_then(|date| seconds_ahead(&date)), xml.into_owned());
        Answer { status, code, message, clock_ahead, body, xml }
    }

    /// As the service puts it, with the number that its support asks for.
    pub(crate) fn quoted(&self, service: &str, request_id: Option<&str>) -> String {
        let id = request_id.map(|id| format!("(request {})", printable(id)));
        let words = [self.status.to_string(), self.code.clone(), self.message.clone()];
        let words = words.into_iter().chain(id).filter(|word| !word.is_empty());
        format!("{service} answered: {}", words.collect::<Vec<_>>().join(" "))
    }

    /// The role lacks the permission.
    pub(crate) fn is_denied(&self) -> bool {
        DENIED.contains(&self.code.as_str())
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
    call(action, &json!({}), &caller).await.map_err(|failed| failed.kind().to_string())
}

/// One request; any answer of the service is one.
pub(crate) async fn call(
    action: &Action,
    parameters: &Value,
    caller: &Caller<'_>,
) -> Result<Answer, RequestFailed> {
    let unusable = |why: &dyn Display| RequestFailed::unusable(action.service.name(), why);
    let url = action.service.url(caller.aws, Some(caller.region));
    let url = url.ok_or_else(|| unusable(&"its region has no endpoint"))?;
    let request = signed(action, &url, parameters, caller).map_err(|why| unusable(&why))?;
    let answer = caller.http.send(request, TIMEOUT, action.limit()).await?;
    let (status, date) = (answer.status(), header_of(&answer.head.headers, "date"));
    let text = match answer.bytes().await {
        // The status tells that it may pass; an error's text only explains.
        Err(_) if NetworkError::of_answer(status, "").is_some() => Vec::new(),
        text => text?,
    };
    Ok(Answer::new(status, date, &text))
}

fn signed(
    action: &Action,
    url: &Url,
    parameters: &Value,
    caller: &Caller<'_>,
) -> Result<Request, Box<dyn std::error::Error>> {
    let (scope, verb) = action.scope_and_verb();
    let request = http::Request::post(url.as_str());
    let request = match action.protocol {
        Json(prefix) => request
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{prefix}.{verb}")),
        Query(_) => request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"),
    };
    let mut request = request.body(Bytes::from(action.written(parameters)))?;
    let identity = caller.credentials.clone().into();
    let signing = SigningParams::builder()
        .identity(&identity)
        .region(caller.region)
        .name(scope)
        .time(caller.time)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new("POST", url.as_str(), headers, body)?;
    let signed = sign(signable, &signing)?.into_parts().0;
    signed.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_code_is_read_without_its_namespace() {
        let answer = Answer::new(
            400,
            None,
            br#"{"__type": "com.amazonaws.ecs#AccessDeniedException", "Message": "no\nway"}"#,
        );
        assert_eq!(
            (answer.status, &*answer.code, &*answer.message),
            (400, "AccessDeniedException", "no way")
        );
        assert_eq!(Answer::new(502, None, b"<html>").code, "");
        let xml = b"<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message>no way</Message></Error></Errors></ErrorResponse>";
        let answer = Answer::new(403, None, xml);
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
        let answer = Answer::new(
            403,
            None,
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
        let request = signed(&DISCOVER_POLL_ENDPOINT, &url, &json!({}), &caller).unwrap();
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
