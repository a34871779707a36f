//! STS has the last word: GetCallerIdentity, with exactly the credentials that the host claims to
//! have.

use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Builder, retry::RetryConfig};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::get_caller_identity::{
    GetCallerIdentityError, GetCallerIdentityOutput,
};
use tokio::time::Instant;

use super::{Claim, Error, Expected, Identity};
use crate::net::Http;
use crate::net::aws::{Aws, Service, sdk_config};
use crate::source::retry::{self, Failure, Next};
use crate::source::{Kind, element, transport};

type Refusal = SdkError<GetCallerIdentityError>;

/// Codes with which STS says that the credentials are too old. https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
const EXPIRED: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];
const THROTTLED: [&str; 2] = ["Throttling", "RequestLimitExceeded"];
/// Codes that a clock gone wrong can be the reason of. The SDK learns STS's time from the answer,
/// and signs the next attempt with it.
const PERHAPS_SKEWED: [&str; 3] =
    ["SignatureDoesNotMatch", "RequestExpired", "InvalidSignatureException"];

/// Asks STS who holds the claim's credentials, and compares.
///
/// Tries until `deadline`: throttling and a network that is not up yet pass with time, a refusal
/// does not.
pub(crate) async fn confirm(
    claim: &Claim,
    expected: Expected<'_>,
    aws: &Aws,
    http: &Http,
    deadline: Instant,
) -> Result<Identity, Error> {
    let region = aws.region.as_deref().or(claim.region.as_deref()).ok_or(Error::NoRegion)?;
    let config = sdk_config(aws, Service::Sts, http, Some(claim.credentials.clone()), region);
    let client =
        Client::from_conf(Builder::from(&config).retry_config(RetryConfig::disabled()).build());
    let (answered, _) =
        retry::until(deadline, async |number| ask(&client, claim, number).await).await;
    let answer = answered.map_err(|Failure { kind, causes, .. }| Error::Sts { kind, causes })??;
    let identity = identity(&answer, claim, region)?;
    compare(&identity, claim, expected).map(|()| identity)
}

/// One GetCallerIdentity: what STS said, be it a refusal; or why it said nothing that lasts.
async fn ask(
    client: &Client,
    claim: &Claim,
    number: u32,
) -> Result<Result<GetCallerIdentityOutput, Error>, Failure> {
    match client.get_caller_identity().send().await {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => match passing(&error, number) {
            Some(failure) => Err(failure),
            None => Ok(Err(refusal(&error, claim))),
        },
    }
}

fn passing(error: &Refusal, number: u32) -> Option<Failure> {
    let is_one_of = |codes: &[&str]| error.code().is_some_and(|code| codes.contains(&code));
    let wait = |kind| Some(Failure { next: Next::Wait, ..Failure::last(kind) });
    match error.raw_response().map(|response| response.status().as_u16()) {
        None => Some(transport::failure(error, "STS")),
        Some(status) if is_one_of(&THROTTLED) || status == 429 => wait(Kind::Throttled(status)),
        Some(status @ 500..) => wait(Kind::Server(status)),
        Some(_) if number == 1 && is_one_of(&PERHAPS_SKEWED) => {
            Some(Failure { next: Next::AtOnce, ..Failure::last(Kind::ClockSkew { ahead: None }) })
        }
        Some(_) => None,
    }
}

fn refusal(error: &Refusal, claim: &Claim) -> Error {
    let role = claim.role.clone().unwrap_or_else(|| "of this host".into());
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let said =
        |known: Option<&str>, name| known.map(str::to_owned).or_else(|| in_body(error, name));
    match said(error.code(), "Code") {
        Some(code) if EXPIRED.contains(&&*code) => Error::Expired { role, ago: ago(claim) },
        Some(code) => {
            let message = said(error.message(), "Message").unwrap_or_else(|| "no message".into());
            Error::Rejected { role, code, message: transport::printable(&message) }
        }
        None => Error::Strange(format!("HTTP status {status} without an error of STS")),
    }
}

/// What STS's stand-ins say: they put an element more around the error than the SDK looks through
/// (moto does, `<Errors>`).
fn in_body(error: &Refusal, name: &str) -> Option<String> {
    element(str::from_utf8(error.raw_response()?.body().bytes()?).ok()?, name)
}

fn ago(claim: &Claim) -> String {
    let elapsed = claim
        .credentials
        .expiry()
        .and_then(|at| std::time::SystemTime::now().duration_since(at).ok());
    match elapsed {
        Some(elapsed) => format!(
            "{} ago by our clock",
            humantime::format_duration(std::time::Duration::from_secs(elapsed.as_secs()))
        ),
        None => "by STS's clock, though not by ours".into(),
    }
}

/// The session's name is the instance id on EC2 and the managed instance's id on external hosts.
fn identity(
    answer: &GetCallerIdentityOutput,
    claim: &Claim,
    region: &str,
) -> Result<Identity, Error> {
    let (Some(account), Some(arn)) = (answer.account(), answer.arn()) else {
        return Err(Error::Strange("an answer without account or ARN".into()));
    };
    let (role, session) = role_and_session(arn).ok_or_else(|| Error::Mismatch {
        what: "the caller",
        found: transport::printable(arn),
        who: "a container instance",
        wanted: "the session of a role".into(),
    })?;
    same("the session's name", session, "the host", &claim.instance_id)?;
    Ok(Identity {
        kind: claim.kind,
        instance_id: session.to_owned(),
        region: Some(region.to_owned()),
        availability_zone: claim.availability_zone.clone(),
        account_id: account.to_owned(),
        role: role.to_owned(),
        arn: arn.to_owned(),
    })
}

/// `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION`
fn role_and_session(arn: &str) -> Option<(&str, &str)> {
    let resource = arn.splitn(6, ':').nth(5)?;
    resource.strip_prefix("assumed-role/")?.rsplit_once('/')
}

fn compare(identity: &Identity, claim: &Claim, expected: Expected<'_>) -> Result<(), Error> {
    let checks = [
        ("the role", &identity.role, "instance metadata", claim.role.as_deref()),
        ("the account", &identity.account_id, "instance metadata", claim.account_id.as_deref()),
        ("the role", &identity.role, "--expect-role", expected.role),
        ("the account", &identity.account_id, "--expect-account", expected.account),
    ];
    checks
        .into_iter()
        .filter_map(|(what, found, who, wanted)| Some((what, found, who, wanted?)))
        .try_for_each(|(what, found, who, wanted)| same(what, found, who, wanted))
}

fn same(what: &'static str, found: &str, who: &'static str, wanted: &str) -> Result<(), Error> {
    match found == wanted {
        true => Ok(()),
        false => Err(Error::Mismatch {
            what,
            found: transport::printable(found),
            who,
            wanted: wanted.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;

    use super::*;

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0123456789abcdef0";

    fn claim() -> Claim {
        Claim {
            kind: "ec2",
            instance_id: "i-0123456789abcdef0".into(),
            region: Some("eu-west-1".into()),
            availability_zone: None,
            instance_type: None,
            image_id: None,
            account_id: Some("123456789012".into()),
            role: Some("ecsInstanceRole".into()),
            credentials: Credentials::new("PLANTED", "PLANTED", None, None, "test"),
        }
    }

    #[track_caller]
    fn check(arn: &str, claim: &Claim, expected: Expected<'_>, outcome: Result<(), &str>) {
        let answer = GetCallerIdentityOutput::builder().account("123456789012").arn(arn).build();
        let found = identity(&answer, claim, "eu-west-1")
            .and_then(|identity| compare(&identity, claim, expected));
        assert_eq!(found.map_err(|error| error.to_string()), outcome.map_err(str::to_owned));
    }

    #[test]
    fn account_role_and_instance_must_be_what_the_host_says() {
        check(ARN, &claim(), Expected::default(), Ok(()));
        let other = Claim { instance_id: "i-0fffffffffffffff0".into(), ..claim() };
        let message =
            "the session's name is i-0123456789abcdef0, but the host says i-0fffffffffffffff0";
        check(ARN, &other, Expected::default(), Err(message));
        let other = Claim { account_id: Some("210987654321".into()), ..claim() };
        check(
            ARN,
            &other,
            Expected::default(),
            Err("the account is 123456789012, but instance metadata says 210987654321"),
        );
        let other = Claim { role: Some("web".into()), ..claim() };
        check(
            ARN,
            &other,
            Expected::default(),
            Err("the role is ecsInstanceRole, but instance metadata says web"),
        );
    }

    #[test]
    fn account_and_role_must_be_what_is_expected() {
        let expected = Expected { role: Some("web"), account: None };
        check(
            ARN,
            &claim(),
            expected,
            Err("the role is ecsInstanceRole, but --expect-role says web"),
        );
        let expected = Expected { role: Some("ecsInstanceRole"), account: Some("1") };
        check(
            ARN,
            &claim(),
            expected,
            Err("the account is 123456789012, but --expect-account says 1"),
        );
    }

    #[test]
    fn a_user_is_no_container_instance() {
        let user = "arn:aws:iam::123456789012:user/alice";
        check(
            user,
            &claim(),
            Expected::default(),
            Err(&format!(
                "the caller is {user}, but a container instance says the session of a role"
            )),
        );
    }
}
