//! Parameters of Parameter Store and secrets of Secrets Manager, their options, and which names AWS
//! allows.

use super::{
    Location, OF_THE_ARN, Parsed, Reason, agreed_region, bad_option, check, invalid, options, tail,
};
use crate::net::partition::{Partition, is_account, is_plain, is_region};
use crate::net::signed::{Action, GET_PARAMETER, GET_SECRET_VALUE};

/// A parameter or a secret, as the options narrow it down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Secret {
    pub(crate) store: Store,
    /// A parameter's path, a secret's name or ARN.
    pub(crate) id: String,
    /// The name of the option and its value.
    pub(crate) version: Option<(&'static str, String)>,
    pub(crate) region: Option<String>,
}

/// Who keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Store {
    ParameterStore,
    SecretsManager,
}

impl Store {
    /// What reads it.
    pub(crate) fn action(self) -> &'static Action {
        match self {
            Store::ParameterStore => &GET_PARAMETER,
            Store::SecretsManager => &GET_SECRET_VALUE,
        }
    }

    /// The options that name one version, of which one may be given.
    fn versions(self) -> [&'static str; 2] {
        match self {
            Store::ParameterStore => ["version", "label"],
            Store::SecretsManager => ["versionId", "versionStage"],
        }
    }

    /// How its name is written.
    fn remedy(self) -> &'static str {
        match self {
            Store::ParameterStore => invalid::PARAMETER,
            Store::SecretsManager => invalid::SECRET,
        }
    }
}

impl Secret {
    /// As the resource of a policy's statement; `*` for what is not known. Secrets Manager adds a
    /// hyphen and six characters to a secret's name.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples.html>
    pub(crate) fn arn(&self, partition: &str, region: Option<&str>, account: &str) -> String {
        let region = self.region.as_deref().or(region).unwrap_or("*");
        match self.store {
            _ if self.id.starts_with("arn:") => self.id.clone(),
            Store::ParameterStore => {
                format!("arn:{partition}:ssm:{region}:{account}:parameter{}", self.id)
            }
            Store::SecretsManager => {
                format!(
                    "arn:{partition}:secretsmanager:{region}:{account}:secret:{}-??????",
                    self.id
                )
            }
        }
    }

    /// The partition that its ARN or its region names.
    pub(crate) fn partition(&self) -> Option<&'static Partition> {
        self.region.as_deref().map(Partition::of_region)
    }
}

/// After `ssm://` or `secretsmanager://`.
pub(super) fn secret(store: Store, rest: &str) -> Parsed {
    let (id, given, sha256) = tail(rest)?;
    let checked = match store {
        Store::ParameterStore => check_parameter(id),
        Store::SecretsManager => check_secret(id),
    };
    checked.map_err(|why| Reason::new(why, store.remedy()))?;
    let (mut version, mut region) = (None, None);
    let versions = store.versions();
    for option in options(given) {
        let (name, value) = option?;
        if name == "region" {
            if !is_region(&value) || region.replace(value).is_some() {
                return Err(bad_option("`region` must be one region such as `us-west-2`"));
            }
            continue;
        }
        let Some(known) = versions.into_iter().find(|known| *known == name) else {
            let known = versions.into_iter().chain(["region"]);
            return Err(Reason::unknown("an option of it", name, known, store.remedy()));
        };
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        let is_version = is_plain(&value, "._-/+=@") && (name != "version" || is_number);
        if value.is_empty() || !is_version {
            return Err(bad_option(&format!("`{name}` does not name a version")));
        }
        if version.replace((known, value)).is_some() {
            let [one, other] = versions;
            return Err(bad_option(&format!("`{one}` and `{other}` exclude each other")));
        }
    }
    let of_arn = id.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
    let region = agreed_region(region, of_arn, OF_THE_ARN)?;
    Ok((Location::Secret(Secret { store, id: id.to_owned(), version, region }), sha256))
}

/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>
fn check_parameter(path: &str) -> Result<(), &'static str> {
    check([
        (!path.starts_with('/'), "the parameter's path does not begin with a slash"),
        (path.split('/').skip(1).any(str::is_empty), "a part of the parameter's path is empty"),
        (
            !is_plain(path, "._-/"),
            "the parameter's path has other characters than letters, digits, `.`, `-`, `_` and `/`",
        ),
        (path.len() > 1011, "the parameter's path has more than 1011 characters"),
    ])
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
fn check_secret(id: &str) -> Result<(), &'static str> {
    let name = match id.strip_prefix("arn:") {
        None => id,
        Some(rest) => {
            let parts: Vec<&str> = rest.splitn(6, ':').collect();
            let [partition, "secretsmanager", region, account, "secret", name] = parts[..] else {
                return Err("the ARN does not name a secret");
            };
            let known = Partition::named(partition)
                .is_some_and(|known| Partition::of_region(region).name == known.name);
            if !known || !is_region(region) || !is_account(account) {
                return Err("the ARN's partition, region or account is not valid");
            }
            name
        }
    };
    check([
        (name.is_empty(), "it names no secret"),
        (
            !is_plain(name, "/_+=.@-"),
            "the secret's name has other characters than letters, digits and `/_+=.@-`",
        ),
        (name.len() > 519, "the secret's name has more than 512 characters"),
    ])
}
