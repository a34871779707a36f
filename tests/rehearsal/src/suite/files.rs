//! What is not a plain file, where the program expects one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::Stage;
use super::cases::{Case, SOURCE};

/// What can be at a path.
#[derive(Clone, Copy)]
enum Kind {
    Fifo,
    Socket,
    Folder,
    Zero,
    Sparse,
    LinkToItself,
}

use Kind::{Fifo, Folder, LinkToItself, Socket, Sparse, Zero};

const KINDS: [(Kind, &str, &str); 6] = [
    (Fifo, "fifo", "a FIFO"),
    (Socket, "socket", "a socket"),
    (Folder, "folder", "a folder"),
    (Zero, "zero", "a link to /dev/zero"),
    (Sparse, "sparse", "a file of 1 GiB"),
    (LinkToItself, "loop", "a link to itself"),
];

impl Kind {
    fn put(self, path: &Path) {
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
        match self {
            Fifo => {
                let made = Command::new("mkfifo").arg(path).status();
                assert!(made.is_ok_and(|made| made.success()), "mkfifo(1) works");
            }
            // Its name stays when it is closed.
            Socket => drop(std::os::unix::net::UnixListener::bind(path).expect("a socket")),
            Folder => fs::create_dir(path).expect("a folder"),
            Zero => symlink("/dev/zero", path).expect("a link"),
            Sparse => fs::File::create(path)
                .and_then(|file| file.set_len(1 << 30))
                .expect("a sparse file"),
            LinkToItself => {
                symlink(path.file_name().expect("it has a name"), path).expect("a link");
            }
        }
    }
}

/// A path, what it is called here, and the exit status of `run` with each of [`KINDS`] there.
/// Where the agent, too, takes a file that it cannot read as missing, so does a run.
const PATHS: [(&str, &str, [i32; 6]); 8] = [
    ("/etc/ecs/ecs.config", "ecs.config", [40, 40, 40, 40, 40, 40]),
    ("/var/lib/ecs/ecs.config", "var ecs.config", [0, 0, 0, 0, 0, 0]),
    ("/etc/ecs/ecs.config.json", "ecs.config.json", [0, 0, 0, 0, 0, 0]),
    ("/var/lib/ecs-bootstrap/state.json", "state.json", [40, 40, 40, 40, 0, 40]),
    ("/run/ecs-bootstrap/lock", "lock", [40, 40, 40, 40, 0, 40]),
    ("/etc/ecs-bootstrap/ecs-bootstrap.toml", "settings", [2, 2, 2, 0, 2, 2]),
    ("/var/lib/amazon/ssm/Vault/Store/RegistrationKey", "registration", [0, 0, 0, 0, 0, 0]),
    ("/sys/class/dmi/id/sys_vendor", "sys_vendor", [0, 0, 0, 0, 0, 0]),
];

/// Commands that read the installed file, and how they end with a FIFO there.
const COMMANDS: [(&str, &[&str], i32); 7] = [
    ("verify", &["verify", "--timeout", "3s"], 0),
    ("lint", &["lint", "ROOT/etc/ecs/ecs.config"], 2),
    ("doctor", &["doctor"], 70),
    ("status", &["status"], 70),
    ("status-check", &["status", "--check"], 40),
    ("guard-status", &["guard", "status"], 0),
    ("dry-run", &["run", "--dry-run", "--config", SOURCE], 40),
];

pub(super) fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for (path, file, statuses) in PATHS {
        for ((kind, word, what), status) in KINDS.into_iter().zip(statuses) {
            let name = format!("{}-{word}", file.replace(' ', "-"));
            let put = move |stage: &Stage| kind.put(&stage.machine.path(path));
            let case = Case::run(&name, &format!("{path} is {what}"), status).prepared(put);
            all.push(if status == 2 { case.without_report() } else { case });
        }
    }
    all.extend(COMMANDS.map(|(name, arguments, status)| {
        let does = format!(
            "`{}` with a FIFO as /etc/ecs/ecs.config",
            arguments[..arguments.len().min(2)].join(" ")
        );
        let does = does.replace(" ROOT/etc/ecs/ecs.config", "");
        let put = |stage: &Stage| Fifo.put(&stage.machine.path("/etc/ecs/ecs.config"));
        Case::call(&format!("{name}-fifo"), &does, status, arguments).prepared(put)
    }));
    all.extend(named());
    all
}

/// Files that a variable or an option names.
fn named() -> Vec<Case> {
    let mut all = Vec::new();
    for ((kind, word, what), status) in KINDS.into_iter().zip([2, 2, 2, 2, 23, 22]) {
        let put = move |stage: &Stage| kind.put(&stage.machine.path("/named"));
        let source = Case::call(
            &format!("source-{word}"),
            &format!("the source file:///… is {what}"),
            status,
            &["run", "--config", "file://ROOT/named", "--timeout", "4s"],
        );
        all.push(source.prepared(put));
    }
    all
}
