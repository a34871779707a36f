//! `doctor --bundle`: an archive that helps whoever reads the ticket, and in which nobody finds a
//! secret.

#[path = "support/ward.rs"]
mod ward;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ward::{CONFIG, POLL, SETTINGS, SOURCE, UNITS, VAR, Ward, is_root};

const BUNDLE: &str = "/tmp/bundle.tar.gz";

/// What is planted; every secret of this file has the mark in it.
const MARK: &str = "PLANTED";

/// The forms in which the text could stand in a file: itself, in any case; base64, wherever in it;
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

fn holds(text: &str, secret: &str) -> bool {
    let text = text.to_lowercase();
    forms(secret).iter().any(|form| text.contains(form))
}

#[test]
fn the_search_finds_a_secret_however_it_is_written() {
    for hidden in [
        "x PLANTED-1",
        "planted-1",
        "AAUExBTlRFRC0x",
        "QUFQTEFOVEVELTE=",
        "QUxBTlRFRC1QTEFOVEVELTE=",
        "%50%4c%41%4e%54%45%44%2D%31",
    ] {
        assert!(holds(hidden, "PLANTED-1"), "{hidden}");
    }
    assert_eq!(base64(b"AAPLANTED-1"), "QUFQTEFOVEVELTE".to_owned() + "A");
    assert!(!holds("PLANTE D-1, UExBTlQ", "PLANTED-1"));
}

/// How `doctor --bundle` ended, and what the archive holds.
struct Bundled {
    output: Output,
    folder: tempfile::TempDir,
    /// As `tar --list --verbose` shows them.
    list: String,
}

impl Bundled {
    fn of(ward: &mut Ward) -> Self {
        let path = ward.machine.path(BUNDLE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        ward.args.extend(["--bundle".into(), path.display().to_string()]);
        let output = ward.doctor().output().unwrap();
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
/// harmless.
fn indiscreet() -> Ward {
    let mut ward = Ward::healthy();
    let machine = &ward.machine;
    let seen = |path: &str, old: &str, new: &str| {
        let text = String::from_utf8(machine.read(path).unwrap()).unwrap();
        assert!(text.contains(old), "{text}");
        machine.write(path, text.replacen(old, new, 1));
    };
    machine.write(
        "/etc/ecs/ecs.config",
        format!(
            "{CONFIG}# PLANTED-COMMENT\nECS_ENGINE_AUTH_DATA={{\"r.test\":{{\"password\":\"PLANTED-PASSWORD\"}}}}\nECS_ENGINE_AUTH_DATA PLANTED-NONE\n\
             PLANTED-NAME=1\nPLANTEDNAME=x\nECS_INSTANCE_ATTRIBUTES={{\\\n\"PLANTED\": \"x=y\"}}\nHTTP_PROXY=http://u:PLANTED-PROXY@p:1\n"
        ),
    );
    machine.write(VAR, "ECS_DATADIR=/data/PLANTED\n");
    machine.write(
        "/etc/ecs/ecs.config.json",
        "{\"Cluster\": \"PLANTED\", \"EngineAuthData\": {\"r\": \"PLANTED\"}, \"PLANTED-KEY\": 1}",
    );
    machine.write(
        "/var/lib/ecs-bootstrap/ecs.config.previous",
        "ECS_ENGINE_AUTH_DATA=PLANTED-BEFORE\n",
    );
    machine.write(
        SETTINGS,
        "# PLANTED-REMARK\nconfig = [\"s3://fleet-config/ecs.config\", \"https://u:PLANTED@127.0.0.1:1/layer?X-Amz-Signature=PLANTED\"]\n\
         keep = [\"NO_PROXY\"]\nmax_age = \"36h\"\n[set]\nECS_ENGINE_AUTH_DATA = \"PLANTED-SET\"\n",
    );
    machine.write(
        "/etc/systemd/system/ecs-bootstrap.service.d/proxy.conf",
        "[Service]\n# PLANTED\nEnvironment=HTTPS_PROXY=http://u:PLANTED@p:1 NO_PROXY=PLANTED\n",
    );
    machine.write(
        "/etc/systemd/system/docker.service.d/10-options.conf",
        "[Unit]\nDescription=PLANTED\nAfter=secrets.service\n[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --registry-mirror https://u:PLANTED@m \\\n  \
         After=PLANTED\nEnvironment=\"HTTP_PROXY=http://u:PLANTED@p:1\"\nSetCredential=x:PLANTED\nPLANTED\n",
    );
    machine.write("/root/.aws/credentials", "[default]\naws_secret_access_key = PLANTED\n");
    machine.write(
        "/etc/docker/daemon.json",
        "{\"live-restore\": true, \"proxies\": {\"http-proxy\": \"http://u:PLANTED@p\"}, \"log-opts\": {\"splunk-token\": \"PLANTED\"}, \"PLANTED\": 1}",
    );
    machine.write(
        "/var/lib/cloud/instance/user-data.txt",
        "#!/bin/sh\nexport TOKEN=PLANTED\nsystemctl start ecs # PLANTED\n",
    );
    machine.write(
        "/var/lib/cloud/data/result.json",
        "{\"v1\": {\"datasource\": \"DataSourceEc2Local [PLANTED]\", \"errors\": [\"PLANTED\"], \"other\": \"PLANTED\"}}",
    );
    machine.write(
        "/var/lib/cloud/data/status.json",
        "{\"v1\": {\"stage\": null, \"init\": {\"start\": 1.5, \"finished\": 2.5, \"errors\": [\"PLANTED\"], \"recoverable_errors\": {\"PLANTED\": []}}}}",
    );
    machine.write(
        "/usr/lib/os-release",
        "ID=amzn\nVERSION_ID=\"2023\"\nBUG_REPORT_URL=\"https://PLANTED\"\n",
    );
    machine.write(
        "/var/log/audit/audit.log",
        "type=AVC avc: denied { read } comm=\"ecs-bootstrap\" name=\"PLANTED\"\n",
    );
    machine.write(
        "/run/ecs-bootstrap/guard.json",
        "{\"interface\": \"docker+\", \"planted\": \"PLANTED\"}",
    );
    seen("/run/ecs-bootstrap/report.json", "{", "{\"planted\": \"PLANTED\",");
    seen("/var/lib/ecs-bootstrap/state.json", "{", "{\"planted\": \"PLANTED\",");
    machine.write("/PLANTED", "PLANTED");
    symlink(
        machine.path("/PLANTED"),
        machine.path("/etc/systemd/system/docker.service.d/link.conf"),
    )
    .unwrap();
    machine
        .write(&format!("{UNITS}/docker.service.d/\u{1b}[2J.conf"), "[Unit]\nAfter=odd.service\n");
    for (name, value) in [
        ("HTTPS_PROXY", "http://u:PLANTED@127.0.0.1:1"),
        ("NO_PROXY", "127.0.0.1,169.254.169.254,169.254.170.2"),
        ("AWS_SECRET_ACCESS_KEY", "PLANTED"),
        ("AWS_SESSION_TOKEN", "PLANTED"),
        ("ECS_BOOTSTRAP_SET", "ECS_ENGINE_AUTH_DATA=PLANTED"),
    ] {
        ward.set(name, value);
    }
    let quoted = "{\"__type\": \"InvalidSignatureException\", \"message\": \"The signature does not match.\\n\\nThe Canonical String\\nx-amz-security-token:PLANTED\"}";
    ward.ecs.says(POLL, 403, quoted);
    ward
}

/// In the words of each file; a bundle that holds none of them would hold no secret either.
const HARMLESS: &[(&str, &[&str])] = &[
    ("MANIFEST", &["doctor.json", "etc/ecs/ecs.config", "Left out", "Never taken"]),
    (
        "doctor.json",
        &[
            "\"command\": \"doctor\"",
            "InvalidSignatureException",
            "https://127.0.0.1:1/layer",
            "AWS_SECRET_ACCESS_KEY",
        ],
    ),
    ("versions.json", &[env!("CARGO_PKG_VERSION"), "\"kernel\": \""]),
    (
        "run/ecs-bootstrap/report.json",
        &["\"outcome\": \"installed\"", "\"ECS_CLUSTER\"", "s3://fleet-config/ecs.config"],
    ),
    ("var/lib/ecs-bootstrap/state.json", &["\"installed\"", "\"sha256\""]),
    ("run/ecs-bootstrap/guard.json", &["docker+"]),
    (
        "etc/ecs/ecs.config",
        &[
            "   1  ECS_CLUSTER=[redacted]",
            "   3  [comment]",
            "   4  ECS_ENGINE_AUTH_DATA=[redacted]",
            "   5  [no assignment]",
            "  10  HTTP_PROXY=[redacted]",
        ],
    ),
    ("var/lib/ecs/ecs.config", &["ECS_DATADIR=[redacted]"]),
    (
        "etc/ecs/ecs.config.json",
        &[
            "\"Cluster\": \"[redacted]\"",
            "\"EngineAuthData\": \"[redacted]\"",
            "\"[other names]\": 1",
        ],
    ),
    (
        "etc/ecs-bootstrap/ecs-bootstrap.toml",
        &[
            "config = s3://fleet-config/ecs.config\n",
            "config = https://127.0.0.1:1/layer\n",
            "keep = NO_PROXY",
            "max_age = 36h",
            "set = ECS_ENGINE_AUTH_DATA=[redacted]",
        ],
    ),
    (
        "usr/lib/systemd/system/ecs.service",
        &[
            "After=cloud-final.service",
            "RestartPreventExitStatus=5",
            "EnvironmentFile=-/etc/ecs/ecs.config",
        ],
    ),
    (
        "usr/lib/systemd/system/ecs-bootstrap.service",
        &["ExecStart=/usr/bin/ecs-bootstrap run", "ProtectSystem=strict"],
    ),
    ("usr/lib/systemd/system/ecs.service.d/50-ecs-bootstrap.conf", &["[Service]"]),
    (
        "etc/systemd/system/ecs-bootstrap.service.d/proxy.conf",
        &["Environment=HTTPS_PROXY=[redacted] NO_PROXY=[redacted]"],
    ),
    (
        "etc/systemd/system/docker.service.d/10-options.conf",
        &[
            "After=secrets.service",
            "ExecStart=/usr/bin/dockerd --registry-mirror [redacted]",
            "   9  [another directive]=[redacted]",
        ],
    ),
    (
        "etc/docker/daemon.json",
        &["\"live-restore\": true", "\"proxies\": \"[redacted]\"", "\"[other names]\": 1"],
    ),
    ("var/lib/cloud/data/result.json", &["DataSourceEc2Local", "\"errors\": 1"]),
    ("var/lib/cloud/data/status.json", &["\"finished\": 2.5", "\"errors\": 1"]),
    ("usr/lib/os-release", &["ID=amzn", "VERSION_ID=\"2023\""]),
];

#[test]
fn no_secret_of_the_host_is_in_the_bundle_and_what_stands_beside_it_is() {
    let mut ward = indiscreet();
    let bundled = Bundled::of(&mut ward);
    let secrets = [ward.cloud.secrets(), vec![MARK.into(), "ASIAREHEARSAL".into()]].concat();
    let mut said = bundled.files();
    assert!(said.len() >= HARMLESS.len(), "{}", bundled.list);
    said.extend(
        [("stdout", &bundled.output.stdout), ("stderr", &bundled.output.stderr)]
            .map(|(name, bytes)| (name.into(), String::from_utf8_lossy(bytes).into_owned())),
    );
    said.push(("names".into(), bundled.list.clone()));
    for (name, text) in &said {
        for secret in &secrets {
            assert!(!holds(text, secret), "a secret is in {}: {text}", name.display());
        }
    }
    for (name, words) in HARMLESS {
        let text = bundled.text(name);
        assert!(
            words.iter().all(|word| text.contains(word)),
            "{name} lacks one of {words:?}: {text}"
        );
    }
    assert!(
        bundled
            .left_out("etc/systemd/system/docker.service.d/link.conf")
            .contains("a symbolic link")
    );
    assert!(bundled.left_out("a drop-in").contains("too odd"));
}

#[test]
fn it_says_what_doctor_says_and_changes_nothing_else() {
    for (plant, status) in [(None, 0), (Some("ECS_CLUSTER=other\n"), 70)] {
        let mut ward = Ward::healthy();
        if let Some(text) = plant {
            ward.machine.write("/etc/ecs/ecs.config", text);
        }
        let (before, plain) = (ward.machine.files(), ward.doctor().output().unwrap());
        let bundled = Bundled::of(&mut ward);
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
        fs::remove_file(ward.machine.path(BUNDLE)).unwrap();
        assert_eq!(ward.machine.files(), before);
    }
}

#[test]
fn our_own_files_are_whole_in_it() {
    let mut ward = Ward::healthy();
    let bundled = Bundled::of(&mut ward);
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for path in ["/run/ecs-bootstrap/report.json", "/var/lib/ecs-bootstrap/state.json"] {
        assert_eq!(
            json(&bundled.text(&path[1..])),
            json(std::str::from_utf8(&ward.machine.read(path).unwrap()).unwrap())
        );
    }
}

#[test]
fn the_manifest_names_every_file_and_tar_shows_them_in_its_order() {
    let mut ward = Ward::healthy();
    let bundled = Bundled::of(&mut ward);
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
    let mode = fs::metadata(ward.machine.path(BUNDLE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let of = |path: &Path| fs::metadata(path).unwrap().mtime();
    assert_eq!(
        of(&bundled
            .folder
            .path()
            .join("ecs-bootstrap-bundle")
            .join(&UNITS[1..])
            .join("ecs.service")),
        of(&ward.machine.path(&format!("{UNITS}/ecs.service")))
    );
}

#[test]
fn what_is_no_plain_file_of_reasonable_size_is_left_out_and_not_waited_for() {
    let mut ward = Ward::healthy();
    let report = ward.machine.path("/run/ecs-bootstrap/report.json");
    fs::remove_file(&report).unwrap();
    nix::unistd::mkfifo(&report, nix::sys::stat::Mode::S_IRWXU).unwrap();
    ward.machine.write("/elsewhere", "ID=PLANTED\n");
    symlink("/elsewhere", ward.machine.path("/etc/os-release")).unwrap();
    fs::create_dir_all(ward.machine.path("/run/ecs-bootstrap/guard.json")).unwrap();
    ward::link(&ward.machine, "docker.service", "/dev/null");
    ward.machine.write("/usr/lib/os-release", "x".repeat((1 << 20) + 1));
    ward.machine.write("/etc/docker/daemon.json", "{\"debug\": PLANTED");
    let bundled = Bundled::of(&mut ward);
    for (name, why) in [
        ("run/ecs-bootstrap/report.json", "no plain file"),
        ("run/ecs-bootstrap/guard.json", "no plain file"),
        ("etc/os-release", "a symbolic link"),
        ("etc/systemd/system/docker.service", "masked"),
        ("usr/lib/os-release", "longer than"),
        ("etc/docker/daemon.json", "no JSON object"),
        ("run/cloud-init/status.json", "not there"),
    ] {
        assert!(bundled.left_out(name).contains(why), "{name}: {}", bundled.left_out(name));
    }
    assert!(bundled.files().iter().all(|(_, text)| !text.contains("PLANTED")));
}

/// The exit status, what was said, and what is at the path afterwards.
#[track_caller]
fn refused(ward: &Ward, path: &str, status: i32, says: &str) {
    let output = ward.doctor().args(["--bundle", path]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{path}: {said}");
    assert!(said.contains(says), "{path}: {said}");
    assert!(
        status == 2
            || said.contains("what:   failed while writing the support bundle")
                && said.contains("remedy: "),
        "{said}"
    );
    assert_eq!(output.stdout.is_empty(), status == 2, "the checks are printed all the same");
}

#[test]
fn a_path_that_cannot_be_a_bundle_is_refused_and_what_is_there_stays() {
    let ward = Ward::healthy();
    ward.machine.write("/theirs", "theirs");
    symlink("theirs", ward.machine.path("/link")).unwrap();
    let at = |path: &str| ward.machine.path(path).display().to_string();
    for path in ["-", "/", "..", ""] {
        refused(&ward, path, 2, "--bundle");
    }
    refused(&ward, &at("/missing/bundle.tar.gz"), 40, "No such file or directory");
    refused(&ward, &at("/link"), 40, "is a symbolic link");
    refused(&ward, &at("/etc"), 40, "is not a plain file");
    assert!(!ward.machine.path("/missing").exists());
    assert_eq!(ward.machine.read("/theirs").unwrap(), b"theirs");
}

#[test]
fn a_bundle_is_replaced_only_by_a_good_one() {
    let mut ward = Ward::healthy();
    ward.machine.write(BUNDLE, "old");
    Bundled::of(&mut ward);
    assert_ne!(ward.machine.read(BUNDLE).unwrap(), b"old");
    if !is_root("a disk that is full") {
        return;
    }
    let mut ward = Ward::healthy();
    ward.tiny = true;
    let path = ward.machine.path("/etc/ecs/bundle.tar.gz");
    fs::write(&path, "old").unwrap();
    // What is on the tiny disk is gone with the command: it looks itself.
    let mut command = ward.doctor();
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
    let (said, told) = (
        String::from_utf8_lossy(&output.stderr).into_owned(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    assert_eq!(told.trim(), "40\nold1", "{said}");
    assert!(said.contains("make room"), "{said}");
}

#[test]
fn the_settings_file_that_is_named_is_the_one_that_is_shown() {
    let mut ward = Ward::healthy();
    ward.machine.write("/other.toml", format!("{SOURCE}max_age = \"48h\"\n"));
    ward.args = vec!["--settings".into(), ward.machine.path("/other.toml").display().to_string()];
    let bundled = Bundled::of(&mut ward);
    assert!(bundled.text("etc/ecs-bootstrap/ecs-bootstrap.toml").contains("max_age = 48h"));
}
