//! `role check` as a whole: whose credentials these are, what IAM shows of the role, or, where it
//! shows nothing, what the role can do.

use ecs_config::text::plural;
use serde_json::json;
use tokio::time::{Duration, Instant};

use super::documents::{AGENT_POLICY, ECS_POLICY};
use super::finding::{Finding, Severity};
use super::iam::{self, Caller, Eyes, Look};
use super::{Documents, Role, Wish, check, shell};
use crate::error::ExitStatus;
use crate::net::Http;
use crate::net::aws::{Aws, Service};
use crate::net::endpoint::{self, Place};
use crate::net::signed::{self, Action, DISCOVER_POLL_ENDPOINT, GET_AUTHORIZATION_TOKEN};
use crate::source::{self, Access, Source};

/// How long one probe may take.
const PROBE: Duration = Duration::from_secs(10);

/// What came of it.
pub(crate) struct Inquiry {
    pub(crate) role: String,
    /// Who asked.
    pub(crate) caller: String,
    pub(crate) findings: Vec<Finding>,
    /// What could not be seen, and so is not vouched for.
    pub(crate) unseen: Vec<String>,
}

impl Inquiry {
    /// 70 if anything is wrong; what is merely too much is not.
    pub(crate) fn status(&self) -> u8 {
        let wrong = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        if wrong { ExitStatus::Findings.code() } else { 0 }
    }

    /// The report's head, and what was found.
    pub(crate) fn json(&self) -> String {
        let report = json!({
            "schema": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "command": "role check",
            "outcome": if self.status() == 0 { "ok" } else { ExitStatus::Findings.name() },
            "exit_status": self.status(),
            "role": self.role,
            "checked_as": self.caller,
            "findings": self.findings,
            "not_seen": self.unseen,
            "error": null,
        });
        format!("{report:#}\n")
    }

    /// For people: each finding with the command that mends it.
    pub(crate) fn text(&self) -> String {
        let findings = self.findings.iter().map(|finding| {
            let fix = finding.fix.lines().map(|line| format!("    {line}\n")).collect::<String>();
            format!("{}: {}: {}\n{fix}", finding.severity.name(), finding.id, finding.message)
        });
        let unseen = self.unseen.iter().map(|what| format!("not seen: {what}\n"));
        let sums = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| {
            let count = self.findings.iter().filter(|finding| finding.severity == severity).count();
            count(count, severity.name())
        });
        format!(
            "{}{}role {}: {}\n",
            findings.collect::<String>(),
            unseen.collect::<String>(),
            self.role,
            sums.join(", ")
        )
    }
}

/// What nothing that the role's owner may read can tell.
const NEVER_SEEN: &str = "policies of the bucket, the KMS key, VPC endpoints and the organisation";

pub(crate) async fn inquire(
    wish: Wish,
    kind_given: bool,
    http: &Http,
    aws: &Aws,
    deadline: Instant,
) -> Result<Inquiry, iam::Error> {
    let region = wish.region.clone().or_else(|| aws.region.clone());
    let eyes = iam::within(deadline, Eyes::open(http, region.as_deref())).await?;
    let caller = iam::within(deadline, eyes.caller()).await?;
    let sources = wish.sources.clone();
    let role = Role::new(filled(wish, kind_given, &caller))?;
    let look = iam::within(deadline, eyes.look(&role)).await?;
    let never = NEVER_SEEN.to_owned();
    let (findings, unseen) = match look {
        Look::Absent => (check::absent(&role), Vec::new()),
        Look::Seen { seen, unseen } => {
            (check::findings(&role, &seen), unseen.into_iter().chain([never]).collect())
        }
        Look::Forbidden if caller.session().is_some_and(|(name, _)| name == role.name) => {
            let access = Access {
                http,
                aws,
                credentials: Some(&eyes.credentials),
                region,
                deadline: deadline.min(Instant::now() + PROBE),
                held: None,
            };
            let blind = format!(
                "its trust, its policies and its instance profile (iam:GetRole is not allowed to {})",
                caller.arn
            );
            let (fetched, (denied, untried)) =
                tokio::join!(probe(&role, &sources, &access), try_actions(&role, &access));
            (
                denied.into_iter().chain(fetched).collect(),
                std::iter::once(blind).chain(untried).collect(),
            )
        }
        Look::Forbidden => (vec![blind(&role, &caller)], Vec::new()),
    };
    Ok(Inquiry { role: role.name, caller: caller.arn, findings, unseen })
}

/// What was not typed and the credentials tell.
fn filled(wish: Wish, kind_given: bool, caller: &Caller) -> Wish {
    let host = caller.host();
    let kind = host.filter(|_| !kind_given).map_or(wish.kind, |(_, kind)| kind);
    let name = wish.name.or_else(|| host.map(|(role, _)| role.to_owned()));
    let partition = wish
        .partition
        .or_else(|| Some(caller.partition().to_owned()).filter(|_| wish.region.is_none()));
    Wish { kind, name, partition, ..wish }
}

/// On the host itself: the very fetch that a run would make, with the role's own credentials.
async fn probe(role: &Role, sources: &[Source], access: &Access<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.needs_credentials()) {
        if let Err(error) = source::fetch(source, access).await {
            findings.push(unread(role, source, &error));
        }
    }
    findings
}

/// Actions that do no harm, and so can be tried: what is done, where, and what fails without it.
const TRIED: [(&Action, Place, Service, &str); 2] = [
    (
        &DISCOVER_POLL_ENDPOINT,
        Place::Ecs,
        Service::Ecs,
        "the agent does not learn where ECS talks to it",
    ),
    (
        &GET_AUTHORIZATION_TOKEN,
        Place::Ecr,
        Service::Ecr,
        "tasks without an execution role cannot pull images from Amazon ECR",
    ),
];

/// On the host itself: the requests that the agent would make. Gives what is denied, and what could
/// not be tried.
async fn try_actions(role: &Role, access: &Access<'_>) -> (Option<Finding>, Vec<String>) {
    // A custom role pulls images only if that is asked of it.
    let wanted = TRIED
        .iter()
        .filter(|(_, place, ..)| *place == Place::Ecs || role.task_execution || !role.custom);
    let answers = wanted.map(async |tried| (tried, attempt(tried, access).await));
    let (mut denied, mut untried) = (Vec::new(), Vec::new());
    for ((action, place, _, consequence), answer) in futures_util::future::join_all(answers).await {
        match answer {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) if answer.is_denied() => denied
                .push((*place, format!("{}: {consequence} ({})", action.name, answer.message))),
            Ok(answer) => untried.push(format!(
                "whether it may {} ({} says HTTP status {})",
                action.name,
                place.name(),
                answer.status
            )),
            Err(why) => untried.push(format!("whether it may {} ({why})", action.name)),
        }
    }
    (refused(role, denied), untried)
}

async fn attempt(
    (action, place, service, _): &(&Action, Place, Service, &str),
    access: &Access<'_>,
) -> Result<signed::Answer, String> {
    let (Some(region), Some(credentials)) = (access.region.as_deref(), access.credentials) else {
        return Err("no region is known: name it with --region".into());
    };
    let url =
        endpoint::url(*place, *service, access.aws, Some(region)).ok_or("no endpoint is known")?;
    signed::attempt(action, &url, region, credentials, access.http).await
}

/// One finding, for one command mends all.
fn refused(role: &Role, denied: Vec<(Place, String)>) -> Option<Finding> {
    let vital = role.task_execution || denied.iter().any(|(place, _)| *place == Place::Ecs);
    let severity = if vital { Severity::Error } else { Severity::Warning };
    let all: Vec<String> = denied.into_iter().map(|(_, words)| words).collect();
    let message = format!(
        "the role's own credentials are refused {}; where a policy allows it, a permissions boundary, the organisation's policies or those \
         of a VPC endpoint take it away",
        all.join("; ")
    );
    let documents = Documents::of(role);
    let ours = documents.inline.iter().find(|(name, _)| *name == AGENT_POLICY);
    let fix = ours.map_or_else(
        || shell::attach(role, &role.managed(ECS_POLICY)),
        |(name, document)| shell::put(role, name, document),
    );
    (!all.is_empty()).then(|| Finding::new(severity, "ecs-policy-missing", message, fix))
}

fn unread(role: &Role, source: &Source, error: &source::Error) -> Finding {
    let documents = Documents::of(role);
    let put: Vec<String> =
        documents.inline.iter().map(|(name, document)| shell::put(role, name, document)).collect();
    let (id, fix) = match error.status() {
        ExitStatus::AccessDenied => ("object-not-readable", shell::all(&put)),
        ExitStatus::NotFound => ("object-missing", error.remedy()),
        _ => ("object-not-fetched", error.remedy()),
    };
    Finding::new(
        Severity::Error,
        id,
        format!("the role's own credentials do not get it: {error}"),
        fix,
    )
    .about(&source.to_string())
}

/// Nothing was seen at all: that is no clean bill.
fn blind(role: &Role, caller: &Caller) -> Finding {
    let read = role.managed("IAMReadOnlyAccess");
    let who = caller.arn.rsplit(':').next().unwrap_or_default();
    let fix = match (who.strip_prefix("user/"), caller.session()) {
        (Some(user), _) => shell::iam(
            role,
            "attach-user-policy",
            &[("user-name", user.rsplit('/').next().unwrap_or(user)), ("policy-arn", &read)],
        ),
        (None, Some((name, _))) => {
            shell::iam(role, "attach-role-policy", &[("role-name", name), ("policy-arn", &read)])
        }
        (None, None) => String::new(),
    };
    let message = format!(
        "nothing could be seen of role {}: {} is not allowed iam:GetRole, and its credentials are not the role's",
        role.name, caller.arn
    );
    Finding::new(Severity::Error, "not-seen", message, fix)
}
