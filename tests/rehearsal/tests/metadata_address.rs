//! The real program with no metadata endpoint in its environment, in a network namespace of this
//! test's own where 169.254.169.254 and fd00:ec2::254 are addresses of loopback. The test runs
//! itself again inside: a thread that changed its namespace would not change it for the others.

use std::process::Command;

use rehearsal::{
    Certificate, Cloud, Machine, Options, Proxy, Service, inside_own_namespace, program,
};

const CONFIG: &str = "ECS_CLUSTER=prod\n";
const INSIDE: &str = "REHEARSAL_INSIDE";

/// Runs this very test again in a new namespace with these addresses on loopback; returns whether
/// we are already there.
fn inside(test: &str, addresses: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        assert!(inside_own_namespace(), "the namespace is not our own");
        return true;
    }
    if let Some(reason) = missing_requirement() {
        println!("skipped: {reason}");
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        return false;
    }
    // Without `nodad` an IPv6 address cannot be listened on for a moment.
    let option = |address: &str| if address.contains(':') { "nodad" } else { "" };
    let add = addresses
        .iter()
        .map(|address| format!("ip address add {address} dev lo {}; ", option(address)));
    let script = format!("ip link set lo up; {}exec \"$@\"", add.collect::<String>());
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-ec", &script, "sh"]).arg(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("CARGO_BIN_EXE_ecs-bootstrap", program());
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

fn missing_requirement() -> Option<&'static str> {
    let works = |words: &[&str]| {
        Command::new(words[0])
            .args(&words[1..])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !works(&["ip", "-V"]) {
        return Some("ip(8) is not installed");
    }
    (!works(&["unshare", "--net", "true"]))
        .then_some("a network namespace cannot be made here (not root?)")
}

/// A boot with metadata at that address; the environment only contains how to reach AWS.
fn boots_with_metadata_at(address: &str) {
    let imds_at = vec![address.parse().unwrap()];
    let cloud =
        Cloud::start(Options { imds_at, tls: Some(Certificate::Good), ..Options::default() });
    cloud.set_object("fleet", "ecs.config", CONFIG);
    let (proxy, machine) = (Proxy::in_front_of(&cloud), Machine::new());
    machine.write("/ca.pem", cloud.ca_pem().unwrap());
    let mut env = cloud.env_by_names(&proxy, &machine.path("/ca.pem"));
    env.retain(|(name, _)| name != "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    env.extend(
        ["HTTP_PROXY", "ALL_PROXY", "http_proxy"].map(|name| (name.to_owned(), proxy.url())),
    );
    let mut command = machine.command_inside_own_namespace(env);
    let output = command
        .args(["run", "--timeout", "20s", "--config", "s3://fleet/ecs.config", "--root"])
        .arg(machine.root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(machine.read("/etc/ecs/ecs.config").as_deref(), Some(CONFIG.as_bytes()));
    assert!(cloud.requests().iter().any(|seen| seen.service == Service::Imds));
    assert!(
        proxy.hosts().iter().all(|host| host.ends_with(".amazonaws.com:443")),
        "{:?}",
        proxy.hosts()
    );
}

#[test]
fn metadata_is_found_at_its_ipv4_address_without_proxy() {
    let both = ["169.254.169.254/32", "fd00:ec2::254/128"];
    if inside("metadata_is_found_at_its_ipv4_address_without_proxy", &both) {
        boots_with_metadata_at("169.254.169.254:80");
    }
}

#[test]
fn metadata_is_found_at_its_ipv6_address_alone() {
    if inside("metadata_is_found_at_its_ipv6_address_alone", &["fd00:ec2::254/128"]) {
        boots_with_metadata_at("[fd00:ec2::254]:80");
    }
}
