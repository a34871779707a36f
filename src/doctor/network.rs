//! Role, clock, names, endpoints, identity and permissions: what it takes to work at AWS.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::Target;
use super::check::{
    Check, Found, Outcome, Verdict, answered, check, consequence_of, failed, failure, ok, skipped,
    warning,
};
use crate::error::{Diagnostic, ExitStatus};
use crate::identity::{HostFacts, Identity};
use crate::net::endpoint::{ProbeResult, Resolution, SERVICES, Service};
use crate::net::signed::{Action, Answer, DISCOVER_POLL_ENDPOINT, GET_AUTHORIZATION_TOKEN};
use crate::net::vars;
use crate::paths::SSM_CREDENTIALS;
use crate::settings::Sts;
use crate::source;

pub(super) const CHECKS: &[Check] = &[
    check("role", "the role of this host, and whether there are credentials for it", check_role)
        .needs(&["environment", "host-kind", "imds"]),
    check("credentials", "how long the credentials are valid", check_credentials).needs(&["role"]),
    check("clock", "this host's clock against the Date of AWS's answers", check_clock)
        .needs(&["environment"]),
    check("dns", "the names of AWS's endpoints", check_dns).needs(&["environment"]),
    check("reach-sts", "any answer from STS", check_sts).needs(&["environment"]),
    check("reach-s3", "any answer from S3", |target| check_reach(target, Service::S3))
        .needs(&["environment"]),
    check("reach-ecs", "any answer from ECS", |target| check_reach(target, Service::Ecs))
        .needs(&["environment"]),
    check("reach-ecr", "any answer from ECR", |target| check_reach(target, Service::Ecr))
        .needs(&["environment"]),
    check("identity", "what STS answers, and expect_role and expect_account", check_identity)
        .needs(&["role", "reach-sts", "clock"]),
    check("sources", "every source, fetched as `run` would", check_sources)
        .needs(&["settings", "role", "reach-s3", "clock"]),
    check("permission-ecs", "ecs:DiscoverPollEndpoint, by trying it", check_ecs_permission)
        .needs(&["role", "reach-ecs", "clock"]),
    check("permission-ecr", "ecr:GetAuthorizationToken, by trying it", check_ecr_permission)
        .needs(&["role", "reach-ecr", "clock"]),
    check("reach-agent", "where the agent connects", |target| {
        check_reach(target, Service::EcsAgent)
    })
    .needs(&["permission-ecs"]),
    check("reach-telemetry", "where metrics go", |target| {
        check_reach(target, Service::EcsTelemetry)
    })
    .needs(&["permission-ecs"]),
];

fn check_role(target: &Target) -> Found {
    match answered(&target.observed.facts)? {
        Err(error) => failed(error),
        Ok(HostFacts { reported: Identity { role, instance_id, .. }, .. }) => ok(match role {
            Some(role) => format!("{role}, with credentials, on {instance_id}"),
            None => format!("credentials of the SSM agent for {instance_id}"),
        }),
    }
}

/// IMDS has new credentials at least five minutes before the old ones expire; the SSM agent
/// rotates every 30 minutes.
const SOON: Duration = Duration::from_secs(300);
const MAX_SSM_AGE: Duration = Duration::from_secs(3600);

fn check_credentials(target: &Target) -> Found {
    let facts = answered(&target.observed.facts)?.as_ref().or_else(failed)?;
    let Some(expiry) = facts.credentials.expiry() else { return ssm_file(target) };
    let remedy = "compare this host's clock with the true time; if it is right, the metadata service does not renew them: stop and start the instance";
    let left = |left: Duration| humantime::format_duration(Duration::from_secs(left.as_secs()));
    match expiry.duration_since(SystemTime::now()) {
        Err(_) => failure("they have expired", remedy),
        Ok(time) if time < SOON => warning(
            format!("they expire in {}, and metadata has no newer ones", left(time)),
            remedy,
        ),
        Ok(time) => ok(format!("valid for {}", left(time))),
    }
}

fn ssm_file(target: &Target) -> Found {
    let named = vars(&target.variables).remove("AWS_SHARED_CREDENTIALS_FILE").map(Into::into);
    let path = named.unwrap_or_else(|| target.path(SSM_CREDENTIALS));
    let Ok(found) = fs::metadata(&path) else {
        return skipped("they carry no time of expiry");
    };
    let age = found.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
    let (path, minutes) = (path.display(), age.as_secs() / 60);
    if age > MAX_SSM_AGE {
        return failure(
            format!(
                "{path} was last written {minutes} min ago: the SSM agent should write it every 30"
            ),
            "see `systemctl status amazon-ssm-agent` and its log",
        );
    }
    if found.mode() & 0o077 != 0 {
        return warning(format!("{path} can be read by other users"), format!("chmod 600 {path}"));
    }
    ok(format!("the SSM agent wrote them {minutes} min ago"))
}

/// AWS refuses signatures that are more than 15 minutes off, in seconds.
const REFUSED: u64 = 900;
const NOTABLE: u64 = 60;

fn check_clock(target: &Target) -> Found {
    let answers = SERVICES
        .into_iter()
        .find_map(|service| Some((service.name(), target.observed.endpoint(service)?.ahead?)));
    let Some((name, ahead)) = answers else { return skipped("no server sent its time") };
    let (off, side) = (ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
    let remedy = "let chrony or timesyncd use 169.254.169.123 (Amazon Time Sync); `chronyc makestep` sets the clock at once";
    match off {
        0..NOTABLE => ok(format!("within a minute of {name}'s")),
        NOTABLE..REFUSED => warning(format!("{off} s {side} {name}'s"), remedy),
        _ => failure(
            format!(
                "{off} s {side} {name}'s: AWS refuses signatures that are more than {REFUSED} s off"
            ),
            remedy,
        ),
    }
}

fn check_dns(target: &Target) -> Found {
    let services = SERVICES.into_iter().chain([Service::EcsAgent, Service::EcsTelemetry]);
    let endpoints: Vec<&ProbeResult> =
        services.filter_map(|service| target.observed.endpoint(service)).collect();
    if endpoints.is_empty() {
        return unknown_region(target);
    }
    let unresolved = |endpoint: &ProbeResult| match &endpoint.name {
        Resolution::Unresolved(why) => Some(format!("{} ({why})", endpoint.host)),
        _ => None,
    };
    let failed: Vec<String> = endpoints.iter().copied().filter_map(unresolved).collect();
    if !failed.is_empty() {
        let verdict = failure(
            format!("not resolved: {}", failed.join(", ")),
            "see /etc/resolv.conf, and enableDnsSupport and enableDnsHostnames of the VPC (AWS's resolver is 169.254.169.253)",
        );
        let sts = target.observed.endpoint(Service::Sts);
        let is_sts_alone = failed.len() == 1 && sts.and_then(unresolved).is_some();
        return if is_sts_alone { without_sts(target, verdict) } else { verdict };
    }
    let is_resolved = |it: &&&ProbeResult| matches!(it.name, Resolution::Resolved(_));
    let private = endpoints.iter().filter(|it| it.is_private());
    let private: Vec<&str> = private.map(|it| it.host.as_str()).collect();
    match (endpoints.iter().filter(is_resolved).count(), &private[..]) {
        (0, _) => ok("no name to look up: the endpoints are addresses, or a proxy looks them up"),
        (count, []) => ok(format!("{count} names resolved, to public addresses")),
        (count, _) => ok(format!("{count} names resolved; VPC endpoints: {}", private.join(", "))),
    }
}

fn check_sts(target: &Target) -> Found {
    match target.settings.sts() {
        Sts::Skip => skipped(NOT_ASKED),
        _ => without_sts(target, check_reach(target, Service::Sts)),
    }
}

const NOT_ASKED: &str = "STS is not asked, as `sts` is set";

/// Where S3 can take STS's place, its absence costs a boot two seconds.
fn without_sts(target: &Target, found: Found) -> Found {
    found.map_err(|verdict| {
        if target.settings.sts() != Sts::Auto || verdict.outcome != Outcome::Failure {
            return verdict;
        }
        let verdict = verdict.softened(
            "`run` waits 2 s for STS and then takes it for enough that S3 accepts the credentials",
        );
        let remedy = verdict.remedy.map(|remedy| format!("{remedy}; or set sts = \"skip\""));
        Verdict { remedy, ..verdict }
    })
}

fn check_reach(target: &Target, service: Service) -> Found {
    let Some(endpoint) = target.observed.endpoint(service) else {
        return without_address(target, service);
    };
    let of_vpc = if endpoint.is_private() { ", a VPC endpoint" } else { "" };
    match (&endpoint.answered, &endpoint.name) {
        (Ok(()), _) => ok(format!("{} answers{of_vpc}", endpoint.host)),
        (Err(_), Resolution::Unresolved(_)) => consequence_of("dns"),
        (Err(why), _) => {
            failure(format!("{} does not answer: {why}", service.name()), service.remedy())
        }
    }
}

fn without_address(target: &Target, service: Service) -> Found {
    if matches!(service, Service::EcsAgent | Service::EcsTelemetry) {
        return failure(
            format!("ECS did not name {}, or it did not answer in time", service.name()),
            "check whether something other than ECS answers in its service (a proxy, AWS_ENDPOINT_URL)",
        );
    }
    let is_located = SERVICES.into_iter().any(|other| target.observed.endpoint(other).is_some());
    if is_located && service == Service::S3 && target.settings.aws.use_fips {
        return failure("S3 has no FIPS endpoint in China", "unset AWS_USE_FIPS_ENDPOINT");
    }
    unknown_region(target)
}

/// The region, and so the names of the endpoints, come from metadata if no variable has them.
fn unknown_region(target: &Target) -> Found {
    match target.observed.imds.get() {
        Some(Err(_)) => consequence_of("imds"),
        _ => failure("the region of this host is unknown, or came too late", "set AWS_REGION"),
    }
}

fn check_identity(target: &Target) -> Found {
    if target.settings.sts() == Sts::Skip {
        return skipped(NOT_ASKED);
    }
    let is_away = target.observed.endpoint(Service::Sts).is_some_and(|it| it.answered.is_err());
    match answered(&target.observed.identity) {
        // `reach-sts` is a mere warning then, and has said it.
        Err(_) if is_away => consequence_of("reach-sts"),
        Err(unanswered) => Err(unanswered),
        Ok(Err(error)) if error.status() == ExitStatus::SourceUnreachable => match is_away {
            true => consequence_of("reach-sts"),
            false => without_sts(target, failed(error)),
        },
        Ok(Err(error)) => failed(error),
        Ok(Ok(Identity { role, instance_id, account_id, .. })) => {
            let known = |text: &Option<String>| text.clone().unwrap_or_default();
            ok(format!("{} on {instance_id}, account {}", known(role), known(account_id)))
        }
    }
}

fn check_sources(target: &Target) -> Found {
    if target.settings.config.is_empty() {
        return skipped("no source is configured");
    }
    let sources = answered(&target.observed.sources)?;
    for fetched in sources {
        let fetched = fetched.as_ref().or_else(failed)?;
        if let Some(what) = source::not_a_configuration(&fetched.bytes) {
            return failure(
                format!("{}: not a configuration: {what}", fetched.layer.source),
                "store an ecs.config there: lines of KEY=value",
            );
        }
    }
    ok(format!("{} fetched", sources.len()))
}

fn check_ecs_permission(target: &Target) -> Found {
    permission(&DISCOVER_POLL_ENDPOINT, answered(&target.observed.ecs)?)
}

/// Images may come from elsewhere, or with a task execution role: a host without this permission
/// still works.
fn check_ecr_permission(target: &Target) -> Found {
    let answer = answered(&target.observed.ecr)?;
    permission(&GET_AUTHORIZATION_TOKEN, answer).map_err(|verdict| {
        verdict.softened("only tasks with an execution role of their own can pull images from ECR")
    })
}

fn permission(Action { name, service, .. }: &Action, answer: &Result<Answer, String>) -> Found {
    match answer {
        Err(why) => failure(format!("{name}: {why}"), service.remedy()),
        Ok(Answer { status: 200, .. }) => ok("allowed"),
        Ok(answer) if answer.is_denied() => failure(
            format!("{name} is denied: {}", answer.message),
            format!(
                "add {{\"Effect\": \"Allow\", \"Action\": \"{name}\", \"Resource\": \"*\"}} to the role's policy \
                 (`ecs-bootstrap role print` has all of it); if it is there, see SCPs and the VPC endpoint's policy"
            ),
        ),
        Ok(Answer { status: 429 | 500.., code, .. }) => warning(
            format!("{} fails or asks for less traffic ({code})", service.name()),
            "try again later",
        ),
        Ok(Answer { status, code, message, .. }) => failure(
            format!("{name}: HTTP status {status} {code} {message}"),
            "check whether something other than AWS answers there (a proxy, AWS_ENDPOINT_URL), and whether the credentials are the role's",
        ),
    }
}
