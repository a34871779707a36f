//! The real program with no endpoint of ours for STS and S3: AWS's own host names, TLS, virtual
//! hosts, through a proxy that leads them to the cloud: what a loopback address does not show.

use std::process::Output;

use rehearsal::{Certificate, Cloud, Machine, Options, Proxy};

const CONFIG: &str = "ECS_CLUSTER=prod\n";

struct Boot {
    cloud: Cloud,
    proxy: Proxy,
    machine: Machine,
}

impl Boot {
    fn new() -> Self {
        let cloud = Cloud::start(Options { tls: Some(Certificate::Good), ..Options::default() });
        cloud.set_object("fleet", "ecs.config", CONFIG);
        let (proxy, machine) = (Proxy::in_front_of(&cloud), Machine::new());
        machine.write("/ca.pem", cloud.ca_pem().unwrap());
        Self { cloud, proxy, machine }
    }

    fn run(&self, source: &str, env: &[(&str, &str)]) -> Output {
        let mut command = self
            .machine
            .command_with(self.cloud.env_by_names(&self.proxy, &self.machine.path("/ca.pem")));
        command
            .envs(env.iter().copied())
            .args(["run", "--timeout", "20s", "--config", source, "--root"])
            .arg(self.machine.root());
        command.output().unwrap()
    }

    /// Runs, expects the file, and gives the hosts in alphabetical order.
    fn hosts(&self, source: &str, env: &[(&str, &str)]) -> Vec<String> {
        let output = self.run(source, env);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(self.machine.read("/etc/ecs/ecs.config").as_deref(), Some(CONFIG.as_bytes()));
        let mut hosts = self.proxy.hosts();
        hosts.sort();
        hosts
    }
}

#[test]
fn bucket_is_a_virtual_host_and_sts_is_regional() {
    let hosts = Boot::new().hosts("s3://fleet/ecs.config", &[]);
    assert_eq!(hosts, ["fleet.s3.eu-west-1.amazonaws.com:443", "sts.eu-west-1.amazonaws.com:443"]);
}

#[test]
fn metadata_bypasses_the_proxy_and_s3_uses_it() {
    let boot = Boot::new();
    let hosts = boot.hosts(
        "s3://fleet/ecs.config",
        &[("HTTP_PROXY", &boot.proxy.url()), ("ALL_PROXY", &boot.proxy.url())],
    );
    assert!(hosts.iter().all(|host| host.ends_with(".amazonaws.com:443")), "{hosts:?}");
    assert!(boot.cloud.requests().iter().all(|seen| !seen.forwarded));
}

#[test]
fn bucket_in_another_region_is_asked_in_its_region() {
    let boot = Boot::new();
    boot.cloud.set_bucket("fleet", |bucket| bucket.region = "us-west-2".into());
    let hosts = boot.hosts("s3://fleet/ecs.config", &[]);
    assert!(hosts.contains(&"fleet.s3.us-west-2.amazonaws.com:443".into()), "{hosts:?}");
}

#[test]
fn access_point_has_its_own_host_name() {
    let boot = Boot::new();
    boot.cloud.set_access_point("config", "fleet");
    let hosts =
        boot.hosts("arn:aws:s3:eu-west-1:123456789012:accesspoint/config/object/ecs.config", &[]);
    assert_eq!(hosts[0], "config-123456789012.s3-accesspoint.eu-west-1.amazonaws.com:443");
}

#[test]
fn dual_stack_endpoints_have_their_own_names() {
    let hosts =
        Boot::new().hosts("s3://fleet/ecs.config", &[("AWS_USE_DUALSTACK_ENDPOINT", "true")]);
    assert_eq!(
        hosts,
        ["fleet.s3.dualstack.eu-west-1.amazonaws.com:443", "sts.eu-west-1.api.aws:443"]
    );
}
