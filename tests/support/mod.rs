//! One host before one boot, and how the boot ended: what the test files share. Each uses a part of
//! it.
#![allow(dead_code, reason = "every test file is a crate of its own and needs another part")]

mod collect;

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use collect::collect;
use rehearsal::{Cloud, Machine, Object, Options};
use serde_json::Value;

pub(crate) const SOURCE: &str = "s3://fleet-config/ecs.config";
pub(crate) const TEXT: &str =
    "# our fleet\nECS_CLUSTER=prod\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n";
pub(crate) const TARGET: &str = "/etc/ecs/ecs.config";
pub(crate) const STATE: &str = "/var/lib/ecs-bootstrap/state.json";
pub(crate) const VERIFIED: &str = "/var/lib/ecs-bootstrap/verified.json";
pub(crate) const PREVIOUS: &str = "/var/lib/ecs-bootstrap/ecs.config.previous";
pub(crate) const REPORT: &str = "/run/ecs-bootstrap/report.json";
pub(crate) const LOCK: &str = "/run/ecs-bootstrap/lock";

/// A host in a cloud whose bucket holds [`TEXT`].
pub(crate) struct Host {
    pub cloud: Cloud,
    pub machine: Machine,
}

impl Default for Host {
    fn default() -> Self {
        Self::of(Options::default())
    }
}

impl Host {
    pub(crate) fn of(options: Options) -> Self {
        let cloud = Cloud::start(options);
        cloud.set_object("fleet-config", "ecs.config", TEXT);
        Self { cloud, machine: machine() }
    }

    pub(crate) fn stores(self, object: impl Into<Object>) -> Self {
        self.cloud.set_object("fleet-config", "ecs.config", object);
        self
    }

    pub(crate) fn with_fault(self, name: &str) -> Self {
        self.cloud.usual_fault(name);
        self
    }

    pub(crate) fn with_file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.machine.write(path, bytes);
        self
    }

    /// The program on this host, with `--root` alone.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.machine.command(&self.cloud);
        command.arg("--root").arg(self.machine.root());
        command
    }

    /// `run` with these arguments, as JSON; with a timeout of 20 s unless they set another.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(&[], args)
    }

    pub(crate) fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Ended {
        let mut command = self.command();
        command.args(["run", "--output", "json"]).args(args).envs(env.iter().copied());
        if !args.contains(&"--timeout") {
            command.args(["--timeout", "20s"]);
        }
        Ended::of(&mut command)
    }

    /// The usual boot: one layer from S3.
    pub(crate) fn boot(&self) -> Ended {
        self.run(&["--config", SOURCE])
    }

    pub(crate) fn boots(&self, outcome: &str) -> Ended {
        let ended = self.boot();
        ended.succeeds_as(outcome);
        ended
    }

    /// Any command.
    pub(crate) fn call(&self, args: &[&str]) -> Ended {
        Ended::of(self.command().args(args))
    }

    pub(crate) fn installed(&self) -> Option<String> {
        self.machine.read(TARGET).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let bytes = self.machine.read(path).unwrap_or_else(|| panic!("{path} is missing"));
        if path == REPORT {
            collect(&bytes);
        }
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The names of the files below a folder, temporary ones too.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.machine.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) fn machine() -> Machine {
    Machine::new().with_binary(env!("CARGO_BIN_EXE_ecs-bootstrap"))
}

/// A process that ended.
pub(crate) struct Ended {
    pub status: i32,
    /// `null` where stdout was not JSON.
    pub report: Value,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    pub(crate) fn outcome(&self) -> &str {
        self.report["outcome"].as_str().unwrap_or("nothing")
    }

    #[track_caller]
    pub(crate) fn succeeds_as(&self, outcome: &str) {
        assert_eq!(
            (self.status, self.outcome()),
            (0, outcome),
            "{}\n{:#}",
            self.stderr,
            self.report
        );
        assert_eq!((&self.report["exit_status"], &self.report["error"]), (&0.into(), &Value::Null));
    }

    /// Word, exit status, report and the last three lines on stderr agree and are complete; each of
    /// `parts` is in the message, the remedy or a cause.
    #[track_caller]
    pub(crate) fn fails_as(&self, word: &str, status: i32, parts: &[&str]) {
        let context = format!("{}\n{:#}", self.stderr, self.report);
        assert!(
            !self.stderr.contains('\x1b'),
            "stderr is not a terminal, and yet there are escape sequences: {context}"
        );
        let error = &self.report["error"];
        assert_eq!((self.status, self.outcome()), (status, word), "{context}");
        assert_eq!(
            (&self.report["exit_status"], &error["word"]),
            (&status.into(), &word.into()),
            "{context}"
        );
        for part in ["message", "remedy"] {
            assert!(
                error[part].as_str().is_some_and(|text| text.len() > 10),
                "{part} is missing: {context}"
            );
        }
        let causes =
            error["causes"].as_array().unwrap_or_else(|| panic!("causes is missing: {context}"));
        assert!(
            causes.iter().all(|cause| cause.as_str().is_some_and(|text| !text.is_empty())),
            "{context}"
        );
        for wanted in parts {
            assert!(
                error.to_string().contains(wanted),
                "{wanted:?} is missing in the error: {context}"
            );
        }
        self.has_three_lines(&context);
        self.marks_the_failed_step(&context);
    }

    #[track_caller]
    fn has_three_lines(&self, context: &str) {
        let lines: Vec<&str> = self.stderr.lines().rev().take(3).collect();
        for (line, start) in lines.iter().zip(["remedy: ", "why:    ", "what:   "]) {
            assert!(line.starts_with(start), "the last lines are not what, why, remedy: {context}");
        }
    }

    /// Steps of a run are reported in full only once the settings are read and the lock is held.
    #[track_caller]
    fn marks_the_failed_step(&self, context: &str) {
        let may_be: &[&str] = match self.status {
            _ if self.report["command"] == "abandon" => return,
            10..20 => &["identity"],
            // STS can be out of reach, too; that the bytes are not a configuration is found when
            // they are read.
            20..24 => &["fetch", "identity", "lint"],
            30 | 31 => &["lint"],
            40 => &["install"],
            _ => return,
        };
        let steps = self.report["steps"].as_array().unwrap();
        let failed: Vec<&str> = steps
            .iter()
            .filter(|step| step["outcome"] == "failed")
            .filter_map(|step| step["step"].as_str())
            .collect();
        assert!(
            failed.len() == 1 && may_be.contains(&failed[0]),
            "one of {may_be:?} should be marked as failed, not {failed:?}: {context}"
        );
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        collect(&output.stdout);
        Self {
            status: output.status.code().unwrap_or(-1),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// Runs one check for each row of a table, several at the same time, for most of them wait; then
/// panics with all that failed.
pub(crate) fn for_each<T: Sync>(
    table: &[T],
    name: impl Fn(&T) -> String + Sync,
    check: impl Fn(&T) + Sync,
) {
    const AT_ONCE: usize = 8;
    let (waiting, broken) = (Mutex::new(table.iter()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(row) = { waiting.lock().unwrap().next() } {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(row))).is_err() {
                broken.lock().unwrap().push(name(row));
            }
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "these failed, see above: {}", broken.join(", "));
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(fact: impl Fn() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not happen within 60 s");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Reports that something cannot be tested here; with CI=true that is a failure.
pub(crate) fn skip(reason: &str) {
    let _unread = writeln!(std::io::stdout(), "skipped: {reason}");
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "with CI=true nothing may be skipped: {reason}"
    );
}

pub(crate) fn is_root() -> bool {
    works("id", &["-u"]).is_some_and(|id| id.trim() == "0")
}

/// What a program prints, if it is installed and succeeds.
pub(crate) fn works(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
