//! EC2 or external, decided by evidence from strongest to weakest; and the hosts of AWS Batch.

mod support;

use rehearsal::Service;
use support::Host;

const REGISTRATION: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
const MI: &str = "{\"instanceID\":\"mi-0123456789abcdef0\",\"region\":\"eu-west-1\"}";
const BATCH: &str =
    "ECS_CLUSTER=env_Batch_3ef677e8-a1c6-3936-9345-e383995e7827\nECS_RESERVED_MEMORY=32\n";

/// A file of the machine, and its text.
type Planted = (&'static str, &'static str);

const AMAZON: Planted = ("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
const QEMU: Planted = ("/sys/class/dmi/id/sys_vendor", "QEMU\n");
const XEN: Planted = ("/sys/class/dmi/id/sys_vendor", "Xen\n");
const REGISTERED: Planted = (REGISTRATION, MI);
const CONFIGURED: Planted = ("/var/lib/ecs/ecs.config", "ECS_EXTERNAL=true\n");
const OVERRULED: Planted = ("/etc/ecs/ecs.config", "ECS_EXTERNAL=false\n");

fn host(planted: &[Planted]) -> Host {
    planted.iter().fold(Host::default(), |host, (path, text)| host.with_file(path, text))
}

#[test]
fn host_kind_is_decided_by_the_strongest_evidence() {
    let table: &[(&[Planted], &[&str], &str)] = &[
        (
            &[REGISTERED, CONFIGURED, AMAZON],
            &[],
            "external (ECS Anywhere): the SSM agent is registered as mi-0123456789abcdef0",
        ),
        (
            &[CONFIGURED, AMAZON],
            &[],
            "external (ECS Anywhere): /var/lib/ecs/ecs.config sets ECS_EXTERNAL=true",
        ),
        (&[REGISTERED], &["--host", "ec2"], "EC2: by the setting `host`"),
        (&[AMAZON], &["--host", "external"], "external (ECS Anywhere): by the setting `host`"),
        (&[CONFIGURED, OVERRULED, AMAZON], &[], "EC2: the firmware's sys_vendor is Amazon EC2"),
        (
            &[(REGISTRATION, "{\"instanceID\":\"i-0123456789abcdef0\"}"), AMAZON],
            &[],
            "EC2: the firmware's sys_vendor is Amazon EC2",
        ),
        (
            &[("/sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n")],
            &[],
            "EC2: the firmware's board_asset_tag is i-0123456789abcdef0",
        ),
        (
            &[XEN, ("/sys/class/dmi/id/bios_version", "4.11.amazon\n")],
            &[],
            "EC2: the firmware's bios_version is 4.11.amazon",
        ),
        (
            &[XEN, ("/sys/class/dmi/id/product_uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n")],
            &[],
            "EC2: the firmware's product_uuid is ec2e1916",
        ),
        (
            &[QEMU],
            &[],
            "EC2: no sign that it is external, though the machine's vendor is QEMU; instance metadata decides",
        ),
        (
            &[],
            &[],
            "EC2: no sign that it is external, and no firmware to read; instance metadata decides",
        ),
    ];
    support::for_each(
        table,
        |(_, _, wanted)| (*wanted).to_owned(),
        |(planted, args, wanted)| {
            let host = host(planted);
            let ended = host.call(&[&["verify", "-v", "--timeout", "1s"], *args].concat());
            assert!(ended.stderr.contains(wanted), "{wanted:?} is missing in {}", ended.stderr);
            let asked = host.cloud.requests().iter().any(|seen| seen.service == Service::Imds);
            assert_eq!(asked, wanted.starts_with("EC2"), "{}", ended.stderr);
            assert_eq!(ended.status == 0, asked, "{}", ended.stderr);
        },
    );
}

#[test]
fn foreign_vendor_is_reported_without_verbose() {
    assert!(host(&[QEMU]).call(&["verify"]).stderr.contains("vendor is QEMU"));
    assert!(!host(&[AMAZON]).call(&["verify"]).stderr.contains("sys_vendor"));
}

#[test]
fn batch_host_is_named_and_reported_as_ec2() {
    let host = Host::default().with_file(support::TARGET, BATCH).stores("ECS_LOGLEVEL=warn\n");
    let ended = host.boots("installed");
    assert_eq!(ended.report["host"]["kind"], "ec2");
    let identity = ended.report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["step"] == "identity")
        .unwrap();
    assert!(
        identity["detail"].as_str().unwrap().ends_with("in a compute environment of AWS Batch"),
        "{identity}"
    );
    assert_eq!(host.installed().unwrap(), format!("{BATCH}ECS_LOGLEVEL=warn\n"));
    let id = ended.report["host"]["instance_id"].as_str().unwrap();
    for command in ["verify", "status"] {
        let stdout = host.call(&[command]).stdout;
        assert!(
            stdout.contains(&format!(
                "host:   {id} (EC2, in a compute environment of AWS Batch) in "
            )),
            "{command}: {stdout}"
        );
    }
}

#[test]
fn batch_host_without_its_user_data_is_warned_of() {
    let tagged = || {
        let host = Host::default();
        host.cloud.set_host(|host| {
            host.tags = Some([("AWSBatchServiceTag".to_owned(), "batch".to_owned())].into())
        });
        host
    };
    let early = tagged().run(&["--from-tags", "--config", "s3://fleet-config/ecs.config"]);
    assert!(early.stderr.contains("after-user-data.conf"), "{}", early.stderr);
    let host = tagged().with_file(support::TARGET, BATCH).stores("ECS_LOGLEVEL=warn\n");
    let late = host.run(&["--from-tags", "--config", "s3://fleet-config/ecs.config"]);
    late.succeeds_as("installed");
    assert!(!late.stderr.contains("after-user-data.conf"), "{}", late.stderr);
}

#[test]
fn unregistered_external_host_fails_without_waiting() {
    let ended = host(&[CONFIGURED]).call(&["verify", "--timeout", "60s", "--output", "json"]);
    ended.fails_as("no_role", 11, &["not registered", "ecs-anywhere-install.sh"]);
    assert!(!ended.stderr.contains("waiting"), "{}", ended.stderr);
}
