//! The real docker CLI, talking to a daemon that only writes down which variables a container
//! should get.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use ecs_config::readers::docker as read;
use serde_json::Value;

/// The CLI's own environment, which lends its value to a name that stands alone.
const PRESENT: (&str, &str) = ("PRESENT", "lent by the CLI");
/// Files in one call of the CLI, which takes tens of milliseconds to start.
const BATCH: usize = 100;

/// A file, and the variables it should give: `None` if docker should reject it.
pub(crate) struct Case {
    path: PathBuf,
    pub(crate) expected: Option<Vec<String>>,
}

impl Case {
    pub(crate) fn new(path: PathBuf, file: &[u8]) -> Self {
        Case { path, expected: expected(file) }
    }
}

/// What our own reader makes of a file.
pub(crate) fn expected(file: &[u8]) -> Option<Vec<String>> {
    let reading = read(file);
    let text =
        |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("docker rejects what is not UTF-8");
    let variable = |(name, value): (String, Option<String>)| match value {
        Some(value) => Some(format!("{name}={value}")),
        None => (name == PRESENT.0).then(|| format!("{name}={}", PRESENT.1)),
    };
    let sets = reading.variables.iter().map(|set| (text(set.name), set.value.as_deref().map(text)));
    reading.error.is_none().then(|| sets.filter_map(variable).collect())
}

/// As the CLI reports it.
pub(crate) fn version() -> String {
    let output = Command::new("docker").arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn is_here() -> bool {
    Command::new("docker").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Listens on a socket in its folder, and remembers what containers should have been created.
pub(crate) struct Daemon {
    folder: PathBuf,
    created: Arc<Mutex<HashMap<String, Vec<String>>>>,
}

impl Daemon {
    pub(crate) fn start(folder: &Path) -> Daemon {
        let daemon = Daemon { folder: folder.into(), created: Arc::default() };
        let listener = UnixListener::bind(daemon.socket()).unwrap();
        let created = daemon.created.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let created = created.clone();
                thread::spawn(move || serve(stream, &created));
            }
        });
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// Compares all cases: those that should be read together in batches, those that should be
    /// rejected each by itself.
    pub(crate) fn compare(&self, cases: &[Case]) {
        let (read, rejected): (Vec<&Case>, Vec<&Case>) =
            cases.iter().partition(|case| case.expected.is_some());
        let (left, right) = rejected.split_at(rejected.len() / 2);
        thread::scope(|scope| {
            for half in [left, right] {
                scope.spawn(|| half.iter().for_each(|case| self.compare_rejected(case)));
            }
        });
        (0..).zip(read.chunks(BATCH)).for_each(|(number, batch)| self.compare_read(number, batch));
    }

    fn compare_rejected(&self, case: &Case) {
        let output = self.create("rejected", [case.path.as_path()]);
        let created = self.created.lock().unwrap().contains_key("rejected");
        assert!(
            !output.status.success() && !created,
            "docker accepts {}, this reader does not",
            case.path.display()
        );
    }

    /// A marker file between the files of a batch tells them apart.
    fn compare_read(&self, number: usize, batch: &[&Case]) {
        let marker = self.folder.join("marker");
        std::fs::write(&marker, "END_OF_FILE=\n").unwrap();
        let name = format!("batch-{number}");
        let output = self
            .create(&name, batch.iter().flat_map(|case| [case.path.as_path(), marker.as_path()]));
        assert!(
            output.status.success(),
            "docker rejects a file, this reader does not: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let created =
            self.created.lock().unwrap().remove(&name).expect("the daemon has seen the container");
        let sent: Vec<&[String]> = created.split(|variable| variable == "END_OF_FILE=").collect();
        assert_eq!(sent.len(), batch.len() + 1);
        for (case, sent) in batch.iter().zip(sent) {
            assert_eq!(case.expected.as_deref(), Some(sent), "{}", case.path.display());
        }
    }

    fn create<'a>(&self, name: &str, files: impl IntoIterator<Item = &'a Path>) -> Output {
        let mut command = Command::new("docker");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env(PRESENT.0, PRESENT.1);
        command
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .args(["create", "--name", name]);
        files.into_iter().for_each(|file| _ = command.arg("--env-file").arg(file));
        command.arg("image").output().unwrap()
    }
}

fn serve(stream: UnixStream, created: &Mutex<HashMap<String, Vec<String>>>) {
    let mut reader = BufReader::new(&stream);
    while let Some((request, body)) = request(&mut reader) {
        let answer = if request.contains("/containers/create?") {
            let name = request
                .split(['=', '&', ' '])
                .skip_while(|part| !part.ends_with("name"))
                .nth(1)
                .unwrap();
            created.lock().unwrap().insert(name.into(), environment(&body));
            r#"{"Id":"0123456789ab","Warnings":[]}"#
        } else {
            ""
        };
        let length = if request.starts_with("HEAD") { 0 } else { answer.len() };
        let status = if answer.is_empty() { "200 OK" } else { "201 Created" };
        let head = format!(
            "HTTP/1.1 {status}\r\nApi-Version: 1.47\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        if (&stream).write_all([head.as_bytes(), answer.as_bytes()].concat().as_slice()).is_err() {
            return;
        }
    }
}

/// The request line and the body; `None` at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line);
    }
    let length = head.iter().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head.into_iter().next()?, body))
}

fn environment(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).expect("the CLI sends JSON");
    let env = body["Env"].as_array().expect("with a list of variables");
    env.iter().map(|variable| variable.as_str().unwrap().to_owned()).collect()
}
