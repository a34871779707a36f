//! The list of all cases: every fault of the cloud, and what this machine's own files, streams,
//! limits and variables can do.

use std::ffi::OsString;
use std::time::Duration;

use rehearsal::{FAULTS, Fault, HOSTILE};

use super::{Stage, earlier, files, host, local};

pub(crate) const CONFIG: &str = "ECS_CLUSTER=prod\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n";
pub(crate) const SOURCE: &str = "s3://fleet-config/ecs.config";

/// The deadline of a run, unless its fault lasts longer.
const TIMEOUT: u64 = 4;

type Prepare = Box<dyn Fn(&Stage) + Send + Sync>;

/// One fault, and how the program must end.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) does: String,
    pub(crate) status: i32,
    pub(crate) timeout: Duration,
    pub(crate) prepare: Prepare,
    /// `ROOT` in them is the machine's folder.
    pub(crate) arguments: Vec<String>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// What a shell does before the program starts in its place.
    pub(crate) shell: Option<String>,
    /// It writes a report.
    pub(crate) reports: bool,
}

impl Case {
    /// A run with the usual source.
    pub(crate) fn run(name: &str, does: &str, status: i32) -> Self {
        let case = Case::call(name, does, status, &["run", "--config", SOURCE]);
        Case { reports: true, ..case }.limited(TIMEOUT)
    }

    /// Any command, which must end at once or within its own limits.
    pub(crate) fn call(name: &str, does: &str, status: i32, arguments: &[&str]) -> Self {
        Case {
            name: name.into(),
            does: does.into(),
            status,
            timeout: Duration::from_secs(TIMEOUT),
            prepare: Box::new(|_| ()),
            arguments: arguments.iter().map(|word| (*word).into()).collect(),
            env: Vec::new(),
            shell: None,
            reports: false,
        }
    }

    /// With a deadline of so many seconds.
    pub(crate) fn limited(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds);
        self.with(&["--timeout", &format!("{seconds}s")])
    }

    /// With what the settings name.
    pub(crate) fn without_source(mut self) -> Self {
        self.arguments.drain(1..3);
        self
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|word| (*word).to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn shell(mut self, commands: impl Into<String>) -> Self {
        self.shell = Some(commands.into());
        self
    }

    pub(crate) fn prepared(mut self, prepare: impl Fn(&Stage) + Send + Sync + 'static) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    /// The report is that of an earlier run, or not written.
    pub(crate) fn without_report(mut self) -> Self {
        self.reports = false;
        self
    }

    pub(crate) fn arguments(&self, stage: &Stage) -> Vec<String> {
        let root = stage.machine.root().display().to_string();
        self.arguments.iter().map(|word| word.replace("ROOT", &root)).collect()
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let mut all: Vec<Case> = FAULTS.iter().chain(HOSTILE).map(of_cloud).collect();
    all.extend(files::all());
    all.extend(local::all());
    all.extend(earlier::all());
    all.extend(host::all());
    all
}

/// A fault of the cloud that ends by itself needs a deadline beyond that.
fn of_cloud(fault: &'static Fault) -> Case {
    let mut case = Case::run(fault.name, fault.does, fault.exit_status);
    match fault.name {
        "s3-404-version" => case.arguments[2].push_str("?versionId=rehearsal.version.0001"),
        "s3-wrong-owner" => case.arguments[2].push_str("?owner=123456789012"),
        // By default a run goes on without STS, since S3 accepts the same credentials.
        name if name.starts_with("sts-") && case.status == 22 => {
            case = case.with(&["--sts", "require"]);
        }
        "late-imds" | "token-503" | "role-404" | "slow-imds" => {
            case.arguments.truncate(3);
            case = case.limited(10);
        }
        _ => {}
    }
    case.prepared(|stage| stage.cloud.usual_fault(fault.name))
}
