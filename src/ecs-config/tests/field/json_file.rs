//! `/etc/ecs/ecs.config.json` by its Go types: agent/config/types.go.

use ecs_config::lint::Context;

use super::{check_in, shown};

fn findings(json: &str) -> Vec<String> {
    let context = Context { json_file: Some(json.as_bytes()), ..Context::default() };
    let found = check_in(b"ECS_CLUSTER=prod\n", &context);
    shown(&found).into_iter().map(|(id, _, message)| format!("{id}: {message}")).collect()
}

#[test]
fn field_of_another_type_stops_the_agent() {
    for (json, field) in [
        ("{\"ReservedMemory\":\"256\"}", "ReservedMemory"),
        ("{\"reservedmemory\":65536}", "ReservedMemory"),
        ("{\"ReservedMemory\":256.0}", "ReservedMemory"),
        ("{\"DockerStopTimeout\":\"30s\"}", "DockerStopTimeout"),
        ("{\"ImageCleanupInterval\":1.5}", "ImageCleanupInterval"),
        ("{\"Cluster\":5}", "Cluster"),
        ("{\"TaskIAMRoleEnabled\":\"true\"}", "TaskIAMRoleEnabled"),
        ("{\"TaskIAMRoleEnabledForNetworkHost\":1}", "TaskIAMRoleEnabledForNetworkHost"),
        ("{\"ReservedPorts\":[\"22\"]}", "ReservedPorts"),
        ("{\"ReservedPorts\":[70000]}", "ReservedPorts"),
        ("{\"AvailableLoggingDrivers\":\"awslogs\"}", "AvailableLoggingDrivers"),
        ("{\"InstanceAttributes\":{\"a\":1}}", "InstanceAttributes"),
        ("{\"InstanceAttributes\":[{\"a\":\"b\"}]}", "InstanceAttributes"),
        ("{\"AWSVPCAdditionalLocalRoutes\":[\"10.0.0.0\"]}", "AWSVPCAdditionalLocalRoutes"),
        ("{\"ImageCleanupExclusionList\":\"a,b\"}", "ImageCleanupExclusionList"),
        ("{\"ImagePullBehavior\":\"once\"}", "ImagePullBehavior"),
        ("{\"Cluster\":5,\"Cluster\":\"a\"}", "Cluster"),
        ("{\"AWSVPCAdditionalLocalRoutes\":[null]}", "AWSVPCAdditionalLocalRoutes"),
        ("{\"EBSTASupportEnabled\":\"true\"}", "EBSTASupportEnabled"),
        ("{\"NodeStageTimeout\":\"2s\"}", "NodeStageTimeout"),
        ("{\"CSIDriverSocketPath\":1}", "CSIDriverSocketPath"),
        ("{\"IMDSIAMRolesEnabled\":0}", "IMDSIAMRolesEnabled"),
        ("{\"GPUSupportEnabled\":\"yes\",\"Cluster\":\"a\"}", "GPUSupportEnabled"),
    ] {
        let expected = format!(
            "wrong-json-field: {field} in /etc/ecs/ecs.config.json has a wrong type: the agent stops"
        );
        assert_eq!(findings(json), [expected], "{json}");
    }
}

#[test]
fn field_of_the_agents_type_is_silent() {
    for json in [
        "{\"ReservedMemory\":256,\"DockerStopTimeout\":30000000000}",
        "{\"ReservedMemory\":null,\"Cluster\":null,\"ReservedPorts\":[null]}",
        "{\"TaskIAMRoleEnabled\":1,\"Checkpoint\":false,\"GPUSupportEnabled\":true}",
        "{\"EngineAuthType\":\"docker\",\"EngineAuthData\":{\"r.example.com\":{\"password\":1}}}",
        "{\"InstanceAttributes\":{\"a\":null,\"b\":\"c\"}}",
        "{\"AWSVPCAdditionalLocalRoutes\":[\"10.0.0.0/8\",\"::/0\"]}",
        "{\"Unknown\":[1,{\"a\":2}]}",
        "{\"AvailableLoggingDrivers\":[\"awslogs\"],\"NumImagesToDeletePerCycle\":100000}",
    ] {
        assert_eq!(findings(json), [""; 0], "{json}");
    }
}

#[test]
fn file_that_is_not_an_object_has_a_rule_of_its_own() {
    for json in ["[", "[]", "\"a\"", "{} x"] {
        assert!(findings(json)[0].starts_with("unreadable-json-file"), "{json}");
    }
}

#[test]
fn timeout_in_seconds_stops_the_agent() {
    let below = "wrong-json-field: ContainerStartTimeout in /etc/ecs/ecs.config.json is below 45s: \
                 the agent stops";
    for count in ["180", "44999999999", "-1"] {
        assert_eq!(findings(&format!("{{\"ContainerStartTimeout\":{count}}}")), [below]);
    }
    assert_eq!(findings("{\"ContainerStartTimeout\":45000000000}"), [""; 0]);

    let expected = "wrong-json-field: DockerStopTimeout in /etc/ecs/ecs.config.json is below 1s: \
                    the agent stops";
    assert_eq!(findings("{\"DockerStopTimeout\":30}"), [expected]);
    assert_eq!(findings("{\"DockerStopTimeout\":0}"), [""; 0]);
    let json_file = Some(b"{\"DockerStopTimeout\":30}".as_slice());
    let context = Context { json_file, ..Context::default() };
    assert!(check_in(b"ECS_CONTAINER_STOP_TIMEOUT=30s\n", &context).is_empty());
}
