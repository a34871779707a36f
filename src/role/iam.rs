//! Looks at a role through IAM, with whatever credentials the AWS SDK's chain finds. Only reads.

use std::error::Error as StdError;
use std::future::Future;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_iam::Client;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::needs::{self, Need};
use super::seen::{Seen, SeenPolicy, Simulated};
use super::{Kind, Role};
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::{self, Http};

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no AWS credentials were found")]
    NoCredentials(#[source] CredentialsError),
    #[error("{action} is refused: {code}: {message}")]
    Refused { action: &'static str, code: String, message: String },
    #[error("{action}: no answer")]
    NoAnswer {
        action: &'static str,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("what {action} answered cannot be read: {why}")]
    Strange { action: &'static str, why: String },
    #[error("no answer within {0}")]
    Deadline(String),
    #[error(transparent)]
    Wish(#[from] super::Error),
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Role
    }

    fn status(&self) -> ExitStatus {
        match self {
            Error::NoCredentials(_) | Error::Refused { .. } => ExitStatus::NoRole,
            Error::NoAnswer { .. } | Error::Strange { .. } | Error::Deadline(_) => {
                ExitStatus::SourceUnreachable
            }
            Error::Wish(error) => error.status(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Error::NoCredentials(_) => {
                "sign in (`aws sso login`, `aws configure`) or set AWS_PROFILE; `aws sts get-caller-identity` shows who you are".into()
            }
            Error::Refused { .. } => "renew the credentials: `aws sts get-caller-identity` shows whether AWS takes them".into(),
            Error::Wish(error) => error.remedy(),
            _ => "look whether sts and iam endpoints can be reached from here (proxy, VPC endpoint, AWS_ENDPOINT_URL)".into(),
        }
    }
}

/// Whose credentials they are.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) arn: String,
}

impl Caller {
    fn part(&self, at: usize) -> &str {
        self.arn.split(':').nth(at).unwrap_or_default()
    }

    pub(crate) fn partition(&self) -> &str {
        self.part(1)
    }

    /// The role and the name of the session: of an assumed role's `assumed-role/ROLE/SESSION`.
    pub(crate) fn session(&self) -> Option<(&str, &str)> {
        self.part(5).strip_prefix("assumed-role/")?.split_once('/')
    }

    /// The session of a host is named after it.
    pub(crate) fn host(&self) -> Option<(&str, Kind)> {
        let (role, session) = self.session()?;
        let kinds = [("i-", Kind::Ec2), ("mi-", Kind::External)];
        kinds.iter().find(|(start, _)| session.starts_with(start)).map(|(_, kind)| (role, *kind))
    }
}

/// What there was to see.
pub(crate) enum Look {
    Seen {
        seen: Box<Seen>,
        unseen: Vec<String>,
    },
    Absent,
    /// iam:GetRole is not allowed to these credentials.
    Forbidden,
}

/// Credentials, and where they are asked.
pub(crate) struct Eyes {
    config: SdkConfig,
    pub(crate) credentials: Credentials,
}

impl Eyes {
    /// Finds credentials as the AWS SDKs do. The metadata service is asked for them last, and never
    /// for a region.
    pub(crate) async fn open(http: &Http, region: Option<&str>) -> Result<Eyes, Error> {
        let given =
            RegionProviderChain::first_try(region.map(|region| Region::new(region.to_owned())));
        let region =
            given.or_else(ProfileFileRegionProvider::new()).or_else("us-east-1").region().await;
        let provider = ProviderConfig::without_region()
            .with_http_client(http.for_sdk())
            .with_sleep_impl(TokioSleep::new())
            .with_region(region.clone());
        let chain = DefaultCredentialsChain::builder().configure(provider).build().await;
        let credentials = chain.provide_credentials().await.map_err(Error::NoCredentials)?;
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .app_name(
                AppName::new(env!("CARGO_PKG_NAME")).expect("the crate's name is a token of HTTP"),
            )
            .http_client(http.for_sdk())
            .sleep_impl(TokioSleep::new())
            .region(region)
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(net::CONNECT)
                    .read_timeout(net::SILENCE)
                    .build(),
            );
        Ok(Eyes { config: config.load().await, credentials })
    }

    pub(crate) async fn caller(&self) -> Result<Caller, Error> {
        const ACTION: &str = "sts:GetCallerIdentity";
        let got =
            got(ACTION, aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await)?;
        match got {
            Got::Answer(answer) => Ok(Caller { arn: answer.arn.unwrap_or_default() }),
            Got::Absent(refusal) | Got::Forbidden(refusal) => Err(refusal),
        }
    }

    pub(crate) async fn look(&self, role: &Role) -> Result<Look, Error> {
        let mut looking =
            Looking { client: Client::new(&self.config), role, unseen: Vec::new(), whole: true };
        let answer =
            match got("iam:GetRole", looking.client.get_role().role_name(&role.name).send().await)?
            {
                Got::Answer(answer) => answer,
                Got::Absent(_) => return Ok(Look::Absent),
                Got::Forbidden(_) => return Ok(Look::Forbidden),
            };
        let shown = answer
            .role
            .ok_or_else(|| Error::Strange { action: "iam:GetRole", why: "no role in it".into() })?;
        let mut seen = Seen {
            trust: json("iam:GetRole", shown.assume_role_policy_document.as_deref())?,
            boundary: looking
                .boundary(
                    shown
                        .permissions_boundary
                        .and_then(|boundary| boundary.permissions_boundary_arn),
                )
                .await?,
            policies: looking.policies().await?,
            profiles: looking.profiles().await?,
            arn: shown.arn,
            ..Seen::default()
        };
        seen.namesake = looking.namesake().await?;
        seen.simulated = looking.simulate(&seen.arn).await;
        seen.whole = looking.whole;
        Ok(Look::Seen { seen: Box::new(seen), unseen: looking.unseen })
    }
}

const NO_SIMULATOR: &str = "what IAM's simulator says (iam:SimulatePrincipalPolicy): the policies were read without it, \
     so neither the organisation's policies nor conditions on the principal are known";

/// One look at one role.
struct Looking<'a> {
    client: Client,
    role: &'a Role,
    unseen: Vec<String>,
    /// No policy was hidden.
    whole: bool,
}

impl Looking<'_> {
    async fn policies(&mut self) -> Result<Vec<SeenPolicy>, Error> {
        let mut policies = Vec::new();
        for arn in self.attached().await? {
            policies.extend(self.managed(&arn).await?);
        }
        for name in self.inline_names().await? {
            policies.extend(self.inline(name).await?);
        }
        Ok(policies)
    }

    async fn attached(&mut self) -> Result<Vec<String>, Error> {
        let pages = self
            .client
            .list_attached_role_policies()
            .role_name(&self.role.name)
            .into_paginator()
            .items()
            .send();
        let all = self.policy_part(got("iam:ListAttachedRolePolicies", pages.try_collect().await)?);
        Ok(all.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn).collect())
    }

    async fn inline_names(&mut self) -> Result<Vec<String>, Error> {
        let pages = self
            .client
            .list_role_policies()
            .role_name(&self.role.name)
            .into_paginator()
            .items()
            .send();
        Ok(self
            .policy_part(got("iam:ListRolePolicies", pages.try_collect().await)?)
            .unwrap_or_default())
    }

    async fn managed(&mut self, arn: &str) -> Result<Option<SeenPolicy>, Error> {
        let policy = got("iam:GetPolicy", self.client.get_policy().policy_arn(arn).send().await)?;
        let version = self
            .policy_part(policy)
            .and_then(|answer| answer.policy)
            .and_then(|policy| policy.default_version_id);
        let Some(version) = version else { return Ok(None) };
        const ACTION: &str = "iam:GetPolicyVersion";
        let answer = got(
            ACTION,
            self.client.get_policy_version().policy_arn(arn).version_id(version).send().await,
        )?;
        let Some(version) = self.policy_part(answer).and_then(|answer| answer.policy_version)
        else {
            return Ok(None);
        };
        let name = arn.rsplit('/').next().unwrap_or(arn).to_owned();
        Ok(Some(SeenPolicy {
            name,
            arn: Some(arn.to_owned()),
            document: json(ACTION, version.document.as_deref())?,
        }))
    }

    async fn inline(&mut self, name: String) -> Result<Option<SeenPolicy>, Error> {
        const ACTION: &str = "iam:GetRolePolicy";
        let answer = got(
            ACTION,
            self.client
                .get_role_policy()
                .role_name(&self.role.name)
                .policy_name(&name)
                .send()
                .await,
        )?;
        let Some(answer) = self.policy_part(answer) else { return Ok(None) };
        Ok(Some(SeenPolicy {
            name,
            arn: None,
            document: json(ACTION, Some(&answer.policy_document))?,
        }))
    }

    async fn boundary(&mut self, arn: Option<String>) -> Result<Option<SeenPolicy>, Error> {
        match arn {
            Some(arn) => self.managed(&arn).await,
            None => Ok(None),
        }
    }

    async fn profiles(&mut self) -> Result<Option<Vec<String>>, Error> {
        if !self.role.kind.has_profile() {
            return Ok(None);
        }
        let pages = self
            .client
            .list_instance_profiles_for_role()
            .role_name(&self.role.name)
            .into_paginator()
            .items()
            .send();
        let profiles = self.part(
            "its instance profiles",
            got("iam:ListInstanceProfilesForRole", pages.try_collect().await)?,
        );
        Ok(profiles.map(|profiles| {
            profiles.into_iter().map(|profile| profile.instance_profile_name).collect()
        }))
    }

    async fn namesake(&mut self) -> Result<Option<Vec<String>>, Error> {
        if !self.role.kind.has_profile() {
            return Ok(None);
        }
        let answer = got(
            "iam:GetInstanceProfile",
            self.client.get_instance_profile().instance_profile_name(&self.role.name).send().await,
        )?;
        let profile = match answer {
            Got::Absent(_) => None,
            answer => self
                .part("the instance profile of its name", answer)
                .and_then(|answer| answer.instance_profile),
        };
        Ok(profile.map(|profile| profile.roles.into_iter().map(|role| role.role_name).collect()))
    }

    /// IAM's own simulator knows what is not seen here: conditions on the principal, and the
    /// organisation's policies.
    async fn simulate(&mut self, arn: &str) -> Vec<Simulated> {
        let needs = needs::of(self.role);
        let mut answers = Vec::new();
        for group in
            needs.chunk_by(|one, next| one.written == next.written && one.context == next.context)
        {
            match self.simulate_group(arn, group).await {
                Some(group) => answers.extend(group),
                None => {
                    self.unseen.push(NO_SIMULATOR.into());
                    return Vec::new();
                }
            }
        }
        answers
    }

    /// In the order of the needs, which are about one resource.
    async fn simulate_group(&self, arn: &str, needs: &[Need]) -> Option<Vec<Simulated>> {
        let entry = |(key, value): &(&'static str, String)| {
            let entry = ContextEntry::builder()
                .context_key_name(*key)
                .context_key_type(ContextKeyTypeEnum::String);
            entry.context_key_values(value).build()
        };
        // Where there is no simulator, as in many doubles of AWS, asking again does not bring it.
        let once = aws_sdk_iam::config::Builder::new().retry_config(RetryConfig::disabled());
        let call = self
            .client
            .simulate_principal_policy()
            .policy_source_arn(arn)
            .resource_arns(&needs[0].written);
        let call =
            call.set_action_names(Some(needs.iter().map(|need| need.action.to_owned()).collect()));
        let call = call.set_context_entries(Some(needs[0].context.iter().map(entry).collect()));
        let results = call
            .customize()
            .config_override(once)
            .send()
            .await
            .ok()?
            .evaluation_results
            .unwrap_or_default();
        let of = |need: &Need| {
            results.iter().find(|result| result.eval_action_name == need.action).map(simulated)
        };
        needs.iter().map(of).collect()
    }

    fn policy_part<T>(&mut self, answer: Got<T>) -> Option<T> {
        let part = self.part("all of its policies", answer);
        self.whole &= part.is_some();
        part
    }

    /// What was shown, or a line about what was not.
    fn part<T>(&mut self, what: &str, answer: Got<T>) -> Option<T> {
        let refusal = match answer {
            Got::Answer(answer) => return Some(answer),
            Got::Absent(refusal) | Got::Forbidden(refusal) => refusal,
        };
        let line = format!("{what} ({refusal})");
        if !self.unseen.contains(&line) {
            self.unseen.push(line);
        }
        None
    }
}

fn simulated(result: &EvaluationResult) -> Simulated {
    let organisation = result
        .organizations_decision_detail
        .as_ref()
        .is_some_and(|detail| !detail.allowed_by_organizations);
    match result.eval_decision {
        _ if organisation => Simulated::Organisation,
        PolicyEvaluationDecisionType::Allowed => Simulated::Allowed,
        PolicyEvaluationDecisionType::ExplicitDeny => Simulated::Denied,
        _ => Simulated::Missing,
    }
}

/// An answer, or one of the two refusals that are an answer too.
enum Got<T> {
    Answer(T),
    Absent(Error),
    Forbidden(Error),
}

fn got<T, E>(
    action: &'static str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Got<T>, Error>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let error = match answer {
        Ok(answer) => return Ok(Got::Answer(answer)),
        Err(error) => error,
    };
    let status = error.raw_response().map(|response| response.status().as_u16());
    let metadata = error.as_service_error().map(|refusal| refusal.meta());
    // Not every double of AWS and not every gateway on the way writes its 403 as IAM does.
    let code =
        metadata.and_then(|meta| meta.code()).or((status == Some(403)).then_some("AccessDenied"));
    let Some(code) = code.map(str::to_owned) else {
        return Err(Error::NoAnswer { action, source: Box::new(error) });
    };
    let message = metadata.and_then(|meta| meta.message()).unwrap_or("no reason given").to_owned();
    let refused = Error::Refused { action, code: code.clone(), message };
    match code.as_str() {
        "NoSuchEntity" | "NoSuchEntityException" => Ok(Got::Absent(refused)),
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            Ok(Got::Forbidden(refused))
        }
        _ => Err(refused),
    }
}

/// IAM gives documents as text with %XX codes.
fn json(action: &'static str, text: Option<&str>) -> Result<Value, Error> {
    let strange = |why: String| Error::Strange { action, why };
    let text = percent_decode_str(text.unwrap_or_default())
        .decode_utf8()
        .map_err(|error| strange(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| strange(error.to_string()))
}

/// Waits for `work` no longer than until `deadline`.
pub(crate) async fn within<T>(
    deadline: tokio::time::Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    let whole = std::time::Duration::from_secs(left.as_secs() + 1);
    tokio::time::timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(Error::Deadline(humantime::format_duration(whole).to_string())))
}
