//! Where a layer comes from: the grammar, pure; and [`fetch`], which gets its bytes from S3, a URL
//! or a file.
//!
//! Takes a [`Source`] and an [`Access`], gives a [`Fetched`] or an [`Error`]. Touches the network
//! and, for file sources, reads one file. Several sources can be fetched at the same time over one
//! [`Http`].

pub(crate) mod answer;
mod content;
mod error;
mod file;
mod grammar;
mod https;
mod invalid;
pub(crate) mod policy;
mod s3;
mod secret;

use std::cell::Cell;

use aws_credential_types::Credentials;
pub(crate) use content::not_a_configuration;
pub(crate) use error::Error;
use error::ErrorKind;
use grammar::Location;
pub(crate) use grammar::{Bucket, Object, Source, Store};
pub(crate) use invalid::Invalid;
pub(crate) use secret::{FetchedSecret, fetch_secrets};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use crate::files::sha256;
use crate::net::Http;
use crate::net::aws::Aws;
use crate::net::backoff::{FailedAttempt, retry};
use crate::paths::MAX_LAYERS_BYTES;

/// What a fetch needs to know of its surroundings.
pub(crate) struct Access<'a> {
    pub(crate) http: &'a Http,
    pub(crate) aws: &'a Aws,
    /// Of the role; URLs and files take none.
    pub(crate) credentials: Option<&'a Credentials>,
    /// The host's region: where a bucket is looked for when neither the source nor the environment
    /// names one.
    pub(crate) region: Option<String>,
    /// The run's. What may pass with time is tried again until then.
    pub(crate) deadline: Instant,
    /// What an earlier fetch brought.
    pub(crate) cached: Option<&'a Cached>,
}

/// What the report and the state say of a layer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Layer {
    /// As it is shown: a presigned URL without its query.
    pub(crate) source: String,
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
    /// In hexadecimal.
    pub(crate) sha256: String,
    pub(crate) bytes: usize,
}

/// A layer that an earlier fetch brought, and its bytes, which the caller answers for. S3 sends it
/// only if its ETag has changed. A URL is always sent: without its query, which is never kept, it
/// is not known to be the same one.
pub(crate) struct Cached {
    pub(crate) layer: Layer,
    pub(crate) bytes: Vec<u8>,
}

/// A layer and its bytes. `Debug` shows no bytes, for they hold values.
#[derive(Clone)]
pub(crate) struct Fetched {
    pub(crate) layer: Layer,
    pub(crate) bytes: Vec<u8>,
    /// Requests made; 0 for a file.
    pub(crate) attempts: u32,
    /// The bytes are those of [`Access::cached`], which S3 reported as unchanged.
    pub(crate) not_modified: bool,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fetched({:?})", self.layer)
    }
}

/// Whether a source, as it is shown, is a parameter or a secret: all of it is secret then.
pub(crate) fn is_secret(source: &str) -> bool {
    source.parse::<Source>().is_ok_and(|source| source.secret().is_some())
}

/// Requests that the slowest of these layers took.
pub(crate) fn attempts(layers: &[Fetched]) -> u32 {
    layers.iter().map(|layer| layer.attempts).max().unwrap_or(0)
}

/// Sources and sizes, for people.
pub(crate) fn summary(layers: &[Fetched]) -> String {
    let layers: Vec<String> = layers.iter().map(Fetched::summary).collect();
    if layers.is_empty() { "no layer but --set".into() } else { layers.join(", ") }
}

impl Fetched {
    /// Source and size, for people.
    pub(crate) fn summary(&self) -> String {
        let Fetched { layer: Layer { source, bytes, .. }, not_modified, .. } = self;
        let what = if *not_modified { "not modified".into() } else { format!("{bytes} bytes") };
        format!("{source} ({what})")
    }
}

/// An attempt to fetch that failed.
type Failed = FailedAttempt<ErrorKind>;

/// What an attempt to fetch brought.
#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    etag: Option<String>,
    version_id: Option<String>,
    not_modified: bool,
}

/// Gets one layer's bytes, checked against the source's digest if it names one. Whether they are a
/// configuration is for [`not_a_configuration`] and the linter to decide.
pub(crate) async fn fetch(source: &Source, access: &Access<'_>) -> Result<Fetched, Error> {
    let (content, attempts) = read(source, access).await;
    let content = content.map_err(|FailedAttempt { error, causes, .. }| Error {
        service: source.service(),
        attempts,
        causes,
        ..Error::of(source, error)
    });
    let Content { bytes, etag, version_id, not_modified } = content?;
    let sha256 = sha256(&bytes);
    if let Some(wanted) = source.sha256.clone().filter(|wanted| *wanted != sha256) {
        return Err(Error::of(source, ErrorKind::Digest { wanted, found: sha256 }));
    }
    let layer = Layer { source: source.to_string(), etag, version_id, sha256, bytes: bytes.len() };
    Ok(Fetched { layer, bytes, attempts, not_modified })
}

/// Gets all layers at the same time; the first failure ends it.
pub(crate) async fn fetch_all(
    sources: impl IntoIterator<Item = &Source>,
    access: &Access<'_>,
) -> Result<Vec<Fetched>, Error> {
    let bytes = Cell::new(0);
    let layer = async |source: &Source| {
        let fetched = fetch(source, access).await?;
        bytes.set(bytes.get() + fetched.bytes.len());
        match bytes.get() > MAX_LAYERS_BYTES {
            true => Err(Error::of(source, ErrorKind::TooMuch)),
            false => Ok(fetched),
        }
    };
    futures_util::future::try_join_all(sources.into_iter().map(layer)).await
}

/// Where the requests for these sources will go, as far as it is known before anything is asked.
pub(crate) fn urls(sources: &[Source], aws: &Aws, region: Option<&String>) -> Vec<Url> {
    let url = |source: &Source| match &source.location {
        Location::S3(object) => s3::first_url(object, aws, region),
        Location::Https(url) => Some(url.clone()),
        Location::Secret(secret) => {
            let region = secret.region.as_ref().or(region);
            source.service().url(aws, region.map(String::as_str))
        }
        Location::File(_) => None,
    };
    sources.iter().filter_map(url).collect()
}

async fn read(source: &Source, access: &Access<'_>) -> (Result<Content, Failed>, u32) {
    match &source.location {
        Location::File(path) => (file::read(path).map_err(FailedAttempt::last), 0),
        Location::Https(url) => {
            retry(access.deadline, async |_| https::get(access.http, url).await).await
        }
        _ if source.needs_credentials() && access.credentials.is_none() => {
            (Err(FailedAttempt::last(ErrorKind::NoCredentials)), 0)
        }
        Location::Secret(secret) => {
            let mut getter = secret::Getter { secret, access, ahead: None };
            retry(access.deadline, async |_| getter.attempt().await).await
        }
        Location::S3(object) => {
            let cached = access.cached.filter(|cached| cached.layer.source == source.to_string());
            let mut getter = s3::Getter::new(object, access, cached);
            retry(access.deadline, async |number| getter.attempt(number).await).await
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
