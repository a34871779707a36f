//! What a caller of the program can do to it: streams, variables, arguments, settings, objects.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::Stage;
use super::cases::{Case, SOURCE};

const SETTINGS: &str = "/etc/ecs-bootstrap/ecs-bootstrap.toml";

pub(super) fn all() -> Vec<Case> {
    let parts = [streams, variables, arguments, settings, objects];
    parts.into_iter().flat_map(|part| part()).collect()
}

/// D7: the screen does not decide the exit status.
fn streams() -> Vec<Case> {
    let mut all = Vec::new();
    for (name, does, shell) in [
        ("stdout-full", "standard output is a full disk", "exec >/dev/full"),
        ("stderr-full", "standard error is a full disk", "exec 2>/dev/full"),
        ("both-full", "both streams are a full disk", "exec >/dev/full 2>&1"),
        ("streams-closed", "all streams are closed", "exec <&- >&- 2>&-"),
    ] {
        all.push(Case::run(name, does, 0).shell(shell));
        let refused = Case::run(&format!("{name}-403"), &format!("{does}, and S3 refuses"), 20);
        let refused = refused.shell(shell).with(&["--output", "json"]);
        all.push(refused.prepared(|stage| stage.cloud.usual_fault("s3-403")));
    }
    let emf = Case::run("log-full-emf", "standard error is a full disk (--log-format emf)", 0);
    all.push(emf.with(&["--log-format", "emf"]).shell("exec 2>/dev/full"));
    for format in ["text", "json", "journald"] {
        let name = format!("log-full-{format}");
        let does = format!("standard error is a full disk, and S3 refuses (--log-format {format})");
        let case = Case::run(&name, &does, 20).with(&["--log-format", format]);
        let case = case.shell("exec 2>/dev/full");
        all.push(case.prepared(|stage| stage.cloud.usual_fault("s3-403")));
    }
    all
}

/// D10: a variable that is not UTF-8 is not as good as none; D9: nothing is shown raw.
fn variables() -> Vec<Case> {
    let not_text = || OsString::from_vec(b"tr\xffe".to_vec());
    let mut all: Vec<Case> = [
        "ECS_BOOTSTRAP_EXPECT_ROLE",
        "ECS_BOOTSTRAP_EXPECT_ACCOUNT",
        "ECS_BOOTSTRAP_BLOCK_IMDS",
        "ECS_BOOTSTRAP_STALE",
        "ECS_BOOTSTRAP_SETTINGS",
        "AWS_CA_BUNDLE",
        "HTTPS_PROXY",
        "AWS_EC2_METADATA_DISABLED",
    ]
    .into_iter()
    .map(|name| {
        let label = format!("not-utf8-{}", name.to_lowercase().replace('_', "-"));
        Case::run(&label, &format!("the variable {name} is not UTF-8"), 2)
            .env(name, not_text())
            .without_report()
    })
    .collect();
    for (label, does, name, value, status) in [
        (
            "region-variable-escape",
            "AWS_REGION has an escape sequence in it",
            "AWS_REGION",
            "eu\u{1b}[2J",
            2,
        ),
        (
            "expect-role-escape",
            "the expected role has an escape sequence in it",
            "ECS_BOOTSTRAP_EXPECT_ROLE",
            "r\u{1b}[2J\u{202e}",
            12,
        ),
        (
            "unknown-variable-escape",
            "an unknown variable has an escape sequence in its name",
            "ECS_BOOTSTRAP_\u{1b}[2J",
            "1",
            2,
        ),
        ("timeout-zero", "the timeout is 0s", "ECS_BOOTSTRAP_TIMEOUT", "0s", 2),
        (
            "imds-off-variable",
            "AWS_EC2_METADATA_DISABLED is true",
            "AWS_EC2_METADATA_DISABLED",
            "true",
            10,
        ),
        ("ca-zero", "AWS_CA_BUNDLE is /dev/zero", "AWS_CA_BUNDLE", "/dev/zero", 2),
        ("language", "LANG and RUST_LOG are nonsense", "RUST_LOG", "trace,\u{202e}", 0),
    ] {
        let mut case = Case::run(label, does, status).env(name, value);
        if name == "ECS_BOOTSTRAP_TIMEOUT" {
            case.arguments.truncate(3);
        }
        all.push(if status == 2 { case.without_report() } else { case });
    }
    let endpoint =
        Case::run("endpoint-password", "the metadata endpoint has a password, and is wrong", 10);
    all.push(
        endpoint.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://user:PLANTED-pass@127.0.0.1:9"),
    );
    all
}

/// D9: our own arguments.
fn arguments() -> Vec<Case> {
    let call = |name, does, arguments: &[&str]| Case::call(name, does, 2, arguments);
    vec![
        call(
            "key-escape",
            "a source has escape and bidirectional characters in it",
            &["run", "--config", "s3:/b/\u{1b}[2J\u{202e}"],
        ),
        call(
            "option-escape",
            "an unknown option has an escape sequence in it",
            &["run", "--\u{1b}[2J"],
        ),
        call("sources-65", "65 sources", &[&["run"][..], &["--config=s3://b/k"; 65]].concat()),
        call(
            "set-without-name",
            "--set with an empty name",
            &["run", "--set", "=x", "--config", SOURCE],
        ),
        Case::call(
            "lint-name-escape",
            "lint of a name with an escape sequence in it",
            2,
            &["lint", "ROOT/\u{1b}[2J"],
        ),
        Case::run(
            "object-key-escape",
            "the object's key has escape and bidirectional characters in it",
            20,
        )
        .with(&["--config", "s3://fleet-config/a%1b[2J%e2%80%ae"]),
    ]
}

/// D13: what is too large, or deep.
fn settings() -> Vec<Case> {
    let file = |name, does, status, text: fn() -> String| {
        let case = Case::run(name, does, status).without_report();
        let case = if status == 2 { case.without_source() } else { case };
        case.prepared(move |stage: &Stage| stage.machine.write(SETTINGS, text()))
    };
    vec![
        file("settings-10000-sources", "the settings have 10,000 sources", 2, || {
            format!("config = [{}]\n", "\"s3://b/k\",".repeat(5000))
        }),
        file("settings-unknown-1mb", "an unknown setting has a name of 60 KB", 2, || {
            format!("{} = 1\n", "x".repeat(60_000))
        }),
        file("settings-large", "the settings have 1 MiB", 2, || "#\n".repeat(1 << 19)),
        file("settings-deep", "the settings are arrays, one in another", 2, || {
            format!("set = {}\n", "[".repeat(30_000))
        }),
        file("settings-set-3000", "`set` has 3,000 keys", 0, || {
            let keys: String = (0..3000).map(|at| format!("K{at} = \"1\"\n")).collect();
            format!("[set]\n{keys}")
        }),
        file("settings-nul", "the settings have a NUL in them", 2, || "config = \"\0\"\n".into()),
        file("settings-escape", "an unknown setting has an escape sequence in it", 2, || {
            "\"\\u001b[2J\" = 1\n".into()
        }),
    ]
}

/// D6 and D13: what an object can ask for.
fn objects() -> Vec<Case> {
    let object = |name, does, status, text: fn() -> String| {
        Case::run(name, does, status).with(&["--expand"]).prepared(move |stage: &Stage| {
            stage.cloud.set_host(|host| {
                let long = ("Long".to_owned(), "x".repeat(200));
                host.tags = Some([("Name".to_owned(), "web".to_owned()), long].into());
                host.user_data = Some("export DB_PASSWORD=PLANTED-user-data".into());
            });
            stage.cloud.set_object("fleet-config", "ecs.config", text().as_str());
        })
    };
    vec![
        object("tag-user-data", "${tag:../../../user-data}", 30, || {
            "ECS_CLUSTER=c\nECS_X=${tag:../../../user-data}\n".into()
        }),
        object(
            "tag-credentials",
            "${tag:../../iam/security-credentials/ecsInstanceRole}",
            30,
            || {
                "ECS_CLUSTER=c\nECS_X=${tag:../../iam/security-credentials/ecsInstanceRole}\n"
                    .into()
            },
        ),
        object("tag-dots", "${tag:..}", 30, || "ECS_CLUSTER=c\nECS_X=${tag:..}\n".into()),
        object("tag-bomb", "a tag of 200 characters, 90,000 times", 30, || {
            format!("ECS_CLUSTER=c\nECS_X={}\n", "${tag:Long}".repeat(90_000))
        }),
        object("tags-70000", "70,000 tags", 30, || {
            let tags: String = (0..70_000).map(|at| format!("${{tag:K{at}}}")).collect();
            format!("ECS_CLUSTER=c\nECS_X={tags}\n")
        }),
        object("tag-name", "${tag:Name}, which is there", 0, || {
            "ECS_CLUSTER=c\nECS_INSTANCE_ATTRIBUTES={\"a\":\"${tag:Name}\"}\n".into()
        }),
        object("keys-4096", "the object sets 4,096 variables", 0, || {
            (0..4095).map(|at| format!("K{at}=1\n")).collect::<String>() + "ECS_CLUSTER=c\n"
        }),
        object("comments-1mib", "the object has 1 MiB of comments", 0, || {
            "ECS_CLUSTER=c\n".to_owned() + &"# comment\n".repeat(104_000)
        }),
    ]
}
