//! `role print` and `role check` as they are typed.

use clap::{ArgAction, Args, Subcommand};

use crate::error::Error;
use crate::net::Http;
use crate::role::print::{self, Format};
use crate::role::{self, Kind, Role, Wish};
use crate::settings::{Given, Settings};

#[derive(Args, Debug)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    pub(crate) job: Job,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Print the documents of the role, or what creates it
    Print(PrintArgs),
    /// Check a role that exists, with any credentials of the AWS SDK's chain
    ///
    /// Reads IAM (iam:GetRole and its kin) as an administrator may; on the host itself, which may
    /// not, it tries what the role is for and says what could not be seen. Each finding comes
    /// with the command that mends it. Exit status 70: something is wrong.
    Check(CheckArgs),
}

#[derive(Args, Debug)]
pub(crate) struct PrintArgs {
    /// The role's name [default: ecsInstanceRole, or ecsAnywhereRole for external hosts]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) wish: WishArgs,
    /// How the documents are written down [default: cli, or json with --output json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The role's name [default: the role that the credentials are of, on a host; else
    /// ecsInstanceRole or ecsAnywhereRole]
    #[arg(long, value_name = "NAME")]
    pub(crate) role: Option<String>,
    #[command(flatten)]
    pub(crate) wish: WishArgs,
    /// One deadline for everything, such as 90s or 5m [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
}

/// What the role is for.
#[derive(Args, Debug)]
pub(crate) struct WishArgs {
    /// Which kind of host it is for [default: ec2]
    #[arg(long = "for", value_name = "HOST")]
    pub(crate) kind: Option<Kind>,
    /// A layer of ecs.config that it must read. May be repeated [default: those in the settings]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) config: Vec<String>,
    /// The ARN of the KMS key that a layer is stored with. May be repeated
    #[arg(long, value_name = "ARN")]
    pub(crate) kms_key: Vec<String>,
    /// Its hosts create their cluster if it is not there
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) create_cluster: bool,
    /// Its hosts have tags, and the account demands permission for tagging
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) tag_authorization: bool,
    /// Tasks have no execution role: the host itself pulls from Amazon ECR and writes awslogs
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) with_task_execution: bool,
    /// Only the needed actions, in place of AWS's managed policy for ECS
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) custom: bool,
    /// The hosts' region; it also tells the partition
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// aws, aws-cn, aws-us-gov, … [default: that of the region or of an ARN, else aws]
    #[arg(long, value_name = "PARTITION")]
    pub(crate) partition: Option<String>,
    /// The account: an external host's role is then lent to it alone
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
}

impl RoleArgs {
    /// The flags that are settings too.
    pub(crate) fn given(&self) -> Given {
        let (wish, timeout) = match &self.job {
            Job::Print(args) => (&args.wish, None),
            Job::Check(args) => (&args.wish, args.timeout.clone()),
        };
        Given::flags([("config", wish.config.clone()), ("timeout", timeout.into_iter().collect())])
    }
}

impl Job {
    /// As the report calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Job::Print(_) => "role print",
            Job::Check(_) => "role check",
        }
    }
}

impl PrintArgs {
    /// The text for stdout.
    pub(crate) fn print(&self, settings: &Settings, json: bool) -> Result<String, Error> {
        let role = Role::new(self.wish.wish(self.name.as_deref(), settings))?;
        let format = self.format.unwrap_or(if json { Format::Json } else { Format::Cli });
        Ok(print::print(&role, format))
    }
}

impl CheckArgs {
    /// The text for stdout, and the exit status.
    #[cfg(feature = "role-check")]
    pub(crate) async fn check(
        &self,
        settings: &Settings,
        http: &Http,
        json: bool,
    ) -> Result<(String, u8), Error> {
        let deadline = tokio::time::Instant::now() + settings.timeout;
        let wish = self.wish.wish(self.role.as_deref(), settings);
        let inquiry =
            role::inquiry::inquire(wish, self.wish.kind.is_some(), http, &settings.aws, deadline)
                .await?;
        Ok((if json { inquiry.json() } else { inquiry.text() }, inquiry.status()))
    }

    #[cfg(not(feature = "role-check"))]
    pub(crate) async fn check(
        &self,
        _: &Settings,
        _: &Http,
        _: bool,
    ) -> Result<(String, u8), Error> {
        Err(role::Error::NoCheck.into())
    }
}

impl WishArgs {
    /// With the sources that the settings name, and the region of the environment where nothing
    /// else tells the partition.
    fn wish(&self, name: Option<&str>, settings: &Settings) -> Wish {
        Wish {
            kind: self.kind.unwrap_or(Kind::Ec2),
            name: name.map(str::to_owned),
            sources: settings.config.clone(),
            kms_keys: self.kms_key.clone(),
            create_cluster: self.create_cluster,
            tag_authorization: self.tag_authorization,
            task_execution: self.with_task_execution,
            custom: self.custom,
            region: self.region.clone(),
            here: settings.aws.region.clone(),
            partition: self.partition.clone(),
            account: self.account.clone(),
        }
    }
}
