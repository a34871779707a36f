//! What `--fix` leaves alone, because rewriting it would be a guess.

use ecs_config::lint::fix;

use super::{ERROR, finds};

#[track_caller]
fn becomes(file: &str, expected: &str) {
    let (fixed, _) = fix(file.as_bytes());
    assert_eq!(String::from_utf8(fixed).unwrap(), expected);
}

#[test]
fn words_that_only_people_take_for_booleans_stay() {
    for (name, word) in [
        ("ECS_DISABLE_IMAGE_CLEANUP", "enabled"),
        ("ECS_DISABLE_METRICS", "on"),
        ("ECS_AWSVPC_BLOCK_IMDS", "no"),
        ("ECS_DISABLE_PRIVILEGED", "disabled"),
        ("ECS_ENABLE_TASK_IAM_ROLE", "yes"),
        ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", "tRuE"),
        ("ECS_SELINUX_CAPABLE", "Y"),
        ("AWS_USE_FIPS_ENDPOINT", "off"),
    ] {
        let file = format!("{name}={word}\n");
        becomes(&file, &file);
        finds(&file, &[("not-a-boolean", ERROR)]);
    }
}

#[test]
fn words_that_go_takes_are_written_out() {
    for (word, plain) in
        [("1", "true"), ("T", "true"), ("True", "true"), ("F", "false"), ("0", "false")]
    {
        let file = format!("ECS_DISABLE_METRICS={word}\n");
        becomes(&file, &format!("ECS_DISABLE_METRICS={plain}\n"));
    }
}

#[test]
fn line_that_would_begin_to_count_stays() {
    // ecs-init sees a name with a blank in the second line, so the first one counts.
    let on = "ECS_AWSVPC_BLOCK_IMDS=true\n";
    for second in ["export ECS_AWSVPC_BLOCK_IMDS=false", "ECS_AWSVPC_BLOCK_IMDS = 0"] {
        let file = format!("{on}{second}\n");
        becomes(&file, &file);
    }
    becomes(&format!("{on}{on}ECS_CLUSTER = a\n"), &format!("{on}{on}ECS_CLUSTER=a\n"));
    // The first of two equal lines is not reported.
    for file in ["ECS_DISABLE_METRICS=T\nECS_DISABLE_METRICS=T\n", "A=\"b\"\nA=\"b\"\n"] {
        becomes(file, file);
    }
}

#[test]
fn protection_is_never_given_up() {
    for file in [
        "export ECS_ENABLE_TASK_CPU_MEM_LIMIT=false\n",
        "ECS_ENABLE_TASK_CPU_MEM_LIMIT = 0\n",
        "ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS=\"true\"\n",
        "-e ECS_SKIP_LOCALHOST_TRAFFIC_FILTER=1\n",
        "ECS_AGENT_RUN_PRIVILEGED=1\n",
    ] {
        becomes(&format!("export A=b\n{file}"), &format!("A=b\n{file}"));
    }
    // Without the mark or the CR, the first line would count, or go on for systemd.
    for file in [
        "\u{feff}ECS_AGENT_PID_NAMESPACE_HOST=true\n",
        "ECS_AWSVPC_BLOCK_IMDS=true\\\r\nECS_CLUSTER=a\n",
    ] {
        becomes(file, file);
    }
    becomes("ECS_ENABLE_TASK_CPU_MEM_LIMIT=0\n", "ECS_ENABLE_TASK_CPU_MEM_LIMIT=false\n");
    becomes("export ECS_AWSVPC_BLOCK_IMDS=true\n", "ECS_AWSVPC_BLOCK_IMDS=true\n");
}

#[test]
fn quotes_stay_around_what_would_be_read_otherwise() {
    for file in ["ECS_LOGFILE=\"\u{a0}a\"\n", "A=\"b #c\"\n", "A='\"b\"'\n", "A='{\"a\":'\n"] {
        becomes(file, file);
    }
}

#[test]
fn comment_behind_a_value_stays_whatever_the_value_holds() {
    for file in ["ECS_LOGFILE=\"a#b\" # why\n", "ECS_LOGFILE='a#b' #why\n"] {
        becomes(file, file);
    }
}

#[test]
fn quotes_of_a_document_are_straightened_where_they_are_marks_of_json() {
    let name = "ECS_INSTANCE_ATTRIBUTES";
    for value in ["{\u{201c}a\u{201d}:\u{201c}\u{e9}\u{201d}}", "{\\\"a\\\":\\\"\u{e9}\\\"}"] {
        becomes(&format!("{name}={value}\n"), &format!("{name}={{\"a\":\"\u{e9}\"}}\n"));
    }
    let valid = format!("{name}={{\"a\":\"b\u{201c},\u{201c}c\u{201d}:\u{201c}d\"}}\n");
    becomes(&valid, &valid);
}
