//! What each fault does, one small function a row of the table in `fault`. The messages are AWS's
//! own. Pure.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::clock;
use crate::http::{Length, Pace, Request, Response};
use crate::imds;
use crate::s3::errors::{denied, error, moved, not_allowed, wrong_scope};
use crate::s3::{self, bucket_arn};
use crate::state::CloudState;
use crate::sts;

/// Where the bucket is when a fault moved it.
const ELSEWHERE: &str = "us-west-2";
const ONE_TOO_MANY: usize = (1 << 20) + 1;

pub(crate) fn hang(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(Response::silent())
}

pub(crate) fn late(mut response: Response, by: Duration) -> Response {
    response.manner.wait += by;
    response
}

pub(crate) fn imds_off(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(imds::page(403))
}

/// Only those without a token get this.
pub(crate) fn version_1(_: &mut CloudState, request: &Request) -> Option<Response> {
    let bare = request.method == "GET" && request.header("x-aws-ec2-metadata-token").is_none();
    bare.then(|| Response::new(200, "text/plain", "ami-id\ninstance-id\n"))
}

pub(crate) fn imds_400(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(imds::page(400))
}

pub(crate) fn imds_404(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(imds::page(404))
}

pub(crate) fn imds_503(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(imds::page(503))
}

pub(crate) fn proxy_html(_: &mut CloudState, _: &Request) -> Option<Response> {
    const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in to use this network.</body></html>\n";
    Some(Response::new(200, "text/html; charset=utf-8", PAGE).with("Via", "1.1 proxy.example"))
}

pub(crate) fn empty_list(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(Response::new(200, "text/plain", ""))
}

pub(crate) fn token_revoked(state: &mut CloudState, _: &Request) -> Option<Response> {
    // Not forgotten: the next token must be another one.
    state.tokens.iter_mut().for_each(|token| token.expires = Instant::now());
    Some(imds::page(401))
}

pub(crate) fn role_renamed(state: &mut CloudState, _: &Request) -> Option<Response> {
    state.host.role = Some("ecsInstanceRoleTwo".into());
    Some(imds::page(404))
}

pub(crate) fn code_failed(_: &mut CloudState, _: &Request) -> Option<Response> {
    let body = json!({
        "Code": "AssumeRoleUnauthorizedAccess",
        "Message": "EC2 cannot assume the role ecsInstanceRole. Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html#troubleshoot_iam-ec2_errors-info-doc.",
        "LastUpdated": clock::rfc3339(SystemTime::now()),
    });
    Some(Response::new(200, "text/plain", format!("{body:#}")))
}

/// Expired for IMDS, STS and S3 alike; the answer itself is the usual one.
pub(crate) fn expired_credentials(state: &mut CloudState, _: &Request) -> Option<Response> {
    if let Some(current) = state.credentials.last_mut() {
        current.expires = SystemTime::now() - Duration::from_secs(3600);
    }
    None
}

pub(crate) fn half_the_body(_: &CloudState, _: &Request, mut response: Response) -> Response {
    response.body.truncate(response.body.len() / 2);
    response
}

pub(crate) fn wrong_account(state: &CloudState, _: &Request, _: Response) -> Response {
    let arn = state.host.arn().replace(&state.host.account_id, "999999999999");
    sts::identity(&arn, "999999999999", &state.host.instance_id)
}

pub(crate) fn wrong_instance(state: &CloudState, _: &Request, _: Response) -> Response {
    const OTHER: &str = "i-0ec5b007572affff1";
    let arn = state.host.arn().replace(&state.host.instance_id, OTHER);
    sts::identity(&arn, &state.host.account_id, OTHER)
}

pub(crate) fn sts_denied(state: &mut CloudState, _: &Request) -> Option<Response> {
    let message = format!(
        "User: {} is not authorized to perform: sts:GetCallerIdentity because no VPC endpoint policy allows the sts:GetCallerIdentity action",
        state.host.arn()
    );
    Some(sts::error(403, "AccessDenied", &message))
}

pub(crate) fn sts_503(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(sts::error(
        503,
        "ServiceUnavailable",
        "The request has failed due to a temporary failure of the server.",
    ))
}

pub(crate) fn s3_403(state: &CloudState, request: &Request, _: Response) -> Response {
    let path = s3::object_path(state, request);
    not_allowed(state, "s3:GetObject", &format!("{}/{}", bucket_arn(state, &path), path.key))
}

pub(crate) fn s3_404_key(state: &CloudState, request: &Request, _: Response) -> Response {
    s3::missing(&s3::object_path(state, request), None)
}

pub(crate) fn s3_404_version(state: &CloudState, request: &Request, _: Response) -> Response {
    let version = request.parameter("versionId").unwrap_or_else(|| "null".into());
    s3::missing(&s3::object_path(state, request), Some(&version))
}

pub(crate) fn s3_404_bucket(state: &CloudState, request: &Request, _: Response) -> Response {
    let bucket = s3::object_path(state, request).bucket;
    error(404, "NoSuchBucket", "The specified bucket does not exist", &[("BucketName", &bucket)])
}

/// A request without an expected owner is served.
pub(crate) fn s3_wrong_owner(_: &mut CloudState, request: &Request) -> Option<Response> {
    request.header("x-amz-expected-bucket-owner").map(|_| denied())
}

pub(crate) fn s3_wrong_region_301(state: &mut CloudState, request: &Request) -> Option<Response> {
    let bucket = emigrate(state, request);
    (signed_for(request)? != ELSEWHERE).then(|| moved(state, &bucket, ELSEWHERE))
}

pub(crate) fn s3_wrong_region_400(state: &mut CloudState, request: &Request) -> Option<Response> {
    emigrate(state, request);
    let region = signed_for(request)?;
    (region != ELSEWHERE).then(|| wrong_scope(&region, ELSEWHERE))
}

pub(crate) fn s3_redirect_loop(state: &mut CloudState, request: &Request) -> Option<Response> {
    let bucket = s3::object_path(state, request).bucket;
    let next = if signed_for(request)? == ELSEWHERE { "us-east-2" } else { ELSEWHERE };
    Some(moved(state, &bucket, next))
}

fn emigrate(state: &mut CloudState, request: &Request) -> String {
    let name = s3::object_path(state, request).bucket;
    if let Some(bucket) = state.buckets.get_mut(&name) {
        bucket.region = ELSEWHERE.into();
    }
    name
}

/// The region in the scope of the signature.
fn signed_for(request: &Request) -> Option<String> {
    Some(request.header("authorization")?.split('/').nth(2)?.to_owned())
}

fn kms_key(state: &CloudState) -> String {
    let host = &state.host;
    format!(
        "arn:{}:kms:{}:{}:key/0ec5b007-572a-4000-8000-0000000000ff",
        host.partition, host.region, host.account_id
    )
}

pub(crate) fn kms_denied(state: &CloudState, _: &Request, _: Response) -> Response {
    let message = format!(
        "User: {} is not authorized to perform: kms:Decrypt on resource: {} because no identity-based policy allows the kms:Decrypt action",
        state.host.arn(),
        kms_key(state)
    );
    error(403, "AccessDenied", &message, &[])
}

pub(crate) fn kms_disabled(state: &CloudState, _: &Request, _: Response) -> Response {
    error(400, "KMS.DisabledException", &format!("{} is disabled.", kms_key(state)), &[])
}

pub(crate) fn slow_body(mut response: Response, pause: Duration) -> Response {
    response.manner.pace = Pace::Trickle(16, pause);
    response
}

pub(crate) fn cut_body(_: &CloudState, _: &Request, mut response: Response) -> Response {
    response.manner.length = Length::Claimed(response.body.len() as u64);
    response.manner.pace = Pace::CutAfter(response.body.len() / 2);
    response
}

pub(crate) fn bad_checksum(_: &CloudState, _: &Request, mut response: Response) -> Response {
    if let Some(first) = response.body.first_mut() {
        *first ^= 1;
    }
    response
}

/// Comments, so that nothing but the size is wrong.
fn fill(mut response: Response) -> Response {
    response.body.resize(ONE_TOO_MANY, b'#');
    without_checksum(response)
}

fn without_checksum(mut response: Response) -> Response {
    response.headers.retain(|(name, _)| !name.starts_with("x-amz-checksum"));
    response
}

pub(crate) fn oversize(_: &CloudState, _: &Request, response: Response) -> Response {
    fill(response)
}

pub(crate) fn oversize_unsaid(_: &CloudState, _: &Request, response: Response) -> Response {
    let mut response = fill(response);
    response.manner.length = Length::Unsaid;
    response
}

pub(crate) fn oversize_lie(_: &CloudState, _: &Request, response: Response) -> Response {
    let mut response = fill(response);
    response.manner.length = Length::Claimed(1 << 40);
    response
}

pub(crate) fn slow_down(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(error(503, "SlowDown", "Please reduce your request rate.", &[]))
}

pub(crate) fn s3_500(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(error(500, "InternalError", "We encountered an internal error. Please try again.", &[]))
}

pub(crate) fn html_body(_: &CloudState, _: &Request, mut response: Response) -> Response {
    response.body = b"<!DOCTYPE html>\n<html><body>It works!</body></html>\n".to_vec();
    response.set("Content-Type", "text/html");
    without_checksum(response)
}

pub(crate) fn utf16_body(_: &CloudState, _: &Request, mut response: Response) -> Response {
    let text = String::from_utf8_lossy(&response.body).into_owned();
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    response.body = units.flat_map(u16::to_le_bytes).collect();
    without_checksum(response)
}
