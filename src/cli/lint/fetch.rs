//! How `lint` gets a source that is neither a path nor stdin.

use aws_credential_types::Credentials;
use tokio::time::Instant;

use crate::cli::call::Call;
use crate::error::Error;
use crate::files::HostFiles;
use crate::identity::Clients;
use crate::net::{self, Http};
use crate::settings::{self, Settings};
use crate::source::{self, Source};

/// On a host an object is read with the role's credentials; elsewhere whoever lints it may have
/// credentials of their own in the environment.
pub(super) async fn fetch(
    call: &Call<'_>,
    settings: &Settings,
    source: &str,
) -> Result<Vec<u8>, Error> {
    let source: Source = source.parse().map_err(settings::Error::source)?;
    let deadline = Instant::now() + settings.timeout;
    let own = |name| call.environment.filled(name).map(str::to_owned);
    let own = own("AWS_ACCESS_KEY_ID").zip(own("AWS_SECRET_ACCESS_KEY")).map(|(id, secret)| {
        Credentials::new(id, secret, own("AWS_SESSION_TOKEN"), None, "environment")
    });
    let variables = call.environment.variables();
    let http = Http::new(&net::vars(variables))?;
    let (credentials, region) = match own {
        None if source.needs_credentials() => {
            let files = HostFiles::read(&settings.root);
            let clients = Clients::new(settings, &files, variables, deadline)?;
            let facts = clients.source.facts().await?;
            (Some(facts.credentials), facts.region)
        }
        own => (own, None),
    };
    let access = source::Access {
        http: &http,
        aws: &settings.aws,
        credentials: credentials.as_ref(),
        region,
        deadline,
        cached: None,
    };
    Ok(source::fetch(&source, &access).await?.bytes)
}
