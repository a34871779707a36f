//! What a user may write for a layer, and what it means. Pure.
//!
//! `s3://BUCKET/KEY` · `arn:PARTITION:s3:::BUCKET/KEY` · `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME/object/KEY` · `https://…` ·
//! `file:///PATH` · a plain path. S3 sources take `?versionId=V&region=R&owner=ACCOUNT`, all take `#sha256=HEX`.
//!
//! In S3 and file URLs `%XX` is decoded and `+` is a plus, so every key can be written. A plain
//! path is taken as it is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde::{Serialize, Serializer};

use super::invalid::{self, Invalid, Reason};
use crate::net::partition::{PARTITIONS, Partition, is_account, is_region};

const SCHEMES: [&str; 3] = ["s3", "https", "file"];
const NAMES: [&str; 3] = ["versionId", "region", "owner"];

/// One layer's origin. Prints as the user wrote it, except that an https URL shows neither query
/// nor fragment: a presigned one is a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(super) location: Location,
    pub(super) sha256: Option<String>,
    shown: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Location {
    S3(Object),
    Https(Url),
    File(PathBuf),
}

/// An object in S3, as the options narrow it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) bucket: Bucket,
    pub(crate) key: String,
    pub(crate) version_id: Option<String>,
    pub(crate) region: Option<String>,
    /// The account that must own the bucket.
    pub(crate) owner: Option<String>,
}

/// By name, or through an access point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    Named { partition: Option<&'static str>, name: String },
    AccessPoint { partition: &'static str, region: String, account: String, name: String },
}

impl Default for Bucket {
    fn default() -> Self {
        Bucket::Named { partition: None, name: String::new() }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Source {
    /// Whether fetching it takes AWS credentials.
    pub(crate) fn needs_credentials(&self) -> bool {
        matches!(self.location, Location::S3(_))
    }

    /// The object in S3 that it names, if it names one.
    pub(crate) fn object(&self) -> Option<&Object> {
        match &self.location {
            Location::S3(object) => Some(object),
            _ => None,
        }
    }
}

impl FromStr for Source {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse(text).map_err(|reason| Invalid { given: without_secrets(text), reason })
    }
}

fn without_secrets(text: &str) -> String {
    let secret = text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
    match secret.then(|| url(text)) {
        Some(Ok(url)) => shown_url(&url),
        Some(Err(_)) => without_query(text).escape_debug().to_string(),
        None => text.escape_debug().to_string(),
    }
}

fn without_query(text: &str) -> String {
    let front = text.split(['?', '#']).next().unwrap_or_default();
    match (front.split_once("://"), front.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, after))) => format!("{scheme}://{after}"),
        _ => front.to_owned(),
    }
}

/// Scheme, host, port and path: no user name, no query, no fragment.
pub(super) fn shown_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn parse(text: &str) -> Result<Source, Reason> {
    if text.is_empty() {
        return Err(Reason::new("it is empty", invalid::FORMS));
    }
    if text.chars().any(char::is_control) {
        return Err(Reason::new("it has a control character", invalid::CONTROL));
    }
    let as_written = |(location, sha256)| Source { location, sha256, shown: text.to_owned() };
    match text.split_once("://") {
        Some(("s3", rest)) => s3_url(rest).map(as_written),
        Some(("file", rest)) => file_url(rest).map(as_written),
        Some(("https" | "http", _)) => web(text),
        Some((scheme, _)) if is_scheme(scheme) => {
            Err(Reason::unknown("a kind of source", scheme, SCHEMES, invalid::FORMS))
        }
        _ => match text.strip_prefix("arn:") {
            Some(rest) => arn(rest).map(as_written),
            None => plain(text).map(as_written),
        },
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

type Parsed = Result<(Location, Option<String>), Reason>;

fn s3_url(rest: &str) -> Parsed {
    let (front, options, sha256) = tail(rest)?;
    let (name, key) = front.split_once('/').unwrap_or((front, ""));
    check_bucket(name)?;
    let bucket = Bucket::Named { partition: None, name: name.to_owned() };
    Ok((Location::S3(object(bucket, key, options)?), sha256))
}

/// After `arn:`.
fn arn(rest: &str) -> Parsed {
    let (front, options, sha256) = tail(rest)?;
    let parts: Vec<&str> = front.splitn(5, ':').collect();
    let [partition, service, region, account, resource] = parts[..] else {
        return Err(not_an_object("it has too few parts"));
    };
    let unknown = || {
        let known = PARTITIONS.iter().map(|partition| partition.name);
        Reason::unknown("a partition of AWS", partition, known, invalid::ARNS)
    };
    let partition = Partition::named(partition).ok_or_else(unknown)?.name;
    if service != "s3" {
        return Err(not_an_object("its service is not `s3`"));
    }
    let (bucket, key) = match (region, account) {
        ("", "") => named(partition, resource)?,
        _ => access_point(partition, region, account, resource)?,
    };
    Ok((Location::S3(object(bucket, key, options)?), sha256))
}

fn not_an_object(why: &str) -> Reason {
    Reason::new(format!("the ARN does not name an object in S3: {why}"), invalid::ARNS)
}

fn named<'t>(partition: &'static str, resource: &'t str) -> Result<(Bucket, &'t str), Reason> {
    let (name, key) = resource.split_once('/').unwrap_or((resource, ""));
    check_bucket(name)?;
    Ok((Bucket::Named { partition: Some(partition), name: name.to_owned() }, key))
}

fn access_point<'t>(
    partition: &'static str,
    region: &str,
    account: &str,
    resource: &'t str,
) -> Result<(Bucket, &'t str), Reason> {
    let rest = resource.strip_prefix("accesspoint/").ok_or_else(|| {
        not_an_object("with a region or an account, its resource is not `accesspoint/…`")
    })?;
    let (name, key) = rest.split_once("/object/").ok_or_else(no_key)?;
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
    broken(rules).map_or(Ok(()), |why| Err(not_an_object(why)))?;
    let (region, account, name) = (region.to_owned(), account.to_owned(), name.to_owned());
    Ok((Bucket::AccessPoint { partition, region, account, name }, key))
}

/// Splits the digest and the options off.
fn tail(text: &str) -> Result<(&str, Option<&str>, Option<String>), Reason> {
    let (text, fragment) = cut(text, '#');
    let (front, options) = cut(text, '?');
    Ok((front, options, fragment.map(digest).transpose()?))
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(front, rest)| (front, Some(rest)))
}

fn digest(fragment: &str) -> Result<String, Reason> {
    let bad = |why| Reason::new(why, invalid::DIGEST);
    let hex =
        fragment.strip_prefix("sha256=").ok_or_else(|| bad("what follows `#` is not a digest"))?;
    match hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(hex.to_ascii_lowercase()),
        false => Err(bad("the digest is not 64 hexadecimal digits")),
    }
}

fn object(bucket: Bucket, key: &str, options: Option<&str>) -> Result<Object, Reason> {
    let mut object = Object { key: check_key(key)?, bucket, ..Object::default() };
    for option in options.into_iter().flat_map(|options| options.split('&')) {
        set(&mut object, option)?;
    }
    let fixed = match &object.bucket {
        Bucket::AccessPoint { region, .. } => Some(region.clone()),
        Bucket::Named { .. } => None,
    };
    match (&object.region, fixed) {
        (Some(asked), Some(fixed)) if *asked != fixed => {
            Err(bad_option("`region` must be the region of the ARN, or left out"))
        }
        (None, fixed @ Some(_)) => Ok(Object { region: fixed, ..object }),
        _ => Ok(object),
    }
}

fn set(object: &mut Object, option: &str) -> Result<(), Reason> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = decode(value)?;
    let (slot, good, wanted) = match name {
        "versionId" => (&mut object.version_id, !value.is_empty(), "a version's id"),
        "region" => (&mut object.region, is_region(&value), "a region such as `us-west-2`"),
        "owner" => (&mut object.owner, is_account(&value), "an account of 12 digits"),
        _ => return Err(Reason::unknown("an option of a source", name, NAMES, invalid::OPTIONS)),
    };
    if !good {
        return Err(bad_option(&format!("`{name}` must be {wanted}")));
    }
    slot.replace(value).map_or(Ok(()), |_| Err(bad_option(&format!("`{name}` is given twice"))))
}

fn bad_option(what: &str) -> Reason {
    Reason::new(format!("option {what}"), invalid::OPTION)
}

fn is_label(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn check_bucket(name: &str) -> Result<(), Reason> {
    let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rules = [
        (name.is_empty(), "it is empty"),
        (name.bytes().any(|byte| byte.is_ascii_uppercase()), "it has upper-case letters"),
        (name.contains('_'), "it has an underscore"),
        (name.contains('%'), "it has a `%`; only keys are decoded"),
        (
            !name.split('.').all(is_label),
            "it has other characters than lower-case letters, digits, hyphens and dots",
        ),
        (!(3..=63).contains(&name.len()), "it does not have 3 to 63 characters"),
        (
            !alphanumeric(name.bytes().next()) || !alphanumeric(name.bytes().last()),
            "it does not begin and end with a letter or digit",
        ),
        (name.contains(".."), "it has two dots in a row"),
        (name.parse::<std::net::Ipv4Addr>().is_ok(), "it looks like an address"),
    ];
    let bad =
        |why| Reason::new(format!("`{name}` is not a valid bucket name: {why}"), invalid::BUCKET);
    broken(rules).map_or(Ok(()), |why| Err(bad(why)))
}

/// Why the first rule that is broken is.
fn broken<const N: usize>(rules: [(bool, &'static str); N]) -> Option<&'static str> {
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, why)| why)
}

/// A slash at the end comes from the address of a folder; a key that really ends in one is written
/// with `%2F`.
fn check_key(raw: &str) -> Result<String, Reason> {
    if raw.is_empty() {
        return Err(no_key());
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

fn no_key() -> Reason {
    Reason::new("it names a bucket, but no key in it", invalid::KEY)
}

fn decode(raw: &str) -> Result<String, Reason> {
    let is_code =
        |text: &str| text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if let Some(stray) = raw.split('%').skip(1).find(|after| !is_code(after)) {
        let stray: String = stray.chars().take(2).collect();
        let why = format!(
            "`%{stray}` is not a %XX code: unlike the AWS CLI, this program decodes %XX in keys; write %25 for a percent sign"
        );
        return Err(Reason::new(why, invalid::PERCENT));
    }
    let why = "the %XX codes give bytes that are not UTF-8, which no key or path here can be";
    let decoded = percent_decode_str(raw).decode_utf8();
    decoded.map(Into::into).map_err(|_| Reason::new(why, invalid::UTF8))
}

/// The query belongs to the URL: it carries a presigned URL's signature. The fragment is ours, for
/// servers never see it.
fn web(text: &str) -> Result<Source, Reason> {
    let mut url = url(text)?;
    let sha256 = url.fragment().map(digest).transpose()?;
    url.set_fragment(None);
    let host = url.host_str().ok_or_else(|| not_a_url("it has no host"))?;
    if url.scheme() == "http" && !is_loopback(host) {
        let why = "plain http lets anyone on the way read and change the configuration";
        return Err(Reason::new(why, invalid::HTTPS));
    }
    Ok(Source { shown: shown_url(&url), location: Location::Https(url), sha256 })
}

/// Only with a plain host in ASCII, as all of AWS's are: names in other letters need tables that
/// this program does without.
fn url(text: &str) -> Result<Url, Reason> {
    let web = text
        .split_once("://")
        .filter(|(scheme, _)| ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)));
    let rest = web.map(|(_, rest)| rest.trim_start_matches(['/', '\\']));
    let host = rest
        .and_then(|rest| rest.split(['/', '\\', '?', '#']).next()?.rsplit('@').next())
        .unwrap_or("%")
        .to_ascii_lowercase();
    match text.contains(char::is_control)
        || !host.is_ascii()
        || host.contains('%')
        || host.contains("xn--")
    {
        true => Err(not_a_url("its host is not a plain name in ASCII")),
        false => Url::parse(text).map_err(|error| not_a_url(&error.to_string())),
    }
}

fn not_a_url(why: &str) -> Reason {
    Reason::new(format!("it is not a URL: {why}"), invalid::FORMS)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn file_url(rest: &str) -> Parsed {
    let (path, options, sha256) = tail(rest)?;
    if options.is_some() {
        return Err(Reason::new("a file takes no options", invalid::FILE_OPTIONS));
    }
    if !path.starts_with('/') {
        let why = "there is a host between `file://` and the path";
        return Err(Reason::new(why, invalid::FILE_HOST));
    }
    Ok((Location::File(decode(path)?.into()), sha256))
}

/// `#sha256=` and 64 digits at the very end is a digest; any other `#` is part of the name.
fn plain(text: &str) -> Parsed {
    match text
        .rsplit_once('#')
        .filter(|(path, fragment)| !path.is_empty() && fragment.starts_with("sha256="))
    {
        Some((path, fragment)) => Ok((Location::File(path.into()), Some(digest(fragment)?))),
        None => Ok((Location::File(text.into()), None)),
    }
}

#[cfg(test)]
mod tests;
