//! A layer from S3, with the role's credentials.
//!
//! One GetObject when the region is right; a wrong guess costs one more. The SDK keeps its
//! correction of a skewed clock in the client, so the second attempt is signed with S3's time.

use std::error::Error;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use ecs_config::text::printable;
use http::HeaderValue;
use url::Url;

use super::answer::S3Answer;
use super::error::ErrorKind;
use super::{Access, Bucket, Cached, Content, Failed, Object, policy};
use crate::error::chain;
use crate::net::aws::Aws;
use crate::net::backoff::{FailedAttempt, Next};
use crate::net::endpoint::Service;
use crate::net::partition::Partition;
use crate::net::sdk::{app_name, endpoint, for_sdk, timeouts};
use crate::net::{NetworkError, RequestFailed, innermost};

/// What one fetch learns on its way: the client for the region it has come to.
pub(super) struct Getter<'a> {
    access: &'a Access<'a>,
    object: &'a Object,
    cached: Option<&'a Cached>,
    client: Client,
    /// Regions asked so far; the last is the present one.
    tried: Vec<String>,
    skewed: bool,
}

/// A bucket moves at most from a guess to its home; a second correction allows for a stale answer.
const MAX_REGIONS: usize = 3;
/// A checksum may be wrong because of the way here; three times, it is the object's.
const MAX_CHECKSUMS: u32 = 3;

impl<'a> Getter<'a> {
    pub(super) fn new(
        object: &'a Object,
        access: &'a Access<'a>,
        cached: Option<&'a Cached>,
    ) -> Self {
        let region = first_region(object, access.aws, access.region.as_ref());
        if object.bucket.is_legacy() {
            tracing::info!("fetch: {}", policy::LEGACY_NAME);
        }
        Self {
            client: client(object, access, &region),
            access,
            object,
            cached,
            tried: vec![region],
            skewed: false,
        }
    }

    fn region(&self) -> &str {
        self.tried.last().expect("begins with one, and only grows")
    }

    /// One GetObject.
    pub(super) async fn attempt(&mut self, number: u32) -> Result<Content, Failed> {
        let object = self.object;
        let answer = self
            .client
            .get_object()
            .bucket(bucket(&object.bucket))
            .key(&object.key)
            .set_version_id(object.version_id.clone())
            .set_expected_bucket_owner(object.owner.clone())
            .set_if_none_match(self.cached_etag())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match answer {
            Ok(answer) => self.read(answer, number).await,
            Err(error) => match self.not_modified(&error) {
                Some(read) => Ok(read),
                None => Err(self.failure(error).await),
            },
        }
    }

    /// The SDK takes a 304 for an error.
    fn not_modified<E>(&self, error: &SdkError<E, HttpResponse>) -> Option<Content> {
        let answer = error.raw_response().filter(|answer| answer.status().as_u16() == 304)?;
        let etag = self.cached_etag()?;
        let Cached { layer, bytes } = self.cached?;
        let version_id = answer.headers().get("x-amz-version-id").map(str::to_owned);
        let version_id = version_id.or_else(|| layer.version_id.clone());
        Some(Content { bytes: bytes.clone(), etag: Some(etag), version_id, not_modified: true })
    }

    /// What S3 is to compare, if a header can carry it: whatever the state holds was read from a file.
    fn cached_etag(&self) -> Option<String> {
        let etag = self.cached?.layer.etag.clone();
        etag.filter(|etag| HeaderValue::from_str(etag).is_ok())
    }

    async fn read(&self, answer: GetObjectOutput, number: u32) -> Result<Content, Failed> {
        let (etag, version_id) = (answer.e_tag, answer.version_id);
        let bytes = answer.body.collect().await.map_err(|error| match broken(&error) {
            failed if failed.error == ErrorKind::Checksum && number < MAX_CHECKSUMS => {
                failed.then(Next::Wait)
            }
            failed => failed,
        })?;
        let bytes = bytes.into_bytes().into();
        Ok(Content { bytes, etag, version_id, not_modified: false })
    }

    async fn failure(&mut self, error: SdkError<GetObjectError, HttpResponse>) -> Failed {
        let Some(answer) = error.raw_response().map(answered) else { return unanswered(&error) };
        let mut failure = answer.failure(self.object, &self.tried);
        if let Some(region) = answer.other_region(self.region()) {
            failure.error = ErrorKind::RegionLoop(self.tried.clone());
            failure.next = self.move_to(region);
        } else if matches!(failure.error, ErrorKind::Network(NetworkError::ClockSkew { .. }))
            && !std::mem::replace(&mut self.skewed, true)
        {
            tracing::warn!("{}; signing with AWS's time", failure.error);
            failure.next = Next::AtOnce;
        } else if matches!(failure.error, ErrorKind::AccessDenied { .. })
            && self.is_anothers().await
        {
            let owner = self.object.owner.clone().unwrap_or_default();
            failure.error = ErrorKind::Owner { owner };
        }
        failure
    }

    fn move_to(&mut self, region: &str) -> Next {
        if self.tried.len() >= MAX_REGIONS || self.tried.iter().any(|tried| tried == region) {
            return Next::GiveUp;
        }
        tracing::info!(from = self.region(), to = region, "the bucket is in another region");
        self.client = client(self.object, self.access, region);
        self.tried.push(region.to_owned());
        Next::AtOnce
    }

    /// S3 answers a wrong expected owner with the same bare 403 as a missing permission. If the
    /// object can be read as soon as no owner is expected, it was the owner.
    async fn is_anothers(&self) -> bool {
        let get = self.client.get_object().bucket(bucket(&self.object.bucket));
        let get = get.key(&self.object.key).set_version_id(self.object.version_id.clone());
        self.object.owner.is_some() && get.send().await.is_ok()
    }
}

/// Where the first request for it goes.
pub(super) fn first_url(object: &Object, aws: &Aws, region: Option<&String>) -> Option<Url> {
    url(object, aws, &first_region(object, aws, region))
}

fn first_region(object: &Object, aws: &Aws, region: Option<&String>) -> String {
    let partition = object.partition();
    let fits = |region: &&String| {
        partition.is_none_or(|partition| Partition::of_region(region) == partition)
    };
    let usual = || [aws.region.as_ref(), region].into_iter().flatten().find(fits).cloned();
    let home = || partition.map_or("us-east-1", |partition| partition.home).to_owned();
    object.region.clone().or_else(usual).unwrap_or_else(home)
}

/// Retries are [`retry`](crate::net::backoff::retry)'s. The HTTP client ends an answer that stalls
/// ([`READ_TIMEOUT`](crate::net::READ_TIMEOUT)), so the SDK's own watch over streams is off.
fn client(object: &Object, access: &Access<'_>, region: &str) -> Client {
    let Access { aws, http, credentials, .. } = access;
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .app_name(app_name())
        .http_client(for_sdk(http))
        .sleep_impl(TokioSleep::new())
        .region(Region::new(region.to_owned()))
        .use_fips(aws.use_fips)
        .use_dual_stack(aws.use_dualstack)
        .use_arn_region(true)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(aws.endpoint(Service::S3).map(|url| url.as_str().to_owned()));
    config.set_credentials_provider(credentials.cloned().map(SharedCredentialsProvider::new));
    config.set_endpoint_resolver(url(object, aws, region).map(|url| endpoint(&url)));
    Client::from_conf(config.build())
}

/// The base of the object's URL; `None` where the SDK's own rules are needed: for access points, and
/// for FIPS in China, where S3 has none.
fn url(object: &Object, aws: &Aws, region: &str) -> Option<Url> {
    let Bucket::Named { name, .. } = &object.bucket else { return None };
    let mut url = Service::S3.url(aws, Some(region))?;
    // Addresses and private hosts have no name for each bucket, and AWS's certificates none for a
    // bucket with dots.
    let has_own_host = aws.endpoint(Service::S3).is_none() && !name.contains('.');
    if !has_own_host || object.bucket.is_legacy() {
        url.path_segments_mut().ok()?.pop_if_empty().push(name);
    } else {
        let host = format!("{name}.{}", url.host_str()?);
        url.set_host(Some(&host)).ok()?;
    }
    Some(url)
}

fn bucket(bucket: &Bucket) -> String {
    match bucket {
        Bucket::Named { name, .. } => name.clone(),
        Bucket::AccessPoint { region, .. } => policy::bucket_arn(bucket, region),
    }
}

/// The SDK's checksum error is of a crate that is not ours to name; a test holds its text.
fn broken(error: &(dyn Error + 'static)) -> Failed {
    let text = chain(error).map(ToString::to_string);
    match text.into_iter().find(|text| text.contains("checksum mismatch")) {
        Some(text) => FailedAttempt::last(ErrorKind::Checksum).because(printable(&text)),
        None => unanswered(error),
    }
}

fn answered(raw: &HttpResponse) -> S3Answer {
    let header = |name: &str| raw.headers().get(name).map(str::to_owned);
    S3Answer::new(raw.status().as_u16(), header, raw.body().bytes().unwrap_or_default())
}

/// Not an answer of HTTP: the network failed, or the SDK found no way to make the request.
fn unanswered(error: &(dyn Error + 'static)) -> Failed {
    match RequestFailed::within(error) {
        Some(failed) => failed.into(),
        None => FailedAttempt::last(ErrorKind::unusable(innermost(error))),
    }
}
