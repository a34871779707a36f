//! Names and lines with a cause that can be named.

use ecs_config::lint::fix;

use super::{ERROR, NOTE, WARNING, check, explains, finds};

#[test]
fn name_in_another_case_is_one_error() {
    for (line, name) in [
        ("ECS_Cluster=web", "ECS_CLUSTER"),
        ("ecs_awsvpc_block_imds=true", "ECS_AWSVPC_BLOCK_IMDS"),
        ("Ecs_Engine_Auth_Type=docker", "ECS_ENGINE_AUTH_TYPE"),
        ("aws_default_region=eu-west-1", "AWS_DEFAULT_REGION"),
        ("Http_Proxy=http://p:3128", "HTTP_PROXY"),
    ] {
        finds(&format!("{line}\n"), &[("name-case", ERROR)]);
        let message = "only the case differs from a name that is read";
        explains(&format!("{line}\n"), message, &format!("write {name}"));
    }
    finds("no_proxy=localhost\n", &[]);
}

#[test]
fn every_bad_element_is_named() {
    for (value, message) in [
        (
            "ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\",\"local\",\"gcplogs\",\"loki\"]",
            "the agent stops, since it does not know elements 2, 3 and 4",
        ),
        ("ECS_VOLUME_PLUGIN_CAPABILITIES=[1,\"efsAuth\",2]", "not a string: elements 1 and 3"),
        (
            "ECS_CONTAINER_INSTANCE_TAGS={\"CostCenter\":4711,\"Managed\":true}",
            "not a string: values 1 and 2",
        ),
        ("ECS_INSTANCE_ATTRIBUTES={\"a b\":\"c\",\"d\":\"\"}", "ECS refuses attributes 1 and 2"),
        (
            "ECS_CONTAINER_INSTANCE_TAGS={\"aws:a\":\"b\",\"c\":\"d\",\"AWS:e\":\"f\"}",
            "the key begins with aws:, which is reserved: tags 1 and 3",
        ),
        (
            "ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0\",\"10.0.0.0/8\",5]",
            "not an address prefix, so the agent stops: elements 1 and 3",
        ),
    ] {
        let found = check(format!("{value}\n").as_bytes());
        let messages: Vec<_> = found.iter().map(|one| one.message.as_str()).collect();
        assert!(messages.contains(&message), "{messages:?}");
    }
}

#[test]
fn quoted_json_is_fixed_with_its_escapes() {
    for file in [
        "ECS_INSTANCE_ATTRIBUTES=\"{\\\"a\\\": \\\"b\\\"}\"\n",
        "ECS_INSTANCE_ATTRIBUTES=\"{\"a\": \"b\"}\"\n",
        "ECS_INSTANCE_ATTRIBUTES='{\"a\": \"b\"}'\n",
        "ECS_INSTANCE_ATTRIBUTES='{\\\"a\\\": \\\"b\\\"}'\n",
    ] {
        assert!(check(file.as_bytes()).iter().any(|one| one.id == "quoted-value"), "{file}");
        let (fixed, _) = fix(file.as_bytes());
        assert_eq!(fixed, b"ECS_INSTANCE_ATTRIBUTES={\"a\": \"b\"}\n", "{file}");
    }
    explains(
        "ECS_INSTANCE_ATTRIBUTES=\"{\\\"a\\\": \\\"b\\\"}\"\n",
        "only systemd removes the quotes",
        "write the value without quotes and without the backslashes in it",
    );
    let list = "ECS_AVAILABLE_LOGGING_DRIVERS=\"[\"json-file\"]\"\n";
    assert_eq!(fix(list.as_bytes()).0, b"ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\"]\n");
}

#[test]
fn boolean_in_place_of_a_list_is_a_warning() {
    for line in [
        "ECS_EXCLUDE_UNTRACKED_IMAGE=false",
        "ECS_EXCLUDE_UNTRACKED_IMAGE=True",
        "NO_PROXY=true",
        "no_proxy=FALSE",
    ] {
        finds(&format!("{line}\n"), &[("boolean-for-list", WARNING)]);
    }
    finds("ECS_EXCLUDE_UNTRACKED_IMAGE=alpine:3,false\n", &[]);
}

#[test]
fn key_twice_in_a_json_object_is_a_warning() {
    for line in [
        "ECS_INSTANCE_ATTRIBUTES={\"a\":\"1\",\"a\":\"2\"}",
        "ECS_CONTAINER_INSTANCE_TAGS={\"a\":\"1\",\"b\":\"2\",\"\\u0061\":\"1\"}",
        "ECS_LOG_OPTS={\"tag\":\"a\",\"tag\":\"a\"}",
    ] {
        let found = check(format!("{line}\n").as_bytes());
        let is_there = |id| found.iter().any(|one| one.id == id && one.severity == WARNING);
        assert!(is_there("duplicate-json-key"), "{line}");
    }
    finds("ECS_INSTANCE_ATTRIBUTES={\"a\":\"1\",\"A\":\"2\"}\n", &[]);
}

#[test]
fn what_the_console_writes_is_at_most_a_note() {
    finds("ECS_CLUSTER=prod\nECS_BACKEND_HOST=\n", &[("empty-value", NOTE)]);
    finds("ECS_CLUSTER=prod\nECS_RESERVED_PORTS=\n", &[("empty-value", WARNING)]);
}

#[test]
fn mime_boundary_is_named() {
    for line in ["--==BOUNDARY==--", "--//--", "--//", "--===============8434==", "--MIMEBOUNDARY"]
    {
        finds(&format!("ECS_CLUSTER=prod\n{line}\n"), &[("mime-boundary", ERROR)]);
    }
}

#[test]
fn prefix_of_a_shell_is_named_and_fixed() {
    for (prefix, id) in [
        ("-e", "echo-option"),
        ("-n", "echo-option"),
        ("-ne", "echo-option"),
        ("export", "export-prefix"),
        ("declare -x", "export-prefix"),
        ("readonly", "export-prefix"),
    ] {
        let file = format!("{prefix} ECS_CLUSTER=prod\n");
        finds(&file, &[(id, ERROR)]);
        assert_eq!(fix(file.as_bytes()).0, b"ECS_CLUSTER=prod\n");
    }
}

#[test]
fn name_without_its_prefix_is_suggested() {
    for (written, meant) in [
        ("CLUSTER", "ECS_CLUSTER"),
        ("ECS_POLL_METRICS_INTERVAL", "ECS_POLLING_METRICS_WAIT_DURATION"),
        ("LOGLEVEL", "ECS_LOGLEVEL"),
        ("INSTANCE_ATTRIBUTES", "ECS_INSTANCE_ATTRIBUTES"),
        ("DEFAULT_REGION", "AWS_DEFAULT_REGION"),
    ] {
        let (message, fix) = (format!("nothing reads {written}"), format!("did you mean {meant}?"));
        explains(&format!("{written}=a\n"), &message, &fix);
    }
}

#[test]
fn line_that_a_later_one_overrides_is_not_judged() {
    for (first, last) in [
        ("ECS_INSTANCE_ATTRIBUTES=[1]", "ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"}"),
        ("ECS_RESERVED_MEMORY=256MB", "ECS_RESERVED_MEMORY=256"),
        ("ECS_LOGLEVEL=crit", "ECS_LOGLEVEL=info"),
        ("ECS_LOGFILE=/opt/a.log", "ECS_LOGFILE=/log/a.log"),
        ("ECS_CLUSTER=\"a\"", "ECS_CLUSTER=b"),
        ("ECS_DATADIR=", "ECS_DATADIR=/data"),
        ("ECS_CLUSTER={{ name }}", "ECS_CLUSTER=b"),
    ] {
        let file = format!("{first}\n{last}\n");
        finds(&file, &[("conflicting-duplicate", ERROR)]);
        let found = check(format!("{last}\n{first}\n").as_bytes());
        assert!(found.iter().any(|one| one.line == Some(2) && one.id != "conflicting-duplicate"));
    }
}

#[test]
fn line_that_is_not_a_setting_overrides_nothing() {
    let expected = [("quoted-value", ERROR), ("cr-only", ERROR)];
    finds("ECS_CLUSTER=\"a\"\nECS_CLUSTER=b\rECS_LOGLEVEL=info\n", &expected);
}

#[test]
fn comment_with_semicolon_and_backslash_swallows_a_line() {
    for start in ["; note \\\n", ";\\\n"] {
        let expected = [("semicolon-comment", ERROR), ("comment-continuation", ERROR)];
        finds(&format!("{start}ECS_CLUSTER=a\n"), &expected);
    }
    finds("; note \\\n# note\n", &[("semicolon-comment", ERROR)]);
}
