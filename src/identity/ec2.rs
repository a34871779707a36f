//! An EC2 host's own account of itself: its role with credentials, and where it runs. Read from the
//! metadata service alone.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use tokio::time::Instant;
use tokio::try_join;

use super::imds::{self, Imds, pause};
use super::{Claim, Error};

const ROLES: &str = "meta-data/iam/security-credentials/";
const DOCUMENT: &str = "dynamic/instance-identity/document";
/// How long a refusal that IMDS itself reports may last: a role that was made a moment ago is
/// refused for some seconds.
const GRACE: Duration = Duration::from_secs(10);
/// What [`pause`] gives at most after one attempt: an answer that fails so close to the deadline is
/// not asked for again.
const LONGEST_FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Answers cut short may be cut by chance; so many in a row are not.
const TORN: u32 = 5;

/// The parts of the instance identity document that we use.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    account_id: Option<String>,
    instance_id: Option<String>,
    region: Option<String>,
    availability_zone: Option<String>,
    instance_type: Option<String>,
    image_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProfileInfo {
    instance_profile_arn: Option<String>,
}

/// The body of `iam/security-credentials/ROLE`. With a `Code` other than Success it carries a
/// message, with status 200.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delivered {
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

/// What the instance says of itself, once its role's credentials are there.
///
/// Two steps after the token: the role's name beside the identity document, then the credentials.
pub(crate) async fn claim(imds: &Imds) -> Result<Claim, Error> {
    imds.session_began().await?;
    let ((role, credentials), document, profile) =
        try_join!(role(imds), document(imds), profile(imds))?;
    let account_id = document
        .account_id
        .or_else(|| profile.as_deref().and_then(account_of_arn).map(str::to_owned));
    let id = document.instance_id.ok_or_else(|| Error::not_imds("it knows no instance id"))?;
    Ok(Claim {
        kind: "ec2",
        instance_id: id,
        region: document.region,
        availability_zone: document.availability_zone,
        instance_type: document.instance_type,
        image_id: document.image_id,
        account_id,
        role: Some(role),
        credentials,
    })
}

fn account_of_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// The document; where somebody keeps it back, its parts one by one.
async fn document(imds: &Imds) -> Result<Document, Error> {
    if let Some(text) = imds.get(DOCUMENT).await?
        && let Ok(document) = serde_json::from_str::<Document>(&text)
    {
        return Ok(document);
    }
    let (instance_id, region, availability_zone, instance_type, image_id) = try_join!(
        imds.get("meta-data/instance-id"),
        imds.get("meta-data/placement/region"),
        imds.get("meta-data/placement/availability-zone"),
        imds.get("meta-data/instance-type"),
        imds.get("meta-data/ami-id"),
    )?;
    Ok(Document {
        account_id: None,
        instance_id,
        region,
        availability_zone,
        instance_type,
        image_id,
    })
}

/// The ARN of the instance profile, if one is attached; it names the account.
async fn profile(imds: &Imds) -> Result<Option<String>, Error> {
    let text = imds.get("meta-data/iam/info").await?;
    Ok(text
        .and_then(|text| serde_json::from_str::<ProfileInfo>(&text).ok())
        .and_then(|info| info.instance_profile_arn))
}

/// Waits, until the deadline, for a role and its credentials: at boot both may be seconds late, and
/// answered with 404 until then.
async fn role(imds: &Imds) -> Result<(String, Credentials), Error> {
    let mut wait = Wait { imds, attempts: 0, refused_since: None, torn: 0 };
    let mut before = None;
    loop {
        let missing = match delivered(imds).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(missing)) => missing,
            // The deadline came amid this question: what was answered to the one before it says
            // more.
            Err(error) if is_cut_off(imds, &error) => {
                return Err(before.map_or(error, Missing::into_error));
            }
            Err(error) => return Err(error),
        };
        match wait.has_time_after(&missing) {
            true => wait.pause().await,
            false => return Err(missing.into_error()),
        }
        before = Some(missing);
    }
}

/// One attempt, begun so late that it had no time of its own.
fn is_cut_off(imds: &Imds, error: &Error) -> bool {
    let is_over = Instant::now() + LONGEST_FIRST_PAUSE >= imds.deadline();
    is_over && matches!(error, Error::Metadata(imds::Error::Unreachable { attempts: 1, .. }))
}

/// The role's name and credentials as they are at this moment.
async fn delivered(imds: &Imds) -> Result<Result<(String, Credentials), Missing>, Error> {
    let Some(role) = role_name(imds).await? else {
        return Ok(Err(Missing::Role { profile_is_attached: profile(imds).await?.is_some() }));
    };
    // The name is asked for anew after a 404 on it: the role may have been changed between the two.
    Ok(match imds.get(&format!("{ROLES}{role}")).await? {
        None => Err(Missing::Credentials { role }),
        Some(body) => credentials(&role, &body).map(|credentials| (role, credentials)),
    })
}

/// What is not there yet.
enum Missing {
    /// The instance profile tells "no role" from "not delivered yet".
    Role {
        profile_is_attached: bool,
    },
    Credentials {
        role: String,
    },
    Refused {
        role: String,
        code: String,
        message: String,
    },
    Torn,
}

impl Missing {
    fn into_error(self) -> Error {
        match self {
            Missing::Role { profile_is_attached: false } => Error::NoRole,
            Missing::Role { profile_is_attached: true } => Error::NotDelivered { role: None },
            Missing::Credentials { role } => Error::NotDelivered { role: Some(role) },
            Missing::Refused { role, code, message } => {
                Error::RoleRefused { role, code, message: printable(&message) }
            }
            Missing::Torn => Error::not_imds("what it gives as credentials is cut short, or none"),
        }
    }
}

async fn role_name(imds: &Imds) -> Result<Option<String>, Error> {
    let text = imds.get(ROLES).await?.unwrap_or_default();
    let Some(name) = text.lines().next().map(str::trim).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    // https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html: [\w+=,.@-]+
    match name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)) {
        true => Ok(Some(name.to_owned())),
        false => Err(Error::not_imds(
            "what it gives as the name of the role is none (a page of HTML, say)",
        )),
    }
}

fn credentials(role: &str, body: &str) -> Result<Credentials, Missing> {
    let torn = || Missing::Torn;
    let delivered: Delivered = serde_json::from_str(body).map_err(|_| torn())?;
    let code = delivered.code.unwrap_or_else(|| "Success".into());
    if !code.eq_ignore_ascii_case("success") {
        return Err(Missing::Refused {
            role: role.into(),
            code,
            message: delivered.message.unwrap_or_default(),
        });
    }
    let (Some(id), Some(secret), Some(token)) =
        (delivered.access_key_id, delivered.secret_access_key, delivered.token)
    else {
        return Err(torn());
    };
    let expires =
        delivered.expiration.and_then(|text| DateTime::from_str(&text, Format::DateTime).ok());
    let expires = expires.and_then(|at| SystemTime::try_from(at).ok());
    Ok(Credentials::new(id, secret, Some(token), expires, "imds"))
}

struct Wait<'a> {
    imds: &'a Imds,
    attempts: u32,
    refused_since: Option<Instant>,
    torn: u32,
}

impl Wait<'_> {
    fn has_time_after(&mut self, missing: &Missing) -> bool {
        let end = match missing {
            Missing::Refused { .. } => *self.refused_since.get_or_insert(Instant::now()) + GRACE,
            _ => self.imds.deadline(),
        };
        self.torn = if matches!(missing, Missing::Torn) { self.torn + 1 } else { 0 };
        self.attempts += 1;
        self.torn < TORN && Instant::now() + pause(self.attempts) < end.min(self.imds.deadline())
    }

    async fn pause(&self) {
        self.imds.pause(self.attempts, &"the role's credentials are not there yet").await;
    }
}

/// At most 300 characters of somebody else's message, none of which can move a terminal's cursor.
fn printable(message: &str) -> String {
    message.chars().filter(|char| !char.is_control()).take(300).collect()
}

impl From<imds::Error> for Error {
    fn from(error: imds::Error) -> Self {
        Error::Metadata(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"Code": "Success", "AccessKeyId": "ASIAPLANTED", "SecretAccessKey": "PLANTED", "Token": "PLANTED",
        "Expiration": "2026-01-01T00:00:00Z"}"#;

    #[test]
    fn success_is_compared_without_case_and_expired_credentials_are_still_credentials() {
        let body = BODY.replace("Success", "success");
        assert!(credentials("role", &body).is_ok_and(|found| found.expiry().is_some()));
    }

    #[test]
    fn a_code_other_than_success_is_a_refusal_with_its_message() {
        let body =
            r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role"}"#;
        let Err(Missing::Refused { code, message, .. }) = credentials("role", body) else {
            panic!("not refused")
        };
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("AssumeRoleUnauthorizedAccess", "EC2 cannot assume the role")
        );
    }

    #[test]
    fn half_a_body_is_torn() {
        assert!(matches!(credentials("role", &BODY[..60]), Err(Missing::Torn)));
        assert!(matches!(credentials("role", "{}"), Err(Missing::Torn)));
    }

    #[test]
    fn a_message_of_somebody_else_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a[2Jb");
    }
}
