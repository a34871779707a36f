//! Reads a role through IAM, with whatever credentials the AWS SDK's chain finds.

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{Region, SdkConfig};
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

use super::policy::Policy;
use super::snapshot::{RoleSnapshot, Simulated};
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::net::Http;
use crate::net::sdk::{admin_config, for_sdk};
use crate::role::required_permissions::{self, Permission};
use crate::role::{HostType, Role};

/// Why nothing could be read.
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
    #[error("the answer to {action} cannot be read: {why}")]
    Unreadable { action: &'static str, why: String },
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Role
    }

    fn status(&self) -> ExitStatus {
        match self {
            Error::NoCredentials(_) | Error::Refused { .. } => ExitStatus::NoRole,
            Error::NoAnswer { .. } | Error::Unreadable { .. } | Error::Timeout(_) => {
                ExitStatus::SourceUnreachable
            }
        }
    }

    fn remedy(&self) -> String {
        let remedy = match self {
            Error::NoCredentials(_) => {
                "sign in (`aws sso login`, `aws configure`) or set AWS_PROFILE; \
                 `aws sts get-caller-identity` shows who you are"
            }
            Error::Refused { .. } => {
                "renew the credentials: `aws sts get-caller-identity` shows whether AWS takes them"
            }
            Error::NoAnswer { .. } | Error::Unreadable { .. } | Error::Timeout(_) => {
                "check whether the sts and iam endpoints can be reached from here \
                 (proxy, VPC endpoint, AWS_ENDPOINT_URL)"
            }
        };
        remedy.into()
    }
}

impl Error {
    /// Whether IAM refused because there is no such thing.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Error::Refused { code, .. }
            if ["NoSuchEntity", "NoSuchEntityException"].contains(&code.as_str()))
    }

    /// Whether the action is not allowed to these credentials.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Error::Refused { code, .. }
            if ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"].contains(&code.as_str()))
    }
}

/// Whose credentials they are.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) arn: String,
}

impl Caller {
    fn part(&self, at: usize) -> &str {
        self.arn.split(':').nth(at).unwrap_or_default()
    }

    pub(super) fn partition(&self) -> &str {
        self.part(1)
    }

    /// The role and the name of the session: of an assumed role's `assumed-role/ROLE/SESSION`.
    pub(super) fn session(&self) -> Option<(&str, &str)> {
        self.part(5).strip_prefix("assumed-role/")?.split_once('/')
    }

    /// The role and type of the host whose credentials they are: the session is named after it.
    pub(super) fn host(&self) -> Option<(&str, HostType)> {
        let (role, session) = self.session()?;
        let types = [("i-", HostType::Ec2), ("mi-", HostType::External)];
        types.iter().find(|(start, _)| session.starts_with(start)).map(|(_, host)| (role, *host))
    }
}

/// Credentials, and the configuration of clients that use them.
pub(super) struct IamReader {
    config: SdkConfig,
    pub(super) credentials: Credentials,
}

impl IamReader {
    /// Finds credentials as the AWS SDKs do. The metadata service is asked for them last, and never
    /// for a region.
    pub(super) async fn open(http: &Http, region: Option<&str>) -> Result<IamReader, Error> {
        let given = region.map(|region| Region::new(region.to_owned()));
        let region = RegionProviderChain::first_try(given)
            .or_else(ProfileFileRegionProvider::new())
            .or_else("us-east-1");
        let region = region.region().await;
        let provider = ProviderConfig::without_region()
            .with_http_client(for_sdk(http))
            .with_sleep_impl(TokioSleep::new())
            .with_region(region.clone());
        let chain = DefaultCredentialsChain::builder().configure(provider).build().await;
        let credentials = chain.provide_credentials().await.map_err(Error::NoCredentials)?;
        let config = admin_config(http)
            .region(region)
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()));
        Ok(IamReader { config: config.load().await, credentials })
    }

    pub(super) async fn caller(&self) -> Result<Caller, Error> {
        let call = aws_sdk_sts::Client::new(&self.config).get_caller_identity();
        let caller = answer("sts:GetCallerIdentity", call.send().await)?;
        Ok(Caller { arn: caller.arn.unwrap_or_default() })
    }

    /// What IAM shows of the role. A refusal of some part is in the snapshot.
    pub(super) async fn look_up(&self, role: &Role) -> Result<RoleSnapshot, Error> {
        const ACTION: &str = "iam:GetRole";
        let client = Client::new(&self.config);
        let call = client.get_role().role_name(&role.name);
        let shown = answer(ACTION, call.send().await)?.role;
        let unreadable = || Error::Unreadable { action: ACTION, why: "no role in it".into() };
        let shown = shown.ok_or_else(unreadable)?;
        let trust = document(ACTION, shown.assume_role_policy_document.as_deref())?;
        let snapshot = RoleSnapshot { arn: shown.arn, trust, ..RoleSnapshot::default() };
        let mut reader = SnapshotReader { client, role, snapshot };
        let boundary = shown.permissions_boundary.and_then(|it| it.permissions_boundary_arn);
        if let Some(arn) = boundary {
            reader.snapshot.boundary = reader.managed(&arn).await?;
        }
        reader.policies().await?;
        if role.host.has_profile() {
            reader.profiles().await?;
        }
        reader.snapshot.simulated = reader.simulate().await;
        Ok(reader.snapshot)
    }
}

const NO_SIMULATOR: &str = "what IAM's simulator reports (iam:SimulatePrincipalPolicy): the policies were read without it, \
     so neither the organisation's policies nor conditions on the principal are known";

/// Reads one role.
struct SnapshotReader<'a> {
    client: Client,
    role: &'a Role,
    snapshot: RoleSnapshot,
}

impl SnapshotReader<'_> {
    async fn policies(&mut self) -> Result<(), Error> {
        let call = self.client.list_attached_role_policies().role_name(&self.role.name);
        let pages = call.into_paginator().items().send();
        let attached = answer("iam:ListAttachedRolePolicies", pages.try_collect().await);
        let attached: Vec<_> = self.policy_part(attached)?.unwrap_or_default();
        for arn in attached.into_iter().filter_map(|policy| policy.policy_arn) {
            let policy = self.managed(&arn).await?;
            self.snapshot.policies.extend(policy);
        }
        let call = self.client.list_role_policies().role_name(&self.role.name);
        let pages = call.into_paginator().items().send();
        let inline = answer("iam:ListRolePolicies", pages.try_collect().await);
        let inline: Vec<_> = self.policy_part(inline)?.unwrap_or_default();
        for name in inline {
            let policy = self.inline(name).await?;
            self.snapshot.policies.extend(policy);
        }
        Ok(())
    }

    async fn managed(&mut self, arn: &str) -> Result<Option<Policy>, Error> {
        const ACTION: &str = "iam:GetPolicyVersion";
        let call = self.client.get_policy().policy_arn(arn);
        let policy = self.policy_part(answer("iam:GetPolicy", call.send().await))?;
        let version = policy.and_then(|it| it.policy).and_then(|it| it.default_version_id);
        let Some(version) = version else { return Ok(None) };
        let call = self.client.get_policy_version().policy_arn(arn).version_id(version);
        let version = self.policy_part(answer(ACTION, call.send().await))?;
        let Some(version) = version.and_then(|it| it.policy_version) else { return Ok(None) };
        let name = arn.rsplit('/').next().unwrap_or(arn).to_owned();
        let document = document(ACTION, version.document.as_deref())?;
        Ok(Some(Policy::new(name, Some(arn.to_owned()), document)))
    }

    async fn inline(&mut self, name: String) -> Result<Option<Policy>, Error> {
        const ACTION: &str = "iam:GetRolePolicy";
        let call = self.client.get_role_policy().role_name(&self.role.name).policy_name(&name);
        let policy = self.policy_part(answer(ACTION, call.send().await))?;
        let Some(policy) = policy else { return Ok(None) };
        Ok(Some(Policy::new(name, None, document(ACTION, Some(&policy.policy_document))?)))
    }

    async fn profiles(&mut self) -> Result<(), Error> {
        let call = self.client.list_instance_profiles_for_role().role_name(&self.role.name);
        let pages = call.into_paginator().items().send();
        let profiles = answer("iam:ListInstanceProfilesForRole", pages.try_collect().await);
        let profiles: Option<Vec<_>> = self.part("its instance profiles", profiles)?;
        self.snapshot.in_profile = profiles.map(|all| !all.is_empty());
        let call = self.client.get_instance_profile().instance_profile_name(&self.role.name);
        let profile = match answer("iam:GetInstanceProfile", call.send().await) {
            Err(refusal) if refusal.is_absent() => return Ok(()),
            answer => self.part("the instance profile of its name", answer)?,
        };
        let roles = profile.and_then(|it| it.instance_profile).map(|it| it.roles);
        self.snapshot.same_name_profile =
            roles.map(|roles| roles.into_iter().map(|role| role.role_name).collect());
        Ok(())
    }

    /// IAM's own simulator knows what is not seen here: conditions on the principal, and the
    /// organisation's policies.
    async fn simulate(&mut self) -> Vec<Simulated> {
        let required = required_permissions::of(self.role);
        let groups = required.chunk_by(|one, next| {
            one.written_resource() == next.written_resource() && one.context == next.context
        });
        let mut answers = Vec::new();
        for group in groups {
            let Some(group) = self.simulate_group(group).await else {
                self.snapshot.unseen.push(NO_SIMULATOR.into());
                return Vec::new();
            };
            answers.extend(group);
        }
        answers
    }

    /// In the order of the permissions, which are about one resource.
    async fn simulate_group(&self, group: &[Permission]) -> Option<Vec<Simulated>> {
        let entry = |(key, value): &(&'static str, String)| {
            let string = ContextKeyTypeEnum::String;
            let entry = ContextEntry::builder().context_key_name(*key).context_key_type(string);
            entry.context_key_values(value).build()
        };
        let call = self.client.simulate_principal_policy();
        let call = call
            .policy_source_arn(&self.snapshot.arn)
            .resource_arns(group[0].written_resource())
            .set_action_names(Some(group.iter().map(|it| it.action.to_owned()).collect()))
            .set_context_entries(Some(group[0].context.iter().map(entry).collect()));
        // Where there is no simulator, as in many doubles of AWS, asking again does not bring it.
        let once = aws_sdk_iam::config::Builder::new().retry_config(RetryConfig::disabled());
        let results = call.customize().config_override(once).send().await.ok()?;
        let results = results.evaluation_results.unwrap_or_default();
        let of = |permission: &Permission| {
            let mut results = results.iter();
            results.find(|result| result.eval_action_name == permission.action).map(simulated)
        };
        group.iter().map(of).collect()
    }

    fn policy_part<T>(&mut self, answer: Result<T, Error>) -> Result<Option<T>, Error> {
        let part = self.part("all of its policies", answer)?;
        self.snapshot.is_partial |= part.is_none();
        Ok(part)
    }

    /// What was shown, or a line about what was not.
    fn part<T>(&mut self, what: &str, answer: Result<T, Error>) -> Result<Option<T>, Error> {
        match answer {
            Err(refusal) if refusal.is_absent() || refusal.is_forbidden() => {
                let line = format!("{what} ({refusal})");
                if !self.snapshot.unseen.contains(&line) {
                    self.snapshot.unseen.push(line);
                }
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }
}

fn simulated(result: &EvaluationResult) -> Simulated {
    let organisation = result.organizations_decision_detail.as_ref();
    match result.eval_decision {
        _ if organisation.is_some_and(|it| !it.allowed_by_organizations) => Simulated::Refused,
        PolicyEvaluationDecisionType::Allowed => Simulated::Allowed,
        PolicyEvaluationDecisionType::ExplicitDeny => Simulated::Refused,
        _ => Simulated::Missing,
    }
}

fn answer<T, E>(
    action: &'static str,
    result: Result<T, SdkError<E, HttpResponse>>,
) -> Result<T, Error>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    result.map_err(|error| {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let metadata = error.as_service_error().map(|refusal| refusal.meta());
        // Not every double of AWS and not every gateway on the way writes its 403 as IAM does.
        let code = metadata.and_then(|it| it.code());
        let Some(code) = code.or((status == Some(403)).then_some("AccessDenied")) else {
            return Error::NoAnswer { action, source: Box::new(error) };
        };
        let message = metadata.and_then(|it| it.message()).unwrap_or("no reason given").to_owned();
        Error::Refused { action, code: code.to_owned(), message }
    })
}

/// IAM returns documents as percent-encoded text.
fn document(action: &'static str, text: Option<&str>) -> Result<Value, Error> {
    let unreadable = |why: String| Error::Unreadable { action, why };
    let text = percent_decode_str(text.unwrap_or_default()).decode_utf8();
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests;
