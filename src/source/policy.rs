//! The smallest IAM policy statement that lets a role read one object. Pure.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>

use serde_json::json;

use super::{Bucket, Object};
use crate::net::partition::Partition;

/// What to know of a bucket with capitals or `_` in its name.
pub(crate) const LEGACY_NAME: &str = "a bucket with such a name can be in us-east-1 only, and was made there before March 2018: \
     it is asked by path";

/// What to know of the alias of an access point.
const ALIAS: &str = "a policy cannot name the alias of an access point: what is printed for it allows nothing; \
     write the access point's ARN as the source, as in arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/object/KEY";
/// What to know of an access point.
const ACCESS_POINT: &str = "S3 asks for the bucket behind an access point too: its policy must delegate to the access point, \
     or the role must be allowed the same on the bucket";

/// What to know of the bucket of an object, beside the statement that reads it.
pub(crate) fn note(object: &Object) -> Option<&'static str> {
    match &object.bucket {
        bucket if bucket.is_legacy() => Some(LEGACY_NAME),
        bucket if bucket.is_alias() => Some(ALIAS),
        Bucket::AccessPoint { .. } => Some(ACCESS_POINT),
        Bucket::Named { .. } => None,
    }
}

/// What reads `object`; `region` tells the partition of a bucket that is known by its name only.
pub(crate) fn read(object: &Object, region: &str) -> String {
    statement(action(object), &object_arn(object, region))
}

/// What a role must be allowed to read it: a pinned version takes an action of its own, and that
/// one alone.
pub(crate) fn action(object: &Object) -> &'static str {
    if object.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" }
}

/// What makes S3 report a missing key, where without it S3 only reports "access denied".
pub(crate) fn list(object: &Object, region: &str) -> String {
    statement("s3:ListBucket", &bucket_arn(&object.bucket, region))
}

/// What allows one action on one resource.
pub(crate) fn statement(action: &str, resource: &str) -> String {
    json!({"Effect": "Allow", "Action": action, "Resource": resource}).to_string()
}

pub(super) fn bucket_arn(bucket: &Bucket, region: &str) -> String {
    match bucket {
        Bucket::Named { partition, name } => {
            let partition = partition.unwrap_or_else(|| Partition::of_region(region));
            format!("arn:{}:s3:::{name}", partition.name)
        }
        Bucket::AccessPoint { partition, region, account, name } => {
            format!("arn:{}:s3:{region}:{account}:accesspoint/{name}", partition.name)
        }
    }
}

/// As the resource of a policy's statement.
pub(crate) fn object_arn(object: &Object, region: &str) -> String {
    let between =
        if matches!(object.bucket, Bucket::AccessPoint { .. }) { "/object/" } else { "/" };
    format!("{}{between}{}", bucket_arn(&object.bucket, region), literally(&object.key))
}

/// In a policy's resource `*`, `?` and `$` mean something; so written, they mean themselves.
fn literally(key: &str) -> String {
    key.chars()
        .map(|c| if matches!(c, '*' | '?' | '$') { format!("${{{c}}}") } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::grammar::Location;

    #[test]
    fn statement_names_exactly_the_object_in_its_partition() {
        let table = [
            ("s3://b-1/a/ecs.config", "us-west-2", "s3:GetObject", "arn:aws:s3:::b-1/a/ecs.config"),
            ("s3://b-1/k", "cn-north-1", "s3:GetObject", "arn:aws-cn:s3:::b-1/k"),
            (
                "s3://b-1/k?versionId=7",
                "us-gov-west-1",
                "s3:GetObjectVersion",
                "arn:aws-us-gov:s3:::b-1/k",
            ),
            ("arn:aws-iso:s3:::b-1/k", "us-west-2", "s3:GetObject", "arn:aws-iso:s3:::b-1/k"),
            ("s3://b-1/a%3F*$\"", "us-west-2", "s3:GetObject", "arn:aws:s3:::b-1/a${?}${*}${$}\""),
            (
                "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/object/a/k",
                "us-west-2",
                "s3:GetObject",
                "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/object/a/k",
            ),
        ];
        for (source, region, action, resource) in table {
            let Location::S3(object) = source.parse::<super::super::Source>().unwrap().location
            else {
                unreachable!()
            };
            let read: serde_json::Value = serde_json::from_str(&read(&object, region)).unwrap();
            assert_eq!(
                read,
                json!({"Effect": "Allow", "Action": action, "Resource": resource}),
                "{source}"
            );
            assert!(
                list(&object, region).contains("s3:ListBucket")
                    && !list(&object, region).contains("/k\"")
            );
        }
    }
}
