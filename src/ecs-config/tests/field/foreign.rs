//! Inputs that are something else altogether.

use ecs_config::lint::fix;

use super::{ERROR, check, finds};

const MIME: &str = "Content-Type: multipart/mixed; boundary=\"==B==\"\nMIME-Version: 1.0\n\n--==B==\n\
    Content-Type: text/x-shellscript\n\n#!/bin/bash\necho ECS_CLUSTER=a >> /etc/ecs/ecs.config\n\
    --==B==--\n";

#[track_caller]
fn is(bytes: &[u8], what: &str) {
    let found = check(bytes);
    let messages: Vec<_> = found.iter().map(|one| (one.id, one.message.as_str())).collect();
    let expected = format!("the file is {what}, not a configuration");
    assert_eq!(messages, [("not-a-configuration", expected.as_str())]);
    assert_eq!(fix(bytes).0, bytes, "--fix leaves it");
}

#[test]
fn user_data_is_one_finding() {
    is(MIME.as_bytes(), "user data in MIME");
    is(MIME.split_once("\n\n").unwrap().1.as_bytes(), "user data in MIME");
    is(b"#!/bin/bash\necho ECS_CLUSTER=a >> /etc/ecs/ecs.config\n", "a script");
    is(b"#!/bin/sh\ncat <<EOF > /etc/ecs/ecs.config\nECS_CLUSTER=a\nEOF\n", "a script");
    is(b"#cloud-config\nbootcmd:\n- echo ECS_CLUSTER=a\n", "user data for cloud-init");
    is(b"#cloud-boothook\nyum update -y\n", "user data for cloud-init");
    is(b"#include\nhttps://example.com/ecs\n", "user data for cloud-init");
    is(b"## template: jinja\n#cloud-config\nbootcmd: [a]\n", "user data for cloud-init");
    is(b"<powershell>\nInitialize-ECSAgent\n</powershell>\n", "user data for Windows");
}

#[test]
fn packed_and_encoded_files_are_one_finding() {
    is(b"\x1f\x8b\x08\0\0\0\0\0\0\x03st\x0e", "gzip data");
    is(b"PK\x03\x04\x14\0", "a zip archive");
    is(b"\x28\xb5\x2f\xfd\x04\x00", "zstd data");
    is(b"RUNTX0NMVVNURVI9cHJvZApFQ1NfTE9HTEVWRUw9aW5mbwo=\n", "base64");
    is(b"RUNTX0NMVVNURVI9\ncHJvZApFQ1NfTE9H\nTEVWRUw9aW5mbwo=\n", "base64");
    is(b"RUNTX0NMVVNURVI9cHJvZHVjCg\n", "base64");
    is(b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive");
    is(b"%PDF-1.4\n%\xe2\xe3\n", "a PDF document");
    is(b"-----BEGIN CERTIFICATE-----\nMIIB=\n", "a key or a certificate");
}

#[test]
fn other_formats_are_one_finding() {
    let task =
        "{\n  \"family\": \"a\",\n  \"containerDefinitions\": [{\"command\": [\"A=b\"]}]\n}\n";
    is(task.as_bytes(), "JSON");
    is(b"[{\"name\":\"ECS_CLUSTER\",\"value\":\"a\"}]\n", "JSON");
    is(b"{\n\"a\": 1,\n}\n", "JSON");
    is(b"[settings.ecs]\ncluster = \"web\"\n", "TOML or an ini file");
    is(b"# Bottlerocket\n[settings]\nmotd = \"a\"\n", "TOML or an ini file");
    is(b"settings.ecs.cluster = \"web\"\n", "TOML or an ini file");
    is(b"# a\necs.cluster=web\necs.log-level=info\n", "TOML or an ini file");
    is(b"---\nECS_CLUSTER: web\n", "YAML");
    is(b"---\nECS_CLUSTER: web\n...\n", "YAML");
    is(b"<<<<<<< HEAD\nECS_CLUSTER=a\n=======\n", "what git left of a merge");
    is(b"ecs:\n  cluster: web\n  drivers:\n  - json-file\n", "YAML");
    is(b"\n<html><body>403</body></html>\n", "XML or HTML");
}

#[test]
fn configuration_with_a_foreign_line_is_still_one() {
    finds("#!/bin/sh\nECS_CLUSTER=a\n", &[]);
    finds("ECS_CLUSTER: a\n", &[("not-an-assignment", ERROR)]);
    finds("[ecs]\nECS_CLUSTER=a\n", &[("not-an-assignment", ERROR)]);
    finds("# include\nECS_CLUSTER=a\n", &[]);
    finds("---\nECS_CLUSTER=a\n", &[("not-an-assignment", ERROR)]);
}
