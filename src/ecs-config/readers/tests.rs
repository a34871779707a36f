//! What each reader sets, a line of a file a test. The expectations are what the real programs did:
//! systemd 252 (src/basic/env-file.c), ecs-init's reader (aws/amazon-ecs-agent,
//! ecs-init/docker/docker.go) and docker 28 (docker/cli, pkg/kvfile); those of systemd 219 and 254
//! are read from its source.

use super::*;

/// A file, and what each reader sets: `name=value` in order, `name` for a name alone, or `!` if it
/// rejects the file. One expectation more or less: `["all the same"]`, `[systemd, ecs-init,
/// docker]` or `[252, 254, 219, ecs-init, docker]`.
fn check(file: impl AsRef<[u8]>, expected: &[&[&str]]) {
    let expected = match *expected {
        [all] => [all, all, all, all, all],
        [systemd, ecs_init, docker] => [systemd, systemd, systemd, ecs_init, docker],
        [v252, v254, v219, ecs_init, docker] => [v252, v254, v219, ecs_init, docker],
        _ => panic!("one, three or five expectations"),
    };
    for (reader, expected) in Reader::ALL.into_iter().zip(expected) {
        assert_eq!(shown(&reader.read(file.as_ref())), expected, "{}", reader.name());
    }
}

fn shown(reading: &Reading<'_>) -> Vec<String> {
    if reading.error.is_some() {
        assert_eq!(reading.variables, []);
        return vec!["!".into()];
    }
    reading
        .variables
        .iter()
        .map(|set| {
            [lossy(set.name), set.value.iter().map(|v| format!("={}", lossy(v))).collect()].concat()
        })
        .collect()
}

macro_rules! rows {
    ($($name:ident: $file:expr => $($expected:expr),+;)+) => { $(#[test] fn $name() { check($file, &[$(&$expected),+]) })+ };
}

rows! {
    plain: "K=v\n" => ["K=v"];
    plain_without_final_newline: "K=v" => ["K=v"];
    double_quotes: "K=\"v\"\n" => ["K=v"], ["K=\"v\""], ["K=\"v\""];
    single_quotes: "K='v'\n" => ["K=v"], ["K='v'"], ["K='v'"];
    text_after_a_quoted_part: "K=\"a\"b\n" => ["K=ab"], ["K=\"a\"b"], ["K=\"a\"b"];
    quotes_inside: "K=a\"b\"c\n" => ["K=a\"b\"c"];
    quote_not_closed: "K=\"v\nL=w\n" => ["K=v\nL=w\n"], ["K=v\nL=w\n"], [], ["K=\"v", "L=w"], ["K=\"v", "L=w"];
    json_value: "K={\"a\":\"b\"}\n" => ["K={\"a\":\"b\"}"];
    quoted_json: "K='{\"a\":\"b\"}'\n" => ["K={\"a\":\"b\"}"], ["K='{\"a\":\"b\"}'"], ["K='{\"a\":\"b\"}'"];
    backslash_in_json: r#"K={"a":"b\"c"}"# => [r#"K={"a":"b"c"}"#], [r#"K={"a":"b\"c"}"#], [r#"K={"a":"b\"c"}"#];
    spaces_around_equals: "K = v\n" => ["K=v"], ["K = v"], ["!"];
    space_before_equals: "K =v\n" => ["K=v"], ["K =v"], ["!"];
    space_after_equals: "K= v\n" => ["K=v"], ["K= v"], ["K= v"];
    space_before_name: "  K=v\n" => ["K=v"];
    space_at_the_end: "K=v  \n" => ["K=v"], ["K=v"], ["K=v  "];
    export: "export K=v\n" => [], ["export K=v"], ["!"];
    comment: "# text\nK=v\n" => ["K=v"];
    comment_with_equals: "# K=old\n" => [], ["# K=old"], [];
    semicolon: ";K=v\n" => [], [";K=v"], [";K=v"];
    comment_that_ends_in_a_backslash: "# note \\\nK=v\n" => [], ["K=v"], [], ["K=v"], ["K=v"];
    comment_after_a_value: "K=v # note\n" => ["K=v # note"];
    comment_after_a_quoted_value: "K=\"v\" # note\n" => ["K=v# note"], ["K=\"v\" # note"], ["K=\"v\" # note"];
    continuation: "K=a\\\nb\n" => ["K=ab"], ["K=a\\"], ["K=a\\", "b"];
    json_on_several_lines: "K={\n \"a\":\"b\"}\n" => ["K={"], ["K={"], ["K={", "\"a\":\"b\"}"];
    the_same_name_twice: "K=a\nK=b\n" => ["K=a", "K=b"];
    equals_in_the_value: "K=a=b\n" => ["K=a=b"];
    empty: "K=\n" => ["K="];
    empty_quotes: "K=\"\"\n" => ["K="], ["K=\"\""], ["K=\"\""];
    name_alone: "K\n" => [], [], ["K"];
    colon: "K: v\n" => [], [], ["!"];
    empty_name: "=v\n" => [], ["=v"], ["!"];
    line_of_equals: "=====\n" => [], ["====="], ["!"];
    line_of_equals_in_a_comment: "# ====\nK=v\n" => ["K=v"], ["# ====", "K=v"], ["K=v"];
    crlf: "K=v\r\nL=w\r\n" => ["K=v", "L=w"];
    cr_alone: "K=v\rL=w\r" => ["K=v", "L=w"], ["K=v\rL=w"], ["K=v\rL=w"];
    bom_before_a_name: "\u{feff}K=v\nL=w\n" => ["L=w"], ["\u{feff}K=v", "L=w"], ["K=v", "L=w"];
    bom_before_a_comment: "\u{feff}# text\nK=v\n" => ["K=v"];
    value_that_is_not_utf8: b"L=w\nK=a\xffb\n" => ["!"], ["L=w", "K=a\u{fffd}b"], ["!"];
    comment_that_is_not_utf8: b"# \xff\nK=v\n" => ["K=v"], ["K=v"], ["!"];
    utf16: b"\xff\xfeK\0=\0v\0\n\0" => ["!"], ["!"], [], ["\u{fffd}\u{fffd}K\0=\0v\0"], ["!"];
    nul: "K=a\0b\nL=w\n" => ["!"], ["!"], ["K=a"], ["K=a\0b", "L=w"], ["K=a\0b", "L=w"];
    trailing_nbsp: "K=v\u{a0}\n" => ["K=v\u{a0}"], ["K=v"], ["K=v\u{a0}"];
    leading_nbsp: "\u{a0}K=v\n" => [], ["K=v"], ["K=v"];
    odd_names: "a-b=1\na.b=2\n1a=3\n" => [], ["a-b=1", "a.b=2", "1a=3"], ["a-b=1", "a.b=2", "1a=3"];
    lower_case: "k=v\n" => ["k=v"];
    dollar_percent_tilde: "K=$X ${Y} %i ~\n" => ["K=$X ${Y} %i ~"];
    control_character: "K=a\x1bb\n" => ["K=a\x1bb"], ["K=a\x1bb"], [], ["K=a\x1bb"], ["K=a\x1bb"];
    heredoc: "cat <<EOF\nK=v\nEOF\n" => ["K=v"], ["K=v"], ["!"];
    xml: "<?xml version=\"1.0\"?>\n" => [], ["<?xml version=\"1.0\"?>"], ["!"];

    tab_in_a_value: "K=a\tb\n" => ["K=a\tb"];
    old_systemd_removes_backslashes_inside_quotes: "K=\"a\\n\\\"\"\nL='b\\'c'\n"
        => ["K=a\\n\"", "L=b\\c\'"], ["K=a\\n\"", "L=b\\c\'"], ["K=an\"", "L=b'c"],
           ["K=\"a\\n\\\"\"", "L='b\\'c'"], ["K=\"a\\n\\\"\"", "L='b\\'c'"];
    old_systemd_unsets_what_a_lost_line_would_override: "K=a\nK=b\x01\n"
        => ["K=a", "K=b\x01"], ["K=a", "K=b\x01"], [], ["K=a", "K=b\x01"], ["K=a", "K=b\x01"];
    noncharacter_code_point: "K=\u{fdd0}\n" => ["!"], ["K=\u{fdd0}"], ["K=\u{fdd0}"];
    white_space_after_a_backslash_stays: "K=a\\ \n" => ["K=a "], ["K=a\\"], ["K=a\\ "];
    white_space_inside_quotes_stays: "K=\" a \"\n" => ["K= a "], ["K=\" a \""], ["K=\" a \""];
    white_space_of_unicode_is_trimmed_up_to_other_bytes: b"\xe3\x80\x80K=\xffv\xe2\x80\xa8 \nL=\xc2\xa0\xff\n"
        => ["!"], ["!"], ["!"], ["K=\u{fffd}v", "L=\u{a0}\u{fffd}"], ["!"];
    nothing: "" => [];
    blank: " \n\t\r\n" => [];
}

#[test]
fn long_line_is_too_long_for_docker_alone() {
    let line = |length: usize| format!("K={}", "x".repeat(length - 2));
    for (length, fits) in [(65_535, true), (65_536, false)] {
        for text in [line(length), line(length) + "\n"] {
            assert_eq!(docker(text.as_bytes()).error.is_none(), fits, "{length}");
            assert_eq!(systemd(text.as_bytes(), Generation::V252).variables.len(), 1);
            assert_eq!(ecs_init(text.as_bytes()).variables.len(), 1);
        }
    }
}

#[test]
fn lines_are_those_of_the_names() {
    let file = b"\n\n# c\nA=1\nB=\"2\n3\"\nC=4\n";
    let lines =
        |reading: Reading<'_>| reading.variables.iter().map(|set| set.line).collect::<Vec<_>>();
    assert_eq!(lines(systemd(file, Generation::V252)), [4, 5, 7]);
    assert_eq!(lines(ecs_init(file)), [4, 5, 7]);
    assert_eq!(lines(docker(b"\n\n# c\nA=1\nC=4\n")), [4, 5]);
}

#[test]
fn notes_name_lines_and_quote_no_text() {
    let file = b"A=1\nSECRET-hunter2=x\nhunter2\n";
    assert_eq!(
        systemd(file, Generation::V252).dropped,
        [
            Note::new(2, "not a name that systemd takes; ignored"),
            Note::new(3, "has no =; skipped silently")
        ]
    );
    assert_eq!(ecs_init(file).dropped, [Note::new(3, "has no =; skipped")]);
    assert_eq!(
        docker(b"A=1\nhunter2 = x\n").error,
        Some(Note::new(2, "has white space in its name"))
    );
}

#[test]
fn map_holds_the_last_assignment() {
    let reading = ecs_init(b"K=a\nL=c\nK=b\n");
    assert_eq!(reading.map()[b"K".as_slice()], Some(b"b".as_slice()));
    assert_eq!(reading.map().len(), 2);
}

#[test]
fn json_shows_each_reader() {
    let view = json(b"K=v\nTOKEN=hunter2\nALONE\n# K=old\nX=\xe2\x82\n", false);
    assert_eq!(
        view["systemd"],
        serde_json::json!({"variables": {}, "dropped": [], "error": "line 5: holds bytes that are not UTF-8: systemd rejects the file"})
    );
    assert_eq!(
        view["ecs-init"],
        serde_json::json!({"variables": {"K": "v", "TOKEN": "[redacted]", "# K": "old", "X": "\u{fffd}\u{fffd}"}})
    );
    let view = json(b"K=v\nTOKEN=hunter2\nALONE\n", false);
    assert_eq!(
        view["systemd-219"],
        serde_json::json!({"variables": {"K": "v", "TOKEN": "[redacted]"}, "dropped": ["line 3: has no =; skipped silently"], "error": null})
    );
    assert_eq!(
        view["docker"],
        serde_json::json!({"variables": [{"name": "K", "value": "v"}, {"name": "TOKEN", "value": "[redacted]"}, {"name": "ALONE", "value": null}], "error": null})
    );
    assert_eq!(
        view.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["systemd", "systemd-254", "systemd-219", "ecs-init", "docker"]
    );
}
