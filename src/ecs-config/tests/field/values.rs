//! Values that the agent's own parsers take or refuse against appearances: agent/config/parse.go
//! and config.go, and the Go packages that they call.

use super::{ERROR, NOTE, WARNING, finds};

#[track_caller]
fn each(settings: &[&str], expected: &[(&str, ecs_config::lint::Severity)]) {
    for setting in settings {
        finds(&format!("{setting}\n"), expected);
    }
}

#[test]
fn unsigned_numbers_take_no_sign() {
    let settings = ["+256", "-0", "+0", "-1"].map(|value| format!("ECS_RESERVED_MEMORY={value}"));
    each(&settings.each_ref().map(String::as_str), &[("not-a-number", ERROR)]);
    each(
        &[
            "ECS_DYNAMIC_HOST_PORT_RANGE=+1",
            "ECS_DYNAMIC_HOST_PORT_RANGE=1-+5",
            "ECS_DYNAMIC_HOST_PORT_RANGE=+1-5",
            "ECS_DYNAMIC_HOST_PORT_RANGE=1--2",
            "ECS_DYNAMIC_HOST_PORT_RANGE=5-1",
        ],
        &[("bad-port-range", ERROR)],
    );
    each(
        &[
            "ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/+8\"]",
            "ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/-8\"]",
        ],
        &[("bad-prefix", ERROR)],
    );
    each(
        &[
            "ECS_TASK_PIDS_LIMIT=+5",
            "ECS_NUM_IMAGES_DELETE_PER_CYCLE=+5",
            "ECS_TASK_METADATA_RPS_LIMIT=+40,+60",
            "ECS_TASK_METADATA_RPS_LIMIT=4294967296,4294967297",
            "ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/08\"]",
        ],
        &[],
    );
}

#[test]
fn duration_of_more_than_64_bits_is_an_error() {
    each(
        &[
            "ECS_IMAGE_PULL_TIMEOUT=9223372036854775808ns",
            "ECS_IMAGE_PULL_TIMEOUT=2562047h47m16.854775808s",
            "ECS_CONTAINER_STOP_TIMEOUT=9999999h",
        ],
        &[("bad-duration", ERROR)],
    );
    each(&["ECS_IMAGE_PULL_TIMEOUT=9223372036854775807ns"], &[]);
}

#[test]
fn replaced_entry_of_a_wrong_type_stops_the_agent() {
    let expected = [("duplicate-json-key", WARNING), ("json-shape", ERROR)];
    each(
        &[
            "ECS_INSTANCE_ATTRIBUTES={\"a\":1,\"a\":\"b\"}",
            "ECS_CONTAINER_INSTANCE_TAGS={\"a\":[],\"a\":\"x\"}",
            "ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\",\"a\":true}",
        ],
        &expected,
    );
    each(
        &["ECS_INSTANCE_ATTRIBUTES={\"a\":\"!\",\"a\":\"b\"}"],
        &[("duplicate-json-key", WARNING)],
    );
}

#[test]
fn text_behind_a_list_is_ignored() {
    each(
        &[
            "ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\"],",
            "ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\"]]",
            "ECS_RESERVED_PORTS_UDP=[22] 80",
            "ECS_VOLUME_PLUGIN_CAPABILITIES=[\"efsAuth\"]#",
        ],
        &[("bad-json", WARNING)],
    );
    each(
        &["ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/8\"],", "ECS_RESERVED_PORTS=22,80"],
        &[("bad-json", ERROR)],
    );
    each(&["ECS_RESERVED_PORTS=[22],"], &[("bad-json", WARNING), ("default-ports-dropped", NOTE)]);
}

#[test]
fn port_range_that_the_agent_takes_is_a_warning() {
    each(
        &["ECS_DYNAMIC_HOST_PORT_RANGE=0-9", "ECS_DYNAMIC_HOST_PORT_RANGE=1-2-3"],
        &[("bad-port-range", WARNING)],
    );
}

#[test]
fn zero_counts_as_not_set() {
    each(
        &[
            "ECS_IMAGE_MINIMUM_CLEANUP_AGE=0s",
            "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE=0",
            "ECS_IMAGE_PULL_TIMEOUT=0h",
            "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE=0",
        ],
        &[("out-of-range", WARNING)],
    );
    each(
        &[
            "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER=0s",
            "ECS_RESERVED_MEMORY=0",
            "ECS_LOG_MAX_ROLL_COUNT=0",
        ],
        &[],
    );
}

// docker/go-units, size.go; moby, daemon/logger/jsonfilelog/jsonfilelog.go.
#[test]
fn log_size_is_what_docker_takes() {
    for size in ["16m", "1.5G", "16 m", "16MiB", "1t", "4096", "4096b"] {
        finds(&format!("ECS_INIT_DOCKER_LOG_FILE_SIZE={size}\n"), &[]);
    }
    for size in ["-5m", "0", "0k", "16  m", "16mm", "16bb", "16ib", "m"] {
        finds(&format!("ECS_INIT_DOCKER_LOG_FILE_SIZE={size}\n"), &[("bad-size", ERROR)]);
    }
}

#[test]
fn number_of_a_region_has_no_sign() {
    each(&["AWS_REGION=eu-west-+1"], &[("bad-region", ERROR)]);
    each(&["AWS_REGION=us-gov-east-1", "AWS_REGION=mx-central-1"], &[]);
}
