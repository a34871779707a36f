//! `doctor`, on a healthy host that is a folder, and on the same host with one thing wrong: it says
//! which, and nothing else.

#[path = "support/ward.rs"]
mod ward;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use rehearsal::{Cloud, Options};
use serde_json::Value;
use ward::{
    CONFIG, DENIED, Examined, POLL, SETTINGS, SOURCE, TOKEN, UNITS, VAR, Ward, is_root, link,
    silence,
};

/// One thing that is wrong, the check that says so, in which words, and what cannot be said then.
struct Case {
    name: &'static str,
    plant: fn(&mut Ward),
    check: &'static str,
    outcome: &'static str,
    words: &'static str,
    skips: &'static [&'static str],
}

const fn case(
    name: &'static str,
    check: &'static str,
    outcome: &'static str,
    words: &'static str,
    skips: &'static [&'static str],
    plant: fn(&mut Ward),
) -> Case {
    Case { name, plant, check, outcome, words, skips }
}

const FAILS: &str = "failure";
const WARNS: &str = "warning";

const SIGNED: &[&str] = &[
    "role",
    "credentials",
    "identity",
    "sources",
    "permission-ecs",
    "permission-ecr",
    "reach-agent",
    "reach-telemetry",
];
const NO_ROLE: &[&str] = &[
    "credentials",
    "identity",
    "sources",
    "permission-ecs",
    "permission-ecr",
    "reach-agent",
    "reach-telemetry",
];
const NO_IMDS: &[&str] = &[
    "imds-v1",
    "imds-tags",
    "role",
    "credentials",
    "identity",
    "sources",
    "permission-ecs",
    "permission-ecr",
    "reach-agent",
    "reach-telemetry",
];
const NO_NETWORK: &[&str] = &[
    "imds",
    "imds-v1",
    "imds-tags",
    "role",
    "credentials",
    "clock",
    "dns",
    "reach-sts",
    "reach-s3",
    "reach-ecs",
    "reach-ecr",
    "identity",
    "sources",
    "permission-ecs",
    "permission-ecr",
    "reach-agent",
    "reach-telemetry",
];

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("a typo in the settings file", "settings", FAILS, "there is no setting `blok_imds`", &["sources"], |ward| ward.machine.write(SETTINGS, "blok_imds = true\n")),
    case("nothing to install", "settings", WARNS, "no configuration is named", &["sources"], |ward| ward.machine.write(SETTINGS, "")),
    case("a switch that is none", "environment", FAILS, "AWS_USE_FIPS_ENDPOINT", NO_NETWORK, |ward| ward.set("AWS_USE_FIPS_ENDPOINT", "maybe")),
    case("a CA file that is not there", "environment", FAILS, "AWS_CA_BUNDLE", NO_NETWORK, |ward| ward.set("AWS_CA_BUNDLE", "/nonexistent.pem")),
    case("somebody's keys", "environment", WARNS, "AWS_ACCESS_KEY_ID", &[], |ward| ward.set("AWS_ACCESS_KEY_ID", "AKIAPLANTED")),
    case("a proxy for everything", "proxy", WARNS, "NO_PROXY lacks 169.254.169.254", &[], |ward| ward.set("HTTP_PROXY", "http://127.0.0.1:9")),
    case("a proxy in Docker's drop-in", "proxy", WARNS, "docker.service names a proxy", &[], |ward| {
        ward.machine.write("/etc/systemd/system/docker.service.d/proxy.conf", "[Service]\nEnvironment=\"HTTP_PROXY=http://p:3128\" \"NO_PROXY=localhost\"\n");
    }),
    case("another vendor's machine", "host-kind", WARNS, "QEMU", &[], |ward| ward.machine.write("/sys/class/dmi/id/sys_vendor", "QEMU\n")),
    case("an old registration", "host-kind", WARNS, "registered as on an external host", &[], |ward| {
        ward.machine.write("/var/lib/amazon/ssm/Vault/Store/RegistrationKey", "{\"instanceID\":\"mi-0123456789abcdef0\",\"region\":\"eu-west-1\"}");
        ward.args = vec!["--host".into(), "ec2".into()];
    }),
    case("external without registration", "host-kind", FAILS, "not registered", &["imds", "imds-v1", "imds-tags", "role", "credentials", "identity", "sources", "permission-ecs", "permission-ecr", "reach-agent", "reach-telemetry"], |ward| {
        ward.machine.write(VAR, "AWS_DEFAULT_REGION=eu-west-1\n");
        ward.args = vec!["--host".into(), "external".into()];
    }),
    case("user data never read", "cloud-init", FAILS, "DataSourceNone", &[], |ward| ward.replace("/var/lib/cloud/data/result.json", "DataSourceEc2Local", "DataSourceNone")),
    case("user data that failed", "cloud-init", WARNS, "1 error", &[], |ward| ward.replace("/var/lib/cloud/data/result.json", "[]", "[\"part-001 failed\"]")),
    case("a full disk", "disk", FAILS, "no room left in /etc/ecs", &[], |ward| ward.tiny = true),
    case("a denial", "denials", WARNS, "1 denial of ecs.config", &[], |ward| ward.machine.write("/var/log/audit/audit.log", "type=AVC avc:  denied  { rename } comm=\"ecs-bootstrap\" name=\"ecs.config\"\n")),
    case("no agent", "agent-unit", WARNS, "not installed", &["interlock"], |ward| fs::remove_file(ward.machine.path(&format!("{UNITS}/ecs.service"))).unwrap()),
    case("a masked agent", "agent-unit", FAILS, "masked", &[], |ward| link(&ward.machine, "ecs.service", "/dev/null")),
    case("an agent that is not enabled", "agent-unit", WARNS, "not enabled", &[], |ward| fs::remove_file(ward.machine.path("/etc/systemd/system/multi-user.target.wants/ecs.service")).unwrap()),
    case("an agent that loops", "agent-unit", WARNS, "exit status 5", &[], |ward| ward.replace(&format!("{UNITS}/ecs.service"), "RestartPreventExitStatus=5\n", "")),
    case("an agent without its file", "agent-unit", WARNS, "does not load", &[], |ward| ward.replace(&format!("{UNITS}/ecs.service"), "EnvironmentFile=-/etc/ecs/ecs.config\n", "")),
    case("Debian's circle", "order", FAILS, "ecs-bootstrap.service → cloud-final.service → multi-user.target → ecs-bootstrap.service", &[], |ward| {
        ward.replace(&format!("{UNITS}/cloud-final.service"), "After=", "After=multi-user.target ");
        ward.machine.write("/etc/systemd/system/ecs-bootstrap.service.d/after.conf", "[Unit]\nAfter=cloud-final.service\n");
    }),
    case("Docker after everything", "order", FAILS, "docker.service → multi-user.target", &[], |ward| ward.replace(&format!("{UNITS}/docker.service"), "After=", "After=multi-user.target ")),
    case("the deadlock", "user-data", FAILS, "part-001, line 2", &[], |ward| ward.replace("/var/lib/cloud/instance/scripts/part-001", "enable --now --no-block", "start")),
    case("installed and not enabled", "interlock", WARNS, "not enabled", &[], |ward| fs::remove_dir_all(ward.machine.path("/etc/systemd/system/ecs.service.requires")).unwrap()),
    case("no drop-in", "interlock", FAILS, "no drop-in", &[], |ward| fs::remove_dir_all(ward.machine.path(&format!("{UNITS}/ecs.service.d"))).unwrap()),
    case("metadata refuses connections", "imds", FAILS, "refused", NO_IMDS, |ward| ward.cloud.usual_fault("imds-refused")),
    case("metadata is off", "imds", FAILS, "403", NO_IMDS, |ward| ward.cloud.usual_fault("imds-off")),
    case("metadata is a web page", "imds", FAILS, "is not the instance metadata service", NO_IMDS, |ward| ward.cloud.usual_fault("imds-proxy-html")),
    case("metadata swallows packets", "imds", FAILS, "no answer", NO_IMDS, |ward| ward.cloud.usual_fault("imds-blackhole")),
    case("metadata switched off here", "imds", FAILS, "AWS_EC2_METADATA_DISABLED", NO_IMDS, |ward| ward.set("AWS_EC2_METADATA_DISABLED", "true")),
    case("version 1", "imds-v1", WARNS, "without a token are answered", &[], |ward| ward.cloud.usual_fault("imds-v1")),
    case("tags wanted and not shown", "imds-tags", FAILS, "shows no tags", &[], |ward| ward.machine.write(SETTINGS, format!("{SOURCE}from_tags = true\n"))),
    case("no role", "role", FAILS, "no IAM role", NO_ROLE, |ward| ward.cloud.set_host(|host| host.role = None)),
    case("a role that EC2 may not assume", "role", FAILS, "could not assume", NO_ROLE, |ward| ward.cloud.usual_fault("role-code-failed")),
    case("credentials that end", "credentials", WARNS, "they expire in", &[], |ward| ward.cloud.renew_credentials(Duration::from_secs(100))),
    case("a wrong clock", "clock", FAILS, "s behind STS's", &[], |ward| ward.cloud.usual_fault("clock-skew")),
    case("a clock that goes wrong", "clock", WARNS, "s behind STS's", &[], |ward| ward.cloud.fault("clock-skew", Duration::from_secs(200))),
    case("a name that is none", "dns", FAILS, "no-such-host.invalid", &["reach-ecr", "permission-ecr"], |ward| ward.set("AWS_ENDPOINT_URL_ECR", "http://no-such-host.invalid:1")),
    case("STS unreachable", "reach-sts", FAILS, "no connection", &["identity"], |ward| ward.set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")),
    case("S3 unreachable", "reach-s3", FAILS, "no connection", &["sources"], |ward| ward.cloud.usual_fault("s3-refused")),
    case("ECS unreachable", "reach-ecs", FAILS, "no connection", &["permission-ecs", "reach-agent", "reach-telemetry"], |ward| ward.set("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:1")),
    case("ECR unreachable", "reach-ecr", FAILS, "no connection", &["permission-ecr"], |ward| ward.set("AWS_ENDPOINT_URL_ECR", "http://127.0.0.1:1")),
    case("another account", "identity", FAILS, "999999999999", &[], |ward| ward.cloud.usual_fault("sts-wrong-account")),
    case("another instance", "identity", FAILS, "the session's name", &[], |ward| ward.cloud.usual_fault("sts-wrong-instance")),
    case("STS denied", "identity", FAILS, "STS does not accept", &[], |ward| ward.cloud.usual_fault("sts-denied")),
    case("another role than expected", "identity", FAILS, "--expect-role says web", &[], |ward| ward.args = vec!["--expect-role".into(), "web".into()]),
    case("S3 denied", "sources", FAILS, "s3:GetObject", &[], |ward| ward.cloud.usual_fault("s3-403")),
    case("no such key", "sources", FAILS, "no such key", &[], |ward| ward.cloud.usual_fault("s3-404-key")),
    case("a web page in the bucket", "sources", FAILS, "no configuration", &[], |ward| ward.cloud.usual_fault("s3-html")),
    case("ECS denied", "permission-ecs", FAILS, "ecs:DiscoverPollEndpoint is denied", &["reach-agent", "reach-telemetry"], |ward| ward.ecs.says(POLL, 400, DENIED)),
    case("ECR denied", "permission-ecr", WARNS, "ecr:GetAuthorizationToken is denied", &[], |ward| ward.ecs.says(TOKEN, 400, DENIED)),
    case("no way to the agent's endpoint", "reach-agent", FAILS, "the agent's endpoint", &[], |ward| {
        ward.ecs.says(POLL, 200, format!("{{\"endpoint\":\"http://127.0.0.1:1/\",\"telemetryEndpoint\":\"{}\"}}", ward.ecs.address));
    }),
    case("no way to the telemetry endpoint", "reach-telemetry", FAILS, "the telemetry endpoint", &[], |ward| {
        ward.ecs.says(POLL, 200, format!("{{\"endpoint\":\"{}\",\"telemetryEndpoint\":\"http://127.0.0.1:1/\"}}", ward.ecs.address));
    }),
    case("no file", "file", FAILS, "is not there", &["digest", "lint", "agent-cluster"], |ward| fs::remove_file(ward.machine.path("/etc/ecs/ecs.config")).unwrap()),
    case("a file for all to read", "file", WARNS, "read by others", &[], |ward| ward.mode("/etc/ecs/ecs.config", 0o644)),
    case("a file for all to write", "file", FAILS, "written by others", &[], |ward| ward.mode("/etc/ecs/ecs.config", 0o606)),
    case("a file that was changed", "digest", FAILS, "changed after the last run", &[], |ward| ward.machine.write("/etc/ecs/ecs.config", format!("{CONFIG}ECS_LOGLEVEL=info\n"))),
    case("a file of an earlier boot", "digest", WARNS, "no run of this boot", &[], |ward| {
        ward.replace("/var/lib/ecs-bootstrap/state.json", "\"boot_id\": \"", "\"boot_id\": \"0");
    }),
    case("a file that nobody installed", "digest", WARNS, "no run of this program", &[], |ward| fs::remove_file(ward.machine.path("/var/lib/ecs-bootstrap/state.json")).unwrap()),
    case("a quoted value", "lint", FAILS, "/var/lib/ecs/ecs.config, line 1", &[], |ward| ward.machine.write(VAR, "ECS_DATADIR=\"/data\"\n")),
    case("broken JSON", "lint", FAILS, "ecs.config.json is no JSON", &[], |ward| ward.machine.write("/etc/ecs/ecs.config.json", "{\"Cluster\": ")),
    case("another's file", "other-files", FAILS, "/var/lib/ecs/ecs.config may be written by others", &[], |ward| ward.mode(VAR, 0o666)),
    case("another's folder", "other-files", FAILS, "/etc/ecs may be written by others", &[], |ward| ward.mode("/etc/ecs", 0o777)),
    case("another cluster", "agent-cluster", FAILS, "joined another cluster", &[], |ward| ward.machine.write("/var/lib/ecs/data/agent.db", b"\0cluster-name\"default\"ec2-instance-id\"i-0ec5b007572a90001\"")),
    case("saved rules", "saved-rules", WARNS, "documented rule", &[], |ward| ward.machine.write("/etc/sysconfig/iptables", "*filter\n-A FORWARD -d 169.254.169.254/32 -i docker+ -j DROP\nCOMMIT\n")),
    case("Docker's rules saved", "saved-rules", WARNS, "Docker's rules", &[], |ward| ward.machine.write("/etc/iptables/rules.v4", "*filter\n:DOCKER - [0:0]\nCOMMIT\n")),
    case("Docker without rules", "docker-firewall", WARNS, "switches Docker's rules off", &[], |ward| ward.machine.write("/etc/docker/daemon.json", "{\"iptables\": false}")),
    case("Docker that cannot start", "docker-firewall", FAILS, "is no JSON", &[], |ward| ward.machine.write("/etc/docker/daemon.json", "{iptables")),
];

/// What is wrong with what the doctor said of this case; empty if nothing.
fn wrong(case: &Case, healthy: &Examined) -> Option<String> {
    if case.name == "a full disk" && !is_root(case.name) {
        return None;
    }
    let mut ward = Ward::healthy();
    (case.plant)(&mut ward);
    let found = ward.examine();
    let mut wanted = healthy.outcomes();
    wanted.extend(case.skips.iter().map(|id| (*id, "skipped")));
    wanted.insert(case.check, case.outcome);
    let outcomes = found.outcomes();
    let differ = wanted.iter().filter(|(id, outcome)| outcomes[*id] != **outcome);
    let mut wrong: Vec<String> = differ
        .map(|(id, outcome)| format!("{id} is not {outcome}: {:#}", found.checks[*id]))
        .collect();
    if !found.finding(case.check).contains(case.words) {
        wrong.push(format!("it does not say `{}`: {:#}", case.words, found.checks[case.check]));
    }
    if found.checks[case.check]["remedy"].as_str().is_none_or(|remedy| remedy.len() < 10) {
        wrong.push("it says no remedy".into());
    }
    if found.status != if case.outcome == FAILS { 70 } else { 0 } || found.findings.len() != 1 {
        wrong.push(format!("exit status {}, findings {:#?}", found.status, found.findings));
    }
    (!wrong.is_empty()).then(|| format!("{}: {}", case.name, wrong.join("\n")))
}

#[test]
fn each_fault_is_named_by_one_check_and_changes_no_other() {
    let healthy = Ward::healthy().examine();
    let (waiting, broken) = (Mutex::new(CASES.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let next = || waiting.lock().unwrap().next();
                while let Some(case) = next() {
                    let wrong = wrong(case, &healthy);
                    broken.lock().unwrap().extend(wrong);
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), CASES.len(), broken.join("\n\n"));
}

#[test]
fn on_a_healthy_host_nothing_is_wrong_and_nothing_is_changed() {
    let ward = Ward::healthy();
    let before = ward.machine.files();
    let found = ward.examine();
    let bad: Vec<&Value> = found
        .checks
        .values()
        .filter(|check| check["outcome"] != "ok" && check["outcome"] != "skipped")
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!((found.status, found.findings.len()), (0, 0));
    assert!(found.checks.len() >= 30);
    assert_eq!(ward.machine.files(), before);
}

#[test]
fn a_host_of_batch_is_called_one_by_its_file_or_by_its_tags() {
    let kind =
        |ward: &Ward| ward.examine().checks["host-kind"]["finding"].as_str().unwrap().to_owned();
    let ward = Ward::healthy();
    ward.machine.write("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    assert_eq!(kind(&ward), "EC2: the firmware's sys_vendor is Amazon EC2");
    ward.cloud.set_host(|host| {
        host.tags = Some([("AWSBatchServiceTag".to_owned(), "batch".to_owned())].into())
    });
    assert!(
        kind(&ward).ends_with("in a compute environment of AWS Batch (the instance's tags)"),
        "{}",
        kind(&ward)
    );
    ward.machine.write(
        "/etc/ecs/ecs.config",
        "ECS_CLUSTER=AWSBatch-env-1a6929d6-f62b-3d45-b3b5-31e7f64ae0da\n",
    );
    assert!(
        kind(&ward).ends_with("in a compute environment of AWS Batch (the generated ECS_CLUSTER)"),
        "{}",
        kind(&ward)
    );
}

#[test]
fn every_check_that_can_fail_here_has_a_case_that_makes_it() {
    // The hop limit cannot be read, IPv6 is never wrong, and the fence has a test of its own.
    let elsewhere = ["imds-hop-limit", "imds-ipv6", "guard", "guard-unit", "guard-awsvpc"];
    let checks = ecs_bootstrap::testing::doctor_checks();
    let untried: Vec<&str> =
        checks.filter(|id| !CASES.iter().any(|case| case.check == *id)).collect();
    assert_eq!(untried.iter().filter(|id| !elsewhere.contains(id)).count(), 0, "{untried:?}");
}

#[test]
fn it_ends_within_15_s_when_every_server_accepts_and_never_answers() {
    let silence = silence();
    let everything = ["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL"];
    let without_metadata = [
        "AWS_ENDPOINT_URL_STS",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_ECS",
        "AWS_ENDPOINT_URL_ECR",
    ];
    for (silent, failing) in
        [(everything.as_slice(), "imds"), (without_metadata.as_slice(), "reach-sts")]
    {
        let mut ward = Ward::healthy();
        ward.env.retain(|(name, _)| failing != "imds" || !name.starts_with("AWS_ENDPOINT_URL"));
        silent.iter().for_each(|name| ward.set(name, silence.clone()));
        let bundle = ward.machine.path("/bundle.tar.gz");
        ward.args = vec!["--bundle".into(), bundle.display().to_string()];
        let began = Instant::now();
        let found = ward.examine();
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        assert!(bundle.is_file());
        assert_eq!(
            (found.status, found.outcome(failing), found.outcome("file")),
            (70, FAILS, "ok")
        );
        assert!(
            SIGNED.iter().filter(|id| found.outcome(id) == FAILS).count() == 0,
            "{:#?}",
            found.findings
        );
    }
}

#[test]
fn an_external_host_is_healthy_without_instance_metadata() {
    const ID: &str = "mi-0123456789abcdef0";
    let ward = Ward::new(Cloud::start(Options::default()));
    ward.cloud.set_host(|host| host.instance_id = ID.into());
    let keys = rehearsal::Credentials {
        access_key_id: "ASIAREHEARSALSSM".into(),
        secret_access_key: "PLANTED-SSM-SECRET".into(),
        session_token: "PLANTED-SSM-TOKEN".into(),
        expires: SystemTime::now() + Duration::from_secs(3600),
    };
    ward.machine.write(
        "/var/lib/amazon/ssm/Vault/Store/RegistrationKey",
        format!("{{\"instanceID\":\"{ID}\",\"region\":\"eu-west-1\"}}"),
    );
    ward.machine.write(VAR, "ECS_EXTERNAL=true\nAWS_DEFAULT_REGION=eu-west-1\n");
    ward.machine.write("/sys/class/dmi/id/sys_vendor", "QEMU\n");
    ward.machine.write("/etc/ecs/ecs.config", CONFIG);
    ward.mode("/etc/ecs/ecs.config", 0o600);
    let written = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        keys.access_key_id, keys.secret_access_key, keys.session_token
    );
    ward.machine.write("/root/.aws/credentials", written);
    ward.mode("/root/.aws/credentials", 0o600);
    ward.cloud.set_credentials(keys);
    let found = ward.examine();
    assert!(!ward.cloud.requests().iter().any(|seen| seen.service == rehearsal::Service::Imds));
    for id in ["host-kind", "role", "credentials", "identity", "sources", "permission-ecs"] {
        assert_eq!(found.outcome(id), "ok", "{:#}", found.checks[id]);
    }
    assert_eq!((found.outcome("imds"), found.outcome("imds-v1")), ("skipped", "skipped"));
    ward.machine.write(VAR, "AWS_DEFAULT_REGION=eu-west-1\n");
    assert!(ward.examine().finding("host-kind").contains("ECS_EXTERNAL=true is in neither"));
    ward.mode("/root/.aws/credentials", 0o644);
    assert!(ward.examine().finding("credentials").contains("may be read by other users"));
    let file =
        fs::File::options().write(true).open(ward.machine.path("/root/.aws/credentials")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(2 * 3600)).unwrap();
    assert!(ward.examine().finding("credentials").contains("last written 120 min ago"));
}

#[test]
fn a_fence_that_is_wanted_and_does_not_stand_is_a_failure() {
    if !is_root("a network of its own") {
        return;
    }
    let mut ward = Ward::healthy();
    ward.machine.write(SETTINGS, format!("{SOURCE}block_imds = true\n"));
    ward.machine.write(
        &format!("{UNITS}/ecs-bootstrap-guard.service"),
        include_str!("../systemd/ecs-bootstrap-guard.service"),
    );
    ward.machine.write("/etc/ecs/ecs.config", "ECS_CLUSTER=prod\n");
    // Nothing of this network's own namespace is up, so there is nobody to ask.
    ward.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let command = ward.doctor();
    let mut inside = Command::new("unshare");
    inside.arg("--net").arg(command.get_program()).args(command.get_args());
    inside.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let found = Examined::new(&inside.output().unwrap());
    assert_eq!(
        (found.outcome("guard"), found.outcome("guard-unit"), found.outcome("guard-awsvpc")),
        (FAILS, FAILS, WARNS)
    );
    assert!(found.finding("guard").contains("absent"), "{:#}", found.checks["guard"]);
}

#[test]
fn without_root_it_skips_what_it_may_not_see_and_says_so() {
    if !is_root("becoming somebody else") {
        return;
    }
    let ward = Ward::healthy();
    let program = ward.machine.path("/ecs-bootstrap");
    fs::copy(env!("CARGO_BIN_EXE_ecs-bootstrap"), &program).unwrap();
    let command = ward.doctor();
    let mut other = Command::new(program);
    other
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let found = Examined::new(&other.uid(65534).gid(65534).output().unwrap());
    assert_eq!((found.status, found.outcome("identity")), (0, "ok"), "{:#?}", found.findings);
    for id in ["digest", "lint", "agent-cluster"] {
        assert_eq!(found.outcome(id), "skipped", "{:#}", found.checks[id]);
        assert!(found.finding(id).contains("only root may read"), "{}", found.finding(id));
    }
}

#[test]
fn people_are_told_in_lines_with_the_remedy_below() {
    let mut ward = Ward::healthy();
    (CASES.iter().find(|case| case.name == "the deadlock").unwrap().plant)(&mut ward);
    let mut command = ward.machine.command_with(ward.env.iter().map(|(name, value)| (name, value)));
    let output = command.arg("doctor").arg("--root").arg(ward.machine.root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(70));
    let (_, after) = text.split_once("\nfailure  user-data ").unwrap_or_else(|| panic!("{text}"));
    assert!(after.lines().nth(1).unwrap().trim_start().starts_with("remedy: "), "{text}");
    assert!(
        text.ends_with("skipped\n") && text.contains(" checks: 1 failed, 0 warned, "),
        "{text}"
    );
}
