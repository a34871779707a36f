//! What earlier runs and other programs left on the machine.

use super::Stage;
use super::cases::{CONFIG, Case, SOURCE};

/// A run before, on the same machine.
fn boot(stage: &Stage) {
    let mut command = stage.machine.command(&stage.cloud);
    command.arg("--root").arg(stage.machine.root()).args(["run", "--quiet", "--config", SOURCE]);
    let ended = command.output().expect("the program starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// D2: kept is what this host verified, and nothing else.
pub(super) fn all() -> Vec<Case> {
    let after = |name, does, status, then: fn(&Stage)| {
        Case::run(name, does, status).prepared(move |stage: &Stage| {
            boot(stage);
            then(stage);
        })
    };
    vec![
        after("kept", "S3 fails after an earlier run", 0, |stage| {
            stage.cloud.usual_fault("s3-500")
        }),
        after("kept-other-host", "S3 fails on a host made from another one's image", 22, |stage| {
            stage.cloud.set_host(|host| host.instance_id = "i-0ec5b007572affff2".into());
            stage.cloud.renew_credentials(std::time::Duration::from_secs(3600));
            stage.cloud.usual_fault("s3-500");
        }),
        after("kept-other-account", "S3 fails on a host in another account", 22, |stage| {
            stage.cloud.set_host(|host| host.account_id = "999999999999".into());
            stage.cloud.renew_credentials(std::time::Duration::from_secs(3600));
            stage.cloud.usual_fault("s3-500");
        }),
        after("kept-other-role", "S3 fails on a host with another role", 22, |stage| {
            stage.cloud.set_host(|host| host.role = Some("another".into()));
            stage.cloud.renew_credentials(std::time::Duration::from_secs(3600));
            stage.cloud.usual_fault("s3-500");
        }),
        after("kept-other-set", "S3 fails, and `set` is another one", 22, |stage| {
            stage.cloud.usual_fault("s3-500");
        })
        .with(&["--set", "ECS_LOGLEVEL=info"]),
        after(
            "kept-expected-role",
            "S3 and STS fail, and metadata has another role than expected",
            12,
            |stage| {
                stage.cloud.usual_fault("s3-500");
                stage.cloud.fault("sts-503", rehearsal::Extent::Always);
            },
        )
        .with(&["--expect-role", "another"]),
        after("kept-changed-file", "S3 fails, and another program changed the file", 22, |stage| {
            stage.machine.write("/etc/ecs/ecs.config", "ECS_CLUSTER=other\n");
            stage.cloud.usual_fault("s3-500");
        }),
        after("leftover", "a killed run left a temporary file, and nothing changed", 0, |stage| {
            stage.machine.write("/etc/ecs/.ecs.config.ecs-bootstrap", "ECS_CLUSTER=half");
        }),
        after("state-truncated", "the state is half a file", 0, |stage| {
            stage.machine.write("/var/lib/ecs-bootstrap/state.json", "{\"schema\": 1, \"inst");
        }),
        after(
            "foreign-attributes",
            "another program added ECS_INSTANCE_ATTRIBUTES={\"a\":1}",
            30,
            |stage| {
                let text = CONFIG.to_owned() + "ECS_INSTANCE_ATTRIBUTES={\"a\":1}\n";
                stage.machine.write("/etc/ecs/ecs.config", text);
            },
        ),
        after(
            "foreign-instance-file",
            "another program wrote the same into /var/lib/ecs/ecs.config",
            30,
            |stage| {
                stage
                    .machine
                    .write("/var/lib/ecs/ecs.config", "ECS_INSTANCE_ATTRIBUTES={\"a\":1}\n");
            },
        ),
        after(
            "foreign-json",
            "another program wrote ecs.config.json with a wrong type",
            30,
            |stage| {
                stage.machine.write("/etc/ecs/ecs.config.json", "{\"Cluster\": 1}");
            },
        ),
    ]
}
