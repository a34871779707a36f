//! What the linter promises about any file: agreement, silence about values, and an end.

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
    let setting = (
        "(ECS_CLUSTER|ECS_NVIDIA_RUNTIME|A|B|C|D_[A-Z]{3})",
        "[a-z0-9\"'=#;\\{\\}.: \u{a0}\\\\-]{0,5}",
    )
        .prop_map(|(name, value)| format!("{name}={value}\n"));
    let comment = "# [a-z; \"'\\\\]{0,6}\n";
    let line = prop_oneof![8 => setting, 1 => comment, 1 => "\\s{0,2}\n"];
    prop::collection::vec(line, 1..4).prop_map(|lines| lines.concat().into_bytes())
}

fn is_name(name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.iter().all(plain) && name.first().is_some_and(|first| !first.is_ascii_digit())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 1_000_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_without_findings_about_readers_reads_the_same_to_all(bytes in prop_oneof![nearly_right(), file()]) {
        let about_readers = |finding: &Finding| rules::find(finding.id).is_some_and(|rule| rule.kind == rules::Kind::Readers);
        prop_assume!(!check(&bytes).iter().any(|f| about_readers(f) && f.severity < Severity::Note));
        let set = |reader: Reader| {
            let reading = reader.read(&bytes);
            assert!(reading.error.is_none(), "{}", reader.name());
            reading.map().into_iter().filter(|(name, _)| is_name(name)).map(|(n, v)| (n.to_vec(), v.map(<[u8]>::to_vec))).collect::<Vec<_>>()
        };
        for reader in Reader::ALL {
            prop_assert_eq!(set(reader), set(Reader::EcsInit), "{}", reader.name());
        }
    }

    #[test]
    fn any_bytes_are_checked_and_mended_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
        fix::mend(&bytes);
    }

    #[test]
    fn mending_twice_is_mending_once(bytes in file()) {
        let (once, _) = fix::mend(&bytes);
        prop_assert_eq!(fix::mend(&once).0, once);
    }

    #[test]
    fn mending_keeps_what_every_reader_agreed_on(bytes in nearly_right()) {
        let agreed = |bytes: &[u8]| !check(bytes).iter().any(|f| f.severity == Severity::Error);
        prop_assume!(agreed(&bytes));
        let (mended, _) = fix::mend(&bytes);
        // docker alone keeps blanks at the end of a line, which is a warning and is mended.
        for reader in Reader::ALL.into_iter().filter(|reader| *reader != Reader::Docker) {
            let (before, after) = (reader.read(&bytes), reader.read(&mended));
            let names = |map: std::collections::BTreeMap<&[u8], Option<&[u8]>>| map.into_iter().filter(|(n, _)| is_name(n)).map(|(n, v)| (n.to_vec(), v.map(<[u8]>::to_vec))).collect::<Vec<_>>();
            prop_assert_eq!(names(before.map()), names(after.map()));
        }
    }
}

#[test]
fn a_comment_that_ends_in_cr_and_backslash_loses_both_at_once() {
    assert_eq!(fix::mend(b"# a\r\\\nB=1\n").0, b"# a\nB=1\n");
}

#[test]
fn a_finding_never_holds_a_value() {
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
            let text = format!(
                "{}={}\n# {}={MARKER}\n{MARKER} x\n",
                variable.name,
                shape.replace("{v}", MARKER),
                variable.name
            );
            for finding in check(text.as_bytes()) {
                let json = serde_json::to_string(&finding).expect("a finding is JSON");
                assert!(!json.contains(MARKER), "{} {shape}: {json}", variable.name);
            }
        }
    }
}

#[test]
fn what_stands_left_of_equals_is_shown_only_if_it_is_surely_a_name() {
    let file = b"ECS_ENGINE_AUTH_DATA={\ndXNlcjpodW50ZXIy=\n\"user\":\"hunter2=\"\n}\n";
    let json = serde_json::to_string(&check(file)).expect("findings are JSON");
    assert!(!json.contains("dXNl") && !json.contains("hunter2"), "{json}");
}

#[test]
fn findings_of_one_rule_are_counted_after_a_hundred() {
    let file: String = (0..5000).map(|n| format!("UNKNOWN_{n}=\"x\"\n")).collect();
    let findings = check(file.as_bytes());
    let more = findings
        .iter()
        .find(|f| f.id == "quoted-value" && f.line.is_none())
        .map(|f| f.message.as_str());
    assert_eq!(more, Some("and 4900 more like these"));
    assert!(findings.len() < 400, "{}", findings.len());
}
