//! Parameters of Parameter Store and secrets of Secrets Manager, their options, and which names AWS
//! allows.

use super::object::broken;
use super::{Location, Parsed, Reason, decode, invalid, tail};
use crate::net::partition::{Partition, is_account, is_region};
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

/// After `ssm://`.
pub(super) fn parameter(rest: &str) -> Parsed {
    parse(Store::ParameterStore, rest)
}

/// After `secretsmanager://`.
pub(super) fn secret(rest: &str) -> Parsed {
    parse(Store::SecretsManager, rest)
}

fn parse(store: Store, rest: &str) -> Parsed {
    let (id, options, sha256) = tail(rest)?;
    let why = match store {
        Store::ParameterStore => parameter_fault(id),
        Store::SecretsManager => secret_fault(id),
    };
    if let Some(why) = why {
        return Err(Reason::new(why, store.remedy()));
    }
    let region_of_arn = id.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
    let mut secret = Secret { store, id: id.to_owned(), version: None, region: None };
    for option in options.into_iter().flat_map(|options| options.split('&')) {
        set(&mut secret, option)?;
    }
    match (region_of_arn, &secret.region) {
        (Some(fixed), Some(asked)) if fixed != asked => {
            let why = "option `region` must be the region of the ARN, or left out";
            return Err(Reason::new(why, invalid::OPTION));
        }
        (Some(fixed), _) => secret.region = Some(fixed.to_owned()),
        (None, _) => {}
    }
    Ok((Location::Secret(secret), sha256))
}

fn set(secret: &mut Secret, option: &str) -> Result<(), Reason> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let bad = |what: &str| Reason::new(format!("option {what}"), invalid::OPTION);
    let value = decode(value)?;
    let versions = secret.store.versions();
    if name == "region" {
        return match is_region(&value) && secret.region.is_none() {
            true => {
                secret.region = Some(value);
                Ok(())
            }
            false => Err(bad("`region` must be one region such as `us-west-2`")),
        };
    }
    let Some(version) = versions.into_iter().find(|known| *known == name) else {
        let known = versions.into_iter().chain(["region"]);
        return Err(Reason::unknown("an option of it", name, known, secret.store.remedy()));
    };
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/+=@".contains(&byte);
    if value.is_empty() || !value.bytes().all(is_plain) || (name == "version" && !is_number) {
        return Err(bad(&format!("`{name}` does not name a version")));
    }
    match secret.version.replace((version, value)) {
        None => Ok(()),
        Some(_) => Err(bad(&format!("`{}` and `{}` exclude each other", versions[0], versions[1]))),
    }
}

/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>
fn parameter_fault(path: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    broken([
        (!path.starts_with('/'), "the parameter's path does not begin with a slash"),
        (path.split('/').skip(1).any(str::is_empty), "a part of the parameter's path is empty"),
        (
            !path.bytes().all(is_plain),
            "the parameter's path has other characters than letters, digits, `.`, `-`, `_` and `/`",
        ),
        (path.len() > 1011, "the parameter's path has more than 1011 characters"),
    ])
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
fn secret_fault(id: &str) -> Option<&'static str> {
    let name = match id.strip_prefix("arn:") {
        None => id,
        Some(rest) => {
            let parts: Vec<&str> = rest.splitn(6, ':').collect();
            let [partition, "secretsmanager", region, account, "secret", name] = parts[..] else {
                return Some("the ARN does not name a secret");
            };
            let known = Partition::named(partition)
                .is_some_and(|known| Partition::of_region(region).name == known.name);
            if !known || !is_region(region) || !is_account(account) {
                return Some("the ARN's partition, region or account is not valid");
            }
            name
        }
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
    broken([
        (name.is_empty(), "it names no secret"),
        (
            !name.bytes().all(is_plain),
            "the secret's name has other characters than letters, digits and `/_+=.@-`",
        ),
        (name.len() > 519, "the secret's name has more than 512 characters"),
    ])
}
