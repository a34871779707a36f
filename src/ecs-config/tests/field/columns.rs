//! What of a line a finding marks.

use super::check;

#[test]
fn columns_mark_what_is_wrong() {
    const TABLE: &[(&str, &[(&str, &str)])] = &[
        ("ECS_CLUSTER=prod\r\nA=1\r\n", &[("crlf", "\r"), ("unknown-variable", "A")]),
        ("ECS_CLUSTER=prod\nECS_LOGLEVEL=info", &[("missing-final-newline", "")]),
        ("ECS_CLUSTER=\"prod\"\n", &[("quoted-value", "\"prod\"")]),
        // A backslash hides a quote from closing in double quotes only.
        ("A='b\\'\n", &[("quoted-value", "'b\\'"), ("unknown-variable", "A")]),
        ("A=\"b\\\"\"\n", &[("quoted-value", "\"b\\\"\""), ("unknown-variable", "A")]),
        ("ECS_CLUSTER = prod\n", &[("space-around-equals", "=")]),
        ("ECS_CLUSTER=prod # b\n", &[("trailing-comment", "prod # b")]),
        ("export ECS_CLUSTER=prod\n", &[("export-prefix", "export ")]),
        ("ECS_CLUSTER=a\\b\n", &[("backslash", "a\\b"), ("cluster-name", "a\\b")]),
        ("ECS_CLUSTER=a  \n", &[("trailing-space", "  ")]),
        ("  ECS_CLUSTER=a\n", &[("leading-space", "  ")]),
        ("ECS_CLUSTER: a\n", &[("not-an-assignment", "ECS_CLUSTER: a")]),
        ("ECS_LOGLEVEL=crit\n", &[("breaks-logging", "crit")]),
        ("ECS_CLUSTER=a\nECS_CLUSTR=b\n", &[("unknown-variable", "ECS_CLUSTR")]),
        ("ECS_RESERVED_PORTS=[22, \"x\"]\n", &[("bad-port", "[22, \"x\"]")]),
        ("=a\n", &[("empty-name", "=a")]),
        ("A-B=c\n", &[("odd-name", "A-B")]),
    ];
    for (file, expected) in TABLE {
        let lines: Vec<&str> = file.split('\n').collect();
        let found = check(file.as_bytes());
        let marked: Vec<(&str, &str)> = found
            .iter()
            .map(|one| (one.id, &lines[one.line.unwrap() - 1][one.columns.clone()]))
            .collect();
        assert_eq!(marked, *expected, "{file:?}");
    }
}

#[test]
fn findings_about_a_name_and_about_a_value_have_its_key() {
    for file in ["ECS_LOGLEVEL=crit\n", "ECS_LOGLEVL=info\n"] {
        let found = check(file.as_bytes());
        assert_eq!(found[0].key.as_deref(), file.split('=').next());
    }
}
