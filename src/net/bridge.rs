//! Carries the one reqwest client into the AWS SDK, so that S3, STS and presigned URLs share
//! connections, TLS and proxies.
//!
//! The SDK's own client would bring a second TLS stack and read the machine's CA files at every
//! start.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::{Cause, Failed, Http, SILENCE};

#[derive(Clone, Debug)]
pub(super) struct Bridge {
    pub(super) http: Http,
    /// From the start of a request to the head of its answer, connecting included.
    pub(super) limit: Option<Duration>,
}

/// The request could not be handed over: its body is a stream, which none of ours is.
#[derive(Debug, thiserror::Error)]
#[error("the request's body is not in memory")]
struct Streaming;

impl HttpClient for Bridge {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limit = settings.read_timeout().or(settings.connect_timeout());
        SharedHttpConnector::new(Self { http: self.http.clone(), limit })
    }
}

impl HttpConnector for Bridge {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { http, limit } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = outgoing(request).map_err(ConnectorError::user)?;
            incoming(http.send(request, limit.unwrap_or(SILENCE)).await.map_err(connector_error)?)
        })
    }
}

fn outgoing(request: HttpRequest) -> Result<reqwest::Request, Cause> {
    let (parts, body) = request.try_into_http1x()?.into_parts();
    let body = body.bytes().ok_or(Streaming)?.to_vec();
    Ok(http::Request::from_parts(parts, body).try_into()?)
}

fn incoming(answer: reqwest::Response) -> Result<HttpResponse, ConnectorError> {
    let answer = http::Response::from(answer).map(SdkBody::from_body_1_x::<reqwest::Body, _>);
    answer.try_into().map_err(|error: aws_smithy_runtime_api::http::HttpError| {
        ConnectorError::other(error.into(), None)
    })
}

/// What the SDK's retries go by: a timeout and an input/output error may pass, a certificate nobody
/// vouches for stays as it is.
fn connector_error(error: Failed) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if super::tls_error(&error).is_some() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
