//! A layer from S3, with the role's credentials.
//!
//! One GetObject when the region is right; a wrong guess costs one more. The SDK's own retries are
//! off here, because [`super::retry`] does them; its correction of a skewed clock lives in the
//! client, so the second attempt is signed with S3's time.

use std::error::Error;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, retry::RetryConfig};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::answer::Answer;
use super::failure::{Asked, Kind};
use super::retry::{Failure, Next};
use super::transport;
use super::{Access, Body, Bucket, Held, Object, Read};
use crate::net::aws::{self, Partition, Service};
use crate::net::{Failed, chain};

/// What one fetch learns on its way: the client for the region it has come to.
pub(super) struct Getter<'a> {
    access: &'a Access<'a>,
    object: &'a Object,
    held: Option<&'a Held>,
    client: Client,
    /// Regions asked so far; the last is the present one.
    tried: Vec<String>,
    skewed: bool,
}

/// A bucket moves at most from a guess to its home; a second correction allows for a stale answer.
const MOST_REGIONS: usize = 3;
/// A checksum may be wrong because of the way here; three times, it is the object's.
const MOST_CHECKSUMS: u32 = 3;

impl<'a> Getter<'a> {
    pub(super) fn new(object: &'a Object, access: &'a Access<'a>, held: Option<&'a Held>) -> Self {
        let region = first_region(object, access);
        Self {
            client: client(object, access, &region),
            access,
            object,
            held,
            tried: vec![region],
            skewed: false,
        }
    }

    fn region(&self) -> &str {
        self.tried.last().expect("begins with one, and only grows")
    }

    fn asked(&self) -> Asked {
        Asked { object: self.object.clone(), region: self.region().to_owned() }
    }

    /// One GetObject.
    pub(super) async fn attempt(&mut self, number: u32) -> Result<Read, Failure> {
        let object = self.object;
        let answer = self
            .client
            .get_object()
            .bucket(bucket(&object.bucket))
            .key(&object.key)
            .set_version_id(object.version_id.clone())
            .set_expected_bucket_owner(object.owner.clone())
            .set_if_none_match(self.held.and_then(|held| held.layer.etag.clone()))
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
    fn not_modified<E>(&self, error: &SdkError<E, HttpResponse>) -> Option<Read> {
        let answer = error.raw_response().filter(|answer| answer.status().as_u16() == 304)?;
        let Held { layer, bytes } = self.held?;
        let version_id = answer
            .headers()
            .get("x-amz-version-id")
            .map(str::to_owned)
            .or_else(|| layer.version_id.clone());
        let region = Some(self.region().to_owned());
        Some(Read {
            bytes: bytes.clone(),
            etag: layer.etag.clone(),
            version_id,
            region,
            not_modified: true,
        })
    }

    async fn read(&self, answer: GetObjectOutput, number: u32) -> Result<Read, Failure> {
        let (etag, version_id) = (answer.e_tag, answer.version_id);
        let bytes =
            body(answer.body, answer.content_length, self.region()).await.map_err(|failure| {
                match failure.kind {
                    Kind::Checksum if number < MOST_CHECKSUMS => {
                        Failure { next: Next::Wait, ..failure }
                    }
                    _ => failure,
                }
            })?;
        Ok(Read {
            bytes,
            etag,
            version_id,
            region: Some(self.region().to_owned()),
            not_modified: false,
        })
    }

    async fn failure<E: Error + Send + Sync + 'static>(
        &mut self,
        error: SdkError<E, HttpResponse>,
    ) -> Failure {
        let Some(answer) = error.raw_response().map(answered) else { return unanswered(&error) };
        let mut failure = answer.failure(&self.asked(), &self.tried);
        if let Some(region) = answer.other_region(self.region()) {
            failure.kind = Kind::RegionLoop(self.tried.clone());
            failure.next = self.move_to(region);
        } else if matches!(failure.kind, Kind::ClockSkew { .. })
            && !std::mem::replace(&mut self.skewed, true)
        {
            tracing::warn!("{}; signing with AWS's time", failure.kind);
            failure.next = Next::AtOnce;
        } else if matches!(failure.kind, Kind::AccessDenied(_)) && self.is_anothers().await {
            failure.kind = Kind::Owner { owner: self.object.owner.clone().unwrap_or_default() };
        }
        failure
    }

    fn move_to(&mut self, region: &str) -> Next {
        if self.tried.len() >= MOST_REGIONS || self.tried.iter().any(|tried| tried == region) {
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
        let head =
            self.client.head_object().bucket(bucket(&self.object.bucket)).key(&self.object.key);
        self.object.owner.is_some()
            && head.set_version_id(self.object.version_id.clone()).send().await.is_ok()
    }
}

fn first_region(object: &Object, access: &Access<'_>) -> String {
    let partition = match &object.bucket {
        Bucket::Named { partition, .. } => *partition,
        Bucket::AccessPoint { partition, .. } => Some(*partition),
    };
    let fits = |region: &&String| {
        partition.is_none_or(|partition| Partition::of_region(region).name == partition)
    };
    let known = object
        .region
        .as_ref()
        .or_else(|| [&access.aws.region, &access.region].into_iter().flatten().find(fits));
    let home = || {
        Partition::named(partition.unwrap_or("aws"))
            .expect("the grammar knows the same partitions")
            .home
            .to_owned()
    };
    known.cloned().unwrap_or_else(home)
}

fn client(object: &Object, access: &Access<'_>, region: &str) -> Client {
    let shared =
        aws::sdk_config(access.aws, Service::S3, access.http, access.credentials.cloned(), region);
    // Addresses and private hosts have no names for each bucket. An access point's ARN has no path
    // form.
    let by_path =
        access.aws.endpoint(Service::S3).is_some() && matches!(object.bucket, Bucket::Named { .. });
    Client::from_conf(
        Builder::from(&shared)
            .retry_config(RetryConfig::disabled())
            .force_path_style(by_path)
            .use_arn_region(true)
            .build(),
    )
}

fn bucket(bucket: &Bucket) -> String {
    match bucket {
        Bucket::Named { name, .. } => name.clone(),
        Bucket::AccessPoint { partition, region, account, name } => {
            format!("arn:{partition}:s3:{region}:{account}:accesspoint/{name}")
        }
    }
}

async fn body(
    mut stream: ByteStream,
    length: Option<i64>,
    region: &str,
) -> Result<Vec<u8>, Failure> {
    let mut body = Body::begin(length.and_then(|length| length.try_into().ok()))?;
    while let Some(more) = stream.next().await {
        body.add(&more.map_err(|error| broken(&error, region))?)?;
    }
    Ok(body.bytes)
}

/// The SDK's checksum error is of a crate that is not ours to name; a test holds its words.
fn broken(error: &(dyn Error + 'static), region: &str) -> Failure {
    match chain(error).find(|error| error.to_string().contains("checksum mismatch")) {
        Some(error) => {
            Failure::last(Kind::Checksum).because(transport::printable(&error.to_string()))
        }
        None => transport::failure(error, &format!("S3 in {region}")),
    }
}

fn answered(raw: &HttpResponse) -> Answer {
    let header = |name: &str| raw.headers().get(name).map(str::to_owned);
    Answer::new(raw.status().as_u16(), header, raw.body().bytes().unwrap_or_default())
}

/// No HTTP answer at all: the network failed, or the SDK found no way to make the request.
fn unanswered<E: Error + Send + Sync + 'static>(error: &SdkError<E, HttpResponse>) -> Failure {
    let network = chain(error).any(|error| error.is::<Failed>());
    if network {
        return transport::failure(error, "S3");
    }
    let why = chain(error).last().map(|error| transport::printable(&error.to_string()));
    Failure::last(Kind::Unusable(why.unwrap_or_default()))
}
