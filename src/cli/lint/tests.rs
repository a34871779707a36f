//! The command `lint`, as it prints.

use std::fs;

use super::*;
use crate::cli::lint;

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("ecs-bootstrap-lint-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lint(args: Args, format: Format, root: &Path) -> Result<Printed, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let around = Surroundings { root, format, color: false };
    runtime.block_on(lint::run(&args, around, async |_: &str| Ok(b"ECS_CLUSTER = far\n".to_vec())))
}

fn named(source: &str) -> Args {
    Args { sources: vec![source.to_owned()], ..Args::default() }
}

fn json(printed: &Printed) -> serde_json::Value {
    serde_json::from_str(&printed.text).unwrap()
}

#[test]
fn text_shows_the_line_the_place_what_each_reader_sets_and_the_fix() {
    let folder = Folder::new("text");
    let file = folder.file("ecs.config", b"# ours\nECS_CLUSTER=\"prod\"\n");
    let printed = lint(named(&file), Format::Text, Path::new("/")).unwrap();
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
    assert_eq!(printed.text, expected);
    assert!(printed.errors);
}

#[test]
fn secrets_are_redacted_in_text_and_in_readers() {
    let folder = Folder::new("secrets");
    let file = folder.file("ecs.config", b"ECS_CLUSTER=prod\nDB_PASSWORD=\"hunter2\"\n# OLD_PASSWORD=hunter2\nGITHUB_TOKEN hunter2=\n");
    let hidden =
        lint(Args { readers: true, ..named(&file) }, Format::Text, Path::new("/")).unwrap();
    assert!(!hidden.text.contains("hunter2"), "{}", hidden.text);
    let hidden =
        lint(Args { readers: true, ..named(&file) }, Format::Json, Path::new("/")).unwrap();
    assert_eq!(json(&hidden)["readers"]["systemd"]["variables"]["DB_PASSWORD"], "[redacted]");
    let shown = lint(
        Args { readers: true, show_secrets: true, ..named(&file) },
        Format::Json,
        Path::new("/"),
    )
    .unwrap();
    assert_eq!(json(&shown)["readers"]["systemd"]["variables"]["DB_PASSWORD"], "hunter2");
    assert_eq!(json(&shown)["readers"]["ecs-init"]["variables"]["DB_PASSWORD"], "\"hunter2\"");
}

#[test]
fn json_holds_the_findings_of_all_files_each_with_its_source() {
    let folder = Folder::new("json");
    let (one, two) = (
        folder.file("one", b"ECS_CLUSTER=a\nECS_LOGLEVEL=crit\n"),
        folder.file("two", b"ECS_CLUSTER=b\nFOO=1\n"),
    );
    let printed = lint(
        Args { sources: vec![one.clone(), two.clone()], ..Args::default() },
        Format::Json,
        Path::new("/"),
    )
    .unwrap();
    let findings = json(&printed)["findings"].clone();
    assert_eq!(findings[0]["id"], "breaks-logging");
    assert_eq!(
        (&findings[0]["source"], &findings[0]["line"], &findings[0]["key"]),
        (&one.into(), &2.into(), &"ECS_LOGLEVEL".into())
    );
    assert_eq!(
        (&findings[1]["source"], &findings[1]["severity"]),
        (&two.into(), &"warning".into())
    );
    assert!(json(&printed).get("readers").is_none());
}

#[test]
fn sources_that_are_no_files_are_fetched() {
    let printed = lint(named("s3://bucket/ecs.config"), Format::Json, Path::new("/")).unwrap();
    assert_eq!(json(&printed)["findings"][0]["id"], "space-around-equals");
    assert_eq!(json(&printed)["findings"][0]["source"], "s3://bucket/ecs.config");
    let presigned = lint(
        named("https://bucket.example/key?X-Amz-Signature=5ec4e7"),
        Format::Text,
        Path::new("/"),
    )
    .unwrap();
    assert!(!presigned.text.contains("5ec4e7"), "{}", presigned.text);
}

#[test]
fn deny_makes_errors_allow_leaves_out_and_unknown_rules_are_refused() {
    let folder = Folder::new("deny");
    let file = folder.file("ecs.config", b"ECS_CLUSTER=a\nFOO=1\n");
    let errors = |args: Args| lint(args, Format::Text, Path::new("/")).unwrap().errors;
    assert!(!errors(named(&file)));
    assert!(errors(Args { deny: vec!["unknown-variable".into()], ..named(&file) }));
    assert!(errors(Args { deny: vec!["warnings".into()], ..named(&file) }));
    assert!(!errors(Args {
        deny: vec!["warnings".into()],
        allow: vec!["unknown-variable".into()],
        ..named(&file)
    }));
    let refused = lint(
        Args { allow: vec!["unknown-varible".into()], ..named(&file) },
        Format::Text,
        Path::new("/"),
    )
    .unwrap_err();
    assert_eq!(refused.remedy(), "did you mean unknown-variable?");
}

#[test]
fn fix_writes_back_and_says_what_it_did() {
    let folder = Folder::new("fix");
    let broken = b"\xef\xbb\xbfexport ECS_CLUSTER = \"prod\"  \r\nECS_ENABLE_TASK_IAM_ROLE=Yes\r\n# the end \\\r\nECS_LOGLEVEL=info # fine";
    let file = folder.file("ecs.config", broken);
    let printed = lint(Args { fix: true, ..named(&file) }, Format::Json, Path::new("/")).unwrap();
    let mended =
        "ECS_CLUSTER=prod\nECS_ENABLE_TASK_IAM_ROLE=true\n# the end \nECS_LOGLEVEL=info # fine\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), mended);
    let mended: Vec<String> = json(&printed)["mended"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}:{}", one["line"], one["id"]))
        .collect();
    for done in [
        "1:\"bom\"",
        "1:\"export-prefix\"",
        "1:\"quoted-value\"",
        "2:\"not-a-boolean\"",
        "4:\"missing-final-newline\"",
    ] {
        assert!(mended.contains(&done.to_owned()), "{done} is not in {mended:?}");
    }
    assert_eq!(
        json(&printed)["findings"][0]["id"],
        "trailing-comment",
        "what cannot be mended is still found"
    );
    let again = lint(Args { fix: true, ..named(&file) }, Format::Json, Path::new("/")).unwrap();
    assert_eq!(json(&again)["mended"], serde_json::json!([]));
}

#[test]
fn only_files_can_be_mended() {
    let refused =
        lint(Args { fix: true, ..named("s3://bucket/key") }, Format::Text, Path::new("/"))
            .unwrap_err();
    assert!(matches!(refused, Error::NotAFile { .. }));
}

#[test]
fn the_installed_file_is_checked_with_its_neighbours() {
    let folder = Folder::new("installed");
    folder.file("etc/ecs/ecs.config", b"ECS_LOGLEVEL=info\n");
    let errors = || lint(Args::default(), Format::Text, &folder.0).unwrap().errors;
    assert!(errors(), "no file sets ECS_CLUSTER");
    folder.file("var/lib/ecs/ecs.config", b"ECS_CLUSTER=prod\n");
    assert!(!errors());
    folder.file("etc/ecs/ecs.config.json", b"{");
    assert!(errors(), "the agent stops at that file");
}

#[test]
fn explain_tells_why_and_shows_both_lines() {
    let printed = lint(
        Args { explain: Some("quoted-value".into()), ..Args::default() },
        Format::Text,
        Path::new("/"),
    )
    .unwrap();
    assert!(printed.text.starts_with("quoted-value (error)\n"));
    assert!(
        printed.text.contains("    ECS_CLUSTER=\"prod\"\n")
            && printed.text.contains("    ECS_CLUSTER=prod\n")
    );
}

#[test]
fn sarif_names_the_rule_the_line_and_the_file() {
    let folder = Folder::new("sarif");
    let file = folder.file("ecs config", b"ECS_CLUSTER=\"a\"\nFOO=1\n");
    let printed = lint(named(&file), Format::Sarif, Path::new("/")).unwrap();
    let run = &json(&printed)["runs"][0];
    assert_eq!(json(&printed)["version"], "2.1.0");
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"quoted-value".into(), &"error".into()));
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "quoted-value");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["region"]["startLine"], 1);
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("/ecs%20config"));
}
