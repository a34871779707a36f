//! A machine that is a folder: root directory of one rehearsed host, and the only way tests run the
//! real binary. The folder is temporary and removed with the value.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::cloud::Cloud;

const BINARY: &str = "ecs-bootstrap";
/// The variable that keeps a program from real instance metadata.
const IMDS: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// What a machine keeps of the environment: where programs are, and where coverage is written to.
const KEPT: [&str; 2] = ["PATH", "LLVM_PROFILE_FILE"];

/// One rehearsed host.
pub struct Machine {
    folder: TempDir,
    binary: Option<PathBuf>,
}

impl Machine {
    /// An empty machine.
    ///
    /// # Panics
    /// When no folder can be made.
    #[allow(
        clippy::new_without_default,
        reason = "it makes a folder: nothing a default value should do"
    )]
    pub fn new() -> Self {
        let mut builder = tempfile::Builder::new();
        builder.prefix("rehearsal-").permissions(Permissions::from_mode(0o755));
        let folder = builder.tempdir().expect("a new folder under the temporary directory");
        Self { folder, binary: None }
    }

    /// Runs this binary: integration tests give `env!("CARGO_BIN_EXE_ecs-bootstrap")`. Otherwise it
    /// is found or built.
    pub fn with_binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = Some(binary.into());
        self
    }

    /// The folder that is `/` for the program.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A file of this machine by its path on the machine: `/etc/ecs/ecs.config`.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// The bytes of a file of this machine; `None` if it has no such file.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.path(path)).ok()
    }

    /// Writes a file of this machine, and the folders on the way.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("a folder on the machine");
        fs::write(path, bytes).expect("a file on the machine");
    }

    /// Every file of this machine with its bytes, to search for what must not be there. Of what is
    /// not a plain file, or is huge, the name alone.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut folders = vec![self.root().to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => files.push((entry.path(), plain(&entry).unwrap_or_default())),
                }
            }
        }
        files
    }

    /// The program in a clean environment in which this cloud is all there is. Arguments, `--root`
    /// among them, are the caller's.
    pub fn command(&self, cloud: &Cloud) -> Command {
        self.command_with(cloud.env())
    }

    /// The program with just this environment.
    ///
    /// # Panics
    /// When the environment does not keep it from real instance metadata.
    pub fn command_with<K, V>(&self, env: impl IntoIterator<Item = (K, V)>) -> Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let env: Vec<(OsString, OsString)> =
            env.into_iter().map(|(k, v)| (k.as_ref().into(), v.as_ref().into())).collect();
        let endpoint =
            env.iter().find(|(name, _)| name == IMDS).map(|(_, value)| value.to_string_lossy());
        if let Err(reason) = kept_from_real_metadata(endpoint.as_deref()) {
            panic!("no command for {BINARY}: {reason}");
        }
        self.clean_command(env)
    }

    /// The program with just this environment, metadata at its real address: for a network
    /// namespace that the test made.
    ///
    /// # Panics
    /// Unless [`inside_own_namespace`].
    pub fn command_inside_own_namespace<K, V>(
        &self,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        assert!(
            inside_own_namespace(),
            "no command for {BINARY}: real instance metadata may be reachable from here"
        );
        self.clean_command(
            env.into_iter().map(|(k, v)| (k.as_ref().into(), v.as_ref().into())).collect(),
        )
    }

    fn clean_command(&self, env: Vec<(OsString, OsString)>) -> Command {
        let mut command = Command::new(self.binary.as_deref().unwrap_or_else(|| program()));
        command.env_clear().stdin(Stdio::null());
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(env);
        command
    }
}

/// The bytes of a plain file of an ordinary size.
fn plain(entry: &fs::DirEntry) -> Option<Vec<u8>> {
    let found = entry.metadata().ok().filter(|found| found.is_file() && found.len() < 16 << 20)?;
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).ok()?);
    std::io::Read::read_to_end(&mut fs::File::open(entry.path()).ok()?, &mut bytes).ok()?;
    Some(bytes)
}

/// Whether no real metadata service can be reached from here: this thread is in another network
/// namespace than init, or no route of its namespace leads out of loopback (init's namespace cannot
/// be read everywhere, as in some containers).
pub fn inside_own_namespace() -> bool {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    match (namespace("thread-self"), namespace("1")) {
        (Some(ours), Some(init)) => ours != init,
        _ => no_route_leads_out(),
    }
}

/// Each line of these two files names a route's interface: IPv4 first (below a line of titles),
/// IPv6 last. No IPv6, no file.
fn no_route_leads_out() -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/thread-self/net/{file}"));
    let Ok(v4) = read("route") else { return false };
    let v6 = read("ipv6_route").unwrap_or_default();
    let v4 = v4.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    v4.chain(v6.lines().filter_map(|line| line.split_whitespace().next_back()))
        .all(|interface| interface == "lo")
}

fn kept_from_real_metadata(endpoint: Option<&str>) -> Result<(), String> {
    const REAL: [&str; 3] = ["169.254.", "fd00:ec2:", "instance-data"];
    match endpoint {
        None | Some("") => Err(format!(
            "{IMDS} is not set, so it would ask the real metadata address. Use Machine::command(&cloud)"
        )),
        Some(url) if REAL.iter().any(|real| url.contains(real)) => {
            Err(format!("{IMDS} is {url}, a real metadata address"))
        }
        Some(_) => Ok(()),
    }
}

/// The program: what `CARGO_BIN_EXE_ecs-bootstrap` in the environment names, or what `cargo build`
/// makes now, once a process.
///
/// # Panics
/// When it cannot be built; cargo has printed why on stderr.
pub fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        std::env::var_os(format!("CARGO_BIN_EXE_{BINARY}")).map_or_else(build, PathBuf::from)
    })
}

/// Builds the program as a newcomer would, and asks cargo where it is.
fn build() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_package(name)) {
        cargo.env_remove(name);
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    cargo
        .args([
            "build",
            "--bin",
            BINARY,
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(manifest);
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(executable).next_back().expect("cargo builds ecs-bootstrap")
}

/// What `cargo run` tells this program about itself: passed on, it would make build scripts that
/// watch it (ring's) run anew.
fn is_of_this_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The path in cargo's message about a finished executable.
fn executable(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let named = message["target"]["name"] == BINARY;
    Some(message["executable"].as_str().filter(|_| named)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "AWS_EC2_METADATA_SERVICE_ENDPOINT is not set")]
    fn command_without_a_metadata_endpoint_is_refused() {
        Machine::new().with_binary("/bin/true").command_with([("AWS_REGION", "eu-west-1")]);
    }

    #[test]
    #[should_panic(expected = "a real metadata address")]
    fn command_with_the_real_metadata_endpoint_is_refused() {
        Machine::new().with_binary("/bin/true").command_with([(IMDS, "http://[fd00:ec2::254]")]);
    }

    #[test]
    fn real_metadata_address_needs_an_own_network_namespace() {
        let command =
            || Machine::new().with_binary("/bin/true").command_inside_own_namespace([("A", "b")]);
        assert_eq!(std::panic::catch_unwind(command).is_ok(), inside_own_namespace());
    }

    #[test]
    fn dropped_machine_removes_its_folder() {
        let machine = Machine::new();
        machine.write("/etc/ecs/ecs.config", "ECS_CLUSTER=prod\n");
        let root = machine.root().to_owned();
        assert!(root.join("etc/ecs/ecs.config").exists());
        drop(machine);
        assert!(!root.exists());
    }

    #[test]
    fn command_inherits_only_the_path() {
        let output = Machine::new()
            .with_binary("/usr/bin/env")
            .command_with([(IMDS, "http://127.0.0.1:1")])
            .output()
            .unwrap();
        let names: Vec<String> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|l| l.split('=').next().unwrap().to_owned())
            .collect();
        assert!(
            names.iter().all(|name| KEPT.contains(&name.as_str()) || name == IMDS),
            "{names:?}"
        );
    }
}
