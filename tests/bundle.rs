//! `doctor --bundle`: an archive that helps the engineer who reads the ticket, and contains no
//! secret.

#[path = "support/doctor_host.rs"]
mod doctor_host;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use doctor_host::{DoctorHost, POLL, SOURCE, UNITS, is_root, link, tests_folder};

const BUNDLE: &str = "/tmp/bundle.tar.gz";

/// What is planted; every secret of this file has the mark in it.
const MARK: &str = "PLANTED";

/// The forms that a secret could have in a file: itself, in any case; base64, wherever in it;
/// and with every byte as %XX.
fn forms(text: &str) -> Vec<String> {
    let percent = text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02x}").unwrap();
        all
    });
    // The first and last letters of a piece depend on its neighbours.
    let shifted = (0..3).map(|shift| {
        let all = base64(&[vec![0; shift], text.as_bytes().to_vec()].concat());
        let from = if shift == 0 { 0 } else { 4 };
        all[from..all.len() - 4].to_lowercase()
    });
    let mut forms: Vec<String> = shifted.collect();
    forms.extend([text.to_lowercase(), percent]);
    forms
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        (0..4).map(move |at| LETTERS[(bits >> (18 - 6 * at) & 63) as usize] as char)
    });
    letters.collect()
}

fn contains_secret(text: &str, secret: &str) -> bool {
    let text = text.to_lowercase();
    forms(secret).iter().any(|form| text.contains(form))
}

#[test]
fn secrets_are_found_in_any_case_and_encoding() {
    for hidden in [
        "x PLANTED-1",
        "planted-1",
        "AAUExBTlRFRC0x",
        "QUFQTEFOVEVELTE=",
        "QUxBTlRFRC1QTEFOVEVELTE=",
        "%50%4c%41%4e%54%45%44%2D%31",
    ] {
        assert!(contains_secret(hidden, "PLANTED-1"), "{hidden}");
    }
    assert_eq!(base64(b"AAPLANTED-1"), "QUFQTEFOVEVELTE".to_owned() + "A");
    assert!(!contains_secret("PLANTE D-1, UExBTlQ", "PLANTED-1"));
}

/// How `doctor --bundle` ended, and what the archive contains.
struct Bundled {
    output: Output,
    folder: tempfile::TempDir,
    /// As `tar --list --verbose` shows them.
    list: String,
}

impl Bundled {
    fn of(host: &mut DoctorHost) -> Self {
        let path = host.machine.path(BUNDLE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        host.args.extend(["--bundle".into(), path.display().to_string()]);
        let output = host.doctor().output().unwrap();
        assert!(path.is_file(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = tempfile::tempdir().unwrap();
        let tar = |args: &[&str]| {
            let done = Command::new("tar")
                .args(args)
                .arg("--file")
                .arg(&path)
                .current_dir(folder.path())
                .output()
                .unwrap();
            assert!(
                done.status.success() && done.stderr.is_empty(),
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
            String::from_utf8(done.stdout).unwrap()
        };
        tar(&["--extract", "--gzip"]);
        let list = tar(&["--list", "--verbose", "--gzip", "--numeric-owner"]);
        Bundled { output, folder, list }
    }

    /// A file of the bundle.
    fn text(&self, name: &str) -> String {
        let path = self.folder.path().join("ecs-bootstrap-bundle").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.list))
    }

    fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        walk(self.folder.path(), &mut files);
        files
    }

    /// Why a file is not among them, as the manifest has it.
    fn left_out(&self, name: &str) -> String {
        let manifest = self.text("MANIFEST");
        let (_, out) = manifest.split_once("\nLeft out\n").unwrap();
        let line = out.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name} is not left out: {manifest}")).to_owned()
    }
}

fn walk(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, files),
            false => files.push((path.clone(), fs::read_to_string(path).unwrap())),
        }
    }
}

/// A host with a secret in every place where people have been seen to keep one, beside something
/// harmless: `tests/bundle/host`, and what cannot be a file there.
fn indiscreet() -> DoctorHost {
    let mut host = DoctorHost::healthy();
    host.overlay(&tests_folder("bundle/host"));
    let machine = &host.machine;
    for path in ["/run/ecs-bootstrap/report.json", "/var/lib/ecs-bootstrap/state.json"] {
        let text = String::from_utf8(machine.read(path).unwrap()).unwrap();
        machine.write(path, text.replacen('{', "{\"planted\": \"PLANTED\",", 1));
    }
    machine.write("/PLANTED", "PLANTED");
    let docker = machine.path("/etc/systemd/system/docker.service.d");
    symlink(machine.path("/PLANTED"), docker.join("link.conf")).unwrap();
    fs::write(docker.join("\u{1b}[2J.conf"), "[Unit]\nAfter=odd.service\n").unwrap();
    for (name, value) in [
        ("HTTPS_PROXY", "http://u:PLANTED@127.0.0.1:1"),
        ("NO_PROXY", "127.0.0.1,169.254.169.254,169.254.170.2"),
        ("AWS_SECRET_ACCESS_KEY", "PLANTED"),
        ("AWS_SESSION_TOKEN", "PLANTED"),
        ("ECS_BOOTSTRAP_SET", "ECS_ENGINE_AUTH_DATA=PLANTED"),
    ] {
        host.set(name, value);
    }
    let quoted = "{\"__type\": \"InvalidSignatureException\", \"message\": \"The signature does not match.\\n\\nThe Canonical String\\nx-amz-security-token:PLANTED\"}";
    host.ecs.answers(POLL, 403, quoted);
    host
}

/// A bundle with none of the lines of `tests/bundle/expected` would hold no secret either.
#[test]
fn no_secret_is_in_the_bundle_and_harmless_lines_are() {
    let mut host = indiscreet();
    let bundled = Bundled::of(&mut host);
    let secrets = [host.cloud.secrets(), vec![MARK.into(), "ASIAREHEARSAL".into()]].concat();
    let Output { stdout, stderr, .. } = &bundled.output;
    let mut texts = bundled.files();
    texts.extend(
        [stdout, stderr]
            .map(|bytes| ("output".into(), String::from_utf8_lossy(bytes).into_owned())),
    );
    texts.push(("names".into(), bundled.list.clone()));
    for (name, text) in &texts {
        for secret in &secrets {
            assert!(!contains_secret(text, secret), "a secret is in {}: {text}", name.display());
        }
    }
    let mut expected = Vec::new();
    let folder = tests_folder("bundle/expected");
    walk(&folder, &mut expected);
    assert!(expected.len() > 15, "{expected:?}");
    for (path, lines) in expected {
        let name = path.strip_prefix(&folder).unwrap().to_string_lossy();
        let text = bundled.text(&name);
        for line in lines.lines() {
            assert!(text.contains(line), "{name} lacks {line}: {text}");
        }
    }
    assert!(bundled.text("versions.json").contains(env!("CARGO_PKG_VERSION")));
    let link = bundled.left_out("etc/systemd/system/docker.service.d/link.conf");
    assert!(link.contains("a symbolic link"), "{link}");
    assert!(bundled.left_out("a drop-in").contains("too odd"));
}

#[test]
fn bundle_changes_neither_the_report_nor_the_host() {
    for (plant, status) in [(None, 0), (Some("ECS_CLUSTER=other\n"), 70)] {
        let mut host = DoctorHost::healthy();
        if let Some(text) = plant {
            host.machine.write("/etc/ecs/ecs.config", text);
        }
        let (before, plain) = (host.machine.files(), host.doctor().output().unwrap());
        let bundled = Bundled::of(&mut host);
        assert_eq!(
            (bundled.output.status.code(), plain.status.code()),
            (Some(status), Some(status))
        );
        let checks = |output: &[u8]| {
            serde_json::from_slice::<serde_json::Value>(output).unwrap()["checks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|check| check["outcome"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(checks(&bundled.output.stdout), checks(&plain.stdout));
        assert!(
            String::from_utf8_lossy(&bundled.output.stdout) == bundled.text("doctor.json"),
            "doctor.json is not what was printed"
        );
        fs::remove_file(host.machine.path(BUNDLE)).unwrap();
        assert_eq!(host.machine.files(), before);
    }
}

#[test]
fn report_and_state_are_whole_in_the_bundle() {
    let mut host = DoctorHost::healthy();
    let bundled = Bundled::of(&mut host);
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for path in ["/run/ecs-bootstrap/report.json", "/var/lib/ecs-bootstrap/state.json"] {
        assert_eq!(
            json(&bundled.text(&path[1..])),
            json(std::str::from_utf8(&host.machine.read(path).unwrap()).unwrap())
        );
    }
}

#[test]
fn manifest_names_every_file_in_the_order_of_tar() {
    let mut host = DoctorHost::healthy();
    let bundled = Bundled::of(&mut host);
    let manifest = bundled.text("MANIFEST");
    let named: Vec<String> = manifest
        .split("\nLeft out\n")
        .next()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| format!("ecs-bootstrap-bundle/{}", line.trim()))
        .collect();
    let listed: Vec<&str> = bundled.list.lines().collect();
    let names: Vec<&str> =
        listed.iter().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(names[..2], ["ecs-bootstrap-bundle/", "ecs-bootstrap-bundle/MANIFEST"]);
    assert_eq!(names[2..], named);
    assert!(
        listed[0].starts_with("drwxr-xr-x 0/0 ")
            && listed[1..].iter().all(|line| line.starts_with("-rw-r--r-- 0/0 ")),
        "{}",
        bundled.list
    );
    let mode = fs::metadata(host.machine.path(BUNDLE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let of = |path: &Path| fs::metadata(path).unwrap().mtime();
    assert_eq!(
        of(&bundled
            .folder
            .path()
            .join("ecs-bootstrap-bundle")
            .join(&UNITS[1..])
            .join("ecs.service")),
        of(&host.machine.path(&format!("{UNITS}/ecs.service")))
    );
}

#[test]
fn special_and_large_files_are_left_out_without_waiting() {
    let mut host = DoctorHost::healthy();
    let report = host.machine.path("/run/ecs-bootstrap/report.json");
    fs::remove_file(&report).unwrap();
    nix::unistd::mkfifo(&report, nix::sys::stat::Mode::S_IRWXU).unwrap();
    host.machine.write("/elsewhere", "ID=PLANTED\n");
    symlink("/elsewhere", host.machine.path("/etc/os-release")).unwrap();
    fs::create_dir_all(host.machine.path("/run/ecs-bootstrap/guard.json")).unwrap();
    link(&host.machine, "docker.service", "/dev/null");
    host.machine.write("/usr/lib/os-release", "x".repeat((1 << 20) + 1));
    host.machine.write("/etc/docker/daemon.json", "{\"debug\": PLANTED");
    let bundled = Bundled::of(&mut host);
    for (name, why) in [
        ("run/ecs-bootstrap/report.json", "it is a named pipe"),
        ("run/ecs-bootstrap/guard.json", "it is a folder"),
        ("etc/os-release", "a symbolic link"),
        ("etc/systemd/system/docker.service", "masked"),
        ("usr/lib/os-release", "larger than"),
        ("etc/docker/daemon.json", "not a JSON object"),
        ("run/cloud-init/status.json", "missing"),
    ] {
        assert!(bundled.left_out(name).contains(why), "{name}: {}", bundled.left_out(name));
    }
    assert!(bundled.files().iter().all(|(_, text)| !text.contains("PLANTED")));
}

/// The exit status, what was printed, and what is at the path afterwards.
#[track_caller]
fn refused(host: &DoctorHost, path: &str, status: i32, words: &str) {
    let output = host.doctor().args(["--bundle", path]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{path}: {stderr}");
    assert!(stderr.contains(words), "{path}: {stderr}");
    assert!(
        status == 2
            || stderr.contains("what:   failed while writing the support bundle")
                && stderr.contains("remedy: "),
        "{stderr}"
    );
    assert_eq!(output.stdout.is_empty(), status == 2, "the checks are printed all the same");
}

#[test]
fn bad_paths_are_refused_and_stay_unchanged() {
    let host = DoctorHost::healthy();
    host.machine.write("/theirs", "theirs");
    symlink("theirs", host.machine.path("/link")).unwrap();
    let at = |path: &str| host.machine.path(path).display().to_string();
    for path in ["-", "/", "..", ""] {
        refused(&host, path, 2, "--bundle");
    }
    refused(&host, &at("/missing/bundle.tar.gz"), 40, "No such file or directory");
    refused(&host, &at("/link"), 40, "is a symbolic link");
    refused(&host, &at("/etc"), 40, "is not a plain file");
    assert!(!host.machine.path("/missing").exists());
    assert_eq!(host.machine.read("/theirs").unwrap(), b"theirs");
}

#[test]
fn a_full_disk_leaves_the_old_bundle_in_place() {
    let mut host = DoctorHost::healthy();
    host.machine.write(BUNDLE, "old");
    Bundled::of(&mut host);
    assert_ne!(host.machine.read(BUNDLE).unwrap(), b"old");
    if !is_root("a disk that is full") {
        return;
    }
    let mut host = DoctorHost::healthy();
    host.tiny_disk = true;
    let path = host.machine.path("/etc/ecs/bundle.tar.gz");
    fs::write(&path, "old").unwrap();
    // The tiny disk is gone with the command, so the look is part of it.
    let mut command = host.doctor();
    command.arg("--bundle").arg(&path);
    let mut inside = Command::new("sh");
    let look = "set -- \"$@\"; status=0; \"$@\" >/dev/null || status=$?; echo; echo \"$status\"; cat \"$0\"; ls -A \"${0%/*}\" | grep -c bundle";
    let args: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    // unshare --mount sh -c MOUNT FOLDER PROGRAM…: the look goes between the mount and the program.
    inside.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    inside
        .arg("-c")
        .arg("exec \"$@\"")
        .arg("sh")
        .arg(command.get_program())
        .args(&args[..5])
        .args(["sh", "-c", look])
        .arg(&path)
        .args(&args[5..]);
    let output = inside.output().unwrap();
    let (stderr, stdout) = (
        String::from_utf8_lossy(&output.stderr).into_owned(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    assert_eq!(stdout.trim(), "40\nold1", "{stderr}");
    assert!(stderr.contains("make room"), "{stderr}");
}

#[test]
fn the_settings_file_given_by_name_is_in_the_bundle() {
    let mut host = DoctorHost::healthy();
    host.machine.write("/other.toml", format!("{SOURCE}max_age = \"48h\"\n"));
    host.args = vec!["--settings".into(), host.machine.path("/other.toml").display().to_string()];
    let bundled = Bundled::of(&mut host);
    assert!(bundled.text("etc/ecs-bootstrap/ecs-bootstrap.toml").contains("max_age = 48h"));
}
