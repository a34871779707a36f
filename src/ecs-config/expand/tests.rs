use super::*;

fn host(placeholder: &Placeholder) -> Option<String> {
    match placeholder {
        Placeholder::Region => Some("eu-west-1".into()),
        Placeholder::AvailabilityZone => Some("eu-west-1b".into()),
        Placeholder::InstanceId => Some("i-1".into()),
        Placeholder::InstanceType => Some(String::new()),
        Placeholder::AmiId => Some("ami-1".into()),
        Placeholder::AccountId => Some("123456789012".into()),
        Placeholder::Tag(key) if key == "team name" => Some("blue".into()),
        Placeholder::Tag(key) if key == "bad" => Some("a\nECS_CLUSTER=evil".into()),
        Placeholder::Tag(_) => None,
        Placeholder::Parameter(path) => Some(format!("value of {path}")),
        Placeholder::Secret(_, Some(field)) if field == "lines" => Some("a\r\nb".into()),
        Placeholder::Secret(name, field) => Some(format!("{name}/{field:?}")),
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(
        expand(text.as_bytes(), host).map(|text| String::from_utf8(text).unwrap()),
        Ok(expected.into())
    );
}

fn check_error(text: &str, expected: &str) {
    assert_eq!(
        expand(text.as_bytes(), host).map_err(|error| error.to_string()),
        Err(expected.into())
    );
}

#[test]
fn expand_replaces_placeholders_in_values() {
    check(
        "A=${region}/${availability_zone}\nB=${instance_id}${ami_id}${account_id}\nC={\"team\":\"${tag:team name}\"}",
        "A=eu-west-1/eu-west-1b\nB=i-1ami-1123456789012\nC={\"team\":\"blue\"}",
    );
}

#[test]
fn expand_keeps_names_comments_and_plain_dollars() {
    let text = "# ${nonsense}\n ; K=${nonsense}\nK${region}=1\nK=$region $ { $$\nno equals ${nonsense}\n\n";
    check(text, text);
}

#[test]
fn expand_keeps_bytes_that_are_not_utf8() {
    assert_eq!(expand(b"K=\xff${region}\xfe", host), Ok(b"K=\xffeu-west-1\xfe".to_vec()));
}

#[test]
fn unknown_placeholder_suggests_the_nearest() {
    check_error(
        "A=1\nK=${regoin}\n",
        "line 2: ${regoin} is not a placeholder; did you mean ${region}?",
    );
    check_error(
        "K=${account}\n",
        "line 1: ${account} is not a placeholder; did you mean ${account_id}?",
    );
    check_error("K=${tag:}\n", "line 1: ${tag:} is not a placeholder; did you mean ${tag:KEY}?");
}

#[test]
fn text_between_stray_braces_is_not_shown() {
    check_error("K={\"p\":\"${\",\"q\":\"hunter2\"}\n", "line 1: ${…} is not a placeholder");
}

#[test]
fn empty_placeholder_is_an_error() {
    check_error(
        "K=${instance_type}\n",
        "line 1: ${instance_type} is empty or unknown on this host",
    );
    check_error("K=${tag:Cluster}\n", "line 1: ${tag:Cluster} is empty or unknown on this host");
}

#[test]
fn expanded_value_cannot_add_a_line() {
    check_error("K=${tag:bad}\n", "line 1: the value of ${tag:bad} holds a control character");
}

#[test]
fn placeholder_without_closing_brace_is_an_error() {
    check_error("K=1\nL=${region\nM=}\n", "line 2: ${ without a closing }");
}

#[test]
fn placeholders_lists_what_expand_looks_up() {
    let found = placeholders(b"# ${ami_id}\nA=${region}${tag:x}\nB=${region}\n");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [Placeholder::Region, Placeholder::Tag("x".into())]
    );
}

#[test]
fn secrets_are_replaced_and_stay_on_their_line() {
    check(
        "A=${ssm:/a/b}\nB={\"p\":\"${secret:r#p}\"}\nC=${secret:r}",
        "A=value of /a/b\nB={\"p\":\"r/Some(\"p\")\"}\nC=r/None",
    );
    check_error(
        "A=${secret:r#lines}",
        "line 1: the value of ${secret:r#lines} holds a control character",
    );
    assert!(expand(b"A=${ssm:a}", host).is_err() && expand(b"A=${secret:}", host).is_err());
}

#[test]
fn variables_with_secrets_are_named() {
    let text = b"# X=${secret:a}\nA=${ssm:/a}\nB=${region}\nexport C=x${secret:a#b}y\nD=1\n";
    assert_eq!(secret_names(text), ["A".to_owned(), "C".to_owned()].into());
}

#[test]
fn a_few_bytes_do_not_grow_without_limit() {
    let bomb = format!("A={}\n", "${tag:x}".repeat(100_000));
    let value = Some("v".repeat(60_000));
    assert_eq!(expand(bomb.as_bytes(), |_| value.clone()), Err(Error::TooLong { line: 1 }));
    assert_eq!(placeholders(bomb.as_bytes()).len(), 1);
}
