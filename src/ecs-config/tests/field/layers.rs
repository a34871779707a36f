//! A source of several is not judged as if it were the whole.

use ecs_config::lint::{Context, Registered};

use super::{ERROR, NOTE, check_in, finds, shown};

const AUTH_DATA: &str = "ECS_ENGINE_AUTH_DATA={\"r.example.com\":{\"auth\":\"dTpw\"}}\n";

#[test]
fn what_another_source_may_set_is_a_note_until_the_end() {
    for (file, id) in [
        ("ECS_ENGINE_AUTH_TYPE=docker\n", "auth-type-missing"),
        (AUTH_DATA, "auth-type-missing"),
        ("HTTP_PROXY=http://p:3128\n", "proxy-without-no-proxy"),
        ("http_proxy=p:3128\n", "proxy-without-no-proxy"),
        ("ECS_EXTERNAL=true\n", "external-without-region"),
    ] {
        finds(file, &[(id, NOTE)]);
        let whole = Context { whole: true, allow_default_cluster: true, ..Context::default() };
        let found = check_in(file.as_bytes(), &whole);
        assert_eq!((found[0].id, found[0].severity), (id, ERROR), "{:?}", shown(&found));
    }
}

#[test]
fn both_halves_in_one_source_are_judged() {
    for (file, id) in [
        ("HTTP_PROXY=p:3128\nNO_PROXY=localhost\n", "proxy-without-no-proxy"),
        ("http_proxy=p:3128\nno_proxy=169.254.*,169.254.170.2\n", "proxy-without-no-proxy"),
    ] {
        finds(file, &[(id, ERROR)]);
    }
    finds("HTTP_PROXY=p:3128\nNO_PROXY=169.254.0.0/16\n", &[]);
    finds(&format!("ECS_ENGINE_AUTH_TYPE=dockercfg\n{AUTH_DATA}"), &[]);
}

#[test]
fn cluster_of_another_source_may_be_the_joined_one() {
    let joined = |file: &str| {
        let registered = Registered::In("green".into());
        let found = check_in(file.as_bytes(), &Context { registered, ..Context::default() });
        found.iter().map(|one| (one.id, one.severity)).collect::<Vec<_>>()
    };
    assert_eq!(joined("ECS_LOGLEVEL=info\n"), [("joined-another-cluster", NOTE)]);
    assert_eq!(joined("ECS_CLUSTER=blue\n"), [("joined-another-cluster", ERROR)]);
}

#[test]
fn https_proxy_alone_goes_past_metadata() {
    for file in [
        "HTTPS_PROXY=http://p:3128\n",
        "https_proxy=p:3128\n",
        "HTTPS_PROXY=http://p:3128\nNO_PROXY=localhost\n",
        "ECS_CLUSTER=blue\nHTTPS_PROXY=http://p:3128\n",
    ] {
        finds(file, &[]);
    }
}
