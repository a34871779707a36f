//! What is around the process: its limits, the tree below `--root`, names, an external host's files.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::sync::OnceLock;

use rehearsal::Machine;

use super::cases::Case;

pub(super) fn all() -> Vec<Case> {
    [limits, roots, external, names].into_iter().flat_map(|part| part()).collect()
}

/// D14: limits of the process.
fn limits() -> Vec<Case> {
    let limit = |name, does, status, shell: &str| Case::run(name, does, status).shell(shell);
    vec![
        limit("umask-0777", "the umask is 0777", 0, "umask 0777"),
        limit("nofile-6", "6 open files are allowed", 1, "ulimit -n 6"),
        limit("fsize-0", "files may have no bytes", 40, "ulimit -f 0").without_report(),
        Case::call(
            "fsize-0-option",
            "files may have no bytes, and an option is unknown",
            2,
            &["run", "--x"],
        )
        .shell("ulimit -f 0"),
        Case::call(
            "fsize-0-status",
            "files may have no bytes, and standard output is one",
            70,
            &["status", "--check"],
        )
        .shell("ulimit -f 0; exec >ROOT/out 2>ROOT/error"),
        Case::call("nofile-6-doctor", "`doctor` with 6 open files", 1, &["doctor"])
            .shell("ulimit -n 6"),
        limit("stack-64k", "the stack may have 64 KiB", 0, "ulimit -S -s 64"),
        limit("stack-64k-hard", "the stack may never have more than 64 KiB", 1, "ulimit -s 64"),
        limit("memory-32m", "32 MiB of address space are allowed", 1, "ulimit -v 32768"),
        limit("cpu-niced", "PATH is empty", 0, "PATH="),
    ]
}

/// D14: --root; D4b: a name that is not answered.
fn roots() -> Vec<Case> {
    vec![
        Case::run("root-link", "/etc/ecs below --root is an absolute link", 0).prepared(|stage| {
            fs::create_dir_all(stage.machine.path("/etc")).expect("a folder");
            symlink("/ecs-bootstrap-outside", stage.machine.path("/etc/ecs")).expect("a link");
        }),
        Case::run("root-up", "/etc/ecs below --root leads up and out", 0).prepared(|stage| {
            fs::create_dir_all(stage.machine.path("/etc")).expect("a folder");
            symlink("../../../ecs-bootstrap-outside", stage.machine.path("/etc/ecs"))
                .expect("a link");
        }),
        Case::run("endpoint-refuses", "nothing listens where S3 should be", 22)
            .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"),
        Case::run("endpoint-unknown", "the name of S3 does not exist", 22)
            .env("AWS_ENDPOINT_URL_S3", "https://s3.invalid"),
    ]
}

/// D3: what an external host's files can hold.
fn external() -> Vec<Case> {
    let host = |name, does, status, key: &'static str, region: &'static str| {
        Case::run(name, does, status).with(&["--host", "external"]).prepared(move |stage| {
            write_registration(&stage.machine, region);
            let credentials = format!(
                "[default]\naws_access_key_id = {key}\naws_secret_access_key = PLANTEDsecret\naws_session_token = t\n"
            );
            stage.machine.write("/root/.aws/credentials", credentials);
        })
    };
    vec![
        host(
            "ssm-key-escape",
            "the SSM agent's key id has an escape sequence in it",
            11,
            "AK\u{1b}[2J",
            "eu-west-1",
        ),
        host(
            "ssm-region-line-feed",
            "the SSM registration's region has a line feed in it",
            10,
            "ASIAPLANTED",
            "eu\\nwest",
        ),
    ]
}

fn write_registration(machine: &Machine, region: &str) {
    let path = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
    machine.write(
        path,
        format!("{{\"instanceID\":\"mi-0123456789abcdef0\",\"region\":\"{region}\"}}"),
    );
}

/// D4b: a resolver that never answers. Only root can give the program another resolv.conf.
fn names() -> Vec<Case> {
    let shell = r#"exec unshare --mount --propagation private sh -c 'mount --bind ROOT/resolv /etc/resolv.conf; exec "$@"' sh "$@""#;
    let case = |name, does, status, variable: &'static str| {
        let case = Case::run(name, does, status).env(variable, "http://s3.example.com");
        case.shell(shell).prepared(|stage| {
            let servers = format!("nameserver {SILENT}\n").repeat(3);
            stage.machine.write("/resolv", servers);
        })
    };
    if silent_resolver().is_none() {
        return Vec::new();
    }
    vec![
        case("dns-dead-s3", "no resolver answers for S3's name", 22, "AWS_ENDPOINT_URL_S3"),
        case("dns-dead-sts", "no resolver answers for the name of STS", 22, "AWS_ENDPOINT_URL_STS")
            .with(&["--sts", "require"]),
        case(
            "dns-dead-imds",
            "no resolver answers for the name of the metadata service",
            10,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        ),
    ]
}

const SILENT: &str = "127.53.0.1";

/// It takes all questions until this program ends.
fn silent_resolver() -> Option<&'static UdpSocket> {
    static SOCKET: OnceLock<Option<UdpSocket>> = OnceLock::new();
    SOCKET.get_or_init(|| UdpSocket::bind((SILENT, 53)).ok()).as_ref()
}
