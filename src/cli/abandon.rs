//! `ecs-bootstrap abandon`: lets Auto Scaling replace this instance, which could not be prepared.
//!
//! A command of its own, not a flag of `run`: only the unit knows when no further try is on its way.

use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Call, block_on};
use super::flags;
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files::HostFiles;
use crate::identity::{self, Clients, HostFacts, HostKind};
use crate::net::NetworkError;
use crate::net::backoff::{FailedAttempt, Next, retry};
use crate::net::endpoint::Service;
use crate::net::signed::{self, Action, COMPLETE_LIFECYCLE_ACTION, Caller, SET_INSTANCE_HEALTH};
use crate::report::{Outcome, Report, Results, Timeline};
use crate::role;
use crate::settings::{ABANDON, Settings};
use crate::source::policy;

#[derive(clap::Args, Debug)]
#[command(args = flags::of(ABANDON))]
pub(crate) struct AbandonArgs {
    /// End the launch by this lifecycle hook (ABANDON), instead of marking the instance unhealthy
    #[arg(long, value_name = "NAME", requires = "group")]
    hook: Option<String>,
    /// The Auto Scaling group of the hook
    #[arg(long, value_name = "NAME", requires = "hook")]
    group: Option<String>,
}

/// Why Auto Scaling does not know of the failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AbandonError {
    #[error("this is an external host, which no Auto Scaling group has")]
    External,
    #[error(
        "Auto Scaling refused {action}: {message}; this statement would have allowed it: {statement}"
    )]
    Denied { action: &'static str, message: String, statement: String },
    #[error("Auto Scaling did not take {action}: {code}: {message}")]
    Refused { action: &'static str, code: String, message: String },
    #[error("telling Auto Scaling: {0}")]
    Network(#[from] NetworkError),
}

impl Diagnostic for AbandonError {
    fn step(&self) -> Step {
        Step::Abandon
    }

    fn status(&self) -> ExitStatus {
        match self {
            AbandonError::External => ExitStatus::Settings,
            AbandonError::Denied { .. } => ExitStatus::AccessDenied,
            AbandonError::Refused { .. } => ExitStatus::NotFound,
            AbandonError::Network(error) => error.status(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            AbandonError::External => "run it on an EC2 instance".into(),
            AbandonError::Denied { .. } => "add the statement to the role's policy (`ecs-bootstrap role print --lifecycle`); if it is there, \
                 see SCPs and the VPC endpoint's policy"
                .into(),
            AbandonError::Refused { .. } => "check that the instance is in an Auto Scaling group and, with --hook, that the names are right \
                 and the instance is still in Pending:Wait"
                .into(),
            AbandonError::Network(error) => error.remedy(Service::AutoScaling),
        }
    }
}

pub(crate) fn run(call: &Call<'_>, args: &AbandonArgs) -> u8 {
    let report = call.settings().and_then(|settings| block_on(abandon(call, args, &settings)));
    call.print_result("abandon", report)
}

async fn abandon(call: &Call<'_>, args: &AbandonArgs, settings: &Settings) -> Report {
    let (timeline, mut results) = (Timeline::start(), Results::default());
    let deadline = Instant::now() + settings.timeout;
    let ended = async {
        let files = HostFiles::read(&settings.root);
        let clients = Clients::new(settings, &files, call.environment.variables(), deadline)?;
        if clients.source.kind() == HostKind::External {
            return Err(AbandonError::External.into());
        }
        let facts = clients.source.facts(None, &|_| {}).await?;
        let region = settings.aws.region.as_deref().or(facts.reported.region.as_deref());
        results.host = Some(facts.unproven(region, None));
        let region = region.ok_or(identity::Error::NoRegion)?;
        let caller = Caller {
            aws: &settings.aws,
            region,
            credentials: &facts.credentials,
            http: &clients.http,
            time: SystemTime::now(),
        };
        let (action, body) = request(args, &facts);
        let group = args.group.as_deref().unwrap_or("*");
        let resource =
            role::auto_scaling_group(region, facts.reported.account_id.as_deref(), group);
        let told = retry(deadline, async |_| tell(action, &body, &resource, &caller).await);
        told.await.0.map_err(|failed| failed.error)?;
        Ok(Outcome::Abandoned)
    };
    let ended = ended.await;
    Report::new("abandon", timeline, results, ended)
}

/// The grace period would make the first of these calls void for a host that fails right after its
/// launch. <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceHealth.html>
fn request(args: &AbandonArgs, facts: &HostFacts) -> (&'static Action, Value) {
    let instance = &facts.reported.instance_id;
    match (&args.hook, &args.group) {
        (Some(hook), Some(group)) => (
            &COMPLETE_LIFECYCLE_ACTION,
            json!({
                "AutoScalingGroupName": group,
                "LifecycleHookName": hook,
                "InstanceId": instance,
                "LifecycleActionResult": "ABANDON",
            }),
        ),
        _ => (
            &SET_INSTANCE_HEALTH,
            json!({
                "InstanceId": instance,
                "HealthStatus": "Unhealthy",
                "ShouldRespectGracePeriod": "false",
            }),
        ),
    }
}

async fn tell(
    action: &Action,
    body: &Value,
    resource: &str,
    caller: &Caller<'_>,
) -> Result<(), FailedAttempt<AbandonError>> {
    let answer = signed::call(action, body, caller).await?;
    let is_foreign = action.is_foreign(&answer);
    if answer.status == 200 && !is_foreign {
        return Ok(());
    }
    let foreign = || is_foreign.then_some(NetworkError::Unexpected(answer.status));
    if let Some(error) = NetworkError::of_answer(answer.status, &answer.code).or_else(foreign) {
        return Err(FailedAttempt::last(error.into()).then(Next::Wait));
    }
    let (name, message) = (action.name, answer.message.clone());
    Err(FailedAttempt::last(match answer.is_denied() {
        true => {
            let statement = policy::statement(name, resource);
            AbandonError::Denied { action: name, message, statement }
        }
        false => AbandonError::Refused { action: name, code: answer.code, message },
    }))
}

#[cfg(test)]
impl AbandonError {
    /// One of each, for the test over all errors.
    pub(crate) fn examples() -> Vec<(ExitStatus, Self)> {
        use crate::error::tests::{examples, network};
        let action = "autoscaling:SetInstanceHealth";
        let statement =
            policy::statement(action, &role::auto_scaling_group("eu-west-1", None, "*"));
        let networks =
            |status| network::network_with(status).map(AbandonError::Network).collect::<Vec<_>>();
        examples!(AbandonError {
            AbandonError::External => Settings [AbandonError::External],
            AbandonError::Denied { .. } => AccessDenied [
                AbandonError::Denied { action, message: "no policy allows it".into(), statement },
            ],
            AbandonError::Refused { .. } => NotFound [AbandonError::Refused {
                action,
                code: "ValidationError".into(),
                message: "no managed instance found".into(),
            }],
            AbandonError::Network(NetworkError::Unusable(_)) => Settings
                networks(ExitStatus::Settings),
            AbandonError::Network(NetworkError::ClockSkew { .. }) => AccessDenied
                networks(ExitStatus::AccessDenied),
            AbandonError::Network(_) => SourceUnreachable networks(ExitStatus::SourceUnreachable),
        })
    }
}
