//! A host for `doctor`: a folder with all that a healthy one has (`tests/doctor/host`), in a
//! rehearsal cloud with ECS and ECR.
#![allow(dead_code, reason = "every test file is a crate of its own and needs another part")]

pub(crate) mod collect;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use rehearsal::{Cloud, Machine, Options};
use serde_json::Value;

pub(crate) const CONFIG: &str = "ECS_CLUSTER=prod\nECS_AWSVPC_BLOCK_IMDS=true\n";
pub(crate) const SETTINGS: &str = "/etc/ecs-bootstrap/ecs-bootstrap.toml";
pub(crate) const SOURCE: &str = "config = [\"s3://fleet-config/ecs.config\"]\n";
pub(crate) const UNITS: &str = "/usr/lib/systemd/system";
pub(crate) const VAR: &str = "/var/lib/ecs/ecs.config";

/// What the package brings beside the files of `tests/doctor/host`.
const PACKAGED: [(&str, &str); 2] = [
    ("ecs-bootstrap.service", include_str!("../../systemd/ecs-bootstrap.service")),
    (
        "ecs.service.d/50-ecs-bootstrap.conf",
        include_str!("../../systemd/agent-start-condition.conf"),
    ),
];

/// ECS and ECR as far as `doctor` asks them: every action has an answer, and every request must be
/// signed.
pub(crate) struct Ecs {
    pub address: String,
    answers: Answers,
}

type Answers = Arc<Mutex<BTreeMap<&'static str, (u16, String)>>>;

pub(crate) const POLL: &str = "DiscoverPollEndpoint";
pub(crate) const TOKEN: &str = "GetAuthorizationToken";
pub(crate) const DENIED: &str = "{\"__type\":\"AccessDeniedException\",\"message\":\"User: arn is not authorized to perform it\"}";

impl Ecs {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers::default();
        let ecs = Ecs { address, answers: answers.clone() };
        ecs.endpoints(&format!("{}/a", ecs.address), &format!("{}/t", ecs.address));
        let token = "{\"authorizationData\":[{\"authorizationToken\":\"PLANTED-ECR-TOKEN\"}]}";
        ecs.answers(TOKEN, 200, token);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = answers.clone();
                std::thread::spawn(move || while answer(&stream, &answers).is_some() {});
            }
        });
        ecs
    }

    pub(crate) fn answers(&self, action: &'static str, status: u16, body: impl Into<String>) {
        self.answers.lock().unwrap().insert(action, (status, body.into()));
    }

    /// The endpoints that the agent is told to use.
    pub(crate) fn endpoints(&self, agent: &str, telemetry: &str) {
        let body = format!("{{\"endpoint\":\"{agent}\",\"telemetryEndpoint\":\"{telemetry}\"}}");
        self.answers(POLL, 200, body);
    }
}

fn answer(mut stream: &TcpStream, answers: &Answers) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let field = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let mut body = vec![0; field("content-length:").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let signed = field("authorization:").contains("aws4_request")
        && field("x-amz-security-token:").starts_with("PLANTED-");
    let action = field("x-amz-target:").rsplit('.').next().unwrap_or_default().to_owned();
    let (status, text) = match answers.lock().unwrap().get(action.as_str()) {
        Some(answer) if signed => answer.clone(),
        _ => (404, "{}".to_owned()),
    };
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len()).ok()
}

/// A host, and how `doctor` is called on it.
pub(crate) struct DoctorHost {
    pub cloud: Cloud,
    pub machine: Machine,
    pub ecs: Ecs,
    pub env: Vec<(String, String)>,
    pub args: Vec<String>,
    /// Whether /etc/ecs is on a file system of 16 KiB.
    pub tiny_disk: bool,
}

impl DoctorHost {
    /// A host after a good boot.
    pub(crate) fn healthy() -> Self {
        let host = DoctorHost::new(Cloud::start(Options::default()));
        let mut run = host.machine.command(&host.cloud);
        let output = run.arg("run").arg("--root").arg(host.machine.root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        host
    }

    /// A host before its first boot.
    pub(crate) fn new(cloud: Cloud) -> Self {
        cloud.set_object("fleet-config", "ecs.config", CONFIG);
        let machine = Machine::new().with_binary(env!("CARGO_BIN_EXE_ecs-bootstrap"));
        let ecs = Ecs::start();
        let mut env = cloud.env();
        env.extend(
            ["ECS", "ECR"].map(|name| (format!("AWS_ENDPOINT_URL_{name}"), ecs.address.clone())),
        );
        let host = DoctorHost { cloud, machine, ecs, env, args: Vec::new(), tiny_disk: false };
        host.overlay(&tests_folder("doctor/host"));
        PACKAGED
            .iter()
            .for_each(|(name, text)| host.machine.write(&format!("{UNITS}/{name}"), text));
        host
    }

    /// Puts the files of a folder's folders onto the host, links as they are; plain files at its
    /// top are not the host's.
    pub(crate) fn overlay(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &self.machine.root().join(entry.file_name()));
            }
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.machine.path(path), Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn doctor(&self) -> Command {
        let mut command =
            self.machine.command_with(self.env.iter().map(|(name, value)| (name, value)));
        command
            .args(["doctor", "--output", "json", "--root"])
            .arg(self.machine.root())
            .args(&self.args);
        if self.tiny_disk { with_a_tiny_disk(&command, &self.machine) } else { command }
    }

    /// A `doctor` that hangs is ended after a minute, and its output is not a report.
    pub(crate) fn examine(&self) -> DoctorOutput {
        let mut timeout = Command::new("timeout");
        timeout.arg("60");
        let output = wrap(timeout, &self.doctor()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let planted = ["PLANTED-ECR-TOKEN", "ASIAREHEARSAL"].map(str::to_owned);
        for secret in self.cloud.secrets().iter().chain(&planted) {
            assert!(!text.contains(secret), "a secret is shown: {text}");
        }
        DoctorOutput::new(&output)
    }
}

pub(crate) fn link(machine: &Machine, path: &str, target: &str) {
    let path = machine.path(&format!("/etc/systemd/system/{path}"));
    symlink(target, path).unwrap();
}

/// A folder below `tests`.
pub(crate) fn tests_folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// A file that replaces another one keeps its mode.
fn copy(from: &Path, to: &Path) {
    let kind = from.symlink_metadata().unwrap().file_type();
    let is_new = !to.exists();
    if kind.is_symlink() {
        let _there_may_be_none = fs::remove_file(to);
        return symlink(fs::read_link(from).unwrap(), to).unwrap();
    }
    if kind.is_dir() {
        fs::create_dir_all(to).unwrap();
        let entries = fs::read_dir(from).unwrap().map(Result::unwrap);
        entries.for_each(|entry| copy(&entry.path(), &to.join(entry.file_name())));
    } else {
        fs::write(to, fs::read(from).unwrap()).unwrap();
    }
    if is_new {
        let mode = if kind.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(to, Permissions::from_mode(mode)).unwrap();
    }
}

/// The same command where 16 KiB are left for /etc/ecs.
fn with_a_tiny_disk(command: &Command, machine: &Machine) -> Command {
    let mount = "cp -a \"$0\" \"$0.old\" && mount -t tmpfs -o size=16k,mode=755 none \"$0\" && cp -a \"$0.old\"/. \"$0\" && rm -r \"$0.old\" && exec \"$@\"";
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-c", mount]).arg(machine.path("/etc/ecs"));
    wrap(wrapped, command)
}

/// A command that runs another one, with the environment of that one.
pub(crate) fn wrap(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    wrapper.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapper
}

/// What `doctor` printed.
pub(crate) struct DoctorOutput {
    pub status: i32,
    pub report: Value,
    pub checks: BTreeMap<String, Value>,
    pub findings: Vec<Value>,
}

impl DoctorOutput {
    pub(crate) fn new(output: &Output) -> Self {
        collect::collect(&output.stdout);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!((&report["schema"], &report["command"]), (&1.into(), &"doctor".into()));
        assert_eq!(report["exit_status"], output.status.code().unwrap());
        let checks = report["checks"].as_array().unwrap().iter();
        let by_id = checks.map(|check| (check["id"].as_str().unwrap().to_owned(), check.clone()));
        DoctorOutput {
            status: output.status.code().unwrap(),
            checks: by_id.collect(),
            findings: report["findings"].as_array().unwrap().clone(),
            report,
        }
    }

    pub(crate) fn outcome(&self, id: &str) -> &str {
        self.checks[id]["outcome"].as_str().unwrap()
    }

    pub(crate) fn outcomes(&self) -> BTreeMap<&str, &str> {
        self.checks.keys().map(|id| (id.as_str(), self.outcome(id))).collect()
    }

    pub(crate) fn finding(&self, id: &str) -> &str {
        self.checks[id]["finding"].as_str().unwrap()
    }
}

/// Whether a test that needs root can be run; in CI it must.
pub(crate) fn is_root(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "CI without root: {what}");
    if !root {
        println!("skipped: {what} needs root");
    }
    root
}
