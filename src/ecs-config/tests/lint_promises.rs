//! What the linter promises for any file: agreement of the readers, no values, and an end.

use std::collections::BTreeMap;

use ecs_config::lint::{self, Context, File, Finding, Severity, fix, rules};
use ecs_config::readers::Reader;
use proptest::prelude::*;

fn check(bytes: &[u8]) -> Vec<Finding> {
    lint::check(&File { source: "ecs.config", bytes }, &Context::default())
}

/// Pieces that the readers are known to take differently, so that a few of them together make a
/// hard file.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 36] = [
        b"ECS_CLUSTER",
        b"ECS_NVIDIA_RUNTIME",
        b"A",
        b"b",
        b"=",
        b"=",
        b"=",
        b"\n",
        b"\n",
        b"\n",
        b" ",
        b"\t",
        b"\r",
        b"\r\n",
        b"\"",
        b"'",
        b"\\",
        b"#",
        b" # ",
        b";",
        b"{",
        b"}",
        b"[1]",
        b"export ",
        b"\xc2\xa0",
        b"\xef\xbb\xbf",
        b"\0",
        b"\xe9",
        b"\x0c",
        b"\x01",
        b"$X",
        b"EOF",
        b"-",
        b"true",
        b"{\"a\":\"b\"}",
        b"\xe2\x80\x8b",
    ];
    prop::sample::select(PIECES.to_vec()).prop_map(<[u8]>::to_vec)
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

/// Lines that are nearly right, so that many files have no error.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let name = "(ECS_CLUSTER|ECS_NVIDIA_RUNTIME|A|B|C|D_[A-Z]{3})";
    let value = "[a-z0-9\"'=#;\\{\\}.: \u{a0}\\\\-]{0,5}";
    let setting = (name, value).prop_map(|(name, value)| format!("{name}={value}\n"));
    let comment = "# [a-z; \"'\\\\]{0,6}\n";
    let line = prop_oneof![8 => setting, 1 => comment, 1 => "\\s{0,2}\n"];
    prop::collection::vec(line, 1..4).prop_map(|lines| lines.concat().into_bytes())
}

/// What a reader sets, of names that all readers take.
fn set(reader: Reader, bytes: &[u8]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let is_name = |name: &[u8]| {
        name.iter().all(is_plain) && name.first().is_some_and(|first| !first.is_ascii_digit())
    };
    let reading = reader.read(bytes);
    assert!(reading.error.is_none(), "{}", reader.name());
    let map = reading.map().into_iter().filter(|(name, _)| is_name(name));
    map.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        max_global_rejects: 1_000_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn readers_agree_on_files_without_findings_about_readers(
        bytes in prop_oneof![nearly_right(), file()],
    ) {
        let is_about_readers = |finding: &Finding| {
            let rule = rules::find(finding.id).expect("a rule of the table");
            rule.about_readers && finding.severity < Severity::Note
        };
        prop_assume!(!check(&bytes).iter().any(is_about_readers));
        for reader in Reader::ALL {
            let view = set(reader, &bytes);
            prop_assert_eq!(view, set(Reader::EcsInit, &bytes), "{}", reader.name());
        }
    }

    #[test]
    fn any_bytes_give_findings_in_the_order_of_lines(
        bytes in prop_oneof![file(), prop::collection::vec(any::<u8>(), 0..300)],
    ) {
        let lines = bytes.split(|byte| *byte == b'\n').count();
        let found: Vec<usize> = check(&bytes).iter().filter_map(|finding| finding.line).collect();
        prop_assert!(found.is_sorted() && found.iter().all(|line| (1..=lines).contains(line)));
        prop_assert!(!check(&bytes).is_empty(), "a cluster is missing, at the least");
    }

    #[test]
    fn fix_of_any_bytes_is_final_and_keeps_the_lines(
        bytes in prop_oneof![file(), prop::collection::vec(any::<u8>(), 0..300)],
    ) {
        let line_feeds = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        let (fixed, _) = fix(&bytes);
        prop_assert!(line_feeds(&fixed) - line_feeds(&bytes) <= 1, "only a final one is added");
        let (again, nothing) = fix(&fixed);
        prop_assert_eq!(again, fixed);
        prop_assert_eq!(nothing, []);
    }

    #[test]
    fn fix_keeps_what_every_reader_agreed_on(bytes in nearly_right()) {
        prop_assume!(!check(&bytes).iter().any(|found| found.severity == Severity::Error));
        let (fixed, _) = fix(&bytes);
        // docker alone keeps blanks at the end of a line, which is a warning and is fixed.
        for reader in Reader::ALL.into_iter().filter(|reader| *reader != Reader::Docker) {
            prop_assert_eq!(set(reader, &bytes), set(reader, &fixed));
        }
    }
}

#[test]
fn fix_removes_a_backslash_with_the_cr_before_it() {
    assert_eq!(fix(b"# a\r\\\nB=1\n").0, b"# a\nB=1\n");
}

#[test]
fn findings_hold_no_values() {
    const MARKER: &str = "PLANTED-5f1c";
    let shapes = [
        "{v}",
        "\"{v}\"",
        " {v}",
        "{v} # {v}",
        "'{v}",
        "a\\{v}",
        "[\"{v}\"]",
        "{\"{v}\":\"{v}\"}",
        "{\"{v}\":1}",
        "{\"auths\":\"{v}\"}",
        "{v",
    ];
    for variable in ecs_config::variables::all() {
        for shape in shapes {
            let (name, value) = (variable.name, shape.replace("{v}", MARKER));
            let text = format!("{name}={value}\n# {name}={MARKER}\n{MARKER} x\n");
            for finding in check(text.as_bytes()) {
                let json = serde_json::to_string(&finding).expect("a finding is JSON");
                assert!(!json.contains(MARKER), "{name} {shape}: {json}");
            }
        }
    }
}

#[test]
fn only_names_before_equals_are_shown() {
    let file = b"ECS_ENGINE_AUTH_DATA={\ndXNlcjpodW50ZXIy=\n\"user\":\"hunter2=\"\n}\n";
    let json = serde_json::to_string(&check(file)).expect("findings are JSON");
    assert!(!json.contains("dXNl") && !json.contains("hunter2"), "{json}");
}

#[test]
fn findings_of_one_rule_are_counted_after_a_hundred() {
    let file: String = (0..5000).map(|n| format!("UNKNOWN_{n}=\"x\"\n")).collect();
    let findings = check(file.as_bytes());
    let more = findings.iter().find(|found| found.id == "quoted-value" && found.line.is_none());
    let message = more.map(|found| found.message.as_str());
    assert_eq!(message, Some("and 4900 more like these"));
    assert!(findings.len() < 400, "{}", findings.len());
}
