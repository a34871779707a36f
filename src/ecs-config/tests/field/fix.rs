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
}
