//! A host in the doctor's care: a folder with all that a healthy one has, in a rehearsal cloud with
//! ECS and ECR.
#![allow(dead_code, reason = "every promise is a crate of its own and needs another part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use rehearsal::{Cloud, Machine, Options};
use serde_json::Value;

pub const CONFIG: &str = "ECS_CLUSTER=prod\nECS_AWSVPC_BLOCK_IMDS=true\n";
pub const SETTINGS: &str = "/etc/ecs-bootstrap/ecs-bootstrap.toml";
pub const SOURCE: &str = "config = [\"s3://fleet-config/ecs.config\"]\n";
pub const UNITS: &str = "/usr/lib/systemd/system";
pub const VAR: &str = "/var/lib/ecs/ecs.config";

/// As in Amazon Linux' package.
pub const ECS_SERVICE: &str = "[Unit]\nWants=docker.service\nPartOf=docker.service\nAfter=docker.service\nAfter=cloud-final.service\n\n[Service]\n\
    Type=simple\nRestart=on-failure\nRestartSec=10s\nRestartPreventExitStatus=5\nEnvironmentFile=-/etc/ecs/ecs.config\n\n[Install]\nWantedBy=multi-user.target\n";

/// ECS and ECR as far as `doctor` asks them: every action has an answer, and every action is
/// signed.
pub struct Ecs {
    pub address: String,
    pub answers: Answers,
}

pub type Answers = Arc<Mutex<BTreeMap<&'static str, (u16, String)>>>;

pub const POLL: &str = "DiscoverPollEndpoint";
pub const TOKEN: &str = "GetAuthorizationToken";
pub const DENIED: &str = "{\"__type\":\"AccessDeniedException\",\"message\":\"User: arn is not authorized to perform it\"}";

impl Ecs {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let poll =
            format!("{{\"endpoint\":\"{address}/a\",\"telemetryEndpoint\":\"{address}/t\"}}");
        let token =
            "{\"authorizationData\":[{\"authorizationToken\":\"PLANTED-ECR-TOKEN\"}]}".to_owned();
        let answers: Answers =
            Arc::new(Mutex::new([(POLL, (200, poll)), (TOKEN, (200, token))].into()));
        let shared = answers.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = shared.clone();
                std::thread::spawn(move || while answer(&stream, &answers).is_some() {});
            }
        });
        Ecs { address, answers }
    }

    pub fn says(&self, action: &'static str, status: u16, body: impl Into<String>) {
        self.answers.lock().unwrap().insert(action, (status, body.into()));
    }
}

pub fn answer(mut stream: &TcpStream, answers: &Answers) -> Option<()> {
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

/// A host in the doctor's care.
pub struct Ward {
    pub cloud: Cloud,
    pub machine: Machine,
    pub ecs: Ecs,
    pub env: Vec<(String, String)>,
    pub args: Vec<String>,
    /// A size for a file system of its own below /etc/ecs.
    pub tiny: bool,
}

impl Ward {
    /// A host after a good boot.
    pub fn healthy() -> Self {
        let ward = Ward::new(Cloud::start(Options::default()));
        let mut run = ward.machine.command(&ward.cloud);
        let output = run.arg("run").arg("--root").arg(ward.machine.root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ward
    }

    pub fn new(cloud: Cloud) -> Self {
        cloud.set_object("fleet-config", "ecs.config", CONFIG);
        let machine = Machine::new().with_binary(env!("CARGO_BIN_EXE_ecs-bootstrap"));
        furnish(&machine);
        let ecs = Ecs::start();
        let env = [
            cloud.env(),
            ["ECS", "ECR"]
                .map(|name| (format!("AWS_ENDPOINT_URL_{name}"), ecs.address.clone()))
                .to_vec(),
        ]
        .concat();
        Ward { cloud, machine, ecs, env, args: Vec::new(), tiny: false }
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
    }

    pub fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.machine.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn replace(&self, path: &str, old: &str, new: &str) {
        let text = String::from_utf8(self.machine.read(path).unwrap()).unwrap();
        assert!(text.contains(old), "{text}");
        self.machine.write(path, text.replace(old, new));
    }

    pub fn doctor(&self) -> Command {
        let mut command =
            self.machine.command_with(self.env.iter().map(|(name, value)| (name, value)));
        command
            .args(["doctor", "--output", "json", "--root"])
            .arg(self.machine.root())
            .args(&self.args);
        if self.tiny { with_a_tiny_disk(&command, &self.machine) } else { command }
    }

    pub fn examine(&self) -> Examined {
        let output = self.doctor().output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for secret in self
            .cloud
            .secrets()
            .iter()
            .map(String::as_str)
            .chain(["PLANTED-ECR-TOKEN", "ASIAREHEARSAL"])
        {
            assert!(!text.contains(secret), "a secret is shown: {text}");
        }
        Examined::new(&output)
    }
}

/// The same command where 16 KiB are left for /etc/ecs.
pub fn with_a_tiny_disk(command: &Command, machine: &Machine) -> Command {
    let mut wrapped = Command::new("unshare");
    let mount = "cp -a \"$0\" \"$0.old\" && mount -t tmpfs -o size=16k,mode=755 none \"$0\" && cp -a \"$0.old\"/. \"$0\" && rm -r \"$0.old\" && exec \"$@\"";
    wrapped
        .args(["--mount", "sh", "-c", mount])
        .arg(machine.path("/etc/ecs"))
        .arg(command.get_program())
        .args(command.get_args());
    wrapped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

pub fn furnish(machine: &Machine) {
    machine.write(SETTINGS, SOURCE);
    machine.write("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    machine.write(
        "/var/lib/cloud/data/result.json",
        "{\"v1\": {\"datasource\": \"DataSourceEc2Local\", \"errors\": []}}",
    );
    machine.write(
        "/var/lib/cloud/instance/scripts/part-001",
        "#!/bin/sh\nsystemctl enable --now --no-block ecs\n",
    );
    machine.write(
        "/var/log/audit/audit.log",
        "type=AVC msg=audit(1): avc:  denied  { read } comm=\"other\"\n",
    );
    machine.write("/etc/ecs/ecs.config.json", "");
    machine.write(VAR, "ECS_DATADIR=/data\n");
    machine.write(
        "/var/lib/ecs/data/agent.db",
        b"\x02\x00cluster-name\"prod\"ec2-instance-id\"i-0ec5b007572a90001\"\x00",
    );
    machine.write(&format!("{UNITS}/ecs.service"), ECS_SERVICE);
    machine.write(
        &format!("{UNITS}/docker.service"),
        "[Unit]\nAfter=network-online.target\n[Service]\nExecStart=/usr/bin/dockerd\n",
    );
    machine.write(&format!("{UNITS}/cloud-final.service"), "[Unit]\nAfter=network-online.target\n");
    machine.write(
        &format!("{UNITS}/ecs-bootstrap.service"),
        include_str!("../../systemd/ecs-bootstrap.service"),
    );
    machine.write(
        &format!("{UNITS}/ecs.service.d/50-ecs-bootstrap.conf"),
        include_str!("../../systemd/interlock.conf"),
    );
    for folder in ["/etc/ecs", "/var/lib/ecs"] {
        fs::set_permissions(machine.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for file in ["/etc/ecs/ecs.config.json", VAR] {
        fs::set_permissions(machine.path(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    for unit in ["ecs", "docker", "ecs-bootstrap"] {
        link(
            machine,
            &format!("multi-user.target.wants/{unit}.service"),
            &format!("{UNITS}/{unit}.service"),
        );
    }
    link(
        machine,
        "ecs.service.requires/ecs-bootstrap.service",
        &format!("{UNITS}/ecs-bootstrap.service"),
    );
}

pub fn link(machine: &Machine, path: &str, target: &str) {
    let path = machine.path(&format!("/etc/systemd/system/{path}"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

/// What the doctor said.
pub struct Examined {
    pub status: i32,
    pub checks: BTreeMap<String, Value>,
    pub findings: Vec<Value>,
}

impl Examined {
    pub fn new(output: &Output) -> Self {
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!((&report["schema"], &report["command"]), (&1.into(), &"doctor".into()));
        assert_eq!(report["exit_status"], output.status.code().unwrap());
        let checks = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|check| (check["id"].as_str().unwrap().to_owned(), check.clone()));
        Examined {
            status: output.status.code().unwrap(),
            checks: checks.collect(),
            findings: report["findings"].as_array().unwrap().clone(),
        }
    }

    pub fn outcome(&self, id: &str) -> &str {
        self.checks[id]["outcome"].as_str().unwrap()
    }

    pub fn outcomes(&self) -> BTreeMap<&str, &str> {
        self.checks.keys().map(|id| (id.as_str(), self.outcome(id))).collect()
    }

    pub fn finding(&self, id: &str) -> String {
        self.checks[id]["finding"].as_str().unwrap().to_owned()
    }
}

/// Whether a test that needs root can be run; in CI it must.
pub fn is_root(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "CI without root: {what}");
    if !root {
        println!("skipped: {what} needs root");
    }
    root
}

/// Takes every connection and says nothing.
pub fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    address
}
