//! Any sequence of installations, kills and changes by others: what a run leaves is what its source
//! and the others' keys say, whatever was interrupted before.

mod support;

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use support::{Ended, Host, SOURCE, TARGET, skip, works};

/// What can happen to a host.
#[derive(Clone, Debug)]
enum Event {
    /// The source has another version.
    Object(u8),
    Run,
    /// A run that is killed at such a call of this kind.
    Killed(&'static str, u8),
    /// Two runs at once: the lock lets one wait for the other.
    Both,
    /// Another program appends a key of its own.
    Append,
}

fn event() -> impl Strategy<Value = Event> {
    let calls = prop_oneof![Just("rename"), Just("fsync"), Just("write"), Just("unlink")];
    prop_oneof![
        2 => (0..4_u8).prop_map(Event::Object),
        2 => Just(Event::Run),
        4 => (calls, 1..9_u8).prop_map(|(call, number)| Event::Killed(call, number)),
        1 => Just(Event::Both),
        1 => Just(Event::Append),
    ]
}

/// Version by version one key comes and goes: whose it is must be known after every kill.
fn object(version: u8) -> String {
    let sometimes = if version % 2 == 1 { "ECS_LOGLEVEL=warn\n" } else { "" };
    format!("ECS_CLUSTER=prod\nECS_RESERVED_MEMORY={version}\n{sometimes}")
}

const FOREIGN: &str = "ECS_DISABLE_METRICS=true";

struct Model {
    host: Host,
    version: u8,
    /// The other program's key is in the file.
    foreign: bool,
}

impl Model {
    fn new() -> Self {
        let host = Host::default().stores(object(0).as_str());
        Model { host, version: 0, foreign: false }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Object(version) => {
                self.version = *version;
                let text = object(*version);
                self.host.cloud.set_object("fleet-config", "ecs.config", text.as_str());
            }
            Event::Run => self.run(),
            Event::Killed(call, number) => self.killed(call, *number),
            Event::Both => {
                let start = || {
                    let mut run = self.host.command();
                    run.args(["run", "--quiet", "--config", SOURCE]);
                    run.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
                };
                let (mut one, mut other) = (start().unwrap(), start().unwrap());
                assert!(one.wait().unwrap().success() && other.wait().unwrap().success());
                self.is_as_the_model();
            }
            Event::Append => {
                let path = self.host.machine.path(TARGET);
                if let (false, Ok(mut file)) =
                    (self.foreign, OpenOptions::new().append(true).open(path))
                {
                    writeln!(file, "{FOREIGN}").unwrap();
                    self.foreign = true;
                }
            }
        }
    }

    fn run(&self) {
        let ended = self.host.boot();
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        self.is_as_the_model();
    }

    /// Whatever it did, what is there is one file or another, whole.
    fn killed(&self, call: &str, number: u8) {
        let run = self.host.command();
        let inject = format!("inject={call}:signal=KILL:when={number}");
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
            "-e",
            &inject,
        ]);
        command.arg(run.get_program()).args(run.get_args());
        command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ended::of(command.args(["run", "--quiet", "--config", SOURCE]));
        let text = self.host.installed().unwrap_or_default();
        assert!(text.is_empty() || text.starts_with("ECS_"), "{text}");
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    }

    fn is_as_the_model(&self) {
        let text = self.host.installed().unwrap();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let object = object(self.version);
        let mut expected: Vec<&str> = object.lines().collect();
        expected.extend(self.foreign.then_some(FOREIGN));
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines, expected);
        let strays = self.host.names("/etc/ecs").into_iter().filter(|name| name.starts_with('.'));
        assert_eq!(strays.count(), 0);
        assert_eq!(self.host.call(&["status", "--check"]).status, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_history_ends_in_what_the_source_says(history in prop::collection::vec(event(), 1..12)) {
        if works("strace", &["-qq", "-o", "/dev/null", "true"]).is_none() {
            skip("strace(1) is not installed, or may not trace");
            return Ok(());
        }
        let mut model = Model::new();
        history.iter().for_each(|event| model.apply(event));
        model.run();
    }
}
