//! A host outside EC2: its registration and credentials are the SSM agent's, and instance metadata
//! is never asked.

mod support;

use std::process::Output;
use std::time::{Duration, SystemTime};

use rehearsal::{Cloud, Credentials, Machine, Options, Service};
use support::eventually;

const ID: &str = "mi-0123456789abcdef0";
const REGISTRATION: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
const FILE: &str = "/root/.aws/credentials";

fn cloud() -> Cloud {
    let cloud = Cloud::start(Options::default());
    cloud.set_object("fleet-config", "ecs.config", "ECS_CLUSTER=edge\n");
    cloud.set_host(|host| host.instance_id = ID.into());
    cloud
}

fn machine(id: &str) -> Machine {
    let machine = Machine::new().with_binary(env!("CARGO_BIN_EXE_ecs-bootstrap"));
    machine.write(REGISTRATION, format!("{{\"instanceID\":\"{id}\",\"region\":\"eu-west-1\"}}"));
    machine
}

/// Credentials as the SSM agent gets them.
fn credentials(name: &str, expires: SystemTime) -> Credentials {
    Credentials {
        access_key_id: format!("ASIAPLANTED{name}"),
        secret_access_key: format!("PLANTED-SECRET-{name}"),
        session_token: format!("PLANTED-TOKEN-{name}"),
        expires,
    }
}

fn written(credentials: &Credentials) -> String {
    let Credentials { access_key_id, secret_access_key, session_token, .. } = credentials;
    format!(
        "[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\naws_session_token = {session_token}\n"
    )
}

fn run(machine: &Machine, cloud: &Cloud, args: &[&str]) -> Output {
    let mut command = machine.command(cloud);
    command
        .args(["run", "--output", "json", "--config", "s3://fleet-config/ecs.config", "--root"])
        .arg(machine.root())
        .args(args);
    command.output().unwrap()
}

fn report(output: &Output) -> serde_json::Value {
    support::collect(&output.stdout);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn asked_imds(cloud: &Cloud) -> bool {
    cloud.requests().iter().any(|seen| seen.service == Service::Imds)
}

#[test]
fn external_host_installs_without_instance_metadata() {
    let (cloud, machine) = (cloud(), machine(ID));
    // As AWS's ecs-anywhere-install.sh writes it; the unit of its packages loads it.
    machine.write(
        "/var/lib/ecs/ecs.config",
        "ECS_CLUSTER=other\nECS_EXTERNAL=true\nAWS_DEFAULT_REGION=eu-west-1\n",
    );
    let good = credentials("ONE", SystemTime::now() + Duration::from_secs(3600));
    machine.write(FILE, written(&good));
    cloud.set_credentials(good);
    let output = run(&machine, &cloud, &["--timeout", "20s"]);
    let report = report(&output);
    assert_eq!(
        (output.status.code(), &report["outcome"]),
        (Some(0), &"installed".into()),
        "{report:#}"
    );
    assert_eq!(
        (&report["host"]["kind"], &report["host"]["instance_id"]),
        (&"external".into(), &ID.into())
    );
    assert!(!asked_imds(&cloud));
    let checked = machine
        .command(&cloud)
        .args(["status", "--check", "--root"])
        .arg(machine.root())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn session_of_another_host_is_an_identity_mismatch() {
    let (cloud, machine) = (cloud(), machine("mi-0fffffffffffffff0"));
    let good = credentials("ONE", SystemTime::now() + Duration::from_secs(3600));
    machine.write(FILE, written(&good));
    cloud.set_credentials(good);
    let output = run(&machine, &cloud, &["--timeout", "20s"]);
    assert_eq!(
        (output.status.code(), &report(&output)["error"]["word"]),
        (Some(12), &"identity_mismatch".into())
    );
}

/// Does some work, while the SSM agent writes new credentials once AWS was asked with the old ones.
fn with_rotation<T>(
    machine: &Machine,
    cloud: &Cloud,
    new: &Credentials,
    work: impl FnOnce() -> T,
) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually(|| cloud.requests().iter().any(|seen| seen.service != Service::Imds));
            machine.write(FILE, written(new));
        });
        work()
    })
}

#[test]
fn expired_credentials_are_waited_out_until_rotated() {
    for sts in ["auto", "skip"] {
        let (cloud, machine) = (cloud(), machine(ID));
        let old = credentials("OLD", SystemTime::now() - Duration::from_secs(60));
        let new = credentials("NEW", SystemTime::now() + Duration::from_secs(3600));
        machine.write(FILE, written(&old));
        cloud.set_credentials(old);
        cloud.set_credentials(new.clone());
        let args = ["--timeout", "60s", "--sts", sts];
        let output = with_rotation(&machine, &cloud, &new, || run(&machine, &cloud, &args));
        assert_eq!(output.status.code(), Some(0), "{sts}: {:#}", report(&output));
        assert!(!asked_imds(&cloud));
    }
}

#[test]
fn missing_ssm_agent_credentials_are_no_role() {
    let (cloud, machine) = (cloud(), machine(ID));
    let output = run(&machine, &cloud, &["--timeout", "2s"]);
    let report = report(&output);
    assert_eq!((output.status.code(), &report["error"]["word"]), (Some(11), &"no_role".into()));
    assert!(report["error"]["remedy"].as_str().unwrap().contains("amazon-ssm-agent"), "{report:#}");
    assert!(!asked_imds(&cloud));
}

#[test]
fn agent_that_shares_no_credentials_is_not_waited_for() {
    let (cloud, machine) = (cloud(), machine(ID));
    machine.write("/etc/amazon/ssm/amazon-ssm-agent.json", r#"{"Profile": {"ShareCreds": false}}"#);
    let began = std::time::Instant::now();
    let output = run(&machine, &cloud, &["--timeout", "60s"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let report = report(&output);
    assert_eq!((output.status.code(), &report["error"]["word"]), (Some(11), &"no_role".into()));
    assert!(report["error"]["remedy"].as_str().unwrap().contains("ShareCreds"), "{report:#}");
}

#[test]
fn credentials_that_no_request_can_carry_are_not_waited_for() {
    let (cloud, machine) = (cloud(), machine(ID));
    machine.write(
        "/root/.aws/credentials",
        "[default]\naws_access_key_id = AK\u{1b}[2J\naws_secret_access_key = s\naws_session_token = t\n",
    );
    let began = std::time::Instant::now();
    let output = run(&machine, &cloud, &["--timeout", "60s"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(11));
    let report = report(&output);
    assert!(report["error"].to_string().contains("no request can carry"), "{report:#}");
}

#[test]
fn unregistered_host_with_host_external_is_no_role() {
    let (cloud, machine) =
        (cloud(), Machine::new().with_binary(env!("CARGO_BIN_EXE_ecs-bootstrap")));
    let output = run(&machine, &cloud, &["--timeout", "2s", "--host", "external"]);
    assert_eq!(output.status.code(), Some(11));
    assert!(report(&output)["error"]["message"].as_str().unwrap().contains("not registered"));
}

#[test]
fn unknown_credentials_are_waited_out_until_rotated() {
    let (cloud, machine) = (cloud(), machine(ID));
    let good = credentials("NEW", SystemTime::now() + Duration::from_secs(3600));
    machine.write(
        FILE,
        written(&credentials("UNKNOWN", SystemTime::now() + Duration::from_secs(3600))),
    );
    cloud.set_credentials(good.clone());
    let output =
        with_rotation(&machine, &cloud, &good, || run(&machine, &cloud, &["--timeout", "60s"]));
    assert_eq!(output.status.code(), Some(0), "{:#}", report(&output));
    machine.write(
        FILE,
        written(&credentials("UNKNOWN", SystemTime::now() + Duration::from_secs(3600))),
    );
    let output = run(&machine, &cloud, &["--timeout", "2s"]);
    assert_eq!(output.status.code(), Some(11), "{:#}", report(&output));
    assert!(
        report(&output)["error"]["message"].as_str().unwrap().contains("InvalidClientTokenId"),
        "{:#}",
        report(&output)
    );
}

fn verify(machine: &Machine, cloud: &Cloud) -> (Option<i32>, String) {
    let output = machine
        .command(cloud)
        .args(["verify", "--timeout", "60s", "--root"])
        .arg(machine.root())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn verify_waits_for_rotation_and_names_missing_agent_keys() {
    let (cloud, machine) = (cloud(), machine(ID));
    let old = credentials("OLD", SystemTime::now() - Duration::from_secs(60));
    let new = credentials("NEW", SystemTime::now() + Duration::from_secs(3600));
    machine.write(FILE, written(&old));
    cloud.set_credentials(old);
    cloud.set_credentials(new.clone());
    let (status, stderr) = with_rotation(&machine, &cloud, &new, || verify(&machine, &cloud));
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("ECS_EXTERNAL=true is in neither"), "{stderr}");
    assert!(stderr.contains("AWS_DEFAULT_REGION is in neither"), "{stderr}");
    machine.write("/etc/ecs/ecs.config", "ECS_EXTERNAL=True\nAWS_REGION=eu-west-1\n");
    let (_, stderr) = verify(&machine, &cloud);
    assert!(
        stderr.contains("ECS_EXTERNAL is not exactly `true`")
            && stderr.contains("AWS_REGION alone is not enough"),
        "{stderr}"
    );
    machine.write("/etc/ecs/ecs.config", "");
    machine.write("/var/lib/ecs/ecs.config", "ECS_EXTERNAL=true\nAWS_DEFAULT_REGION=eu-west-1\n");
    let (status, stderr) = verify(&machine, &cloud);
    assert_eq!((status, stderr.contains("neither")), (Some(0), false), "{stderr}");
}
