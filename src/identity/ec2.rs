//! What an EC2 instance reports of itself: its role with credentials, and where it runs. Read from
//! the metadata service alone.

use std::time::Duration;

use aws_credential_types::Credentials;
use ecs_config::text::printable;
use futures_util::future::{OptionFuture, try_join_all};
use serde_json::Value;
use tokio::time::Instant;
use tokio::{join, try_join};

use super::imds::{self, Imds};
use super::{Error, HostFacts, HostKind, Identity, METADATA, is_sendable};
use crate::net::clock::parse_rfc3339;
use crate::net::partition::{is_account, is_instance_id, is_region, is_role_name};

const ROLES: &str = "meta-data/iam/security-credentials/";
const DOCUMENT: &str = "dynamic/instance-identity/document";
/// How long a refusal that IMDS itself reports may last: a role that was made a moment ago is
/// refused for some seconds.
const GRACE: Duration = Duration::from_secs(10);
/// Answers may be truncated by chance; so many in a row are not.
const MAX_TRUNCATED: u32 = 5;

/// The fields of the instance identity document, and where each is on its own.
const PARTS: [(&str, &str); 5] = [
    ("instanceId", "meta-data/instance-id"),
    ("region", "meta-data/placement/region"),
    ("availabilityZone", "meta-data/placement/availability-zone"),
    ("instanceType", "meta-data/instance-type"),
    ("imageId", "meta-data/ami-id"),
];

/// What the instance reports, once its role's credentials are there.
///
/// Two steps after the token: the role's name beside the identity document, then the credentials.
/// One, where the role that is attached is the expected one. `in_region` is called as soon as the
/// region is known.
pub(super) async fn facts(
    imds: &Imds,
    kind: HostKind,
    expected_role: Option<&str>,
    in_region: &dyn Fn(Option<&String>),
) -> Result<HostFacts, Error> {
    imds.begin_session().await?;
    let reported = async {
        let document = document(imds).await?;
        in_region(region(&document).as_ref());
        let account = match field(&document, "accountId") {
            Some(account) => Some(account),
            None => profile(imds).await?.as_deref().and_then(account_of_arn),
        };
        Ok::<_, Error>((document, account))
    };
    let expected_role = expected_role.filter(|name| is_role_name(name));
    let ((role, credentials), (document, account_id)) =
        try_join!(role(imds, expected_role), reported)?;
    let instance_id =
        field(&document, "instanceId").ok_or_else(|| not_imds("it has no instance id"))?;
    // Where STS is not asked, nothing else would compare these two.
    let invalid = |what, found: &str, wanted| Error::mismatch(what, found, METADATA, wanted);
    if !is_instance_id(&instance_id) {
        return Err(invalid("the instance id", &instance_id, "letters, digits and hyphens"));
    }
    if let Some(id) = account_id.iter().find(|id| !is_account(id)) {
        return Err(invalid("the account", id, "12 digits"));
    }
    let reported = Identity {
        kind,
        instance_id,
        region: region(&document),
        availability_zone: field(&document, "availabilityZone"),
        account_id,
        role: Some(role),
        arn: None,
        confirmed_by: None,
    };
    let [instance_type, image_id] = ["instanceType", "imageId"].map(|name| field(&document, name));
    Ok(HostFacts { reported, instance_type, image_id, credentials })
}

fn field(document: &Value, name: &str) -> Option<String> {
    document[name].as_str().map(printable)
}

pub(crate) fn region(document: &Value) -> Option<String> {
    field(document, "region").filter(|region| is_region(region))
}

fn not_imds(what: &str) -> Error {
    let endpoint = "the metadata service's address".into();
    Error::Metadata(imds::Error::NotImds { endpoint, what: what.into() })
}

fn account_of_arn(arn: &str) -> Option<String> {
    arn.split(':').nth(4).filter(|account| is_account(account)).map(str::to_owned)
}

/// The document; where it is kept back, its parts one by one.
async fn document(imds: &Imds) -> Result<Value, Error> {
    let text = imds.get(DOCUMENT).await?.unwrap_or_default();
    if let Ok(document) = serde_json::from_str(&text) {
        return Ok(document);
    }
    let parts = PARTS
        .map(async |(name, path)| Ok::<_, Error>((name.to_owned(), imds.get(path).await?.into())));
    Ok(Value::Object(try_join_all(parts).await?.into_iter().collect()))
}

/// The ARN of the instance profile, if one is attached; it names the account.
async fn profile(imds: &Imds) -> Result<Option<String>, Error> {
    let text = imds.get("meta-data/iam/info").await?.unwrap_or_default();
    let info: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(info["InstanceProfileArn"].as_str().map(str::to_owned))
}

/// Waits, until the deadline, for a role and its credentials: at boot both may be seconds late, and
/// answered with 404 until then.
async fn role(imds: &Imds, expected: Option<&str>) -> Result<(String, Credentials), Error> {
    let mut backoff = imds.backoff();
    let (mut refused_since, mut truncated, mut before) = (None, 0, None);
    loop {
        let missing = match delivered(imds, expected).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(missing)) => missing,
            // The deadline came amid this question: the answer to the one before tells more.
            Err(error) => return Err(before.filter(|_| is_cut_off(imds, &error)).unwrap_or(error)),
        };
        truncated = if is_truncated(&missing) { truncated + 1 } else { 0 };
        let end = match missing {
            Error::RoleRefused { .. } => *refused_since.get_or_insert_with(Instant::now) + GRACE,
            _ => imds.deadline,
        };
        match backoff.pause().filter(|pause| Instant::now() + *pause < end) {
            Some(pause) if truncated < MAX_TRUNCATED => {
                imds.sleep(pause, &"the role's credentials have not arrived yet").await;
            }
            _ => return Err(missing),
        }
        before = Some(missing);
    }
}

/// One attempt that failed, begun so late that it had no time of its own: what fails so close to
/// the deadline is not asked again.
fn is_cut_off(imds: &Imds, error: &Error) -> bool {
    let is_over = Instant::now() + imds::FIRST_PAUSE >= imds.deadline;
    is_over && matches!(error, Error::Metadata(imds::Error::Unreachable { attempts: 1, .. }))
}

/// The role's name and credentials as they are at this moment; inside, what may still come. Those
/// of the expected role are asked for beside the name of the one that is attached.
async fn delivered(
    imds: &Imds,
    expected: Option<&str>,
) -> Result<Result<(String, Credentials), Error>, Error> {
    let of_expected = OptionFuture::from(expected.map(|role| credentials_of(imds, role)));
    let (role, of_expected) = join!(role_name(imds), of_expected);
    let Some(role) = role? else {
        // The instance profile tells "no role" from "not delivered yet".
        let is_attached = profile(imds).await?.is_some();
        return Ok(Err(if is_attached {
            Error::NotDelivered { role: None }
        } else {
            Error::NoRole
        }));
    };
    // After a 404 the name is asked for again: the role may have been changed between the two.
    let body = match of_expected {
        Some(body) if expected == Some(&role) => body?,
        _ => credentials_of(imds, &role).await?,
    };
    Ok(match body {
        None => Err(Error::NotDelivered { role: Some(role) }),
        Some(body) => match credentials(&role, &body) {
            Ok(found) if !is_sendable(&found) => {
                return Err(not_imds("it gives credentials that no request can carry"));
            }
            found => found.map(|credentials| (role, credentials)),
        },
    })
}

async fn credentials_of(imds: &Imds, role: &str) -> Result<Option<String>, imds::Error> {
    imds.get(&format!("{ROLES}{role}")).await
}

async fn role_name(imds: &Imds) -> Result<Option<String>, Error> {
    let text = imds.get(ROLES).await?.unwrap_or_default();
    match text.lines().next().map(str::trim).filter(|name| !name.is_empty()) {
        None => Ok(None),
        Some(name) if is_role_name(name) => Ok(Some(name.to_owned())),
        Some(_) => Err(not_imds("it does not give a role's name (but a page of HTML, perhaps)")),
    }
}

/// From the body of `iam/security-credentials/ROLE`. With a `Code` other than Success it carries a
/// message, with status 200.
pub(crate) fn credentials(role: &str, body: &str) -> Result<Credentials, Error> {
    let body: Value = serde_json::from_str(body).map_err(|_| truncated())?;
    let field = |name: &str| body[name].as_str();
    let code = field("Code").unwrap_or("Success");
    if !code.eq_ignore_ascii_case("success") {
        let message = printable(field("Message").unwrap_or_default());
        return Err(Error::RoleRefused { role: role.into(), code: printable(code), message });
    }
    let (Some(id), Some(secret), Some(token)) =
        (field("AccessKeyId"), field("SecretAccessKey"), field("Token"))
    else {
        return Err(truncated());
    };
    let expires = field("Expiration").and_then(parse_rfc3339);
    Ok(Credentials::new(id, secret, Some(token.into()), expires, "imds"))
}

fn truncated() -> Error {
    not_imds("what it gives as credentials is cut short, or something else")
}

fn is_truncated(missing: &Error) -> bool {
    matches!(missing, Error::Metadata(imds::Error::NotImds { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"Code": "Success", "AccessKeyId": "ASIAPLANTED", "SecretAccessKey": "PLANTED", "Token": "PLANTED",
        "Expiration": "2026-01-01T00:00:00Z"}"#;

    #[test]
    fn success_in_any_case_gives_credentials_even_expired_ones() {
        let body = BODY.replace("Success", "success");
        assert!(credentials("role", &body).is_ok_and(|found| found.expiry().is_some()));
    }

    #[test]
    fn code_other_than_success_is_a_refusal_with_its_message() {
        let body = r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot\u001b[2J assume the role"}"#;
        assert_eq!(
            credentials("role", body).unwrap_err().to_string(),
            "EC2 could not assume the role role: AssumeRoleUnauthorizedAccess: EC2 cannot [2J assume the role"
        );
    }

    #[test]
    fn half_a_body_is_truncated() {
        assert!(credentials("role", &BODY[..60]).is_err_and(|error| is_truncated(&error)));
        assert!(credentials("role", "{}").is_err_and(|error| is_truncated(&error)));
    }
}
