//! Role, clock, names, endpoints, identity and permissions: what it takes to work at AWS.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::Patient;
use super::check::{Check, Verdict, check};
use super::words;
use crate::error::Diagnostic;
use crate::net::endpoint::{Knock, Name, Place};
use crate::net::signed::{Action, Answer, DISCOVER_POLL_ENDPOINT, GET_AUTHORIZATION_TOKEN};
use crate::source::{self, Fetched};

pub(crate) const CHECKS: [Check; 14] = [
    check("role", "the host's role and its credentials", role).needs(&[
        "environment",
        "host-kind",
        "imds",
    ]),
    check(
        "credentials",
        "how long the credentials are good; on an external host, the SSM agent's file",
        credentials,
    )
    .needs(&["role"]),
    check("clock", "our clock against the Date of AWS's answers", clock).needs(&["environment"]),
    check("dns", "the names of AWS's endpoints", dns).needs(&["environment"]),
    check("reach-sts", "an answer from STS, whatever it says", |patient| {
        reach(patient, Place::Sts)
    })
    .needs(&["environment"]),
    check("reach-s3", "an answer from S3, whatever it says", |patient| reach(patient, Place::S3))
        .needs(&["environment"]),
    check("reach-ecs", "an answer from ECS, whatever it says", |patient| {
        reach(patient, Place::Ecs)
    })
    .needs(&["environment"]),
    check("reach-ecr", "an answer from ECR, whatever it says", |patient| {
        reach(patient, Place::Ecr)
    })
    .needs(&["environment"]),
    check("identity", "STS's word on who we are, and expect_role and expect_account", identity)
        .needs(&["role", "reach-sts", "clock"]),
    check("sources", "every configured source, fetched as `run` would", sources)
        .needs(&["settings", "role", "reach-s3", "clock"]),
    check("permission-ecs", "ecs:DiscoverPollEndpoint, tried", permission_ecs).needs(&[
        "role",
        "reach-ecs",
        "clock",
    ]),
    check("permission-ecr", "ecr:GetAuthorizationToken, tried", permission_ecr).needs(&[
        "role",
        "reach-ecr",
        "clock",
    ]),
    check("reach-agent", "the endpoint to which the agent listens", |patient| {
        reach_named(patient, Place::Agent)
    })
    .needs(&["permission-ecs"]),
    check("reach-telemetry", "the endpoint to which the agent sends its metrics", |patient| {
        reach_named(patient, Place::Telemetry)
    })
    .needs(&["permission-ecs"]),
];

fn role(patient: &Patient) -> Verdict {
    match patient.heard.claim.get() {
        None => Verdict::unanswered(),
        Some(Err(error)) => Verdict::failure(words(error), error.remedy()),
        Some(Ok(claim)) => Verdict::ok(match &claim.role {
            Some(role) => format!("{role}, with credentials, on {}", claim.instance_id),
            None => format!("credentials of the SSM agent for {}", claim.instance_id),
        }),
    }
}

/// IMDS has fresh credentials at least five minutes before the old ones expire; the SSM agent
/// rotates every 30 minutes.
const SOON: Duration = Duration::from_secs(300);
const STALE: Duration = Duration::from_secs(3600);

fn credentials(patient: &Patient) -> Verdict {
    let Some(Ok(claim)) = patient.heard.claim.get() else { return Verdict::unanswered() };
    let Some(expiry) = claim.credentials.expiry() else { return ssm_file(patient) };
    let imds = "compare this host's clock with the true time; if it is right, the metadata service is stuck: stop and start the instance";
    match expiry.duration_since(SystemTime::now()) {
        Err(_) => Verdict::failure("they have expired", imds),
        Ok(left) if left < SOON => Verdict::warning(
            format!("they expire in {} s, and metadata has no newer ones", left.as_secs()),
            imds,
        ),
        Ok(left) => Verdict::ok(format!(
            "good for {}",
            humantime::format_duration(Duration::from_secs(left.as_secs()))
        )),
    }
}

fn ssm_file(patient: &Patient) -> Verdict {
    let named = patient.variable("AWS_SHARED_CREDENTIALS_FILE").map(Into::into);
    let path = named.unwrap_or_else(|| patient.settings.path("/root/.aws/credentials"));
    let Ok(found) = fs::metadata(&path) else {
        return Verdict::skipped("they carry no time of expiry");
    };
    let age = found
        .modified()
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok())
        .unwrap_or_default();
    let path = path.display();
    match (age > STALE, found.mode() & 0o077 != 0) {
        (true, _) => Verdict::failure(
            format!(
                "{path} was last written {} min ago: the SSM agent should write it every 30",
                age.as_secs() / 60
            ),
            "see `systemctl status amazon-ssm-agent` and its log",
        ),
        (_, true) => Verdict::warning(
            format!("{path} may be read by other users"),
            format!("chmod 600 {path}"),
        ),
        _ => Verdict::ok(format!("the SSM agent wrote them {} min ago", age.as_secs() / 60)),
    }
}

const SERVICES: [Place; 4] = [Place::Sts, Place::S3, Place::Ecs, Place::Ecr];

/// AWS refuses signatures that are more than 15 minutes off.
const REFUSED: u64 = 900;
const NOTABLE: u64 = 60;

fn clock(patient: &Patient) -> Verdict {
    let heard =
        SERVICES.into_iter().find_map(|place| Some((place, patient.heard.knock(place)?.ahead?)));
    let Some((place, ahead)) = heard else { return Verdict::skipped("nobody told us the time") };
    let (off, side) = (ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
    let remedy = "let chrony or timesyncd use 169.254.169.123 (Amazon Time Sync); `chronyc makestep` sets it at once";
    match off {
        0..NOTABLE => Verdict::ok(format!("within a minute of {}'s", place.name())),
        NOTABLE..REFUSED => Verdict::warning(format!("{off} s {side} {}'s", place.name()), remedy),
        _ => Verdict::failure(
            format!(
                "{off} s {side} {}'s: AWS refuses signatures that are more than {REFUSED} s off",
                place.name()
            ),
            remedy,
        ),
    }
}

fn dns(patient: &Patient) -> Verdict {
    let all = [SERVICES.as_slice(), &[Place::Agent, Place::Telemetry]].concat();
    let knocks: Vec<Knock> =
        all.into_iter().filter_map(|place| patient.heard.knock(place)).collect();
    if knocks.is_empty() {
        return nowhere(patient);
    }
    let unresolved = |knock: &Knock| match &knock.name {
        Name::Unresolved(why) => Some(format!("{} ({why})", knock.host)),
        _ => None,
    };
    let lost: Vec<String> = knocks.iter().filter_map(unresolved).collect();
    if !lost.is_empty() {
        return Verdict::failure(
            format!("not resolved: {}", lost.join(", ")),
            "see /etc/resolv.conf, and enableDnsSupport and enableDnsHostnames of the VPC (AWS's resolver is 169.254.169.253)",
        );
    }
    let asked = knocks.iter().filter(|knock| matches!(knock.name, Name::Resolved(_))).count();
    let private: Vec<&str> =
        knocks.iter().filter(|knock| knock.is_private()).map(|knock| knock.host.as_str()).collect();
    match (asked, private.as_slice()) {
        (0, _) => {
            Verdict::ok("no name to look up: the endpoints are addresses, or a proxy looks them up")
        }
        (_, []) => Verdict::ok(format!("{asked} names resolved, to public addresses")),
        (_, private) => {
            Verdict::ok(format!("{asked} names resolved; VPC endpoints: {}", private.join(", ")))
        }
    }
}

fn reach(patient: &Patient, place: Place) -> Verdict {
    patient.heard.knock(place).map_or_else(|| nowhere(patient), |knock| knocked(&knock, place))
}

/// The region, and so the names of the endpoints, is metadata's to tell if no variable does.
fn nowhere(patient: &Patient) -> Verdict {
    match patient.heard.metadata.get() {
        Some(Err(_)) => Verdict::follows("imds"),
        _ => Verdict::failure(
            "nobody said in which region this host is, or not in time",
            "set AWS_REGION",
        ),
    }
}

fn knocked(knock: &Knock, place: Place) -> Verdict {
    match (&knock.answered, &knock.name) {
        (Ok(()), _) => Verdict::ok(format!(
            "{} answers{}",
            knock.host,
            if knock.is_private() { ", a VPC endpoint" } else { "" }
        )),
        (Err(_), Name::Unresolved(_)) => Verdict::follows("dns"),
        (Err(why), _) => {
            Verdict::failure(format!("{} does not: {why}", place.name()), place.remedy())
        }
    }
}

fn reach_named(patient: &Patient, place: Place) -> Verdict {
    match patient.heard.knock(place) {
        None => Verdict::failure(
            format!("ECS did not say where {} is, or it did not answer in time", place.name()),
            "see whether something other than ECS answers in its place (a proxy, AWS_ENDPOINT_URL)",
        ),
        Some(knock) => knocked(&knock, place),
    }
}

fn identity(patient: &Patient) -> Verdict {
    match patient.heard.identity.get() {
        None => Verdict::unanswered(),
        Some(Err(error)) => Verdict::failure(words(error), error.remedy()),
        Some(Ok(identity)) => Verdict::ok(format!(
            "{} on {}, account {}",
            identity.role, identity.instance_id, identity.account_id
        )),
    }
}

fn sources(patient: &Patient) -> Verdict {
    if patient.settings.config.is_empty() {
        return Verdict::skipped("no source is configured");
    }
    let Some(fetched) = patient.heard.sources.get() else { return Verdict::unanswered() };
    let wrong = fetched.iter().find_map(|fetched| source_verdict(fetched.as_ref()));
    wrong.unwrap_or_else(|| Verdict::ok(format!("{} fetched", fetched.len())))
}

fn source_verdict(fetched: Result<&Fetched, &source::Error>) -> Option<Verdict> {
    match fetched {
        Err(error) => Some(Verdict::failure(error.to_string(), error.remedy())),
        Ok(fetched) => source::content_is_no_configuration(&fetched.bytes).map(|what| {
            Verdict::failure(
                format!("{}: it is no configuration: {what}", fetched.source),
                "store an ecs.config there: lines of KEY=value",
            )
        }),
    }
}

fn permission_ecs(patient: &Patient) -> Verdict {
    match patient.heard.ecs.get() {
        None => Verdict::unanswered(),
        Some(answer) => permission(&DISCOVER_POLL_ENDPOINT, Place::Ecs, answer),
    }
}

/// Images may come from elsewhere, or with a task execution role: without this permission the host
/// is not broken.
fn permission_ecr(patient: &Patient) -> Verdict {
    let Some(answer) = patient.heard.ecr.get() else { return Verdict::unanswered() };
    match permission(&GET_AUTHORIZATION_TOKEN, Place::Ecr, answer) {
        verdict if verdict.remedy.is_some() => Verdict::warning(
            format!(
                "{}; only tasks with an execution role of their own can pull images from ECR",
                verdict.finding
            ),
            verdict.remedy.unwrap_or_default(),
        ),
        verdict => verdict,
    }
}

fn permission(action: &Action, place: Place, answer: &Result<Answer, String>) -> Verdict {
    let Action { name, .. } = action;
    match answer {
        Err(why) => Verdict::failure(format!("{name}: {why}"), place.remedy()),
        Ok(Answer { status: 200, .. }) => Verdict::ok("allowed"),
        Ok(answer) if answer.is_denied() => Verdict::failure(
            format!("{name} is denied: {}", answer.message),
            format!(
                "add {{\"Effect\": \"Allow\", \"Action\": \"{name}\", \"Resource\": \"*\"}} to the role's policy \
                 (`ecs-bootstrap role print` has all of it); if it is there, see SCPs and the VPC endpoint's policy"
            ),
        ),
        Ok(Answer { status: 429 | 500.., code, .. }) => Verdict::warning(
            format!("{} fails or asks for less traffic ({code})", place.name()),
            "try again later",
        ),
        Ok(Answer { status, code, message, .. }) => Verdict::failure(
            format!("{name}: HTTP status {status} {code} {message}"),
            "see whether something other than AWS answers there (a proxy, AWS_ENDPOINT_URL), and whether the credentials are the role's",
        ),
    }
}
