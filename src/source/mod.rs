//! Where a layer comes from: the grammar, pure; and [`fetch`], which gets its bytes from S3, a URL
//! or a file.
//!
//! Takes a [`Source`] and an [`Access`], gives a [`Fetched`] or an [`Error`] that says why not and
//! what would mend it. Touches the network and, for file sources, reads one file. Several sources
//! can be fetched at the same time over one [`Http`].

mod answer;
mod content;
mod failure;
mod file;
mod grammar;
mod https;
mod invalid;
pub(crate) mod policy;
pub(crate) mod retry;
mod s3;
pub(crate) mod transport;

pub(crate) use answer::element;
use aws_credential_types::Credentials;
pub(crate) use content::content_is_no_configuration;
pub(crate) use failure::{Asked, Error, Kind};
use grammar::Place;
pub(crate) use grammar::{Bucket, Object, Source, is_account};
pub(crate) use invalid::Invalid;
use retry::Failure;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::files::sha256;
use crate::net::Http;
use crate::net::aws::Aws;

/// More than this is not read of any source, in bytes.
pub(crate) const LIMIT: usize = 1 << 20;

/// What a fetch needs to know of its surroundings.
pub(crate) struct Access<'a> {
    pub(crate) http: &'a Http,
    pub(crate) aws: &'a Aws,
    /// Of the role; only S3 takes them.
    pub(crate) credentials: Option<&'a Credentials>,
    /// The host's region: where a bucket is looked for when neither the source nor the environment
    /// says.
    pub(crate) region: Option<String>,
    /// The run's. What may pass with time is tried again until then.
    pub(crate) deadline: Instant,
    /// What an earlier fetch brought.
    pub(crate) held: Option<&'a Held>,
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

/// A layer that an earlier fetch brought, and its bytes, which are the caller's to vouch for. S3 is
/// asked for it only if its ETag has changed. A URL always is: without its query, which nobody
/// keeps, it is not known to be the same one.
pub(crate) struct Held {
    pub(crate) layer: Layer,
    pub(crate) bytes: Vec<u8>,
}

/// A layer's bytes, and what the report says of them. `Debug` shows no bytes, for they hold values.
#[derive(Clone)]
pub(crate) struct Fetched {
    pub(crate) source: Source,
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
    /// 64 lower-case hexadecimal digits.
    pub(crate) sha256: String,
    /// Requests made; 0 for a file.
    pub(crate) attempts: u32,
    /// Where the bucket turned out to be.
    pub(crate) region: Option<String>,
    /// The bytes are those of [`Access::held`]; S3 said that they still stand.
    pub(crate) not_modified: bool,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fetched({}, {} bytes)", self.source, self.bytes.len())
    }
}

/// What one attempt brings home.
#[derive(Debug, Default)]
struct Read {
    bytes: Vec<u8>,
    etag: Option<String>,
    version_id: Option<String>,
    region: Option<String>,
    not_modified: bool,
}

/// Gets one layer's bytes, checked against the source's digest if it names one. Whether they are a
/// configuration is [`content_is_no_configuration`]'s and the linter's to say.
pub(crate) async fn fetch(source: &Source, access: &Access<'_>) -> Result<Fetched, Error> {
    let (read, attempts) = read(source, access).await;
    let checked =
        read.and_then(|read| check_digest(source, &read.bytes).map(|sha256| (read, sha256)));
    let (Read { bytes, etag, version_id, region, not_modified }, sha256) =
        checked.map_err(|Failure { kind, causes, .. }| Error {
            from: source.to_string(),
            kind,
            attempts,
            causes,
        })?;
    Ok(Fetched {
        source: source.clone(),
        bytes,
        etag,
        version_id,
        sha256,
        attempts,
        region,
        not_modified,
    })
}

/// Gets all layers at the same time; the first failure ends it.
pub(crate) async fn fetch_all(
    sources: &[Source],
    access: &Access<'_>,
) -> Result<Vec<Fetched>, Error> {
    futures_util::future::try_join_all(sources.iter().map(|source| fetch(source, access))).await
}

impl Fetched {
    /// Source and size, for people.
    pub(crate) fn summary(&self) -> String {
        match self.not_modified {
            true => format!("{} (not modified)", self.source),
            false => format!("{} ({} bytes)", self.source, self.bytes.len()),
        }
    }

    /// As the report has it: no bytes.
    pub(crate) fn layer(&self) -> Layer {
        Layer {
            source: self.source.to_string(),
            etag: self.etag.clone(),
            version_id: self.version_id.clone(),
            sha256: self.sha256.clone(),
            bytes: self.bytes.len(),
        }
    }
}

async fn read(source: &Source, access: &Access<'_>) -> (Result<Read, Failure>, u32) {
    match &source.place {
        Place::File(path) => (file::read(path).map_err(Failure::last), 0),
        Place::Https(url) => {
            retry::until(access.deadline, async |_| https::get(access.http, url).await).await
        }
        Place::S3(_) if access.credentials.is_none() => {
            (Err(Failure::last(Kind::NoCredentials)), 0)
        }
        Place::S3(object) => {
            let held = access.held.filter(|held| held.layer.source == source.to_string());
            let mut getter = s3::Getter::new(object, access, held);
            retry::until(access.deadline, async |number| getter.attempt(number).await).await
        }
    }
}

fn check_digest(source: &Source, bytes: &[u8]) -> Result<String, Failure> {
    let found = sha256(bytes);
    match &source.sha256 {
        Some(wanted) if *wanted != found => {
            Err(Failure::last(Kind::Digest { wanted: wanted.clone(), found }))
        }
        _ => Ok(found),
    }
}

/// A body as it grows, up to [`LIMIT`]. One that announces more is refused before it is read, one
/// that grows beyond when it does.
#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
}

impl Body {
    fn begin(announced: Option<u64>) -> Result<Self, Failure> {
        match announced.filter(|length| *length > LIMIT as u64) {
            Some(length) => Err(Failure::last(Kind::TooLarge(format!("{length} bytes announced")))),
            None => Ok(Self::default()),
        }
    }

    fn add(&mut self, more: &[u8]) -> Result<(), Failure> {
        self.bytes.extend_from_slice(more);
        if self.bytes.len() > LIMIT {
            Err(Failure::last(Kind::TooLarge("and did not announce its length".into())))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
