//! The table of inputs and readers, row by row, with the severity that each row states; and the
//! facts that follow it. The rows are those that systemd 252, ecs-init and docker were run on; `K`
//! of the table is a name that the agent knows.

use ecs_config::lint::{self, Context, File, Finding, Severity};

const OK: Option<Severity> = None;
const NOTE: Option<Severity> = Some(Severity::Note);
const WARN: Option<Severity> = Some(Severity::Warning);
const ERROR: Option<Severity> = Some(Severity::Error);

fn check(bytes: &[u8]) -> Vec<Finding> {
    let context = Context { allow_default_cluster: true, ..Context::default() };
    lint::check(&File { source: "ecs.config", bytes }, &context)
}

/// Runs one row: the worst finding has the severity that the row states, and the rule that names
/// its cause is there.
#[track_caller]
fn row(bytes: &[u8], worst: Option<Severity>, id: &str) {
    let findings = check(bytes);
    let shown: Vec<_> = findings.iter().map(|f| (f.id, f.severity, f.line)).collect();
    assert_eq!(
        findings.iter().map(|finding| finding.severity).min(),
        worst,
        "{} {shown:?}",
        bytes.escape_ascii()
    );
    assert!(
        id.is_empty() || findings.iter().any(|finding| finding.id == id),
        "{} {shown:?}",
        bytes.escape_ascii()
    );
}

macro_rules! rows {
    ($($name:ident: $bytes:expr, $worst:expr, $id:literal;)*) => {
        $(#[test] fn $name() { row($bytes, $worst, $id); })*
    };
}

rows! {
    row_01_plain: b"ECS_CLUSTER=v\n", OK, "";
    row_01_plain_without_final_newline: b"ECS_CLUSTER=v", WARN, "missing-final-newline";
    row_02_double_quotes: b"ECS_CLUSTER=\"v\"\n", ERROR, "quoted-value";
    row_02_single_quotes: b"ECS_CLUSTER='v'\n", ERROR, "quoted-value";
    row_03_quotes_then_text: b"ECS_CLUSTER=\"a\"b\n", ERROR, "quoted-value";
    row_04_quotes_inside: b"ECS_NVIDIA_RUNTIME=a\"b\"c\n", OK, "";
    row_05_quote_not_closed: b"ECS_CLUSTER=\"v\nECS_LOGLEVEL=info\n", ERROR, "unclosed-quote";
    row_06_json: b"ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"}\n", OK, "";
    row_07_quoted_json: b"ECS_INSTANCE_ATTRIBUTES='{\"a\":\"b\"}'\n", ERROR, "quoted-value";
    row_08_backslash_where_ecs_init_uses_the_value: b"ECS_LOG_OPTS={\"a\":\"b\\\"c\"}\n", ERROR, "backslash-lost";
    row_08_backslash_elsewhere: b"ECS_AGENT_LABELS={\"a\":\"b\\\"c\"}\n", WARN, "backslash";
    row_09_blanks_around_equals: b"ECS_CLUSTER = v\n", ERROR, "space-around-equals";
    row_09_blank_before_equals: b"ECS_CLUSTER =v\n", ERROR, "space-around-equals";
    row_10_blank_after_equals: b"ECS_CLUSTER= v\n", ERROR, "space-around-equals";
    row_11_blanks_in_front: b"  ECS_CLUSTER=v\n", WARN, "leading-space";
    row_12_blanks_at_the_end: b"ECS_CLUSTER=v  \n", WARN, "trailing-space";
    row_13_export: b"export ECS_CLUSTER=v\n", ERROR, "export-prefix";
    row_14_comment: b"# text\n", OK, "";
    row_15_comment_with_equals: b"# ECS_CLUSTER=old\n", WARN, "comment-with-equals";
    row_16_semicolon: b";ECS_CLUSTER=v\n", ERROR, "semicolon-comment";
    row_17_comment_with_backslash: b"# note \\\nECS_CLUSTER=v\n", ERROR, "comment-continuation";
    row_18_comment_after_the_value: b"ECS_CLUSTER=v # note\n", ERROR, "trailing-comment";
    row_19_comment_after_quotes: b"ECS_CLUSTER=\"v\" # note\n", ERROR, "quoted-value";
    row_20_backslash_at_the_end: b"ECS_CLUSTER=a\\\nb\n", ERROR, "line-continuation";
    row_21_json_over_lines: b"ECS_INSTANCE_ATTRIBUTES={\n\"a\":\"b\"}\n", ERROR, "multi-line-value";
    row_22_twice_and_different: b"ECS_CLUSTER=a\nECS_CLUSTER=b\n", ERROR, "conflicting-duplicate";
    row_22_twice_and_the_same: b"ECS_CLUSTER=a\nECS_CLUSTER=a\n", WARN, "duplicate-key";
    row_23_equals_in_the_value: b"ECS_NVIDIA_RUNTIME=a=b\n", OK, "";
    row_24_empty: b"ECS_INSTANCE_ATTRIBUTES=\n", WARN, "empty-value";
    row_25_empty_quotes: b"ECS_CLUSTER=\"\"\n", ERROR, "quoted-value";
    row_26_no_equals: b"ECS_CLUSTER\n", ERROR, "not-an-assignment";
    row_26_colon: b"ECS_CLUSTER: v\n", ERROR, "not-an-assignment";
    row_27_no_name: b"=v\n", ERROR, "empty-name";
    row_27_rule_of_equals: b"=====\n", ERROR, "empty-name";
    row_28_rule_of_equals_in_a_comment: b"# ====\n", WARN, "comment-with-equals";
    row_29_crlf: b"ECS_CLUSTER=v\r\n", WARN, "crlf";
    row_30_cr_only: b"ECS_CLUSTER=v\rECS_LOGLEVEL=info\r", ERROR, "cr-only";
    row_31_bom_before_a_name: b"\xef\xbb\xbfECS_CLUSTER=v\n", ERROR, "bom";
    row_32_bom_before_a_comment: b"\xef\xbb\xbf# text\nECS_CLUSTER=v\n", WARN, "bom-before-comment";
    row_33_no_utf_8_in_a_value: b"ECS_NVIDIA_RUNTIME=caf\xe9\n", ERROR, "invalid-utf8";
    row_34_no_utf_8_in_a_comment: b"# caf\xe9\nECS_CLUSTER=v\n", WARN, "invalid-utf8-comment";
    row_35_utf_16_with_mark: b"\xff\xfeE\0C\0S\0_\0", ERROR, "utf-16";
    row_35_utf_16_without_mark: b"E\0C\0S\0_\0C\0L\0=\0v\0\n\0", ERROR, "utf-16";
    row_36_nul: b"ECS_NVIDIA_RUNTIME=a\0b\n", ERROR, "nul";
    row_37_no_break_space_at_the_end: b"ECS_CLUSTER=v\xc2\xa0\n", ERROR, "invisible-character";
    row_38_no_break_space_in_front: b"\xc2\xa0ECS_CLUSTER=v\n", ERROR, "invisible-character";
    row_39_hyphen_in_the_name: b"ECS-CLUSTER=v\n", WARN, "odd-name";
    row_39_dot_in_the_name: b"ECS.CLUSTER=v\n", WARN, "odd-name";
    row_39_digit_before_the_name: b"1ECS=v\n", WARN, "odd-name";
    row_40_lower_case: b"ecs_cluster=v\n", WARN, "lower-case-name";
    row_40_lower_case_proxy: b"no_proxy=localhost\n", OK, "";
    row_41_dollar: b"ECS_NVIDIA_RUNTIME=$X\n", NOTE, "no-expansion";
    row_41_percent: b"ECS_NVIDIA_RUNTIME=%i\n", NOTE, "no-expansion";
    row_41_tilde: b"ECS_NVIDIA_RUNTIME=~\n", NOTE, "no-expansion";
    row_42_control_character: b"ECS_NVIDIA_RUNTIME=a\x01b\n", WARN, "control-character";
    row_44_here_document_begins: b"cat <<EOF\nECS_CLUSTER=v\n", ERROR, "heredoc-left-in";
    row_44_here_document_ends: b"ECS_CLUSTER=v\nEOF\n", ERROR, "heredoc-left-in";
    row_45_xml: b"<?xml version=\"1.0\"?>\n<Error/>\n", ERROR, "not-a-configuration";

    fact_1_4_empty_datadir_turns_checkpointing_off: b"ECS_DATADIR=\n", ERROR, "empty-overrides-default";
    fact_1_4_empty_task_roles_are_off: b"ECS_ENABLE_TASK_IAM_ROLE=\n", ERROR, "empty-overrides-default";
    fact_1_4_empty_log_drivers_fall_back: b"ECS_AVAILABLE_LOGGING_DRIVERS=\n", ERROR, "empty-overrides-default";
    fact_1_4_empty_cluster_means_default: b"ECS_CLUSTER=\n", WARN, "empty-value";
    fact_1_4_yes_turns_task_roles_off: b"ECS_ENABLE_TASK_IAM_ROLE=yes\n", ERROR, "not-a-boolean";
    fact_1_5_ecs_init_wants_exactly_true: b"ECS_EXTERNAL=1\nAWS_DEFAULT_REGION=eu-west-1\n", ERROR, "not-exactly-true";
    fact_1_5_on_is_no_boolean: b"ECS_DISABLE_METRICS=on\n", ERROR, "not-a-boolean";
    fact_1_5_mixed_case_is_no_boolean: b"ECS_DISABLE_METRICS=tRuE\n", ERROR, "not-a-boolean";
    fact_1_5_upper_case_is_a_boolean_for_some: b"ECS_DISABLE_METRICS=TRUE\n", WARN, "boolean-spelling";
    fact_1_5_the_sdk_takes_no_digits: b"AWS_USE_FIPS_ENDPOINT=1\n", ERROR, "not-a-boolean";
    fact_1_6_a_port_out_of_range: b"ECS_RESERVED_PORTS=[70000]\n", ERROR, "bad-port";
    fact_1_6_a_port_in_quotes: b"ECS_RESERVED_PORTS=[\"22\"]\n", ERROR, "bad-port";
    fact_1_6_a_valid_list_replaces_the_default_one: b"ECS_RESERVED_PORTS=[8080]\n", NOTE, "default-ports-dropped";
    fact_1_6_auth_data_that_does_not_parse: b"ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={x\n", ERROR, "bad-json";
    fact_1_6_an_array_of_attributes: b"ECS_INSTANCE_ATTRIBUTES=[{\"a\":\"b\"}]\n", ERROR, "json-shape";
    fact_1_6_a_number_as_attribute: b"ECS_INSTANCE_ATTRIBUTES={\"a\":1}\n", ERROR, "json-shape";
    fact_1_6_text_after_the_attributes: b"ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"} x\n", ERROR, "bad-json";
    fact_1_6_a_number_as_tag: b"ECS_CONTAINER_INSTANCE_TAGS={\"a\":1}\n", ERROR, "json-shape";
    fact_1_6_a_route_without_length: b"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.1\"]\n", ERROR, "bad-prefix";
    fact_1_6_an_unknown_log_driver: b"ECS_AVAILABLE_LOGGING_DRIVERS=[\"cloudwatch\"]\n", ERROR, "unknown-log-driver";
    fact_1_6_external_without_region: b"ECS_EXTERNAL=true\n", ERROR, "external-without-region";
    fact_1_6_a_region_that_is_none: b"AWS_DEFAULT_REGION=eu-west-1a\n", ERROR, "bad-region";
    fact_1_6_a_bad_sdk_word: b"AWS_RETRY_MODE=legacy\n", ERROR, "unknown-word";
    fact_1_6_a_cluster_in_quotes: b"ECS_CLUSTER=\"prod\"\n", ERROR, "quoted-value";
    fact_1_6_crit_breaks_the_log: b"ECS_LOGLEVEL=crit\n", ERROR, "breaks-logging";
    fact_1_6_none_breaks_the_log: b"ECS_LOGLEVEL=none\n", ERROR, "breaks-logging";
    fact_1_6_upper_case_breaks_the_log: b"ECS_LOGLEVEL=INFO\n", ERROR, "breaks-logging";
    fact_1_6_the_level_on_the_instance_repairs_it: b"ECS_LOGLEVEL=crit\nECS_LOGLEVEL_ON_INSTANCE=error\n", OK, "";
    fact_1_6_an_unknown_format_breaks_the_log: b"ECS_LOG_OUTPUT_FORMAT=text\n", ERROR, "breaks-logging";
    fact_1_6_polling_not_poll: b"ECS_POLL_METRICS_WAIT_DURATION=10s\n", WARN, "unknown-variable";
    fact_1_6_disable_privileged: b"ECS_PRIVILEGED_DISABLED=true\n", WARN, "unknown-variable";
    fact_1_6_the_interface_name_is_dead: b"ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME=eth0\n", WARN, "deprecated-variable";
    fact_1_6_a_duration_without_unit: b"ECS_IMAGE_CLEANUP_INTERVAL=3\n", ERROR, "bad-duration";
    fact_1_6_there_are_no_days: b"ECS_IMAGE_CLEANUP_INTERVAL=1d\n", ERROR, "bad-duration";
    fact_1_6_a_timeout_below_its_bound_is_clamped: b"ECS_CONTAINER_START_TIMEOUT=1s\n", WARN, "clamped";
}

#[test]
fn row_43_a_setting_too_long_for_an_environment() {
    let line =
        |bytes: usize| [b"ECS_NVIDIA_RUNTIME=".as_slice(), &vec![b'x'; bytes - 19], b"\n"].concat();
    row(&line(131_072), ERROR, "too-long");
    assert!(!check(&line(131_071)).iter().any(|finding| finding.id == "too-long"));
}

#[test]
fn the_near_misses_of_1_6_name_what_was_meant() {
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
