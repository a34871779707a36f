//! `ecs-bootstrap lint`, as it is called and as it prints.

#[path = "support/collect.rs"]
mod collect;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder that is the root of a host, with files for `lint` in it.
struct Folder(TempDir);

struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Its path.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn lint(&self, args: &[&str]) -> Ended {
        self.lint_stdin(args, b"")
    }

    fn lint_stdin(&self, args: &[&str], stdin: &[u8]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecs-bootstrap"));
        command.env_clear().arg("--root").arg(self.0.path()).arg("lint").args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who does not read stdin closes it.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap();
        Ended { status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn json(&self, args: &[&str]) -> Value {
        let ended = self.lint(&[args, &["--output", "json"]].concat());
        collect::collect(ended.stdout.as_bytes());
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
    }
}

#[test]
fn text_shows_line_place_readers_and_fix() {
    let folder = Folder::new();
    let file = folder.file("ecs.config", "# ours\nECS_CLUSTER=\"prod\"\n");
    let ended = folder.lint(&[&file]);
    let expected = format!(
        "error[quoted-value]: only systemd removes the quotes\n\
         \x20--> {file}:2:13\n\
         \x20 |\n\
         2 | ECS_CLUSTER=\"prod\"\n\
         \x20 |             ^^^^^^\n\
         \x20 = systemd-219, systemd, systemd-254: ECS_CLUSTER is `prod`\n\
         \x20 = ecs-init, docker: ECS_CLUSTER is `\"prod\"`\n\
         \x20 = fix: write the value without quotes\n\
         \n\
         1 error\n"
    );
    assert_eq!((ended.stdout, ended.status), (expected, 30));
}

#[test]
fn secrets_are_redacted_unless_they_are_asked_for() {
    let folder = Folder::new();
    let text = "ECS_CLUSTER=prod\nDB_PASSWORD=\"hunter2\"\n# OLD_PASSWORD=hunter2\nGITHUB_TOKEN hunter2=\n";
    let file = folder.file("ecs.config", text);
    let hidden = folder.lint(&[&file, "--readers"]);
    assert!(!hidden.stdout.contains("hunter2"), "{}", hidden.stdout);
    let hidden = folder.json(&[&file, "--readers"]);
    assert_eq!(hidden["readers"]["systemd"]["variables"]["DB_PASSWORD"], "[redacted]");
    let shown = folder.json(&[&file, "--readers", "--show-secrets"]);
    assert_eq!(shown["readers"]["systemd"]["variables"]["DB_PASSWORD"], "hunter2");
    assert_eq!(shown["readers"]["ecs-init"]["variables"]["DB_PASSWORD"], "\"hunter2\"");
}

#[test]
fn json_names_the_source_of_each_finding() {
    let folder = Folder::new();
    let one = folder.file("one", "ECS_CLUSTER=a\nECS_LOGLEVEL=crit\n");
    let two = folder.file("two", "ECS_CLUSTER=b\nFOO=1\n");
    let document = folder.json(&[&one, &two]);
    let findings = &document["findings"];
    let first = json!({
        "id": "breaks-logging",
        "severity": "error",
        "source": one,
        "line": 2,
        "column": 14,
        "end_column": 18,
        "key": "ECS_LOGLEVEL",
        "message": "this word breaks the agent's log set-up",
        "fix": "write one of error, warn, info, debug",
    });
    assert_eq!(findings[0], first);
    assert_eq!(findings[1]["source"], two);
    assert_eq!(findings[1]["severity"], "warning");
    assert_eq!(document.get("readers"), None);
}

#[test]
fn every_example_of_a_rule_can_be_printed_as_json() {
    let corpus = format!("{}/tests/fuzz/corpus/lint", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
    let names: Vec<String> = files.map(|path| path.to_string_lossy().into_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let folder = Folder::new();
    let findings = folder.json(&names)["findings"].as_array().unwrap().clone();
    assert!(findings.len() > names.len() / 2, "{} findings", findings.len());
    for finding in findings {
        let [line, start, end] = ["line", "column", "end_column"].map(|at| finding[at].as_u64());
        assert!(start.is_none() || line > Some(0) && Some(1) <= start && start < end, "{finding}");
    }
}

#[test]
fn urls_and_stdin_are_checked_like_files() {
    let folder = Folder::new();
    let url = format!("file://{}", folder.file("ecs.config", "ECS_CLUSTER = far\n"));
    let finding = folder.json(&[&url])["findings"][0].clone();
    assert_eq!(finding["id"], "space-around-equals");
    assert_eq!(finding["source"], url);
    let ended = folder.lint_stdin(&["-"], b"ECS_CLUSTER = near\n");
    assert!(ended.stdout.contains(" --> -:1:"), "{}", ended.stdout);
}

#[test]
fn deny_makes_errors_and_allow_leaves_out() {
    let folder = Folder::new();
    let file = folder.file("ecs.config", "ECS_CLUSTER=a\nFOO=1\n");
    let status = |args: &[&str]| folder.lint(&[&[&*file], args].concat()).status;
    assert_eq!(status(&[]), 0);
    assert_eq!(status(&["--deny", "unknown-variable"]), 30);
    assert_eq!(status(&["--deny", "warnings"]), 30);
    assert_eq!(status(&["--deny", "warnings", "--allow", "unknown-variable"]), 0);
}

#[test]
fn mistyped_rules_and_flags_suggest_the_right_ones() {
    let folder = Folder::new();
    for (typed, meant) in [
        (["--allow", "unknown-varible"], "'unknown-variable'"),
        (["--deny", "warning"], "'warnings'"),
        (["--explain", "quoted-vlaue"], "'quoted-value'"),
        (["--fr", "al2023"], "'--for'"),
        (["--fxi", "ecs.config"], "'--fix'"),
    ] {
        let ended = folder.lint(&typed);
        assert_eq!(ended.status, 2, "{typed:?}");
        assert!(ended.stderr.contains(&format!("exists: {meant}")), "{}", ended.stderr);
    }
}

#[test]
fn completions_know_the_rules() {
    let output = Command::new(env!("CARGO_BIN_EXE_ecs-bootstrap"))
        .args(["completions", "bash"])
        .output()
        .unwrap();
    let script = String::from_utf8(output.stdout).unwrap();
    assert!(script.contains("quoted-value") && script.contains("warnings"), "{script}");
}

#[test]
fn fix_writes_back_and_reports_what_it_did() {
    let folder = Folder::new();
    let broken = "\u{feff}export ECS_CLUSTER = \"prod\"  \r\nECS_ENABLE_TASK_IAM_ROLE=True\r\n\
                  # the end \\\r\nECS_LOGLEVEL=info # fine";
    let file = folder.file("ecs.config", broken);
    let document = folder.json(&[&file, "--fix"]);
    let fixed =
        "ECS_CLUSTER=prod\nECS_ENABLE_TASK_IAM_ROLE=true\n# the end \nECS_LOGLEVEL=info # fine\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), fixed);
    let reported = document["fixed"].as_array().unwrap();
    for (line, id) in [
        (1, "bom"),
        (1, "export-prefix"),
        (1, "quoted-value"),
        (2, "boolean-spelling"),
        (4, "missing-final-newline"),
    ] {
        let wanted = json!({"source": file, "line": line, "id": id});
        assert!(reported.contains(&wanted), "{wanted} is not in {reported:?}");
    }
    assert_eq!(document["findings"][0]["id"], "trailing-comment", "this cannot be fixed");
    assert_eq!(folder.json(&[&file, "--fix"])["fixed"], json!([]));
}

#[test]
fn only_files_can_be_fixed() {
    let folder = Folder::new();
    let ended = folder.lint_stdin(&["-", "--fix"], b"ECS_CLUSTER=\"a\"\n");
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("save it to a file"), "{}", ended.stderr);
}

#[test]
fn missing_odd_and_large_files_are_refused() {
    let folder = Folder::new();
    let fifo = folder.0.path().join("fifo");
    make_fifo(&fifo);
    let large = folder.file("large", vec![b'\n'; (1 << 20) + 1]);
    let path = fifo.to_string_lossy().into_owned();
    for (name, what) in [
        ("/nonexistent/ecs.config", "No such file"),
        (&*path, "a named pipe"),
        (&*large, "larger than 1048576 bytes"),
    ] {
        let ended = folder.lint(&[name]);
        assert_eq!(ended.status, 2, "{name}");
        assert!(ended.stderr.contains(what), "{name}: {}", ended.stderr);
    }
    let ended = folder.lint_stdin(&["-"], &vec![b'\n'; (1 << 20) + 1]);
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("larger than"), "{}", ended.stderr);
}

#[test]
fn output_of_a_command_is_read_as_a_file() {
    let program = env!("CARGO_BIN_EXE_ecs-bootstrap");
    let ended = Command::new("bash")
        .args(["-c", &format!("{program} lint <(printf 'ECS_CLUSTER=\"a\"\\n')")])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(30), "{ended:?}");
    let (stdout, stderr) = (ended.stdout, ended.stderr);
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    assert!(String::from_utf8_lossy(&stdout).contains("quoted-value"));
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn installed_file_is_checked_with_its_neighbours() {
    let folder = Folder::new();
    folder.file("etc/ecs/ecs.config", "ECS_LOGLEVEL=info\n");
    let status = || folder.lint(&[]).status;
    assert_eq!(status(), 30, "no file sets ECS_CLUSTER");
    folder.file("var/lib/ecs/ecs.config", "ECS_CLUSTER=prod\n");
    assert_eq!(status(), 0);
    folder.file("etc/ecs/ecs.config.json", "{");
    assert_eq!(status(), 30, "the agent stops at that file");
    folder.file("var/lib/ecs/ecs.config", "");
    folder.file("etc/ecs/ecs.config.json", "{\"cluster\": \"prod\"}");
    assert_eq!(status(), 0);
}

// golang/net, http/httpproxy/proxy.go
#[test]
fn proxies_are_judged_by_the_rules_of_go() {
    let folder = Folder::new();
    let proxy = "ECS_CLUSTER=prod\nHTTP_PROXY=http://p:3128\nNO_PROXY=";
    for (status, text) in [
        (0, format!("{proxy}169.254.169.254/32,169.254.170.2/32,/var/run/docker.sock\n")),
        (0, "ECS_CLUSTER=prod\nHTTPS_PROXY=http://p:3128\n".into()),
        (30, format!("{proxy}169.254.*,/var/run/docker.sock\n")),
        (30, format!("{proxy}169.254.,\n")),
    ] {
        let file = folder.file("ecs.config", &text);
        assert_eq!(folder.lint(&[&file]).status, status, "{text}");
    }
}

#[test]
fn explain_shows_both_lines() {
    let ended = Folder::new().lint(&["--explain", "quoted-value"]);
    assert!(ended.stdout.starts_with("quoted-value (error)\n"), "{}", ended.stdout);
    for line in ["    ECS_CLUSTER=\"prod\"\n", "    ECS_CLUSTER=prod\n"] {
        assert!(ended.stdout.contains(line), "{}", ended.stdout);
    }
}

#[test]
fn sarif_names_rule_line_and_file() {
    let folder = Folder::new();
    let file = folder.file("ecs config", "ECS_CLUSTER=\"a\"\nFOO=1\n");
    let ended = folder.lint(&[&file, "--output", "sarif"]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"quoted-value".into(), &"error".into()));
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "quoted-value");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["region"]["startLine"], 1);
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("/ecs%20config"));
}
