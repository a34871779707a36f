//! Objects in S3: `s3://BUCKET/KEY`, ARNs, their options, and which names S3 allows.

use super::{
    Location, OF_THE_ARN, Parsed, Reason, agreed_region, bad_option, check, decode, invalid,
    options, tail,
};
use crate::net::partition::{PARTITIONS, Partition, is_account, is_label, is_plain, is_region};

const NAMES: [&str; 3] = ["versionId", "region", "owner"];

/// An object in S3, as the options narrow it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) bucket: Bucket,
    pub(crate) key: String,
    pub(crate) version_id: Option<String>,
    pub(crate) region: Option<String>,
    /// The account that must own the bucket.
    pub(crate) owner: Option<String>,
}

impl Object {
    /// The partition that its ARN or its region names.
    pub(crate) fn partition(&self) -> Option<&'static Partition> {
        match self.bucket {
            Bucket::Named { partition: Some(partition), .. } => Some(partition),
            Bucket::AccessPoint { partition, .. } => Some(partition),
            Bucket::Named { .. } => self.region.as_deref().map(Partition::of_region),
        }
    }
}

/// By name, or through an access point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    Named { partition: Option<&'static Partition>, name: String },
    AccessPoint { partition: &'static Partition, region: String, account: String, name: String },
}

/// Where S3 took other names until 2018, and still keeps their buckets.
const LEGACY_REGION: &str = "us-east-1";

impl Bucket {
    /// It has a name of those times, with upper-case letters or `_`, which no host name can hold.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
    pub(crate) fn is_legacy(&self) -> bool {
        matches!(self, Bucket::Named { name, .. } if is_legacy(name))
    }

    /// It is the alias of an access point, which no policy can name.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html>
    pub(crate) fn is_alias(&self) -> bool {
        matches!(self, Bucket::Named { name, .. } if name.ends_with("-s3alias"))
    }
}

fn is_legacy(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// After `s3://`. The AWS CLI takes ARNs of access points here, with the key after a slash.
pub(super) fn s3_url(rest: &str) -> Parsed {
    if let Some(rest) = rest.strip_prefix("arn:") {
        return arn(rest, "/");
    }
    let (front, options, sha256) = tail(rest)?;
    let (bucket, key) = named(None, front)?;
    Ok((Location::S3(object(bucket, key, options)?), sha256))
}

/// After `arn:`.
pub(super) fn arn(rest: &str, before_key: &str) -> Parsed {
    let (front, options, sha256) = tail(rest)?;
    let parts: Vec<&str> = front.splitn(5, ':').collect();
    let [partition, service, region, account, resource] = parts[..] else {
        return Err(not_an_object("it has too few parts"));
    };
    let unknown = || {
        let known = PARTITIONS.iter().map(|partition| partition.name);
        Reason::unknown("a partition of AWS", partition, known, invalid::ARNS)
    };
    let partition = Partition::named(partition).ok_or_else(unknown)?;
    match service {
        "s3" => {}
        "s3-outposts" => return Err(unsupported(&format!("the ARN is of {OUTPOSTS}"))),
        "s3express" => return Err(unsupported(&format!("the ARN is of {EXPRESS}"))),
        "s3-object-lambda" => return Err(unsupported(&format!("the ARN is of {LAMBDA}"))),
        _ => return Err(not_an_object("its service is not `s3`")),
    }
    let (bucket, key) = match (region, account) {
        ("", "") => named(Some(partition), resource)?,
        _ => access_point(partition, region, account, resource, before_key)?,
    };
    Ok((Location::S3(object(bucket, key, options)?), sha256))
}

const EXPRESS: &str = "S3 Express One Zone, whose buckets are in one zone and need sessions and permissions of another kind";
const OUTPOSTS: &str = "S3 on Outposts, which is reached through access points in a VPC";
const LAMBDA: &str = "S3 Object Lambda, whose objects are made while they are read";

/// Ends of names that are no general purpose bucket's.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
const OTHER_BUCKETS: [(&str, &str); 6] = [
    ("--x-s3", EXPRESS),
    ("--xa-s3", EXPRESS),
    ("--op-s3", OUTPOSTS),
    ("--ol-s3", LAMBDA),
    (
        ".mrap",
        "a multi-region access point, which needs a kind of signature that this program does not make",
    ),
    ("--table-s3", "S3 Tables, which hold no objects"),
];

fn unsupported(why: &str) -> Reason {
    Reason::new(why, invalid::GENERAL_PURPOSE)
}

fn not_an_object(why: &str) -> Reason {
    Reason::new(format!("the ARN does not name an object in S3: {why}"), invalid::ARNS)
}

/// `BUCKET/KEY`.
fn named<'t>(
    partition: Option<&'static Partition>,
    resource: &'t str,
) -> Result<(Bucket, &'t str), Reason> {
    let (name, key) = resource.split_once('/').unwrap_or((resource, ""));
    check_bucket(partition, name)?;
    Ok((Bucket::Named { partition, name: name.to_owned() }, key))
}

fn access_point<'t>(
    partition: &'static Partition,
    region: &str,
    account: &str,
    resource: &'t str,
    before_key: &str,
) -> Result<(Bucket, &'t str), Reason> {
    let rest = resource.strip_prefix("accesspoint/").ok_or_else(|| {
        not_an_object("with a region or an account, its resource is not `accesspoint/…`")
    })?;
    let (name, key) = rest.split_once(before_key).unwrap_or((rest, ""));
    // Without what is before a key, all of it would be the name.
    let name = if key.is_empty() { name.split('/').next().unwrap_or_default() } else { name };
    let rules = [
        (
            region.is_empty(),
            "it names a multi-region access point, which needs a kind of signature that this program does not make",
        ),
        (!is_region(region), "its region is not valid"),
        (!is_account(account), "its account is not 12 digits"),
        (
            !is_label(name) || !(3..=50).contains(&name.len()),
            "its access point's name is not 3 to 50 lower-case letters, digits and hyphens",
        ),
    ];
    check(rules).map_err(not_an_object)?;
    let (region, account, name) = (region.to_owned(), account.to_owned(), name.to_owned());
    Ok((Bucket::AccessPoint { partition, region, account, name }, key))
}

fn object(bucket: Bucket, key: &str, given: Option<&str>) -> Result<Object, Reason> {
    let (fixed, of) = match &bucket {
        Bucket::AccessPoint { region, .. } => (Some(&**region), OF_THE_ARN),
        Bucket::Named { .. } => {
            (bucket.is_legacy().then_some(LEGACY_REGION), "us-east-1 for a bucket of this name")
        }
    };
    let key = check_key(key)?;
    let [mut version_id, mut region, mut owner] = [None, None, None];
    for option in options(given) {
        let (name, value) = option?;
        let (slot, good, wanted) = match name {
            "versionId" => (&mut version_id, !value.is_empty(), "a version's id"),
            "region" => (&mut region, is_region(&value), "a region such as `us-west-2`"),
            "owner" => (&mut owner, is_account(&value), "an account of 12 digits"),
            _ => {
                let what = "an option of a source";
                return Err(Reason::unknown(what, name, NAMES, invalid::OPTIONS));
            }
        };
        if !good {
            return Err(bad_option(&format!("`{name}` must be {wanted}")));
        }
        if slot.replace(value).is_some() {
            return Err(bad_option(&format!("`{name}` is given twice")));
        }
    }
    let region = agreed_region(region, fixed, of)?;
    Ok(Object { bucket, key, version_id, region, owner })
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn check_bucket(partition: Option<&Partition>, name: &str) -> Result<(), Reason> {
    if let Some((_, what)) = OTHER_BUCKETS.iter().find(|(suffix, _)| name.ends_with(suffix)) {
        return Err(unsupported(&format!("`{name}` is of {what}")));
    }
    let is_legacy = is_legacy(name);
    let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rules = [
        (name.is_empty(), "it is empty"),
        (name.contains('%'), "it has a `%`; only keys are decoded"),
        (
            is_legacy && partition.is_some_and(|partition| partition.name != "aws"),
            "upper-case letters and `_` are in us-east-1 only",
        ),
        (
            !(name.split('.').all(is_label) || is_legacy && is_plain(name, ".-_")),
            "it has other characters than letters, digits, hyphens, dots and `_`",
        ),
        (
            !(3..=if is_legacy { 255 } else { 63 }).contains(&name.len()),
            "it does not have 3 to 63 characters",
        ),
        (
            !alphanumeric(name.bytes().next()) || !alphanumeric(name.bytes().last()),
            "it does not begin and end with a letter or digit",
        ),
        (name.contains(".."), "it has two dots in a row"),
        (name.parse::<std::net::Ipv4Addr>().is_ok(), "it looks like an address"),
    ];
    let bad =
        |why| Reason::new(format!("`{name}` is not a valid bucket name: {why}"), invalid::BUCKET);
    check(rules).map_err(bad)
}

/// A slash at the end comes from the address of a folder; a key that really ends in one is written
/// with `%2F`.
fn check_key(raw: &str) -> Result<String, Reason> {
    if raw.is_empty() {
        return Err(Reason::new("it names a bucket, but no key in it", invalid::KEY));
    }
    if raw.ends_with('/') {
        let why = "it ends in a slash, so it names a folder, not an object";
        return Err(Reason::new(why, invalid::FOLDER));
    }
    let key = decode(raw)?;
    if key.len() > 1024 {
        let why = format!("the key has {} bytes; S3 allows 1024", key.len());
        return Err(Reason::new(why, invalid::ANOTHER_KEY));
    }
    if key.split('/').any(|segment| segment == "." || segment == "..") {
        let why =
            "the key has a segment `.` or `..`, which HTTP clients fold away before S3 sees it";
        return Err(Reason::new(why, invalid::ANOTHER_KEY));
    }
    Ok(key)
}
