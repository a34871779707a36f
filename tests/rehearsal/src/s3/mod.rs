//! S3: GetObject, HeadObject and HeadBucket, path-style and by host name, with versions,
//! conditions, ranges, checksums, expected owner and regions. The order of the checks is S3's:
//! signature, bucket, region, owner, right, object. Pure.

pub(crate) mod errors;

use std::time::SystemTime;

use aws_smithy_types::base64;
use errors::{denied, error, moved, not_allowed, refused, with_ids};
use md5::{Digest, Md5};
use ring::digest::{SHA256, digest};

use crate::clock;
use crate::http::{Request, Response, decoded};
use crate::sigv4::{self, hex};
use crate::state::{Bucket, Checksum, CloudState, Object, Version};

/// Which bucket and key a request is about; no key means the bucket itself.
#[derive(Debug, PartialEq)]
pub(crate) struct ObjectPath {
    pub bucket: String,
    pub key: String,
}

/// One answer of S3.
pub(crate) fn answer(state: &CloudState, request: &Request, now: SystemTime) -> Response {
    if let Some(response) = public_object(state, request) {
        return response;
    }
    let region = match sigv4::check(request, "s3", &state.credentials, now) {
        Ok(region) => region,
        Err(refusal) => return refused(&refusal, now),
    };
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return error(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            &[("Method", &request.method)],
        );
    }
    let path = object_path(state, request);
    match in_bucket(state, request, &path, &region) {
        Err(response) => response,
        Ok(bucket) if path.key.is_empty() => whole_bucket(state, &path, bucket),
        Ok(bucket) => object(state, request, &path, bucket),
    }
}

/// An object that a bucket policy opens to anybody, asked for without a signature.
fn public_object(state: &CloudState, request: &Request) -> Option<Response> {
    let path = object_path(state, request);
    let bucket = state.buckets.get(&path.bucket)?;
    let is_signed = request
        .header("authorization")
        .or(request.parameter("X-Amz-Signature").as_deref())
        .is_some();
    let is_public =
        bucket.public_prefix.as_ref().is_some_and(|prefix| path.key.starts_with(prefix));
    (is_public && !is_signed).then(|| object(state, request, &path, bucket))
}

/// Finds bucket and key: a host of AWS's own names the bucket or leaves it to the path; an address
/// leaves it to the path.
pub(crate) fn object_path(state: &CloudState, request: &Request) -> ObjectPath {
    let (host, path) = (request.host(), request.path().strip_prefix('/').unwrap_or_default());
    match bucket_in_host(state, host) {
        Some(bucket) => ObjectPath { bucket, key: decoded(path) },
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            ObjectPath { bucket: decoded(bucket), key: decoded(key) }
        }
    }
}

fn bucket_in_host(state: &CloudState, host: &str) -> Option<String> {
    let name = match host.find(".s3.").or_else(|| host.find(".s3-")) {
        Some(end) => &host[..end],
        None => host.split('.').next().filter(|label| {
            state.buckets.contains_key(*label) || state.access_points.contains_key(*label)
        })?,
    };
    Some(state.access_points.get(name).map_or(name, String::as_str).to_owned())
}

/// The bucket, once it is clear that it exists, is served here, and belongs to whom the caller
/// expects.
fn in_bucket<'w>(
    state: &'w CloudState,
    request: &Request,
    path: &ObjectPath,
    region: &str,
) -> Result<&'w Bucket, Response> {
    let Some(bucket) = state.buckets.get(&path.bucket) else {
        return Err(error(
            404,
            "NoSuchBucket",
            "The specified bucket does not exist",
            &[("BucketName", &path.bucket)],
        ));
    };
    if bucket.region != region {
        return Err(moved(state, &path.bucket, &bucket.region));
    }
    match request.header("x-amz-expected-bucket-owner") {
        Some(owner) if owner != bucket.owner => Err(denied()),
        _ => Ok(bucket),
    }
}

fn whole_bucket(state: &CloudState, path: &ObjectPath, bucket: &Bucket) -> Response {
    let answer = match bucket.listable {
        true => with_ids(Response::new(200, "application/xml", "")),
        false => not_allowed(state, "s3:ListBucket", &bucket_arn(state, path)),
    };
    answer.with("x-amz-bucket-region", &bucket.region)
}

fn object(state: &CloudState, request: &Request, path: &ObjectPath, bucket: &Bucket) -> Response {
    let version = request.parameter("versionId");
    let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    if !bucket.readable {
        return not_allowed(state, action, &format!("{}/{}", bucket_arn(state, path), path.key));
    }
    match find(bucket, &path.key, version.as_deref()) {
        Some(version) => conditional(request, version, bucket),
        None if !bucket.listable => not_allowed(state, "s3:ListBucket", &bucket_arn(state, path)),
        None => missing(path, version.as_deref()),
    }
}

fn find<'b>(bucket: &'b Bucket, key: &str, version: Option<&str>) -> Option<&'b Version> {
    let versions = bucket.objects.get(key)?;
    match version {
        Some(version) => versions.iter().find(|kept| kept.id == version),
        None => versions.last(),
    }
}

pub(crate) fn missing(path: &ObjectPath, version: Option<&str>) -> Response {
    let key = ("Key", path.key.as_str());
    match version {
        Some(version) => error(
            404,
            "NoSuchVersion",
            "The specified version does not exist.",
            &[key, ("VersionId", version)],
        ),
        None => error(404, "NoSuchKey", "The specified key does not exist.", &[key]),
    }
}

pub(crate) fn bucket_arn(state: &CloudState, path: &ObjectPath) -> String {
    format!("arn:{}:s3:::{}", state.host.partition, path.bucket)
}

fn conditional(request: &Request, version: &Version, bucket: &Bucket) -> Response {
    let etag = etag(&version.object);
    let names = |header: &str| {
        request
            .header(header)
            .map(|value| value == "*" || value.split(',').any(|tag| tag.trim() == etag))
    };
    if names("if-match") == Some(false) {
        const MESSAGE: &str = "At least one of the pre-conditions you specified did not hold";
        return error(412, "PreconditionFailed", MESSAGE, &[("Condition", "If-Match")]);
    }
    if names("if-none-match") == Some(true) {
        return with_ids(Response::new(304, "", "")).with("ETag", etag);
    }
    ranged(request, described(request, version, bucket, &etag))
}

/// The whole object with all its headers.
fn described(request: &Request, version: &Version, bucket: &Bucket, etag: &str) -> Response {
    let object = &version.object;
    let mut response = with_ids(Response::new(200, &object.content_type, object.bytes.clone()))
        .with("ETag", etag)
        .with("Last-Modified", clock::http_date(version.modified))
        .with("Accept-Ranges", "bytes")
        .with("x-amz-server-side-encryption", if object.kms { "aws:kms" } else { "AES256" });
    if bucket.versioned {
        response.set("x-amz-version-id", &version.id);
    }
    let whole = request.header("range").is_none();
    if let Some((name, sum)) = checksum(object)
        .filter(|_| whole && request.header("x-amz-checksum-mode") == Some("ENABLED"))
    {
        response.set(name, sum);
        response.set("x-amz-checksum-type", "FULL_OBJECT");
    }
    response
}

/// MD5 of the bytes, in quotes; of an object under a KMS key another value, which is not a
/// checksum.
fn etag(object: &Object) -> String {
    let digest = match object.kms {
        true => Md5::digest([b"kms", &object.bytes[..]].concat()),
        false => Md5::digest(&object.bytes),
    };
    format!("\"{}\"", hex(&digest))
}

fn checksum(object: &Object) -> Option<(&'static str, String)> {
    match object.checksum {
        Checksum::Crc32 => Some((
            "x-amz-checksum-crc32",
            base64::encode(crc32fast::hash(&object.bytes).to_be_bytes()),
        )),
        Checksum::Sha256 => {
            Some(("x-amz-checksum-sha256", base64::encode(digest(&SHA256, &object.bytes))))
        }
        Checksum::None => None,
    }
}

/// `Range: bytes=FIRST-[LAST]`; any other form is ignored, as RFC 9110 allows.
fn ranged(request: &Request, mut response: Response) -> Response {
    let Some((first, last)) = request.header("range").and_then(range) else { return response };
    let size = response.body.len();
    if first >= size {
        const MESSAGE: &str = "The requested range is not satisfiable";
        return error(416, "InvalidRange", MESSAGE, &[("ActualObjectSize", &size.to_string())]);
    }
    let last = last.min(size - 1);
    response.status = 206;
    response.set("Content-Range", format!("bytes {first}-{last}/{size}"));
    response.body = response.body[first..=last].to_vec();
    response
}

fn range(header: &str) -> Option<(usize, usize)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let last = if last.is_empty() { usize::MAX } else { last.parse().ok()? };
    (first <= last).then_some((first, last))
}
