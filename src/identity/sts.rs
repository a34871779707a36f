//! STS decides who the host is: GetCallerIdentity, with exactly the credentials that it reports.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::Instant;

use super::{ConfirmedBy, Error, HostFacts, Identity, METADATA};
use crate::net::backoff::{FailedAttempt, Next, retry};
use crate::net::partition::is_account;
use crate::net::signed::{self, Answer, Caller, GET_CALLER_IDENTITY, time_there};
use crate::net::{Http, NetworkError};
use crate::settings::Settings;

/// Error codes for credentials that are too old. https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
const EXPIRED: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];
/// Error codes that a wrong clock can cause. The next attempt is signed with STS's time.
const PERHAPS_SKEWED: [&str; 3] =
    ["SignatureDoesNotMatch", "RequestExpired", "InvalidSignatureException"];

/// Asks STS who has the host's credentials, and compares with what the host reports and the
/// settings expect.
///
/// Tries until `deadline`: throttling and a network that is not up yet pass with time, a refusal
/// does not. Once `enough` is over, it is as if STS could not be reached.
pub(crate) async fn confirm(
    facts: &HostFacts,
    settings: &Settings,
    http: &Http,
    deadline: Instant,
    enough: impl Future<Output = ()>,
) -> Result<Identity, Error> {
    let aws = &settings.aws;
    let reported = &facts.reported;
    let region = aws.region.as_deref().or(reported.region.as_deref()).ok_or(Error::NoRegion)?;
    let ahead = Cell::new(None);
    // Why STS gave no answer so far, or what answered in its place.
    let last = RefCell::new(NetworkError::Silent("STS".into()).into());
    let attempt = async |number| {
        let (credentials, time) = (&facts.credentials, time_there(ahead.get()));
        let caller = Caller { aws, region, credentials, http, time };
        let answered = ask(&caller, facts, number, &ahead).await;
        match answered.as_ref().map_err(|failed| &failed.error) {
            Err(Error::Sts { kind, .. }) => _ = last.replace(kind.clone().into()),
            Err(Error::Strange(what)) => _ = last.replace(Error::Strange(what.clone())),
            _ => {}
        }
        answered
    };
    let answered = tokio::select! {
        biased;
        (answered, _) = retry(deadline, attempt) => answered,
        () = enough => return Err(last.into_inner()),
    };
    let (account, arn) = answered.map_err(|FailedAttempt { error, causes, .. }| match error {
        Error::Sts { kind, .. } => Error::Sts { kind, causes },
        refusal => refusal,
    })?;
    let identity = identity(account, arn, reported, region)?;
    check_expectations(&identity, settings)?;
    Ok(identity)
}

impl From<NetworkError> for Error {
    fn from(kind: NetworkError) -> Self {
        Error::Sts { kind, causes: Vec::new() }
    }
}

/// One GetCallerIdentity.
async fn ask(
    caller: &Caller<'_>,
    facts: &HostFacts,
    number: u32,
    ahead: &Cell<Option<i64>>,
) -> Result<(String, String), FailedAttempt<Error>> {
    let answer = signed::call(&GET_CALLER_IDENTITY, &Value::Null, caller).await?;
    if answer.status == 200 {
        return account_and_arn(&answer).ok_or_else(|| {
            let what = "an answer without a valid account and ARN".into();
            FailedAttempt::last(Error::Strange(what)).then(Next::Wait)
        });
    }
    if let Some(passing) = NetworkError::of_answer(answer.status, &answer.code) {
        let next = passing.next();
        return Err(FailedAttempt::last(passing.into()).then(next));
    }
    let refusal = refusal(&answer, facts);
    // What is not an answer of STS may be one the next time.
    let next = match refusal {
        _ if number == 1 && PERHAPS_SKEWED.contains(&&*answer.code) => {
            ahead.set(answer.clock_ahead);
            Next::AtOnce
        }
        Error::Strange(_) => Next::Wait,
        _ => Next::GiveUp,
    };
    Err(FailedAttempt::last(refusal).then(next))
}

/// An account of 12 digits, and an ARN in its grammar.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
pub(crate) fn account_and_arn(answer: &Answer) -> Option<(String, String)> {
    let is_arn = |arn: &String| {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let is_plain = arn.len() <= 2048 && arn.bytes().all(|byte| byte.is_ascii_graphic());
        let is_caller = parts.len() == 6 && parts[1].starts_with("aws") && is_account(parts[4]);
        is_plain && is_caller && parts[0] == "arn" && ["sts", "iam"].contains(&parts[2])
    };
    let account = answer.element("Account").filter(|account| is_account(account));
    account.zip(answer.element("Arn").filter(is_arn))
}

fn refusal(answer: &Answer, facts: &HostFacts) -> Error {
    let role = facts.reported.role.clone().unwrap_or_else(|| "of this host".into());
    let Answer { status, code, message, .. } = answer;
    match &**code {
        "" => Error::Strange(format!("HTTP status {status} without an error of STS")),
        code if EXPIRED.contains(&code) => Error::Expired { role, ago: ago(facts) },
        code => {
            let message = if message.is_empty() { "no message" } else { message };
            Error::Rejected { role, code: code.into(), message: message.into() }
        }
    }
}

fn ago(facts: &HostFacts) -> String {
    let expiry = facts.credentials.expiry();
    match expiry.and_then(|at| SystemTime::now().duration_since(at).ok()) {
        Some(elapsed) => {
            let elapsed = Duration::from_secs(elapsed.as_secs());
            format!("{} ago by our clock", humantime::format_duration(elapsed))
        }
        None => "by STS's clock, though not by ours".into(),
    }
}

/// The session's name is the instance id on EC2 and the managed instance's id on external hosts.
/// Nothing that the host reports may be different.
fn identity(
    account: String,
    arn: String,
    reported: &Identity,
    region: &str,
) -> Result<Identity, Error> {
    let (role, session) = role_and_session(&arn).ok_or_else(|| Error::Mismatch {
        what: "the caller",
        found: arn.clone(),
        who: "a container instance",
        wanted: "the session of a role".into(),
    })?;
    if session != reported.instance_id {
        let id = &reported.instance_id;
        return Err(Error::mismatch("the session's name", session, "the host", id));
    }
    let identity = Identity {
        region: Some(region.to_owned()),
        account_id: Some(account),
        role: Some(role.to_owned()),
        arn: Some(arn.clone()),
        confirmed_by: Some(ConfirmedBy::Sts),
        ..reported.clone()
    };
    compare(&identity, [METADATA; 2], &reported.role, &reported.account_id)?;
    Ok(identity)
}

/// `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION`
fn role_and_session(arn: &str) -> Option<(&str, &str)> {
    let resource = arn.splitn(6, ':').nth(5)?;
    resource.strip_prefix("assumed-role/")?.rsplit_once('/')
}

/// What metadata reports must not contradict what is expected, even where STS cannot be asked.
pub(crate) fn check_expectations(found: &Identity, settings: &Settings) -> Result<(), Error> {
    let who = ["--expect-role", "--expect-account"];
    compare(found, who, &settings.expect_role, &settings.expect_account)
}

/// Compares what is known on both sides.
fn compare(
    found: &Identity,
    [who_role, who_account]: [&'static str; 2],
    role: &Option<String>,
    account: &Option<String>,
) -> Result<(), Error> {
    let checks = [
        ("the role", &found.role, who_role, role),
        ("the account", &found.account_id, who_account, account),
    ];
    for (what, found, who, wanted) in checks {
        if let (Some(found), Some(wanted)) = (found, wanted)
            && found != wanted
        {
            return Err(Error::mismatch(what, found, who, wanted));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use aws_credential_types::Credentials;

    use super::*;
    use crate::error::{Diagnostic, ExitStatus};
    use crate::identity::HostKind;
    use crate::net::aws::Aws;
    use crate::net::tests::server::{BUFFERS, Server, answer, endless, run};

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0123456789abcdef0";

    fn facts() -> HostFacts {
        let credentials = Credentials::new("PLANTED", "PLANTED", None, None, "test");
        HostFacts { reported: reported(), instance_type: None, image_id: None, credentials }
    }

    fn reported() -> Identity {
        Identity {
            kind: HostKind::Ec2,
            instance_id: "i-0123456789abcdef0".into(),
            region: Some("eu-west-1".into()),
            availability_zone: None,
            account_id: Some("123456789012".into()),
            role: Some("ecsInstanceRole".into()),
            arn: None,
            confirmed_by: None,
        }
    }

    fn settings(aws: Aws) -> Settings {
        Settings::new("/".into(), Default::default(), aws).unwrap()
    }

    #[test]
    fn account_role_and_instance_must_be_the_reported_and_expected_ones() {
        let (none, user) = ([None, None], "arn:aws:iam::123456789012:user/alice");
        let instance = Identity { instance_id: "i-0fffffffffffffff0".into(), ..reported() };
        let account = Identity { account_id: Some("210987654321".into()), ..reported() };
        let role = Identity { role: Some("web".into()), ..reported() };
        let table = [
            (ARN, reported(), none, "fine"),
            (
                ARN,
                instance,
                none,
                "the session's name is i-0123456789abcdef0, expected i-0fffffffffffffff0 (the host)",
            ),
            (
                ARN,
                account,
                none,
                "the account is 123456789012, expected 210987654321 (instance metadata)",
            ),
            (ARN, role, none, "the role is ecsInstanceRole, expected web (instance metadata)"),
            (
                ARN,
                reported(),
                [Some("web"), None],
                "the role is ecsInstanceRole, expected web (--expect-role)",
            ),
            (
                ARN,
                reported(),
                [Some("ecsInstanceRole"), Some("1")],
                "the account is 123456789012, expected 1 (--expect-account)",
            ),
            (
                user,
                reported(),
                none,
                "the caller is arn:aws:iam::123456789012:user/alice, expected the session of a role (a container instance)",
            ),
        ];
        for (arn, reported, [role, account], outcome) in table {
            let mut settings = settings(Aws::default());
            settings.expect_role = role.map(str::to_owned);
            settings.expect_account = account.map(str::to_owned);
            let found = identity("123456789012".into(), arn.into(), &reported, "eu-west-1")
                .and_then(|identity| check_expectations(&identity, &settings));
            assert_eq!(found.map_or_else(|error| error.to_string(), |()| "fine".into()), outcome);
        }
    }

    fn confirm_within(timeout: Duration, answers: Vec<String>) -> (Result<Identity, Error>, usize) {
        let server = Server::start(answers);
        let aws = Aws::from_vars(&[("AWS_ENDPOINT_URL".into(), server.url())].into()).unwrap();
        let http = Http::new(&Default::default()).unwrap();
        let confirmed = run(async {
            let deadline = Instant::now() + timeout;
            confirm(&facts(), &settings(aws), &http, deadline, pending()).await
        });
        (confirmed, server.exchanges().iter().map(|exchange| exchange.sent).sum())
    }

    fn caller() -> String {
        let result = format!("<Arn>{ARN}</Arn><UserId>U:i</UserId><Account>123456789012</Account>");
        let name = "GetCallerIdentity";
        answer(
            200,
            "",
            &format!("<{name}Response><{name}Result>{result}</{name}Result></{name}Response>"),
        )
    }

    #[test]
    fn endless_answer_is_not_an_identity() {
        let table = [
            (
                200,
                "asking STS who we are: the answer is longer than any that this request can have",
            ),
            (403, "what STS answered is not an identity: HTTP status 403 without an error of STS"),
        ];
        for (status, what) in table {
            let (confirmed, sent) = confirm_within(Duration::from_secs(1), vec![endless(status)]);
            assert_eq!(confirmed.unwrap_err().to_string(), what);
            assert!(sent < BUFFERS, "{status}: {sent} bytes were sent");
        }
    }

    #[test]
    fn answer_that_breaks_off_is_asked_for_again() {
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<GetCaller".to_owned();
        let (confirmed, _) = confirm_within(Duration::from_secs(20), vec![cut, caller()]);
        assert_eq!(confirmed.unwrap().arn.as_deref(), Some(ARN));
    }

    #[test]
    fn request_that_cannot_be_made_is_a_settings_error() {
        let reported = Identity { region: Some("not a host name".into()), ..reported() };
        let (facts, settings) = (HostFacts { reported, ..facts() }, settings(Aws::default()));
        let http = Http::new(&Default::default()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let asked = async { confirm(&facts, &settings, &http, deadline, pending()).await };
        let error = run(asked).unwrap_err();
        assert_eq!(error.status(), ExitStatus::Settings, "{error}");
    }
}
