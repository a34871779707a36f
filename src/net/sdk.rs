//! The AWS SDK's glue: its configuration, and the one HTTP client carried into it, so that S3, STS
//! and presigned URLs share connections, TLS, proxies and the limits of bodies.
//!
//! The SDK's own client would bring a second TLS stack and read the machine's CA files at every
//! start. Its configuration looks at neither `~/.aws` nor the metadata service: region and
//! credentials are handed in, so that no call waits for what the identity step already found.

use std::time::Duration;

use aws_config::AppName;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::HttpError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::endpoint::Endpoint;
use bytes::Bytes;
use url::Url;

use super::{CONNECT_TIMEOUT, Http, READ_TIMEOUT, Request, RequestFailed, Response};
use crate::paths::MAX_CONFIG;

/// An administrator's configuration, which reads AWS's variables and files as the AWS CLI does.
#[cfg(feature = "role-check")]
pub(crate) fn admin_config(http: &Http) -> aws_config::ConfigLoader {
    aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .app_name(app_name())
        .http_client(for_sdk(http))
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .timeout_config(timeouts())
}

pub(crate) fn app_name() -> AppName {
    AppName::new(env!("CARGO_PKG_NAME")).expect("the crate's name is a token of HTTP")
}

pub(crate) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build()
}

/// The client as the SDK wants it.
pub(crate) fn for_sdk(http: &Http) -> SharedHttpClient {
    let http = http.clone();
    http_client_fn(move |settings, _| {
        let wait = settings.read_timeout().or(settings.connect_timeout()).unwrap_or(READ_TIMEOUT);
        SharedHttpConnector::new(Connector { http: http.clone(), wait })
    })
}

#[derive(Debug)]
struct Connector {
    http: Http,
    /// From the start of a request to the head of its answer, connecting included.
    wait: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, wait) = (self.http.clone(), self.wait);
        HttpConnectorFuture::new(async move {
            let request = outgoing(request).map_err(ConnectorError::user)?;
            let answer = http.send(request, wait, MAX_CONFIG).await.map_err(connector_error)?;
            match answer.status() {
                // The SDK would take each of them for the object.
                201..300 => Err(connector_error(answer.unexpected())),
                _ => incoming(answer).await,
            }
        })
    }
}

fn outgoing(request: HttpRequest) -> Result<Request, BoxError> {
    let (parts, body) = request.try_into_http1x()?.into_parts();
    let body = body.bytes().ok_or("the request's body is not in memory")?;
    Ok(http::Request::from_parts(parts, Bytes::copy_from_slice(body)))
}

async fn incoming(answer: Response) -> Result<HttpResponse, ConnectorError> {
    let (head, body) = answer.read().await;
    let body = match body {
        // The status of a refusal tells more than that its body broke off.
        Err(_) if head.status.as_u16() >= 300 => Vec::new(),
        body => body.map_err(connector_error)?,
    };
    let answer = http::Response::from_parts(head, SdkBody::from(body));
    answer.try_into().map_err(|error: HttpError| ConnectorError::other(error.into(), None))
}

/// The endpoint that a client asks, where this program's rules know it: the SDK's own would read
/// all partitions and regions of AWS for each service.
pub(crate) fn endpoint(url: &Url) -> SharedEndpointResolver {
    let url = url.as_str().trim_end_matches('/').to_owned();
    SharedEndpointResolver::new(Fixed(Endpoint::builder().url(url).build()))
}

#[derive(Debug)]
struct Fixed(Endpoint);

impl ResolveEndpoint for Fixed {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(self.0.clone()))
    }
}

/// What the SDK's retries go by: an input/output error may pass, a certificate that is not trusted
/// stays so.
fn connector_error(error: RequestFailed) -> ConnectorError {
    match error.tls() {
        Some(_) => ConnectorError::user(error.into()),
        None => ConnectorError::io(error.into()),
    }
}
