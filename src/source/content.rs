//! Whether bytes can be an `ecs.config` at all. Pure.

/// The first bytes of what is stored or answered in place of a configuration.
const OTHERS: [(&[u8], &str); 14] = [
    (b"<", "it is XML, perhaps an error message of S3"),
    (b"\xff\xfe", "it is UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "it is UTF-16; save it as UTF-8"),
    (b"\x1f\x8b", "it is compressed with gzip; store it as plain text"),
    (b"PK\x03\x04", "it is a zip archive; store the file that is in it"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; store it as plain text"),
    (b"\xfd7zXZ", "it is compressed with xz; store it as plain text"),
    (b"BZh", "it is compressed with bzip2; store it as plain text"),
    (b"\x7fELF", "it is a program"),
    (b"#!", "it is a script, as for user data; store the lines KEY=value only"),
    (b"Content-Type: multipart", "it is user data in MIME; store the lines KEY=value only"),
    (b"MIME-Version:", "it is user data in MIME; store the lines KEY=value only"),
    (b"{", "it is JSON; write lines KEY=value"),
    (b"[", "it is TOML, INI or JSON with sections; write lines KEY=value"),
];

const HTML: [&[u8]; 4] = [b"<!doctype html", b"<html", b"<head", b"<body"];

/// Why `bytes` are not a configuration, whatever a linter would make of them: HTML or XML (a
/// proxy's page, S3's error), UTF-16, NUL bytes, an archive. `None` does not vouch for single
/// lines.
pub(crate) fn not_a_configuration(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let starts =
        |with: &&[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if HTML.iter().any(starts) {
        return Some("it is an HTML page, perhaps of a proxy or a login");
    }
    let other = OTHERS.iter().find(|(start, _)| text.starts_with(start)).map(|(_, what)| *what);
    other.or_else(|| {
        bytes.contains(&0).then_some("it has NUL bytes: it is binary, or UTF-16 without a mark")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_content_is_recognised_by_its_first_bytes() {
        let table: [(&[u8], &str); 16] = [
            (b"<!DOCTYPE html><html>", "HTML"),
            (b"\n  <html>", "HTML"),
            (b"\xef\xbb\xbf<HTML>", "HTML"),
            (b"<?xml version=\"1.0\"?><Error/>", "XML"),
            (b"<Error>", "XML"),
            (b"\xff\xfeE\0C\0S\0", "UTF-16"),
            (b"\xfe\xff\0E\0C\0S", "UTF-16"),
            (b"E\0C\0S\0_\0", "NUL"),
            (b"ECS_CLUSTER=a\0b\n", "NUL"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"PK\x03\x04", "zip"),
            (b"#!/bin/bash\necho ECS_CLUSTER=a >> /etc/ecs/ecs.config\n", "script"),
            (b"MIME-Version: 1.0\n", "MIME"),
            (b"{\"ECS_CLUSTER\": \"a\"}", "JSON"),
            (b"[settings.ecs]\ncluster = \"a\"\n", "TOML"),
            (b"\x7fELF\x02", "program"),
        ];
        for (bytes, word) in table {
            let why = not_a_configuration(bytes)
                .unwrap_or_else(|| panic!("{bytes:?} passed as a configuration"));
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn configuration_passes_with_comments_bom_and_blank_lines() {
        let table: [&[u8]; 6] = [
            b"ECS_CLUSTER=prod\n",
            b"\xef\xbb\xbfECS_CLUSTER=prod\r\n",
            b"# made by hand\n\nECS_CLUSTER=prod",
            b"\n\n  ECS_CLUSTER=a<b\n",
            b"",
            "ECS_CLUSTER=größe\n".as_bytes(),
        ];
        for bytes in table {
            assert_eq!(not_a_configuration(bytes), None, "{bytes:?}");
        }
    }
}
