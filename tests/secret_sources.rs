//! Parameters of Parameter Store and secrets of Secrets Manager: as layers and as single values.

mod support;

use rehearsal::{Cloud, SecretFault};
use serde_json::json;
use support::{Ended, Host, SOURCE, STATE, TARGET, for_each};

const AUTH: &str = "ECS_CLUSTER=prod\nECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={\"r.test\":{\"username\":\"${secret:fleet/registry#user}\",\"password\":\"${secret:fleet/registry#password}\"}}\nECS_LOGLEVEL=${ssm:/fleet/level}\n";
const REGISTRY: &str = r#"{"user": "PLANTED-USER", "password": "PLANTED-PASSWORD"}"#;
const LAYERS: [&str; 4] =
    ["--config", "ssm:///fleet/ecs.config", "--config", "secretsmanager://fleet/more"];

fn seeded() -> Host {
    let host = Host::default().stores(AUTH);
    seed(&host.cloud);
    host
}

fn seed(cloud: &Cloud) {
    cloud.set_secret("fleet/registry", REGISTRY);
    cloud.set_parameter("/fleet/level", "warn");
    cloud.set_parameter("/fleet/ecs.config", "# PLANTED-COMMENT\nECS_CLUSTER=PLANTED-CLUSTER\n");
    cloud.set_secret("fleet/more", "ECS_IMAGE_PULL_BEHAVIOR=once\n");
}

fn expands(host: &Host) -> Ended {
    host.run(&["--config", SOURCE, "--expand"])
}

#[test]
fn parameter_and_secret_are_layers() {
    let host = seeded();
    let ended = host.run(&LAYERS);
    ended.succeeds_as("installed");
    let text = "# PLANTED-COMMENT\nECS_CLUSTER=PLANTED-CLUSTER\nECS_IMAGE_PULL_BEHAVIOR=once\n";
    assert_eq!(host.installed().as_deref(), Some(text));
    let versions: Vec<_> = ended.report["config"]["layers"].as_array().unwrap().iter().collect();
    assert_eq!(versions[0]["version_id"], "1");
    assert_eq!(versions[1]["version_id"], "00000000-0000-4000-8000-000000000001");
    host.run(&LAYERS).succeeds_as("unchanged");
}

#[test]
fn placeholders_take_values_and_fields() {
    let host = seeded();
    let ended = expands(&host);
    ended.succeeds_as("installed");
    let text = host.installed().unwrap();
    assert!(
        text.contains(r#"{"username":"PLANTED-USER","password":"PLANTED-PASSWORD"}"#)
            && text.contains("ECS_LOGLEVEL=warn\n"),
        "{text}"
    );
    let secrets = ended.report["config"]["secrets"].as_array().unwrap();
    let sources: Vec<_> = secrets.iter().map(|one| one["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["ssm:///fleet/level", "secretsmanager://fleet/registry"]);
    let asked = host.cloud.requests();
    let asked = asked.iter().filter(|seen| seen.service == rehearsal::Service::Secrets).count();
    assert_eq!(asked, 2, "each parameter and secret is asked for once");
}

/// Of the newest generation.
fn version_in_state(host: &Host) -> String {
    let state = host.json(STATE);
    let newest = if state["pending"].is_null() { "installed" } else { "pending" };
    let version = &state[newest]["secrets"]["versions"][0]["version_id"];
    version.as_str().unwrap().to_owned()
}

#[test]
fn rotation_is_installed_and_nothing_else_is_written() {
    let host = seeded();
    expands(&host).succeeds_as("installed");
    let before = std::fs::metadata(host.machine.path(TARGET)).unwrap();
    expands(&host).succeeds_as("unchanged");
    let after = std::fs::metadata(host.machine.path(TARGET)).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(version_in_state(&host), "1");
    host.cloud.set_parameter("/fleet/level", "debug");
    expands(&host).succeeds_as("installed");
    assert!(host.installed().unwrap().contains("ECS_LOGLEVEL=debug\n"));
    assert_eq!(version_in_state(&host), "2");
}

#[test]
fn versions_regions_and_arns_narrow_down() {
    let host = seeded();
    host.cloud.set_parameter("/fleet/ecs.config", "ECS_CLUSTER=second\n");
    host.cloud.set_secret("fleet/more", "ECS_CLUSTER=newer\n");
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:fleet/more-AbCdEf";
    let table = [
        ("ssm:///fleet/ecs.config?version=2&region=eu-west-1", "second"),
        ("ssm:///fleet/ecs.config?version=1", "PLANTED-CLUSTER"),
        ("secretsmanager://fleet/more", "newer"),
        (&*format!("secretsmanager://{arn}"), "newer"),
        ("secretsmanager://fleet/more?versionId=00000000-0000-4000-8000-000000000002", "newer"),
    ];
    for (source, cluster) in table {
        host.run(&["--config", source]).succeeds_as("installed");
        assert!(host.installed().unwrap().contains(&format!("ECS_CLUSTER={cluster}\n")));
        host.machine.write(TARGET, "");
    }
    let missing: [(&str, &str); 3] = [
        ("ssm:///fleet/ecs.config?version=9", "no such version of the parameter"),
        ("ssm:///absent", "no such parameter"),
        ("secretsmanager://absent", "no such secret"),
    ];
    for (source, message) in missing {
        host.run(&["--config", source]).fails_as("not_found", 21, &[message]);
    }
}

#[test]
fn failures_have_status_and_remedy() {
    use SecretFault::*;
    let statement = "arn:aws:ssm:eu-west-1:123456789012:parameter/fleet/ecs.config";
    let table: [(SecretFault, &str, i32, &[&str]); 9] = [
        (Denied, "access_denied", 20, &["ssm:GetParameter", statement]),
        (DeniedInXml, "access_denied", 20, &["ssm:GetParameter", statement]),
        (KmsDenied, "access_denied", 20, &["KMS refused", "kms:Decrypt"]),
        (KmsDisabled, "access_denied", 20, &["key cannot be used", "InvalidKeyId"]),
        (Throttled, "source_unreachable", 22, &["less traffic"]),
        (ServerError, "source_unreachable", 22, &["the server fails (500)"]),
        (Hang, "source_unreachable", 22, &["deadline"]),
        (NoValue, "source_unreachable", 22, &["200"]),
        (Oversize, "integrity", 23, &["1 MiB"]),
    ];
    for_each(
        &table,
        |(fault, ..)| format!("{fault:?}"),
        |(fault, word, status, parts)| {
            let host = seeded();
            host.cloud.set_secret_fault(Some(*fault));
            host.run(&["--config", "ssm:///fleet/ecs.config", "--timeout", "2s"])
                .fails_as(word, *status, parts);
            assert!(host.installed().is_none());
        },
    );
}

#[test]
fn refused_secret_is_named_with_the_statement() {
    let host = seeded();
    host.cloud.set_secret_fault(Some(SecretFault::Denied));
    let source = ["--config", "secretsmanager://fleet/more"];
    let resource = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:fleet/more-??????";
    host.run(&source).fails_as(
        "access_denied",
        20,
        &["Secrets Manager refused access", "secretsmanager:GetSecretValue", resource],
    );
    host.cloud.set_secret_fault(Some(SecretFault::KmsDenied));
    host.run(&source).fails_as("access_denied", 20, &["KMS refused"]);
}

#[test]
fn last_verified_file_is_kept_while_secrets_are_unreachable() {
    let host = seeded();
    expands(&host).succeeds_as("installed");
    host.cloud.set_secret_fault(Some(SecretFault::ServerError));
    let args = ["--config", SOURCE, "--expand", "--timeout", "2s"];
    host.run(&args).succeeds_as("kept");
    host.cloud.set_secret_fault(Some(SecretFault::Denied));
    host.run(&args).fails_as("access_denied", 20, &[]);
}

#[test]
fn skewed_clock_is_corrected_with_the_services_time() {
    let host = seeded();
    host.cloud.usual_fault("clock-skew");
    host.run(&LAYERS).succeeds_as("installed");
}

#[test]
fn unusable_values_are_refused_without_being_shown() {
    let table = [
        ("two\r\nlines PLANTED", "ECS_CLUSTER=${secret:s}\n", "holds a control character"),
        ("PLANTED", "ECS_CLUSTER=${secret:s#field}\n", "no such field"),
        (r#"{"field": ["PLANTED"]}"#, "ECS_CLUSTER=${secret:s#field}\n", "no such field"),
        ("PLANTED", "ECS_CLUSTER=${secret:absent}\n", "no such secret"),
        ("PLANTED", "ECS_CLUSTER=${ssm:absent}\n", "is not a placeholder"),
    ];
    for (secret, text, message) in table {
        let host = Host::default().stores(text);
        host.cloud.set_secret("s", secret);
        let ended = expands(&host);
        assert!(ended.status != 0 && ended.stderr.contains(message), "{}", ended.stderr);
        assert!(!ended.stdout.contains("PLANTED") && !ended.stderr.contains("PLANTED"));
    }
}

#[test]
fn too_many_secrets_are_refused_before_any_is_asked_for() {
    let values: String =
        (0..65).map(|number| format!("X{number}=${{ssm:/p/{number}}}\n")).collect();
    let host = Host::default().stores(format!("ECS_CLUSTER=a\n{values}").as_str());
    expands(&host).fails_as("integrity", 23, &["65 parameters and secrets"]);
}

#[test]
fn lint_knows_placeholders_and_shows_no_secret() {
    let host = seeded();
    let ended = host.call(&["lint", "--expand", SOURCE]);
    assert_eq!(ended.status, 0, "{}", ended.stdout);
    host.machine.write("/x", "ECS_CLUSTER=${secret:}\nECS_RESERVED_MEMORY=${ssm:/m}\n");
    let file = host.machine.path("/x").display().to_string();
    let ended = host.call(&["lint", "--expand", &file]);
    assert!(ended.status == 30 && ended.stdout.contains("bad-placeholder"), "{}", ended.stdout);
    host.cloud.set_parameter("/fleet/ecs.config", "ECS_LOGLEVEL=PLANTED\n");
    for args in [&["lint"][..], &["lint", "--readers"], &["lint", "--readers", "--output", "json"]]
    {
        let ended = host.call(&[args, &["ssm:///fleet/ecs.config"]].concat());
        assert!(ended.status == 30 && !ended.stdout.contains("PLANTED"), "{}", ended.stdout);
    }
}

#[test]
fn printed_role_grants_exactly_what_is_read() {
    let host = Host::default();
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let args = ["role", "print", "--output", "json", "--region", "eu-west-1", "--kms-key", key];
    let sources = ["--config", "ssm:///a/b", "--config", "secretsmanager://c"];
    let ended = host.call(&[&args[..], &sources].concat());
    let statements = &ended.report["inline_policies"]["ecs-bootstrap-config"]["Statement"];
    let decrypt = |service: &str| {
        let via = format!("{service}.eu-west-1.amazonaws.com");
        let condition = json!({"StringEquals": {"kms:ViaService": via}});
        json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": condition})
    };
    let read =
        |action: &str, arn: &str| json!({"Effect": "Allow", "Action": action, "Resource": arn});
    let expected = json!([
        read("ssm:GetParameter", "arn:aws:ssm:eu-west-1:*:parameter/a/b"),
        read("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:*:secret:c-??????"),
        decrypt("ssm"),
        decrypt("secretsmanager"),
    ]);
    assert_eq!(*statements, expected, "{statements:#}");
    host.machine.write(
        "/etc/ecs-bootstrap/ecs-bootstrap.toml",
        "expand = true\nset = [\"ECS_CLUSTER=${ssm:/cluster}\"]\n",
    );
    let ended = host.call(&["role", "print", "--output", "json"]);
    assert!(ended.stdout.contains("arn:aws:ssm:*:*:parameter/cluster"), "{}", ended.stdout);
}
