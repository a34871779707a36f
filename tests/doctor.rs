//! `doctor`, on a healthy host that is a folder, and on the same host with one thing wrong: it
//! reports that, with a remedy, and nothing else.
//!
//! A case is a folder in `tests/doctor/cases`: files that are put onto the healthy host, and in
//! `expected` what differs then, one line a check: `failure ID: WORDS`, `warning ID: WORDS`,
//! `ok ID: WORDS` or `skipped ID...`. Beside it there may be `environment` (NAME=VALUE),
//! `arguments` and `removed` (paths), one a line. What no file can show (faults of the cloud,
//! permissions) is in [`FAULTS`].

#[path = "support/doctor_host.rs"]
mod doctor_host;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use doctor_host::{
    DENIED, DoctorHost, DoctorOutput, POLL, SETTINGS, SOURCE, TOKEN, UNITS, VAR, is_root,
    tests_folder, wrap,
};
use rehearsal::{Cloud, Options};

struct Case {
    name: String,
    expected: String,
    plant: Box<dyn Fn(&mut DoctorHost) + Sync>,
}

/// What cannot be asked for without the role; and without a session of the metadata service.
const NO_ROLE: &str = "\nskipped credentials identity sources permission-ecs permission-ecr reach-agent reach-telemetry";
const NO_ECS: &str = "\nskipped reach-agent reach-telemetry";
const NO_IMDS: &str = "\nskipped imds-v1 imds-tags role credentials identity sources permission-ecs permission-ecr reach-agent reach-telemetry";

/// Faults of the rehearsal cloud, by name.
const CLOUD_FAULTS: [(&str, &str, &str); 13] = [
    ("imds-refused", "failure imds: refused", NO_IMDS),
    ("imds-off", "failure imds: 403", NO_IMDS),
    ("imds-proxy-html", "failure imds: is not the instance metadata service", NO_IMDS),
    ("imds-blackhole", "failure imds: no answer", NO_IMDS),
    ("imds-v1", "warning imds-v1: without a token are answered", ""),
    ("role-code-failed", "failure role: could not assume", NO_ROLE),
    ("clock-skew", "failure clock: s behind STS's", ""),
    ("s3-refused", "failure reach-s3: no connection", "\nskipped sources"),
    ("sts-wrong-account", "failure identity: 999999999999", ""),
    ("sts-wrong-instance", "failure identity: the session's name", ""),
    ("sts-denied", "failure identity: STS does not accept", ""),
    ("s3-403", "failure sources: s3:GetObject", ""),
    ("s3-404-key", "failure sources: no such key", ""),
];

const NOWHERE: &str = "http://127.0.0.1:1/";

type Plant = fn(&mut DoctorHost);

const FAULTS: [(&str, &str, &str, Plant); 13] = [
    ("full disk", "failure disk: no space left in /etc/ecs", "", |host| host.tiny_disk = true),
    ("web page in the bucket", "failure sources: not a configuration", "", |host| {
        host.cloud.usual_fault("s3-html");
    }),
    ("clock slightly wrong", "warning clock: s behind STS's", "", |host| {
        host.cloud.fault("clock-skew", Duration::from_secs(200));
    }),
    ("no role", "failure role: no IAM role", NO_ROLE, |host| {
        host.cloud.set_host(|host| host.role = None);
    }),
    ("credentials that end", "warning credentials: they expire in", "", |host| {
        host.cloud.renew_credentials(Duration::from_secs(100));
    }),
    ("ECS denied", "failure permission-ecs: ecs:DiscoverPollEndpoint is denied", NO_ECS, |host| {
        host.ecs.answers(POLL, 400, DENIED);
    }),
    ("ECR denied", "warning permission-ecr: ecr:GetAuthorizationToken is denied", "", |host| {
        host.ecs.answers(TOKEN, 400, DENIED);
    }),
    ("no way to the agent's endpoint", "failure reach-agent: the agent's endpoint", "", |host| {
        host.ecs.endpoints(NOWHERE, &host.ecs.address);
    }),
    ("no way to telemetry", "failure reach-telemetry: the telemetry endpoint", "", |host| {
        host.ecs.endpoints(&host.ecs.address, NOWHERE);
    }),
    ("file for all to read", "warning file: read by others", "", |host| {
        host.mode("/etc/ecs/ecs.config", 0o644);
    }),
    ("file for all to write", "failure file: written by others", "", |host| {
        host.mode("/etc/ecs/ecs.config", 0o606);
    }),
    (
        "other file for all to write",
        "failure other-files: /var/lib/ecs/ecs.config can be",
        "",
        |host| {
            host.mode(VAR, 0o666);
        },
    ),
    ("folder for all to write", "failure other-files: /etc/ecs can be written", "", |host| {
        host.mode("/etc/ecs", 0o777);
    }),
];

fn cases() -> Vec<Case> {
    let folders = fs::read_dir(tests_folder("doctor/cases")).unwrap();
    let mut cases: Vec<Case> = folders.map(|entry| from_folder(&entry.unwrap().path())).collect();
    cases.extend(CLOUD_FAULTS.map(|(fault, finding, skipped)| Case {
        name: fault.into(),
        expected: [finding, skipped].concat(),
        plant: Box::new(move |host| host.cloud.usual_fault(fault)),
    }));
    cases.extend(FAULTS.map(|(name, finding, skipped, plant)| Case {
        name: name.into(),
        expected: [finding, skipped].concat(),
        plant: Box::new(plant),
    }));
    cases
}

fn from_folder(folder: &Path) -> Case {
    let lines = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let (environment, arguments) = (lines("environment"), lines("arguments"));
    let (removed, copied) = (lines("removed"), folder.to_owned());
    Case {
        name: folder.file_name().unwrap().to_string_lossy().into_owned(),
        expected: lines("expected").join("\n"),
        plant: Box::new(move |host| {
            host.overlay(&copied);
            for path in removed.iter().map(|path| host.machine.path(path)) {
                fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)).unwrap();
            }
            for (name, value) in environment.iter().filter_map(|line| line.split_once('=')) {
                host.set(name, value);
            }
            host.args.clone_from(&arguments);
        }),
    }
}

impl Case {
    /// Outcome, check and words.
    fn lines(&self) -> Vec<(&str, &str, &str)> {
        let mut lines = Vec::new();
        for line in self.expected.lines() {
            let (outcome, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            match rest.split_once(": ") {
                Some((check, words)) => lines.push((outcome, check, words)),
                None => lines.extend(rest.split(' ').map(|check| (outcome, check, ""))),
            }
        }
        lines
    }

    /// What is wrong with the report on this case's host; empty if nothing.
    fn wrong(&self, healthy: &DoctorOutput) -> Vec<String> {
        let mut host = DoctorHost::healthy();
        (self.plant)(&mut host);
        let found = host.examine();
        let lines = self.lines();
        let mut outcomes = healthy.outcomes();
        outcomes.extend(lines.iter().map(|(outcome, check, _)| (*check, *outcome)));
        let mut wrong = Vec::new();
        for (id, outcome) in &outcomes {
            if found.outcome(id) != *outcome {
                wrong.push(format!("{id} is not {outcome}: {:#}", found.checks[*id]));
            }
        }
        for (outcome, id, words) in &lines {
            let check = &found.checks[*id];
            if !found.finding(id).contains(words) {
                wrong.push(format!("it does not report `{words}`: {check:#}"));
            }
            let remedy = check["remedy"].as_str().unwrap_or_default();
            if (remedy.len() < 10) == FINDINGS.contains(outcome) {
                wrong.push(format!("only findings have a remedy: {check:#}"));
            }
        }
        let count = |wanted: &[&str]| lines.iter().filter(|line| wanted.contains(&line.0)).count();
        let status = if count(&["failure"]) > 0 { 70 } else { 0 };
        if found.status != status || found.findings.len() != count(&FINDINGS) {
            wrong.push(format!("exit status {}, findings {:#?}", found.status, found.findings));
        }
        wrong
    }
}

const FINDINGS: [&str; 2] = ["failure", "warning"];

#[test]
fn each_case_reports_what_it_expects_and_nothing_else() {
    let (healthy, cases) = (DoctorHost::healthy().examine(), cases());
    let possible = cases.iter().filter(|case| case.name != "full disk" || is_root(&case.name));
    let (waiting, broken) = (Mutex::new(possible), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = { waiting.lock().unwrap().next() } {
            let wrong = case.wrong(&healthy);
            if !wrong.is_empty() {
                broken.lock().unwrap().push(format!("{}: {}", case.name, wrong.join("\n")));
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), cases.len(), broken.join("\n\n"));
}

#[test]
fn every_check_has_a_case_with_a_finding() {
    // The hop limit cannot be read, IPv6 is never wrong, and the guard has tests of its own below.
    let elsewhere = ["imds-hop-limit", "imds-ipv6", "guard", "guard-unit", "guard-awsvpc"];
    let cases = cases();
    let lines = cases.iter().flat_map(Case::lines);
    let tried: BTreeSet<&str> =
        lines.filter(|line| FINDINGS.contains(&line.0)).map(|(_, check, _)| check).collect();
    let known: BTreeSet<&str> = ecs_bootstrap::testing::doctor_checks().collect();
    let untried: Vec<_> = known.iter().filter(|id| !tried.contains(**id)).collect();
    assert!(untried.iter().all(|id| elsewhere.contains(id)), "no case for {untried:?}");
    assert!(tried.is_subset(&known), "{tried:?}");
}

#[test]
fn a_healthy_host_has_no_finding_and_stays_unchanged() {
    let host = DoctorHost::healthy();
    let before = host.machine.files();
    let found = host.examine();
    let outcomes = found.outcomes();
    let bad = outcomes.iter().filter(|(_, outcome)| FINDINGS.contains(outcome));
    assert_eq!(bad.count(), 0, "{:#?}", found.findings);
    assert_eq!((found.status, found.findings.len()), (0, 0));
    assert!(found.checks.len() >= 30);
    assert_eq!(host.machine.files(), before);
}

#[test]
fn host_kind_names_aws_batch_by_file_or_tags() {
    let host = DoctorHost::healthy();
    let kind = || host.examine().finding("host-kind").to_owned();
    assert_eq!(kind(), "EC2: the firmware's sys_vendor is Amazon EC2");
    host.cloud.set_host(|host| {
        host.tags = Some([("AWSBatchServiceTag".to_owned(), "batch".to_owned())].into());
    });
    let of_batch = "in a compute environment of AWS Batch";
    assert!(kind().ends_with(&format!("{of_batch} (the instance's tags)")), "{}", kind());
    host.machine.write(
        "/etc/ecs/ecs.config",
        "ECS_CLUSTER=AWSBatch-env-1a6929d6-f62b-3d45-b3b5-31e7f64ae0da\n",
    );
    assert!(kind().ends_with(&format!("{of_batch} (the generated ECS_CLUSTER)")), "{}", kind());
}

/// Servers that accept and never answer would hold it up for ever. Its own clock tells whether it
/// ended in time, since a busy machine may start it late.
#[test]
fn silent_servers_do_not_hold_it_up_beyond_15_s() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    let services = ["STS", "S3", "ECS", "ECR"].map(|name| format!("AWS_ENDPOINT_URL_{name}"));
    let everything =
        ["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL"].map(str::to_owned).to_vec();
    std::thread::scope(|scope| {
        for (variables, failing) in [(everything, "imds"), (services.to_vec(), "reach-s3")] {
            let silent = &silent;
            scope.spawn(move || check_silent(silent, &variables, failing));
        }
    });
}

fn check_silent(silent: &str, variables: &[String], failing: &str) {
    let mut host = DoctorHost::healthy();
    host.env.retain(|(name, _)| failing != "imds" || !name.starts_with("AWS_ENDPOINT_URL"));
    variables.iter().for_each(|name| host.set(name, silent));
    let bundle = host.machine.path("/bundle.tar.gz");
    host.args = vec!["--bundle".into(), bundle.display().to_string()];
    let found = host.examine();
    let took = found.report["duration_ms"].as_u64().unwrap();
    assert!(took < 15_000 && bundle.is_file(), "{took} ms");
    assert_eq!(
        (found.status, found.outcome(failing), found.outcome("file")),
        (70, "failure", "ok")
    );
    let consequences = NO_IMDS.split_whitespace().filter(|id| found.checks.contains_key(*id));
    let failed: Vec<&str> = consequences.filter(|id| found.outcome(id) == "failure").collect();
    assert!(failed.is_empty(), "{failed:?}: {:#?}", found.findings);
}

#[test]
fn an_external_host_is_healthy_without_instance_metadata() {
    let host = DoctorHost::new(Cloud::start(Options::default()));
    host.overlay(&tests_folder("doctor/external-host"));
    host.mode("/etc/ecs/ecs.config", 0o600);
    host.cloud.set_host(|host| host.instance_id = "mi-0123456789abcdef0".into());
    let keys = rehearsal::Credentials {
        access_key_id: "ASIAREHEARSALSSM".into(),
        secret_access_key: "PLANTED-SSM-SECRET".into(),
        session_token: "PLANTED-SSM-TOKEN".into(),
        expires: SystemTime::now() + Duration::from_secs(3600),
    };
    let written = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        keys.access_key_id, keys.secret_access_key, keys.session_token
    );
    host.machine.write("/root/.aws/credentials", written);
    host.mode("/root/.aws/credentials", 0o600);
    host.cloud.set_credentials(keys);
    let found = host.examine();
    assert!(!host.cloud.requests().iter().any(|seen| seen.service == rehearsal::Service::Imds));
    for id in ["host-kind", "role", "credentials", "identity", "sources", "permission-ecs"] {
        assert_eq!(found.outcome(id), "ok", "{:#}", found.checks[id]);
    }
    assert_eq!((found.outcome("imds"), found.outcome("imds-v1")), ("skipped", "skipped"));
    host.machine.write(VAR, "AWS_DEFAULT_REGION=eu-west-1\n");
    assert!(host.examine().finding("host-kind").contains("ECS_EXTERNAL=true is in neither"));
    host.mode("/root/.aws/credentials", 0o644);
    assert!(host.examine().finding("credentials").contains("can be read by other users"));
    let file =
        fs::File::options().write(true).open(host.machine.path("/root/.aws/credentials")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(2 * 3600)).unwrap();
    assert!(host.examine().finding("credentials").contains("last written 120 min ago"));
}

#[test]
fn a_wanted_guard_that_is_absent_is_a_failure() {
    if !is_root("a network of its own") {
        return;
    }
    let mut host = DoctorHost::healthy();
    host.machine.write(SETTINGS, format!("{SOURCE}block_imds = true\n"));
    host.machine.write(
        &format!("{UNITS}/ecs-bootstrap-guard.service"),
        include_str!("../systemd/ecs-bootstrap-guard.service"),
    );
    // No link of this network namespace is up, so no metadata can be asked.
    host.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let mut unshare = Command::new("unshare");
    unshare.arg("--net");
    let found = DoctorOutput::new(&wrap(unshare, &host.doctor()).output().unwrap());
    assert_eq!((found.outcome("guard"), found.outcome("guard-unit")), ("failure", "failure"));
    assert!(found.finding("guard").contains("absent"), "{:#}", found.checks["guard"]);
}

#[test]
fn the_awsvpc_switch_counts_as_the_agent_gets_it() {
    let mut host = DoctorHost::healthy();
    host.set("ECS_BOOTSTRAP_BLOCK_IMDS", "true");
    for (etc, var, outcome) in [
        ("ECS_AWSVPC_BLOCK_IMDS=true\n", "", "ok"),
        ("ECS_AWSVPC_BLOCK_IMDS=\"true\"\n", "", "warning"),
        ("", "ECS_AWSVPC_BLOCK_IMDS=true\n", "ok"),
        ("ECS_AWSVPC_BLOCK_IMDS=false\n", "ECS_AWSVPC_BLOCK_IMDS=true\n", "warning"),
        ("", "", "warning"),
    ] {
        host.machine.write("/etc/ecs/ecs.config", format!("ECS_CLUSTER=prod\n{etc}"));
        host.machine.write(VAR, var);
        let found = host.examine();
        assert_eq!(found.outcome("guard-awsvpc"), outcome, "{:#}", found.checks["guard-awsvpc"]);
    }
}

#[test]
fn without_root_unreadable_files_are_skipped() {
    if !is_root("becoming another user") {
        return;
    }
    let host = DoctorHost::healthy();
    let program = host.machine.path("/ecs-bootstrap");
    fs::copy(env!("CARGO_BIN_EXE_ecs-bootstrap"), &program).unwrap();
    let command = host.doctor();
    let mut other = Command::new(program);
    other.args(command.get_args()).env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let found = DoctorOutput::new(&other.uid(65534).gid(65534).output().unwrap());
    assert_eq!((found.status, found.outcome("identity")), (0, "ok"), "{:#?}", found.findings);
    for id in ["digest", "lint", "agent-cluster"] {
        assert_eq!(found.outcome(id), "skipped", "{:#}", found.checks[id]);
        assert!(found.finding(id).contains("only root may read"), "{}", found.finding(id));
    }
}

#[test]
fn text_has_one_line_a_check_and_remedies_below() {
    let mut host = DoctorHost::healthy();
    let case = from_folder(&tests_folder("doctor/cases/user-data-waits-for-agent"));
    (case.plant)(&mut host);
    let mut command = host.machine.command_with(host.env.iter().map(|(name, value)| (name, value)));
    let output = command.arg("doctor").arg("--root").arg(host.machine.root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(70));
    let (_, after) = text.split_once("\nfailure  user-data ").unwrap_or_else(|| panic!("{text}"));
    assert!(after.lines().nth(1).unwrap().trim_start().starts_with("remedy: "), "{text}");
    assert!(
        text.ends_with("skipped\n") && text.contains(" checks: 1 failed, 0 warned, "),
        "{text}"
    );
}
