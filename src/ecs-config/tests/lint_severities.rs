//! How bad each shape of line and each value is, and which rule names its cause.
//!
//! What the readers do with a line: systemd/systemd src/basic/env-file.c, aws/amazon-ecs-agent
//! ecs-init/docker/docker.go, docker/cli pkg/kvfile; the same lines are in readers/tests.rs. What
//! happens to values: aws/amazon-ecs-agent agent/config/parse.go and config.go,
//! ecs-init/docker/docker.go (defaults), agent/logger/log.go (log levels).

use ecs_config::lint::{self, Context, File, Finding, Severity};

const OK: Option<Severity> = None;
const NOTE: Option<Severity> = Some(Severity::Note);
const WARN: Option<Severity> = Some(Severity::Warning);
const ERROR: Option<Severity> = Some(Severity::Error);

fn check(bytes: &[u8]) -> Vec<Finding> {
    let context = Context { whole: true, allow_default_cluster: true, ..Context::default() };
    lint::check(&File { source: "ecs.config", bytes }, &context)
}

/// The worst finding has this severity, and this rule is among the findings.
#[track_caller]
fn row(bytes: &[u8], worst: Option<Severity>, id: &str) {
    let findings = check(bytes);
    let shown: Vec<_> = findings.iter().map(|f| (f.id, f.severity, f.line)).collect();
    let found = findings.iter().map(|finding| finding.severity).min();
    assert_eq!(found, worst, "{} {shown:?}", bytes.escape_ascii());
    let is_there = id.is_empty() || findings.iter().any(|finding| finding.id == id);
    assert!(is_there, "{} {shown:?}", bytes.escape_ascii());
}

macro_rules! rows {
    ($($name:ident: $bytes:expr, $worst:expr, $id:literal;)*) => {
        $(#[test] fn $name() { row($bytes, $worst, $id); })*
    };
}

rows! {
    plain: b"ECS_CLUSTER=v\n", OK, "";
    plain_without_final_newline: b"ECS_CLUSTER=v", WARN, "missing-final-newline";
    double_quotes: b"ECS_CLUSTER=\"v\"\n", ERROR, "quoted-value";
    single_quotes: b"ECS_CLUSTER='v'\n", ERROR, "quoted-value";
    quotes_then_text: b"ECS_CLUSTER=\"a\"b\n", ERROR, "quoted-value";
    quotes_inside: b"ECS_NVIDIA_RUNTIME=a\"b\"c\n", OK, "";
    quote_not_closed: b"ECS_CLUSTER=\"v\nECS_LOGLEVEL=info\n", ERROR, "unclosed-quote";
    json: b"ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"}\n", OK, "";
    quoted_json: b"ECS_INSTANCE_ATTRIBUTES='{\"a\":\"b\"}'\n", ERROR, "quoted-value";
    backslash_in_a_value_of_ecs_init: b"ECS_LOG_OPTS={\"a\":\"b\\\"c\"}\n", ERROR, "backslash-lost";
    backslash_elsewhere: b"ECS_AGENT_LABELS={\"a\":\"b\\\"c\"}\n", WARN, "backslash";
    blanks_around_equals: b"ECS_CLUSTER = v\n", ERROR, "space-around-equals";
    blank_before_equals: b"ECS_CLUSTER =v\n", ERROR, "space-around-equals";
    blank_after_equals: b"ECS_CLUSTER= v\n", ERROR, "space-around-equals";
    blanks_before_the_name: b"  ECS_CLUSTER=v\n", WARN, "leading-space";
    blanks_at_the_end: b"ECS_CLUSTER=v  \n", WARN, "trailing-space";
    export: b"export ECS_CLUSTER=v\n", ERROR, "export-prefix";
    comment: b"# text\n", OK, "";
    comment_with_equals: b"# ECS_CLUSTER=old\n", WARN, "comment-with-equals";
    semicolon: b";ECS_CLUSTER=v\n", ERROR, "semicolon-comment";
    comment_with_backslash: b"# note \\\nECS_CLUSTER=v\n", ERROR, "comment-continuation";
    comment_after_the_value: b"ECS_CLUSTER=v # note\n", ERROR, "trailing-comment";
    comment_after_quotes: b"ECS_CLUSTER=\"v\" # note\n", ERROR, "quoted-value";
    backslash_at_the_end: b"ECS_CLUSTER=a\\\nb\n", ERROR, "line-continuation";
    json_over_lines: b"ECS_INSTANCE_ATTRIBUTES={\n\"a\":\"b\"}\n", ERROR, "multi-line-value";
    two_different_values: b"ECS_CLUSTER=a\nECS_CLUSTER=b\n", ERROR, "conflicting-duplicate";
    the_same_value_twice: b"ECS_CLUSTER=a\nECS_CLUSTER=a\n", WARN, "duplicate-key";
    equals_in_the_value: b"ECS_NVIDIA_RUNTIME=a=b\n", OK, "";
    empty_value: b"ECS_INSTANCE_ATTRIBUTES=\n", WARN, "empty-value";
    empty_quotes: b"ECS_CLUSTER=\"\"\n", ERROR, "quoted-value";
    line_without_equals: b"ECS_CLUSTER\n", ERROR, "not-an-assignment";
    colon_instead_of_equals: b"ECS_CLUSTER: v\n", ERROR, "not-an-assignment";
    empty_name: b"=v\n", ERROR, "empty-name";
    line_of_equals: b"=====\n", ERROR, "empty-name";
    line_of_equals_in_a_comment: b"# ====\n", WARN, "comment-with-equals";
    crlf: b"ECS_CLUSTER=v\r\n", WARN, "crlf";
    cr_only: b"ECS_CLUSTER=v\rECS_LOGLEVEL=info\r", ERROR, "cr-only";
    bom_before_a_name: b"\xef\xbb\xbfECS_CLUSTER=v\n", ERROR, "bom";
    bom_before_a_comment: b"\xef\xbb\xbf# text\nECS_CLUSTER=v\n", WARN, "bom-before-comment";
    value_that_is_not_utf_8: b"ECS_NVIDIA_RUNTIME=caf\xe9\n", ERROR, "invalid-utf8";
    comment_that_is_not_utf_8: b"# caf\xe9\nECS_CLUSTER=v\n", WARN, "invalid-utf8-comment";
    utf_16_with_mark: b"\xff\xfeE\0C\0S\0_\0", ERROR, "utf-16";
    utf_16_without_mark: b"E\0C\0S\0_\0C\0L\0=\0v\0\n\0", ERROR, "utf-16";
    nul: b"ECS_NVIDIA_RUNTIME=a\0b\n", ERROR, "nul";
    no_break_space_at_the_end: b"ECS_CLUSTER=v\xc2\xa0\n", ERROR, "invisible-character";
    no_break_space_before_the_name: b"\xc2\xa0ECS_CLUSTER=v\n", ERROR, "invisible-character";
    hyphen_in_the_name: b"ECS-CLUSTER=v\n", WARN, "odd-name";
    dot_in_the_name: b"ECS.CLUSTER=v\n", WARN, "odd-name";
    digit_before_the_name: b"1ECS=v\n", WARN, "odd-name";
    lower_case_name: b"my_setting=v\n", WARN, "lower-case-name";
    name_of_a_variable_in_lower_case: b"ecs_cluster=v\n", ERROR, "name-case";
    lower_case_proxy: b"no_proxy=localhost\n", OK, "";
    dollar_is_literal: b"ECS_NVIDIA_RUNTIME=$X\n", NOTE, "no-expansion";
    percent_is_literal: b"ECS_NVIDIA_RUNTIME=%i\n", NOTE, "no-expansion";
    tilde_is_literal: b"ECS_NVIDIA_RUNTIME=~\n", NOTE, "no-expansion";
    control_character: b"ECS_NVIDIA_RUNTIME=a\x01b\n", WARN, "control-character";
    here_document_begins: b"cat <<EOF\nECS_CLUSTER=v\n", ERROR, "heredoc-left-in";
    here_document_ends: b"ECS_CLUSTER=v\nEOF\n", ERROR, "heredoc-left-in";
    xml: b"<?xml version=\"1.0\"?>\n<Error/>\n", ERROR, "not-a-configuration";

    empty_datadir_turns_checkpointing_off: b"ECS_DATADIR=\n", ERROR, "empty-overrides-default";
    empty_task_roles_are_off: b"ECS_ENABLE_TASK_IAM_ROLE=\n", ERROR, "empty-overrides-default";
    empty_log_drivers_fall_back: b"ECS_AVAILABLE_LOGGING_DRIVERS=\n", ERROR, "empty-overrides-default";
    empty_cluster_means_default: b"ECS_CLUSTER=\n", WARN, "empty-value";
    yes_turns_task_roles_off: b"ECS_ENABLE_TASK_IAM_ROLE=yes\n", ERROR, "not-a-boolean";
    ecs_init_wants_exactly_true: b"ECS_EXTERNAL=1\nAWS_DEFAULT_REGION=eu-west-1\n", ERROR, "not-exactly-true";
    on_is_not_a_boolean: b"ECS_DISABLE_METRICS=on\n", ERROR, "not-a-boolean";
    mixed_case_is_not_a_boolean: b"ECS_DISABLE_METRICS=tRuE\n", ERROR, "not-a-boolean";
    upper_case_is_a_boolean_for_some: b"ECS_DISABLE_METRICS=TRUE\n", WARN, "boolean-spelling";
    the_sdk_takes_no_digits: b"AWS_USE_FIPS_ENDPOINT=1\n", ERROR, "not-a-boolean";
    a_port_out_of_range: b"ECS_RESERVED_PORTS=[70000]\n", ERROR, "bad-port";
    a_port_in_quotes: b"ECS_RESERVED_PORTS=[\"22\"]\n", ERROR, "bad-port";
    a_valid_list_replaces_the_default_one: b"ECS_RESERVED_PORTS=[8080]\n", NOTE, "default-ports-dropped";
    auth_data_that_does_not_parse: b"ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={x\n", ERROR, "bad-json";
    an_array_of_attributes: b"ECS_INSTANCE_ATTRIBUTES=[{\"a\":\"b\"}]\n", ERROR, "json-shape";
    a_number_as_attribute: b"ECS_INSTANCE_ATTRIBUTES={\"a\":1}\n", ERROR, "json-shape";
    text_after_the_attributes: b"ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"} x\n", ERROR, "bad-json";
    a_number_as_tag: b"ECS_CONTAINER_INSTANCE_TAGS={\"a\":1}\n", ERROR, "json-shape";
    a_route_without_length: b"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.1\"]\n", ERROR, "bad-prefix";
    an_unknown_log_driver: b"ECS_AVAILABLE_LOGGING_DRIVERS=[\"cloudwatch\"]\n", ERROR, "unknown-log-driver";
    external_without_region: b"ECS_EXTERNAL=true\n", ERROR, "external-without-region";
    a_zone_is_not_a_region: b"AWS_DEFAULT_REGION=eu-west-1a\n", ERROR, "bad-region";
    a_bad_sdk_word: b"AWS_RETRY_MODE=legacy\n", ERROR, "unknown-word";
    a_cluster_in_quotes: b"ECS_CLUSTER=\"prod\"\n", ERROR, "quoted-value";
    crit_breaks_the_log: b"ECS_LOGLEVEL=crit\n", ERROR, "breaks-logging";
    none_breaks_the_log: b"ECS_LOGLEVEL=none\n", ERROR, "breaks-logging";
    upper_case_breaks_the_log: b"ECS_LOGLEVEL=INFO\n", ERROR, "breaks-logging";
    level_on_the_instance_repairs_the_log: b"ECS_LOGLEVEL=crit\nECS_LOGLEVEL_ON_INSTANCE=error\n", OK, "";
    an_unknown_format_breaks_the_log: b"ECS_LOG_OUTPUT_FORMAT=text\n", ERROR, "breaks-logging";
    polling_is_written_in_full: b"ECS_POLL_METRICS_WAIT_DURATION=10s\n", WARN, "unknown-variable";
    privileged_disabled_is_not_a_name: b"ECS_PRIVILEGED_DISABLED=true\n", WARN, "unknown-variable";
    the_interface_name_is_deprecated: b"ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME=eth0\n", WARN, "deprecated-variable";
    a_duration_without_unit: b"ECS_IMAGE_CLEANUP_INTERVAL=3\n", ERROR, "bad-duration";
    there_are_no_days: b"ECS_IMAGE_CLEANUP_INTERVAL=1d\n", ERROR, "bad-duration";
    a_timeout_below_its_bound_is_clamped: b"ECS_CONTAINER_START_TIMEOUT=1s\n", WARN, "clamped";
}

#[test]
fn setting_that_is_too_long_for_an_environment() {
    let line =
        |bytes: usize| [b"ECS_NVIDIA_RUNTIME=".as_slice(), &vec![b'x'; bytes - 19], b"\n"].concat();
    row(&line(131_072), ERROR, "too-long"); // MAX_ARG_STRLEN of the kernel
    assert!(!check(&line(131_071)).iter().any(|finding| finding.id == "too-long"));
}

#[test]
fn known_near_misses_suggest_the_right_name() {
    for (written, meant) in [
        ("ECS_POLL_METRICS_WAIT_DURATION", "ECS_POLLING_METRICS_WAIT_DURATION"),
        ("ECS_PRIVILEGED_DISABLED", "ECS_DISABLE_PRIVILEGED"),
        ("NONECS_IMAGE_MINIMUM_CLEANUP_AGE", "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE"),
        ("NON_ECS_NUM_CONTAINERS_DELETE_PER_CYCLE", "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE"),
        ("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS", "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM"),
        ("ECS_DOCKER_PULL_INACTIVITY_TIMEOUT", "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT"),
    ] {
        let fixes: Vec<_> =
            check(format!("{written}=1\n").as_bytes()).into_iter().filter_map(|f| f.fix).collect();
        assert!(fixes.contains(&format!("did you mean {meant}?")), "{written}: {fixes:?}");
    }
}
