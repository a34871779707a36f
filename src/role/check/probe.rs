//! `role check` on the host itself, whose role may not read IAM: tries what the role is for, with
//! its own credentials.

use aws_credential_types::Credentials;
use ecs_config::lint::Severity;
use futures_util::future::join_all;
use tokio::time::{Duration, Instant};

use super::finding::RoleFinding;
use crate::error::{Diagnostic, ExitStatus};
use crate::install::compose;
use crate::net::Http;
use crate::net::endpoint::Service;
use crate::net::signed::{self, Action, DISCOVER_POLL_ENDPOINT, GET_AUTHORIZATION_TOKEN};
use crate::role::documents::{AGENT_POLICY, Documents, ECS_POLICY};
use crate::role::required_permissions::AGENT;
use crate::role::{Role, shell};
use crate::settings::Settings;
use crate::source::{self, Access, Source};

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Actions that do no harm, and so can be tried.
const HARMLESS: [&Action; 2] = [&DISCOVER_POLL_ENDPOINT, &GET_AUTHORIZATION_TOKEN];

/// What is refused, and what could not be tried.
pub(super) async fn probe(
    role: &Role,
    settings: &Settings,
    http: &Http,
    credentials: &Credentials,
    region: Option<String>,
    deadline: Instant,
) -> (Vec<RoleFinding>, Vec<String>) {
    let access = Access {
        http,
        aws: &settings.aws,
        credentials: Some(credentials),
        region,
        deadline: deadline.min(Instant::now() + TIMEOUT),
        cached: None,
    };
    let (unreadable, (denied, untried)) =
        tokio::join!(fetch(role, settings, &access), try_actions(role, &access, credentials));
    (denied.into_iter().chain(unreadable).collect(), untried)
}

/// The very fetch that a run would make.
async fn fetch(role: &Role, settings: &Settings, access: &Access<'_>) -> Vec<RoleFinding> {
    let sources = &settings.config;
    let (mut findings, mut fetched) = (Vec::new(), Vec::new());
    for source in sources.iter().filter(|source| source.needs_credentials()) {
        match source::fetch(source, access).await {
            Ok(layer) => fetched.push(layer),
            Err(error) => findings.push(refused_source(role, source, &error)),
        }
    }
    let mut named = compose::placeholders(settings, &fetched);
    // What is refused above is not refused a second time.
    named.retain(|it| findings.iter().all(|finding| finding.source != it.source()));
    if let Err(error) = source::fetch_secrets(named, access).await {
        findings.push(unreadable("secret-not-readable", &error, error.remedy()));
    }
    findings
}

fn refused_source(role: &Role, source: &Source, error: &source::Error) -> RoleFinding {
    let documents = Documents::of(role);
    let put = documents.inline.iter().map(|(name, document)| shell::put(role, name, document));
    let (id, fix) = match error.status() {
        ExitStatus::AccessDenied => {
            (RoleFinding::unreadable(source), shell::sequence(&put.collect::<Vec<_>>()))
        }
        ExitStatus::NotFound => ("object-missing", error.remedy()),
        _ => ("object-not-fetched", error.remedy()),
    };
    RoleFinding { source: Some(source.to_string()), ..unreadable(id, error, fix) }
}

fn unreadable(id: &'static str, error: &source::Error, fix: String) -> RoleFinding {
    let message = format!("the role's own credentials cannot read it: {error}");
    RoleFinding::new(Severity::Error, id, message, fix)
}

/// The requests that the agent would make.
async fn try_actions(
    role: &Role,
    access: &Access<'_>,
    credentials: &Credentials,
) -> (Option<RoleFinding>, Vec<String>) {
    // A custom role pulls images only if that is asked of it.
    let pulls = role.request.with_task_execution || !role.request.custom;
    let wanted = HARMLESS.into_iter().filter(|action| action.service == Service::Ecs || pulls);
    let Access { aws, http, region, .. } = access;
    let attempt = |action| signed::attempt(action, aws, region.as_deref(), credentials, http);
    let answers = wanted.map(async |action| (action, attempt(action).await));
    let (mut denied, mut untried) = (Vec::new(), Vec::new());
    for (action, answer) in join_all(answers).await {
        let why = match answer {
            Ok(answer) if answer.status == 200 => continue,
            Ok(answer) if answer.is_denied() => {
                denied.push((action, answer.message));
                continue;
            }
            Ok(answer) => {
                let name = action.service.name();
                format!("{name} answered with HTTP status {}", answer.status)
            }
            Err(why) => why,
        };
        untried.push(format!("whether it may {} ({why})", action.name));
    }
    (refused(role, &denied), untried)
}

/// One finding, for one command fixes all.
fn refused(role: &Role, denied: &[(&Action, String)]) -> Option<RoleFinding> {
    let essential = role.request.with_task_execution
        || denied.iter().any(|(action, _)| action.service == Service::Ecs);
    let severity = if essential { Severity::Error } else { Severity::Warning };
    let refusals = denied.iter().map(|(Action { name, .. }, reason)| {
        let row = AGENT.iter().find(|(action, ..)| action == name);
        let (.., consequence) = row.expect("what is tried is in the table");
        format!("{name}: {consequence} ({reason})")
    });
    let message = format!(
        "the role's own credentials are refused {}; where a policy allows it, a permissions boundary, the organisation's policies or those \
         of a VPC endpoint deny it",
        refusals.collect::<Vec<_>>().join("; ")
    );
    let documents = Documents::of(role);
    let ours = documents.inline.iter().find(|(name, _)| *name == AGENT_POLICY);
    let fix = ours.map_or_else(
        || shell::attach(role, &role.managed_policy(ECS_POLICY)),
        |(name, document)| shell::put(role, name, document),
    );
    let finding = RoleFinding::new(severity, "ecs-policy-missing", message, fix);
    (!denied.is_empty()).then_some(finding)
}
