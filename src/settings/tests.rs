use super::*;
use crate::paths;

fn settings(
    flags: &[(&'static str, &str)],
    env: &[(&str, &str)],
    tags: &[(&str, &str)],
    file: &str,
) -> Result<Settings, Error> {
    let flags = Given::flags(flags.iter().map(|(name, value)| (*name, vec![(*value).to_owned()])));
    let file = Given::file(std::path::Path::new(paths::SETTINGS), file)?;
    let given = flags.or(Given::environment(env.iter().copied())?).or(file);
    Settings::new("/".into(), given, Aws::default())?.with_tags(Given::tags(tags.iter().copied())?)
}

#[track_caller]
fn check_error(env: &[(&str, &str)], file: &str, message: &str, remedy: &str) {
    let error = settings(&[], env, &[], file).expect_err(message);
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.remedy().contains(remedy), "{}", error.remedy());
}

#[test]
fn a_flag_beats_the_environment_beats_a_tag_beats_the_file() {
    let ways = [("expect_role", "flag")];
    let env = [("ECS_BOOTSTRAP_EXPECT_ROLE", "env"), ("ECS_BOOTSTRAP_TIMEOUT", "1m")];
    let tags =
        [("ecs-bootstrap:timeout", "2m"), ("ecs-bootstrap:stale", "fail"), ("Name", "web-1")];
    let settings =
        settings(&ways, &env, &tags, "timeout = '3m'\nstale = 'keep'\nmax_age = '1h'\n").unwrap();
    assert_eq!(settings.expect_role.as_deref(), Some("flag"));
    assert_eq!(settings.timeout, Duration::from_secs(60));
    assert_eq!(settings.stale, Stale::Fail);
    assert_eq!(settings.max_age, Some(Duration::from_secs(3600)));
    let origins: Vec<String> = ["expect_role", "timeout", "stale", "max_age", "keep"]
        .iter()
        .map(|name| settings.given.origin(name).to_string())
        .collect();
    let file = paths::SETTINGS;
    assert_eq!(
        origins,
        [
            "flag",
            "environment ECS_BOOTSTRAP_TIMEOUT",
            "instance tag ecs-bootstrap:stale",
            file,
            "default"
        ]
    );
}

#[test]
fn every_setting_can_be_given_in_every_way() {
    for name in names() {
        let value = match name {
            "config" => "s3://bucket/key",
            "set" => "ECS_CLUSTER=prod",
            "keep" => "ECS_CLUSTER",
            "expect_role" => "role",
            "expect_account" => "123456789012",
            "host" => "ec2",
            "sts" => "require",
            "stale" => "fail",
            "max_age" | "timeout" | "health_gate" => "7s",
            "output" | "log_format" => "text",
            _ => "true",
        };
        let variable = format!("ECS_BOOTSTRAP_{}", name.to_uppercase());
        let tag = format!("ecs-bootstrap:{name}");
        let in_file = format!("{name} = '{value}'");
        let ways = [
            settings(&[(name, value)], &[], &[], ""),
            settings(&[], &[(&variable, value)], &[], ""),
            settings(&[], &[], &[(&tag, value)], ""),
            settings(&[], &[], &[], &in_file),
        ];
        for way in ways {
            assert!(way.unwrap().origins().contains_key(name), "{name}");
        }
    }
}

#[test]
fn lists_are_words_or_lines_in_the_environment_and_arrays_or_tables_in_the_file() {
    let env = [
        ("ECS_BOOTSTRAP_CONFIG", "s3://bucket/one s3://bucket/two"),
        ("ECS_BOOTSTRAP_SET", "A={\"a\": \"b\"}\nB=2\n"),
    ];
    let settings_env = settings(&[], &env, &[], "").unwrap();
    assert_eq!(settings_env.config.len(), 2);
    assert_eq!(settings_env.set, [("A".into(), "{\"a\": \"b\"}".into()), ("B".into(), "2".into())]);
    let file = "config = ['s3://bucket/one', 's3://bucket/my key']\nset = { A = 'x y', B = 2 }\nkeep = ['ECS_CLUSTER']\n";
    let settings_file = settings(&[], &[], &[], file).unwrap();
    assert_eq!(settings_file.config.len(), 2);
    assert_eq!(settings_file.set, [("A".into(), "x y".into()), ("B".into(), "2".into())]);
}

#[test]
fn an_unknown_name_is_an_error_with_the_nearest_known_one() {
    check_error(
        &[("ECS_BOOTSTRAP_CONFG", "s3://b/k")],
        "",
        "ECS_BOOTSTRAP_CONFG",
        "ECS_BOOTSTRAP_CONFIG",
    );
    check_error(&[], "block_imsd = true", "block_imsd", "block_imds");
    check_error(&[], "zzzzzzzzzzzzzz = 1", "zzzzzzzzzzzzzz", "the settings are");
    let error = settings(&[], &[], &[("ecs-bootstrap:exspand", "true")], "").unwrap_err();
    assert_eq!(error.remedy(), "did you mean `ecs-bootstrap:expand`?");
}

#[test]
fn the_words_that_a_setting_takes_are_named() {
    check_error(&[], "stale = 'never'", "stale: expected one of fail, keep", "correct");
    let given = Given::environment([("ECS_BOOTSTRAP_OUTPUT", "xml")].into_iter()).unwrap();
    let error = given.one_of("output", ecs_config::command::Output::Text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment ECS_BOOTSTRAP_OUTPUT: output: expected one of text, json, sarif"
    );
}

#[test]
fn a_bad_value_names_its_origin_and_never_a_secret() {
    check_error(
        &[("ECS_BOOTSTRAP_REPLACE", "yes")],
        "",
        "environment ECS_BOOTSTRAP_REPLACE: replace: expected true or false",
        "correct",
    );
    check_error(&[("ECS_BOOTSTRAP_TIMEOUT", "5")], "", "with a unit", "");
    check_error(&[("ECS_BOOTSTRAP_CONFIG", "s3://b/my key")], "", "%20", "");
    check_error(&[], "expect_account = 12345", "12 digits", "");
    check_error(&[], "keep = [", "line 1", "");
    for set in ["hunter2", "A B=hunter2", "A=x\rhunter2"] {
        let error = settings(&[], &[("ECS_BOOTSTRAP_SET", set)], &[], "").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
