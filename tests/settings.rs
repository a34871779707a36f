//! Every setting can be given in every way, flags win over the environment over instance tags over
//! the file, and the report names the origin of each value.

mod support;

use std::os::unix::process::CommandExt;

use serde_json::json;
use support::{Ended, Host, SOURCE, TARGET, for_each, is_root, skip};

const FILE: &str = "/etc/ecs-bootstrap/ecs-bootstrap.toml";

fn with_tags(host: Host, tags: &[(&str, &str)]) -> Host {
    let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    host.cloud.set_host(|host| host.tags = Some(tags));
    host
}

fn cluster(host: &Host) -> String {
    let text = host.installed().unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("ECS_CLUSTER=")).unwrap_or("none").to_owned()
}

#[test]
fn settings_precedence_is_flag_environment_tag_file() {
    let host = Host::default().with_file(
        FILE,
        "set = [\"ECS_CLUSTER=of-the-file\"]\nfrom_tags = true\nmax_age = \"9h\"\n",
    );
    let host = with_tags(
        host,
        &[
            ("ecs-bootstrap:set", "ECS_CLUSTER=of-a-tag"),
            ("Name", "x"),
            ("ecs-bootstrap:stale", "fail"),
        ],
    );
    let env = [("ECS_BOOTSTRAP_SET", "ECS_CLUSTER=of-the-environment")];

    let ended = host.run_with(&env, &["--set", "ECS_CLUSTER=of-a-flag"]);
    assert_eq!(
        (cluster(&host).as_str(), &ended.report["settings"]["set"]),
        ("of-a-flag", &json!("flag")),
        "{}",
        ended.stderr
    );
    let ended = host.run_with(&env, &["--replace"]);
    assert_eq!(
        (cluster(&host).as_str(), &ended.report["settings"]["set"]),
        ("of-the-environment", &json!("environment ECS_BOOTSTRAP_SET"))
    );
    let ended = host.run(&["--replace"]);
    assert_eq!(
        (cluster(&host).as_str(), &ended.report["settings"]["set"]),
        ("of-a-tag", &json!("instance tag ecs-bootstrap:set"))
    );
    assert_eq!(ended.report["settings"]["stale"], "instance tag ecs-bootstrap:stale");
    assert!(
        ended.report["settings"]["max_age"].as_str().unwrap().ends_with(FILE),
        "{:#}",
        ended.report
    );
    let host = with_tags(host, &[("Name", "x")]);
    host.run(&["--replace"]).succeeds_as("installed");
    assert_eq!(cluster(&host), "of-the-file");
}

#[test]
fn tags_are_read_only_with_from_tags() {
    let host = with_tags(Host::default(), &[("ecs-bootstrap:nonsense", "x")]);
    host.boots("installed");
    assert!(host.cloud.requests().iter().all(|seen| !seen.path.contains("tags")));
    host.run(&["--config", SOURCE, "--from-tags"]).fails_as(
        "settings",
        2,
        &["ecs-bootstrap:nonsense"],
    );
}

#[test]
fn verbose_reports_the_origin_of_each_setting() {
    let host = Host::default().with_file(FILE, format!("config = \"{SOURCE}\"\n"));
    let mut command = host.command();
    let ended = Ended::of(
        command.args(["run", "-v", "--stale", "keep"]).env("ECS_BOOTSTRAP_TIMEOUT", "20s"),
    );
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    for line in [
        "settings: stale is from flag",
        "settings: timeout is from environment ECS_BOOTSTRAP_TIMEOUT",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
    assert!(
        ended.stderr.contains("settings: config is from ") && ended.stderr.contains(FILE),
        "{}",
        ended.stderr
    );
}

/// Each with a value that lets the usual boot succeed.
const ALL: [(&str, &str); 16] = [
    ("config", SOURCE),
    ("set", "ECS_LOGLEVEL=debug"),
    ("keep", "ECS_LOGLEVEL"),
    ("replace", "true"),
    ("expand", "true"),
    ("allow_default_cluster", "true"),
    ("expect_role", "ecsInstanceRole"),
    ("expect_account", "123456789012"),
    ("host", "ec2"),
    ("block_imds", "false"),
    ("block_imds_host_tasks", "false"),
    ("allow_local_proxy", "true"),
    ("restart_agent", "true"),
    ("stale", "fail"),
    ("max_age", "36h"),
    ("timeout", "19s"),
];

/// `--set=VALUE`, as scripts pass flags.
fn flag(name: &str, value: &str) -> String {
    format!("--{}={value}", name.replace('_', "-"))
}

#[test]
fn every_setting_has_flag_variable_file_and_tag() {
    let origin = |ended: &Ended, name: &str| {
        assert_eq!(ended.status, 0, "{name}: {}", ended.stderr);
        ended.report["settings"][name].as_str().unwrap_or("nowhere").to_owned()
    };
    for_each(
        &ALL,
        |(name, _)| (*name).into(),
        |(name, value)| {
            let usual: &[&str] = if *name == "config" { &[] } else { &["--config", SOURCE] };
            let host = Host::default();
            let by_flag = flag(name, value);
            let ended = Ended::of(
                host.command().args(["run", "--output", "json"]).args(usual).arg(by_flag),
            );
            assert_eq!(origin(&ended, name), "flag");
            let variable = format!("ECS_BOOTSTRAP_{}", name.to_uppercase());
            let mut command = host.command();
            let ended = Ended::of(
                command.args(["run", "--output", "json"]).args(usual).env(&variable, value),
            );
            assert_eq!(origin(&ended, name), format!("environment {variable}"));
            let in_file = if ["true", "false"].contains(value) {
                (*value).to_owned()
            } else {
                format!("{value:?}")
            };
            let host = host.with_file(FILE, format!("{name} = {in_file}\n"));
            let mut command = host.command();
            let ended = Ended::of(command.args(["run", "--output", "json"]).args(usual));
            assert!(origin(&ended, name).ends_with(FILE), "{:#}", ended.report["settings"]);
            std::fs::remove_file(host.machine.path(FILE)).unwrap();
            let host = with_tags(host, &[(&format!("ecs-bootstrap:{name}"), value)]);
            let mut command = host.command();
            let ended =
                Ended::of(command.args(["run", "--output", "json", "--from-tags"]).args(usual));
            assert_eq!(origin(&ended, name), format!("instance tag ecs-bootstrap:{name}"));
        },
    );
}

#[test]
fn unknown_settings_are_refused_with_the_nearest_name() {
    let host = Host::default();
    let typed = host.call(&["run", "--expect-rol", "x"]);
    assert_eq!(typed.status, 2);
    assert!(typed.stderr.contains("--expect-role"), "{}", typed.stderr);
    host.run_with(&[("ECS_BOOTSTRAP_STALLE", "keep")], &[]).fails_as(
        "settings",
        2,
        &["ECS_BOOTSTRAP_STALE`"],
    );
    let host = host.with_file(FILE, "expect-role = \"x\"\n");
    host.run(&[]).fails_as("settings", 2, &[FILE, "did you mean `expect_role`?"]);
    let host = with_tags(Host::default(), &[("ecs-bootstrap:comfig", SOURCE)]);
    host.run(&["--from-tags"]).fails_as("settings", 2, &["did you mean `ecs-bootstrap:config`?"]);
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    let host = Host::default().with_file(FILE, "# settings\nstale = keep\n");
    host.run(&[]).fails_as("settings", 2, &[FILE, "line 2"]);
}

#[test]
fn output_can_be_set_in_every_way() {
    let host =
        Host::default().with_file(FILE, format!("config = \"{SOURCE}\"\noutput = \"json\"\n"));
    assert_eq!(host.call(&["run"]).outcome(), "installed");
    assert_eq!(host.call(&["run", "--output", "text"]).report, json!(null));
    let host = Host::default();
    let mut command = host.command();
    assert_eq!(
        Ended::of(command.args(["run", "--config", SOURCE]).env("ECS_BOOTSTRAP_OUTPUT", "json"))
            .outcome(),
        "installed"
    );
}

#[test]
fn settings_file_and_root_have_flag_and_variable() {
    let host = Host::default().with_file("/else/where.toml", format!("config = \"{SOURCE}\"\n"));
    let file = host.machine.path("/else/where.toml").display().to_string();
    host.run(&["--settings", &file]).succeeds_as("installed");
    host.run_with(&[("ECS_BOOTSTRAP_SETTINGS", &file)], &[]).succeeds_as("unchanged");
    let mut command = host.machine.command(&host.cloud);
    command
        .args(["run", "--output", "json", "--config", SOURCE])
        .env("ECS_BOOTSTRAP_ROOT", host.machine.root());
    Ended::of(&mut command).succeeds_as("unchanged");
}

#[test]
fn one_deadline_applies_to_the_whole_run() {
    let host = Host::default().with_fault("s3-hang");
    host.cloud.fault("late-imds", std::time::Duration::from_secs(3));
    let ended = host.run(&["--config", SOURCE, "--timeout", "12s"]);
    ended.fails_as("source_unreachable", 22, &[]);
    // 3 s of waiting for IMDS are part of the 12: S3 did not get 12 of its own.
    assert!(ended.report["duration_ms"].as_u64().unwrap() < 14_900, "{:#}", ended.report);
}

#[test]
fn huge_timeout_is_accepted() {
    Host::default()
        .run(&["--config", SOURCE, "--timeout", "300000000000y"])
        .succeeds_as("installed");
}

/// A user without rights: `nobody` on Debian.
const NOBODY: u32 = 65534;

#[test]
fn run_without_root_names_the_missing_privilege() {
    if !is_root() {
        return skip("running as another user needs root");
    }
    let host = Host::default();
    let mut command = host.machine.command(&host.cloud);
    let ended = Ended::of(
        command
            .args(["run", "--output", "json", "--config", SOURCE])
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/"),
    );
    ended.fails_as("install", 40, &["/etc/ecs/ecs.config", "root", "user id 65534", "--root DIR"]);
    assert!(host.cloud.requests().is_empty(), "it is checked before any request");
}

#[test]
fn run_in_an_own_root_folder_needs_no_privilege() {
    if !is_root() {
        return skip("running as another user needs root");
    }
    let host = Host::default();
    std::os::unix::fs::chown(host.machine.root(), Some(NOBODY), Some(NOBODY)).unwrap();
    let as_nobody = |args: &[&str]| {
        Ended::of(host.command().args(args).args(["--output", "json"]).uid(NOBODY).gid(NOBODY))
    };
    as_nobody(&["run", "--config", SOURCE]).succeeds_as("installed");
    as_nobody(&["run", "--config", SOURCE]).succeeds_as("unchanged");
    assert_eq!(as_nobody(&["verify"]).status, 0);
    assert!(host.machine.read(TARGET).is_some());
}
