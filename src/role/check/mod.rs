//! `role check`: who asks, what IAM shows of the role, or, where it shows nothing, what the role
//! can do; and what is wrong with that.
//!
//! ```text
//! iam ─► snapshot ─► evaluation, trust, excess_permissions ─► findings      (pure but for `iam`, which
//!                      (policy, condition, pattern)   remediation            only reads, and `probe`)
//! ```

mod condition;
mod evaluation;
mod excess_permissions;
mod finding;
pub(crate) mod iam;
mod pattern;
mod policy;
mod probe;
mod remediation;
mod snapshot;
mod trust;

use ecs_config::lint::Severity;
use ecs_config::text::plural;
use finding::RoleFinding;
use iam::{Caller, IamReader};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{Role, RoleRequest, shell};
use crate::error::{Error, ExitStatus};
use crate::net::Http;
use crate::settings::Settings;

/// What no permission of the role's owner shows.
const NEVER_SEEN: &str = "policies of the bucket, the KMS key, VPC endpoints and the organisation";

/// What was found.
pub(crate) struct CheckReport {
    role: String,
    /// Who asked: an ARN.
    caller: String,
    findings: Vec<RoleFinding>,
    /// What could not be seen, and so may be wrong.
    unseen: Vec<String>,
}

impl CheckReport {
    /// 70 if anything is wrong; what is merely too much is not.
    pub(crate) fn status(&self) -> u8 {
        let wrong = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        if wrong { ExitStatus::Findings.code() } else { 0 }
    }

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

    /// For people: each finding with the command that fixes it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for RoleFinding { severity, id, message, fix, .. } in &self.findings {
            text += &format!("{}: {id}: {message}\n", severity.word());
            text.extend(fix.lines().map(|line| format!("    {line}\n")));
        }
        text.extend(self.unseen.iter().map(|what| format!("not seen: {what}\n")));
        let sums = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| {
            let same = self.findings.iter().filter(|finding| finding.severity == severity);
            plural(same.count(), severity.word())
        });
        format!("{text}role {}: {}\n", self.role, sums.join(", "))
    }
}

/// Checks the role that was asked for, by `name` or by the credentials, until the settings'
/// timeout.
pub(crate) async fn check(
    request: RoleRequest,
    name: Option<String>,
    settings: &Settings,
    http: &Http,
) -> Result<CheckReport, Error> {
    let deadline = Instant::now() + settings.timeout;
    let environment_region = settings.aws.region.as_deref();
    let region = request.region.clone().or_else(|| settings.aws.region.clone());
    let read = async {
        let reader = IamReader::open(http, region.as_deref()).await?;
        let caller = reader.caller().await?;
        let (request, name) = completed(request, name, &caller);
        let role = Role::new(request, name, &settings.config, environment_region)?;
        let shown = reader.look_up(&role).await;
        Ok::<_, Error>((reader, caller, role, shown))
    };
    let (reader, caller, role, shown) =
        timeout_at(deadline, read).await.map_err(|_| iam::Error::Timeout(settings.timeout))??;
    let (findings, unseen) = match shown {
        Ok(snapshot) => {
            let findings = evaluation::findings(&role, &snapshot);
            (findings, [snapshot.unseen, vec![NEVER_SEEN.to_owned()]].concat())
        }
        Err(refusal) if refusal.is_absent() => (vec![evaluation::absent(&role)], Vec::new()),
        Err(error) if !error.is_forbidden() => return Err(error.into()),
        Err(_) if caller.session().is_some_and(|(name, _)| name == role.name) => {
            let (findings, untried) =
                probe::probe(&role, settings, http, &reader.credentials, region, deadline).await;
            let unread = format!(
                "its trust, its policies and its instance profile (iam:GetRole is not allowed to {})",
                caller.arn
            );
            (findings, std::iter::once(unread).chain(untried).collect())
        }
        Err(_) => (vec![not_seen(&role, &caller)], Vec::new()),
    };
    Ok(CheckReport { role: role.name, caller: caller.arn, findings, unseen })
}

/// What was not typed, as far as the credentials tell it.
fn completed(
    request: RoleRequest,
    name: Option<String>,
    caller: &Caller,
) -> (RoleRequest, Option<String>) {
    let own = caller.host();
    let partition = request.region.is_none().then(|| caller.partition().to_owned());
    let request = RoleRequest {
        host: request.host.or(own.map(|(_, host)| host)),
        partition: request.partition.or(partition),
        ..request
    };
    (request, name.or_else(|| own.map(|(role, _)| role.to_owned())))
}

/// Nothing was seen at all: that does not mean that nothing is wrong.
fn not_seen(role: &Role, caller: &Caller) -> RoleFinding {
    let read = role.managed_policy("IAMReadOnlyAccess");
    let attach = |kind: &str, name: &str| {
        let options = [(&*format!("{kind}-name"), name), ("policy-arn", &read)];
        shell::iam(role, &format!("attach-{kind}-policy"), &options)
    };
    let who = caller.arn.rsplit(':').next().unwrap_or_default();
    let fix = match (who.strip_prefix("user/"), caller.session()) {
        (Some(user), _) => attach("user", user.rsplit('/').next().unwrap_or(user)),
        (None, Some((name, _))) => attach("role", name),
        (None, None) => String::new(),
    };
    let message = format!(
        "the role {} could not be read: {} is not allowed iam:GetRole, and its credentials are not the role's",
        role.name, caller.arn
    );
    RoleFinding::new(Severity::Error, "not-seen", message, fix)
}
