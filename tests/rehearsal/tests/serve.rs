//! `rehearsal --serve`, as the layers that are not written in Rust use it.

mod client;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use client::ask;
use serde_json::Value;

struct Served {
    child: Child,
    commands: ChildStdin,
    printed: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Served {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
        command.arg("--serve").args(options).arg("--log").arg(folder.path().join("log"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        let mut env = Vec::new();
        loop {
            let mut line = String::new();
            assert!(printed.read_line(&mut line).unwrap() > 0, "it ended");
            let Some(variable) = line.trim_end().strip_prefix("export ") else { break };
            let (name, value) = variable.split_once('=').unwrap();
            env.push((name.to_owned(), value.to_owned()));
        }
        Self { commands: child.stdin.take().unwrap(), child, printed, folder, env }
    }

    fn address(&self, variable: &str) -> SocketAddr {
        let (_, url) = self.env.iter().find(|(name, _)| name == variable).unwrap();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    fn status(&self, variable: &str, method: &str, target: &str) -> u16 {
        let ttl = ("X-aws-ec2-metadata-token-ttl-seconds", "60");
        ask(self.address(variable), method, target, &[ttl], "").status
    }

    fn command(&mut self, line: &str) -> String {
        writeln!(self.commands, "{line}").unwrap();
        let mut answer = String::new();
        self.printed.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

const IMDS: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const S3: &str = "AWS_ENDPOINT_URL_S3";

#[test]
fn serve_logs_requests_with_the_result_of_the_command() {
    for (command, succeeds) in [("true", true), ("false", false)] {
        let served = Served::start(&["--on-request", command]);
        assert_eq!(served.status(IMDS, "PUT", "/latest/api/token"), 200);
        assert_eq!(served.status(IMDS, "GET", "/latest/meta-data/"), 401);
        let log = served.log();
        let seen: Vec<_> = log.iter().map(|line| (&line["method"], &line["status"])).collect();
        assert_eq!(seen, [(&"PUT".into(), &200.into()), (&"GET".into(), &401.into())]);
        assert!(log.iter().all(|line| line["on_request"] == succeeds), "{log:?}");
    }
}

#[test]
fn serve_obeys_commands_from_standard_input() {
    let mut served = Served::start(&["--fault", "imds-off"]);
    assert_eq!(served.status(IMDS, "PUT", "/latest/api/token"), 403);
    assert_eq!(served.command("clear-faults"), "ok");
    assert_eq!(served.status(IMDS, "PUT", "/latest/api/token"), 200);
    let file = served.folder.path().join("file");
    std::fs::write(&file, "content").unwrap();
    assert_eq!(served.command(&format!("object artifacts a/file {}", file.display())), "ok");
    assert_eq!(served.status(S3, "GET", "/artifacts/a/file"), 403);
    assert_eq!(served.command("public artifacts a/"), "ok");
    assert_eq!(served.status(S3, "GET", "/artifacts/a/file"), 200);
    assert_eq!(served.command("readable artifacts no"), "ok");
    assert_eq!(served.status(S3, "GET", "/artifacts/a/file"), 403);
    assert!(served.command("fault s3-402").starts_with("error: no fault is called s3-402"));
    for kind in ["parameter", "secret"] {
        assert_eq!(served.command(&format!("{kind} /a/name {}", file.display())), "ok");
        assert!(served.command(&format!("{kind} /a/name /absent")).starts_with("error: /absent"));
    }
    assert!(served.command("nonsense").starts_with("error: "));
}

#[test]
fn serve_ends_with_standard_input() {
    let mut served = Served::start(&[]);
    let ended = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .arg("--serve")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ended.status.success());
    assert!(served.child.try_wait().unwrap().is_none());
}

#[test]
fn serve_refuses_unknown_options_and_taken_addresses() {
    let served = Served::start(&[]);
    let taken = served.address(IMDS).to_string();
    for options in [&["--imds", &taken][..], &["--imds", "localhost"], &["--tls"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
        let output = command.arg("--serve").args(options).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}");
    }
}
