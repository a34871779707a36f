//! The main job, as a process on a machine that is a folder.

use rehearsal::{Cloud, Machine, Options};

const TEXT: &str = "# our fleet\nECS_CLUSTER=prod\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n";

fn boot(machine: &Machine, cloud: &Cloud, args: &[&str]) -> (i32, serde_json::Value, String) {
    let mut command = machine.command(cloud);
    command.args(["run", "--output", "json", "--root"]).arg(machine.root()).args(args);
    let out = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    let report = serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (out.status.code().unwrap(), report, stderr)
}

#[test]
fn a_second_boot_changes_nothing() {
    let cloud = Cloud::start(Options::default());
    cloud.set_object("fleet-config", "ecs.config", TEXT);
    let machine = Machine::new().with_binary(env!("CARGO_BIN_EXE_ecs-bootstrap"));
    let (status, report, stderr) = boot(&machine, &cloud, &["--config", "s3://fleet-config/ecs.config"]);
    println!("{report:#}\n{stderr}");
    assert_eq!((status, report["outcome"].as_str()), (0, Some("installed")));
    let (status, report, _) = boot(&machine, &cloud, &["--config", "s3://fleet-config/ecs.config"]);
    assert_eq!((status, report["outcome"].as_str()), (0, Some("unchanged")));
}
