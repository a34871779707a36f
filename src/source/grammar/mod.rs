//! What a user may write for a layer, and what it means. Pure.
//!
//! `s3://BUCKET/KEY` · `arn:PARTITION:s3:::BUCKET/KEY` · `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME/object/KEY` · `https://…` ·
//! `file:///PATH` · a plain path. S3 sources take `?versionId=V&region=R&owner=ACCOUNT`, all take `#sha256=HEX`.
//! `ssm:///PATH?version=N|label=L&region=R` · `secretsmanager://NAME-or-ARN?versionId=V|versionStage=S&region=R`.
//!
//! In S3 and file URLs `%XX` is decoded and `+` is a plus, so every key can be written. A plain
//! path is taken as it is.

mod object;
mod secret;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub(crate) use object::{Bucket, Object};
use object::{arn, s3_url};
use percent_encoding::percent_decode_str;
use secret::secret;
pub(crate) use secret::{Secret, Store};
use serde::{Serialize, Serializer};
use url::Url;

use super::invalid::{self, Invalid, Reason};
use crate::net::endpoint::Service;
use crate::net::partition::is_plain;

const SCHEMES: [&str; 5] = ["s3", "https", "file", "ssm", "secretsmanager"];

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
    Secret(Secret),
    File(PathBuf),
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
        matches!(self.location, Location::S3(_) | Location::Secret(_))
    }

    /// The object in S3 that it names, if it names one.
    pub(crate) fn object(&self) -> Option<&Object> {
        match &self.location {
            Location::S3(object) => Some(object),
            _ => None,
        }
    }

    /// Who is asked for it.
    pub(super) fn service(&self) -> Service {
        self.secret().map_or(Service::S3, |secret| secret.store.action().service)
    }

    /// The parameter or secret that it names, if it names one.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match &self.location {
            Location::Secret(secret) => Some(secret),
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
        Some(("ssm", rest)) => secret(Store::ParameterStore, rest).map(as_written),
        Some(("secretsmanager", rest)) => secret(Store::SecretsManager, rest).map(as_written),
        Some((scheme, _)) if is_scheme(scheme) => {
            Err(Reason::unknown("a kind of source", scheme, SCHEMES, invalid::FORMS))
        }
        _ => match text.strip_prefix("arn:") {
            Some(rest) => arn(rest, "/object/").map(as_written),
            None => plain(text).map(as_written),
        },
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && is_plain(text, "+-.")
}

type Parsed = Result<(Location, Option<String>), Reason>;

/// Splits the digest and the options off.
fn tail(text: &str) -> Result<(&str, Option<&str>, Option<String>), Reason> {
    let (text, fragment) = cut(text, '#');
    let (front, options) = cut(text, '?');
    Ok((front, options, fragment.map(digest).transpose()?))
}

/// The options, decoded, each with its name.
fn options(given: Option<&str>) -> impl Iterator<Item = Result<(&str, String), Reason>> {
    given.into_iter().flat_map(|options| options.split('&')).map(|option| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        Ok((name, decode(value)?))
    })
}

fn bad_option(what: &str) -> Reason {
    Reason::new(format!("option {what}"), invalid::OPTION)
}

const OF_THE_ARN: &str = "the region of the ARN";

/// The region that an option asks for, or the only one possible, which is `of` something.
fn agreed_region(
    asked: Option<String>,
    fixed: Option<&str>,
    of: &str,
) -> Result<Option<String>, Reason> {
    match (&asked, fixed) {
        (Some(asked), Some(fixed)) if asked != fixed => {
            Err(bad_option(&format!("`region` must be {of}, or left out")))
        }
        _ => Ok(asked.or(fixed.map(str::to_owned))),
    }
}

/// What the first rule says that is broken.
fn check<const N: usize>(rules: [(bool, &'static str); N]) -> Result<(), &'static str> {
    rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, why)| Err(why))
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
