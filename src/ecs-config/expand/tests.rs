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
fn placeholders_in_values_become_what_the_host_is() {
    check(
        "A=${region}/${availability_zone}\nB=${instance_id}${ami_id}${account_id}\nC={\"team\":\"${tag:team name}\"}",
        "A=eu-west-1/eu-west-1b\nB=i-1ami-1123456789012\nC={\"team\":\"blue\"}",
    );
}

#[test]
fn names_comments_and_plain_dollars_stay() {
    let text = "# ${nonsense}\n ; K=${nonsense}\nK${region}=1\nK=$region $ { $$\nno equals ${nonsense}\n\n";
    check(text, text);
}

#[test]
fn bytes_that_are_no_utf8_stay() {
    assert_eq!(expand(b"K=\xff${region}\xfe", host), Ok(b"K=\xffeu-west-1\xfe".to_vec()));
}

#[test]
fn an_unknown_placeholder_is_an_error_that_names_the_nearest() {
    check_error(
        "A=1\nK=${regoin}\n",
        "line 2: ${regoin} is no placeholder; the nearest is ${region}",
    );
    check_error(
        "K=${account}\n",
        "line 1: ${account} is no placeholder; the nearest is ${account_id}",
    );
    check_error("K=${tag:}\n", "line 1: ${tag:} is no placeholder; the nearest is ${tag:NAME}");
}

#[test]
fn what_stands_between_stray_braces_is_not_shown() {
    check_error(
        "K={\"p\":\"${\",\"q\":\"hunter2\"}\n",
        "line 1: ${…} is no placeholder; the nearest is ${account_id}",
    );
}

#[test]
fn an_empty_placeholder_is_an_error() {
    check_error(
        "K=${instance_type}\n",
        "line 1: ${instance_type} is empty or unknown on this host",
    );
    check_error("K=${tag:Cluster}\n", "line 1: ${tag:Cluster} is empty or unknown on this host");
}

#[test]
fn an_expanded_value_cannot_become_a_second_line() {
    check_error("K=${tag:bad}\n", "line 1: the value of ${tag:bad} holds a control character");
}

#[test]
fn an_open_brace_without_a_close_is_an_error() {
    check_error("K=1\nL=${region\nM=}\n", "line 2: ${ without a closing }");
}

#[test]
fn placeholders_are_known_before_expansion() {
    let found = placeholders(b"# ${ami_id}\nA=${region}${tag:x}\nB=${region}\n");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [Placeholder::Region, Placeholder::Tag("x".into())]
    );
}
