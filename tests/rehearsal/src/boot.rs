//! A whole boot of a new container instance, on a machine that is a folder, with every request the
//! cloud saw. Builds the real program, runs it as user data would, and checks the outcome.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::process::ExitCode;

use rehearsal::{Cloud, Fault, Machine, Options, Seen};
use serde_json::Value;

use crate::show;

pub(crate) const BUCKET: &str = "fleet-config";
pub(crate) const KEY: &str = "prod/ecs.config";
pub(crate) const CONFIG: &str = "\
# Every container instance of prod reads this at boot.
ECS_CLUSTER=prod
ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
ECS_CONTAINER_STOP_TIMEOUT=2m
";
const INSTALLED: &str = "/etc/ecs/ecs.config";
const REPORT: &str = "/run/ecs-bootstrap/report.json";

/// One boot after another: the first installs, the second finds all as it should be.
pub(crate) fn rehearse() -> ExitCode {
    let boot = Boot::new("");
    println!(
        "A new container instance boots. Its machine is the folder {}, its cloud is on loopback.\n",
        boot.machine.root().display()
    );
    let mut checks = Checks::default();

    let first = boot.run(&[]);
    first.show("The boot");
    show::requests(&first.requests);
    show::file(&boot.machine, INSTALLED);
    show::report(&boot.machine, REPORT);
    checks.expect("the boot ends with status 0", first.status == Some(0));
    checks.expect("it reports `installed`", boot.outcome() == "installed");
    checks.expect(
        "the file is the object, byte for byte",
        boot.machine.read(INSTALLED).as_deref() == Some(CONFIG.as_bytes()),
    );

    let second = boot.run(&[]);
    second.show("The boot after it");
    checks.expect("the second boot ends with status 0", second.status == Some(0));
    checks.expect("it reports `unchanged`", boot.outcome() == "unchanged");
    checks.no_secret(&boot, &[&first, &second]);
    checks.verdict()
}

/// One boot on which something goes wrong.
pub(crate) fn fail(fault: &Fault) -> ExitCode {
    let boot = Boot::new(fault.name);
    println!("{}: {}.\nA user sees: {}.\n", fault.name, fault.does, fault.sees);
    boot.cloud.usual_fault(fault.name);
    let run = boot.run(&["--timeout", "12s"]);
    run.show("The boot");
    show::requests(&run.requests);
    let mut checks = Checks::default();
    checks.expect(
        &format!("it ends with status {}", fault.exit_status),
        run.status == Some(fault.exit_status),
    );
    let whole = boot.machine.read(INSTALLED);
    let expected = (fault.exit_status == 0).then(|| CONFIG.as_bytes().to_vec());
    checks.expect(
        if expected.is_some() { "the file is there, and whole" } else { "no file was installed" },
        whole == expected,
    );
    checks.no_secret(&boot, &[&run]);
    checks.verdict()
}

fn cloud_with_config() -> Cloud {
    let cloud = Cloud::start(Options::default());
    cloud.set_bucket(BUCKET, |bucket| bucket.versioned = true);
    cloud.set_object(BUCKET, KEY, CONFIG);
    cloud
}

/// A machine, its cloud, and the command that user data would hold.
struct Boot {
    cloud: Cloud,
    machine: Machine,
    source: String,
}

/// One run of the program: what it printed, how it ended, what the cloud saw.
struct Run {
    command: String,
    printed: String,
    status: Option<i32>,
    requests: Vec<Seen>,
}

impl Boot {
    /// A source asks for what its fault refuses: a version, an owner.
    fn new(fault: &str) -> Self {
        let cloud = cloud_with_config();
        let query = match fault {
            "s3-404-version" => "?versionId=rehearsal.version.0001",
            "s3-wrong-owner" => "?owner=123456789012",
            _ => "",
        };
        Self { cloud, machine: Machine::new(), source: format!("s3://{BUCKET}/{KEY}{query}") }
    }

    /// Both streams go into one pipe, so that their lines keep their order.
    fn run(&self, more: &[&str]) -> Run {
        let before = self.cloud.requests().len();
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut command = self.machine.command(&self.cloud);
        command
            .args(["run", "--config", &self.source, "--root"])
            .arg(self.machine.root())
            .args(more);
        command.stdout(writer.try_clone().expect("a second end of the pipe")).stderr(writer);
        let mut child = command.spawn().expect("the program that cargo built runs");
        // It holds the pipe's writing ends: while it lives, the pipe does not end.
        drop(command);
        let mut printed = Vec::new();
        reader.read_to_end(&mut printed).expect("what the program prints can be read");
        let status = child.wait().expect("a child of ours ends").code();
        Run {
            command: format!(
                "ecs-bootstrap run --config {} --root {} {}",
                self.source,
                self.machine.root().display(),
                more.join(" ")
            ),
            printed: String::from_utf8_lossy(&printed).into_owned(),
            status,
            requests: self.cloud.requests().split_off(before),
        }
    }

    fn outcome(&self) -> String {
        let report = self
            .machine
            .read(REPORT)
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        report.and_then(|report| Some(report["outcome"].as_str()?.to_owned())).unwrap_or_default()
    }
}

impl Run {
    fn show(&self, title: &str) {
        println!("{title}\n\n  $ {}", self.command.trim_end());
        show::indented(&self.printed);
        match self.status {
            Some(status) => println!("  exit status {status}\n"),
            None => println!("  killed by a signal\n"),
        }
    }
}

/// What was expected, and whether it came so.
#[derive(Default)]
struct Checks(Vec<(String, bool)>);

impl Checks {
    fn expect(&mut self, what: &str, holds: bool) {
        self.0.push((what.into(), holds));
    }

    /// No secret of the cloud in anything printed or left on the machine.
    fn no_secret(&mut self, boot: &Boot, runs: &[&Run]) {
        let secrets: BTreeSet<String> = boot.cloud.secrets().into_iter().collect();
        let mut texts: Vec<String> = runs.iter().map(|run| run.printed.clone()).collect();
        texts.extend(
            boot.machine
                .files()
                .iter()
                .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()),
        );
        let leaked = texts.iter().any(|text| secrets.iter().any(|secret| text.contains(secret)));
        self.expect("no key and no token is in any output or file", !leaked);
    }

    fn verdict(self) -> ExitCode {
        for (what, holds) in &self.0 {
            println!("  {} {what}", if *holds { "yes " } else { "NO  " });
        }
        match self.0.iter().all(|(_, holds)| *holds) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
