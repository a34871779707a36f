//! A parameter of Parameter Store or a secret of Secrets Manager: as a layer, and as a value that
//! some layer names (`${ssm:/PATH}`, `${secret:NAME#FIELD}`).

use std::collections::{BTreeMap, BTreeSet};

use aws_smithy_types::base64;
use ecs_config::expand::Placeholder;
use ecs_config::text::printable;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::{Error, ErrorKind};
use super::grammar::{Secret, Store};
use super::{Access, Content, Failed, Fetched, Source, answer, fetch_all};
use crate::net::NetworkError;
use crate::net::backoff::{FailedAttempt, Next};
use crate::net::partition::Partition;
use crate::net::signed::{self, Answer, Caller, time_there};
use crate::paths::MAX_SECRETS;

/// What one fetch learns on its way: the service's time.
pub(super) struct Getter<'a> {
    pub(super) secret: &'a Secret,
    pub(super) access: &'a Access<'a>,
    /// Our clock less the service's, once a signature was refused for it, in seconds.
    pub(super) ahead: Option<i64>,
}

impl Getter<'_> {
    /// One GetParameter or GetSecretValue.
    pub(super) async fn attempt(&mut self) -> Result<Content, Failed> {
        let Access { aws, region, http, credentials, .. } = self.access;
        let region = self.secret.region.as_ref().or(aws.region.as_ref()).or(region.as_ref());
        let unknown = || FailedAttempt::last(ErrorKind::unusable("the region is unknown"));
        let region = region.ok_or_else(unknown)?;
        let credentials = credentials.expect("whoever fetches it has some");
        let time = time_there(self.ahead);
        let caller = Caller { aws, region, credentials, http, time };
        let action = self.secret.store.action();
        let answer = signed::call(action, &self.request(), &caller).await?;
        match answer.status {
            200 => self.read(&answer.body),
            _ => Err(self.failure(&answer, region)),
        }
    }

    fn request(&self) -> Value {
        let Secret { store, id, version, .. } = self.secret;
        match (store, version) {
            (Store::ParameterStore, None) => json!({"Name": id, "WithDecryption": true}),
            (Store::ParameterStore, Some((_, version))) => {
                json!({"Name": format!("{id}:{version}"), "WithDecryption": true})
            }
            (Store::SecretsManager, None) => json!({"SecretId": id}),
            (Store::SecretsManager, Some((name, version))) => {
                let name = if *name == "versionId" { "VersionId" } else { "VersionStage" };
                json!({"SecretId": id, name: version})
            }
        }
    }

    fn read(&self, body: &Value) -> Result<Content, Failed> {
        let (value, version) = match self.secret.store {
            Store::ParameterStore => {
                (body["Parameter"]["Value"].as_str(), &body["Parameter"]["Version"])
            }
            Store::SecretsManager => (body["SecretString"].as_str(), &body["VersionId"]),
        };
        let binary = || base64::decode(body["SecretBinary"].as_str()?).ok();
        let bytes = value.map(|text| text.as_bytes().to_vec()).or_else(binary);
        let bytes = bytes.ok_or_else(|| FailedAttempt::last(ErrorKind::Unexpected(200)))?;
        let number = version.as_u64().map(|number| number.to_string());
        let version_id = version.as_str().map(printable).or(number);
        Ok(Content { bytes, version_id, ..Content::default() })
    }

    fn failure(&mut self, answer: &Answer, region: &str) -> Failed {
        let (status, code) = (answer.status, &*answer.code);
        let name = self.secret.store.action().service.name();
        let failed = |kind| FailedAttempt::last(kind).because(answer.quoted(name, None));
        let unexpected = || (status < 400).then_some(NetworkError::Unexpected(status));
        if let Some(error) = NetworkError::of_answer(status, code).or_else(unexpected) {
            return failed(error.into()).then(Next::Wait);
        }
        let credentials = answer::CREDENTIALS.contains(&code);
        if credentials && answer::is_skewed(answer.clock_ahead) {
            let next = if self.ahead.is_none() { Next::AtOnce } else { Next::GiveUp };
            self.ahead = answer.clock_ahead;
            return failed(NetworkError::ClockSkew { ahead: answer.clock_ahead }.into()).then(next);
        }
        let kms = || answer::kms_denied(&answer.message).filter(|_| answer.is_denied());
        failed(kms().unwrap_or_else(|| match code {
            _ if credentials => ErrorKind::Credentials { code: code.into() },
            _ if answer.is_denied() || status == 403 => self.denied(&answer.message, region),
            "DecryptionFailure" | "InvalidKeyId" => ErrorKind::KmsKey { code: code.into() },
            "ParameterNotFound" => ErrorKind::NotFound("parameter"),
            "ParameterVersionNotFound" | "ParameterVersionLabelNotFound" => {
                ErrorKind::NotFound("version of the parameter")
            }
            "ResourceNotFoundException" if self.secret.version.is_some() => {
                ErrorKind::NotFound("secret, or no such version of it")
            }
            "ResourceNotFoundException" => ErrorKind::NotFound("secret"),
            "InvalidRequestException" if answer.message.contains("delet") => {
                ErrorKind::NotFound("secret: it is scheduled for deletion")
            }
            code => ErrorKind::Refused { status, code: code.into() },
        }))
    }

    /// The message names the caller's account.
    fn denied(&self, message: &str, region: &str) -> ErrorKind {
        let user = message.split_whitespace().find(|word| word.starts_with("arn:"));
        let account = user.and_then(|arn| arn.split(':').nth(4)).filter(|it| !it.is_empty());
        let partition = Partition::of_region(region).name;
        let arn = self.secret.arn(partition, Some(region), account.unwrap_or("*"));
        let action = self.secret.store.action();
        ErrorKind::SecretDenied { action, arn: printable(&arn) }
    }
}

/// What a placeholder stands for. `Debug` shows no value.
pub(crate) struct FetchedSecret {
    pub(crate) placeholder: Placeholder,
    pub(crate) value: String,
    pub(crate) fetched: Fetched,
}

/// The values of those among these placeholders that are in Parameter Store and Secrets Manager;
/// each parameter and secret is asked for once.
pub(crate) async fn fetch_secrets(
    placeholders: BTreeSet<Placeholder>,
    access: &Access<'_>,
) -> Result<Vec<FetchedSecret>, Error> {
    let mut named = Vec::new();
    for placeholder in placeholders {
        let Some(source) = placeholder.source() else { continue };
        let parsed = source
            .parse::<Source>()
            .map_err(|invalid| Error::of(&placeholder, ErrorKind::unusable(invalid)))?;
        named.push((placeholder, parsed));
    }
    let mut sources: Vec<&Source> = named.iter().map(|(_, source)| source).collect();
    sources.dedup();
    if sources.len() > MAX_SECRETS {
        return Err(Error::of(&named[MAX_SECRETS].0, ErrorKind::TooManySecrets(sources.len())));
    }
    let fetched = fetch_all(sources, access).await?;
    let value = |(placeholder, source): &(Placeholder, Source)| {
        let shown = source.to_string();
        let fetched = fetched.iter().find(|one| one.layer.source == shown);
        let fetched = fetched.expect("every source of the list was fetched").clone();
        let value = value(&fetched.bytes, placeholder.field());
        let value = value.map_err(|kind| Error::of(placeholder, kind))?;
        Ok(FetchedSecret { placeholder: placeholder.clone(), value, fetched })
    };
    named.iter().map(value).collect()
}

/// The text, or one field of the JSON object that it is.
fn value(bytes: &[u8], field: Option<&str>) -> Result<String, ErrorKind> {
    let Some(field) = field else {
        let not_text = |_| ErrorKind::unusable("its value is not text in UTF-8");
        return str::from_utf8(bytes).map(str::to_owned).map_err(not_text);
    };
    // As they are written: a number with more digits than a computer keeps would become another.
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).unwrap_or_default();
    let value = fields.get(field).and_then(|raw| match raw.get() {
        text if text.starts_with('"') => serde_json::from_str(text).ok(),
        text => (!text.starts_with(['{', '[', 'n'])).then(|| text.to_owned()),
    });
    value.ok_or(ErrorKind::NotFound("field with a string in the secret, which is to be JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_is_a_top_level_key_of_the_json_object() {
        let secret = br#"{"user": "u", "port": 5432, "nested": {"user": "v"}, "long":
            123456789012345678901234567890, "exponent": 1e3, "other": "1000.0", "is": true,
            "esc\u0061ped": "\u00fc", "nothing": null, "list": []}"#;
        let table = [
            ("user", "u"),
            ("port", "5432"),
            ("long", "123456789012345678901234567890"),
            ("exponent", "1e3"),
            ("is", "true"),
            ("escaped", "ü"),
        ];
        for (field, wanted) in table {
            assert_eq!(value(secret, Some(field)).unwrap(), wanted);
        }
        assert_eq!(value(b"plain", None).unwrap(), "plain");
        for field in ["nested", "absent", "nested.user", "", "nothing", "list"] {
            assert!(value(secret, Some(field)).is_err(), "{field}");
        }
        assert!(value(b"plain", Some("user")).is_err() && value(b"\xff", None).is_err());
    }
}
