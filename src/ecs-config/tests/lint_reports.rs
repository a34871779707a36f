//! Configurations that people really wrote: those of ECS's documentation are clean, those of bug
//! reports are not. Names of tests give the issue: `agent_53` is aws/amazon-ecs-agent#53.

use ecs_config::lint::{self, Context, File, Finding, Registered, Severity};

fn check(text: &str, context: &Context) -> Vec<Finding> {
    lint::check(&File { source: "ecs.config", bytes: text.as_bytes() }, context)
}

/// Clean: neither errors nor warnings. Notes say what a reader of the documentation may want to
/// know.
#[track_caller]
fn clean(text: &str) {
    let loud: Vec<Finding> = check(text, &Context::default())
        .into_iter()
        .filter(|f| f.severity < Severity::Note)
        .collect();
    assert!(loud.is_empty(), "{loud:#?}");
}

// From "Bootstrapping Amazon ECS Linux container instances to pass data", what `echo` writes.
#[test]
fn documentation_single_variable_is_clean() {
    clean("ECS_CLUSTER=MyCluster\n");
}

// The same page, between `cat <<'EOF'` and `EOF`.
#[test]
fn documentation_heredoc_is_clean() {
    clean(concat!(
        "ECS_CLUSTER=MyCluster\n",
        "ECS_ENGINE_AUTH_TYPE=docker\n",
        r#"ECS_ENGINE_AUTH_DATA={"https://index.docker.io/v1/":{"username":"my_name","password":"my_password","email":"email@example.com"}}"#,
        "\nECS_LOGLEVEL=debug\n",
        "ECS_WARM_POOLS_CHECK=true\n",
    ));
}

// From "Storing Amazon ECS container instance configuration in Amazon S3". It has no ECS_CLUSTER,
// and an invented credential.
#[test]
fn documentation_dockercfg_is_clean() {
    clean(concat!(
        "ECS_ENGINE_AUTH_TYPE=dockercfg\n",
        r#"ECS_ENGINE_AUTH_DATA={"https://index.docker.io/v1/":{"auth":"zq212MzEXAMPLE7o6T25Dk0i","email":"email@example.com"}}"#,
        "\n",
    ));
}

// From the bootstrapping page and the example values of "Amazon ECS container agent configuration".
#[test]
fn documentation_attributes_and_ports_are_clean() {
    clean(
        "ECS_INSTANCE_ATTRIBUTES={\"envtype\":\"prod\"}\nECS_RESERVED_PORTS=[22, 80, 5000, 8080]\nECS_RESERVED_PORTS_UDP=[53, 123]\n",
    );
}

/// A report's mistake gives a finding of the rule that names its cause.
#[track_caller]
fn report(text: &str, severity: Severity, id: &str) {
    in_context(text, &Context::default(), severity, id);
}

#[track_caller]
fn in_context(text: &str, context: &Context, severity: Severity, id: &str) {
    let findings = check(text, context);
    let found = findings.iter().any(|finding| finding.id == id && finding.severity == severity);
    assert!(found, "{findings:#?}");
}

#[test]
fn agent_4159_and_624_quoted_log_drivers() {
    report(
        "ECS_AVAILABLE_LOGGING_DRIVERS='[\"json-file\",\"awslogs\"]'\n",
        Severity::Error,
        "quoted-value",
    );
}

#[test]
fn agent_2074_typographic_quotes_in_json() {
    report(
        "ECS_AVAILABLE_LOGGING_DRIVERS=[\u{201c}json-file\u{201d}]\n",
        Severity::Error,
        "typographic-quotes",
    );
}

#[test]
fn agent_727_and_698_an_array_of_attributes() {
    report(
        "ECS_INSTANCE_ATTRIBUTES=[{\"name\":\"stack\",\"value\":\"prod\"}]\n",
        Severity::Error,
        "json-shape",
    );
}

#[test]
fn agent_53_carriage_returns() {
    report("ECS_ENGINE_AUTH_TYPE=dockercfg\r\n", Severity::Warning, "crlf");
}

#[test]
fn agent_273_and_728_a_whole_docker_config() {
    let auths = r#"ECS_ENGINE_AUTH_DATA={"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#;
    report(&format!("ECS_ENGINE_AUTH_TYPE=dockercfg\n{auths}\n"), Severity::Error, "auths-wrapper");
}

#[test]
fn agent_273_base64_without_user_and_password() {
    let auth = r#"ECS_ENGINE_AUTH_DATA={"registry.example.com":{"auth":"bm9jb2xvbg=="}}"#;
    report(
        &format!("ECS_ENGINE_AUTH_TYPE=dockercfg\n{auth}\n"),
        Severity::Error,
        "auth-not-user-password",
    );
}

#[test]
fn agent_215_a_key_that_is_not_a_registry() {
    let auth = r#"ECS_ENGINE_AUTH_DATA={"my registry":{"auth":"dTpw"}}"#;
    report(&format!("ECS_ENGINE_AUTH_TYPE=dockercfg\n{auth}\n"), Severity::Error, "registry-name");
}

#[test]
fn agent_1704_reserved_tag_keys() {
    report(
        "ECS_CONTAINER_INSTANCE_TAGS={\"aws:createdBy\":\"me\"}\n",
        Severity::Error,
        "aws-tag-key",
    );
}

#[test]
fn agent_139_and_887_another_cluster_than_the_saved_one() {
    let context = Context { registered: Registered::In("default".into()), ..Context::default() };
    in_context("ECS_CLUSTER=prod\n", &context, Severity::Error, "joined-another-cluster");
}

#[test]
fn refarch_23_and_roadmap_1889_no_cluster_at_all() {
    let context = Context { whole: true, ..Context::default() };
    in_context("ECS_LOGLEVEL=info\n", &context, Severity::Error, "no-cluster");
}

#[test]
fn agent_605_a_proxy_without_exceptions() {
    let whole = Context { whole: true, ..Context::default() };
    let alone = "HTTP_PROXY=10.0.0.131:3128\n";
    in_context(alone, &whole, Severity::Error, "proxy-without-no-proxy");
    report(
        "HTTP_PROXY=10.0.0.131:3128\nNO_PROXY=169.254.169.254\n",
        Severity::Error,
        "proxy-without-no-proxy",
    );
}

fn proxy_findings(text: &str) -> Vec<Finding> {
    let findings = check(text, &Context::default());
    findings.into_iter().filter(|finding| finding.id == "proxy-without-no-proxy").collect()
}

// By the rules of golang/net, http/httpproxy/proxy.go.
#[test]
fn no_proxy_may_name_networks() {
    let list = "NO_PROXY=169.254.169.254/32,169.254.170.2/32,/var/run/docker.sock";
    assert_eq!(proxy_findings(&format!("HTTP_PROXY=http://p:3128\n{list}\n")), []);
    assert_eq!(proxy_findings("HTTP_PROXY=http://p:3128\nNO_PROXY=169.254.0.0/16\n"), []);
}

#[test]
fn https_proxy_alone_is_harmless() {
    assert_eq!(proxy_findings("HTTPS_PROXY=http://p:3128\n"), []);
}

#[test]
fn names_in_no_proxy_do_not_cover_addresses() {
    for list in ["169.254.*,/var/run/docker.sock", "169.254.,", ".254"] {
        let findings = proxy_findings(&format!("HTTP_PROXY=http://p:3128\nNO_PROXY={list}\n"));
        assert_eq!(findings.len(), 1, "{list}");
        assert_eq!((findings[0].severity, findings[0].line), (Severity::Error, Some(1)), "{list}");
    }
}

#[test]
fn proxy_fix_names_what_is_missing() {
    let fix = |text: &str| proxy_findings(text)[0].fix.clone().unwrap_or_default();
    let all = "add 169.254.169.254,169.254.170.2,/var/run/docker.sock to NO_PROXY";
    assert_eq!(fix("http_proxy=p:1\n"), all);
    let some = "http_proxy=p:1\nno_proxy=169.254.169.254,/var/run/docker.sock\n";
    assert_eq!(fix(some), "add 169.254.170.2 to NO_PROXY");
}

#[test]
fn no_proxy_of_the_instance_file_counts() {
    let instance_file = Some(b"NO_PROXY=169.254.0.0/16\n".as_slice());
    let context = Context { instance_file, ..Context::default() };
    let findings = check("HTTP_PROXY=http://p:3128\n", &context);
    assert!(!findings.iter().any(|finding| finding.id == "proxy-without-no-proxy"));
}

#[test]
fn agent_311_and_409_paths_inside_the_container() {
    report("ECS_LOGFILE=/opt/logs/ecs-agent.log\n", Severity::Warning, "container-path");
}

#[test]
fn systemd_8857_lost_backslashes() {
    report("ECS_LOG_OPTS={\"tag\":\"a\\\"b\"}\n", Severity::Error, "backslash-lost");
}

#[test]
fn anywhere_script_appends_without_a_newline() {
    report("ECS_LOGLEVEL=info", Severity::Warning, "missing-final-newline");
    report("ECS_LOGLEVEL=infoECS_CLUSTER=default\n", Severity::Error, "breaks-logging");
}

#[test]
fn files_are_merged_in_the_order_of_the_agent() {
    let whole = Context { whole: true, ..Context::default() };
    let missing = |context: &Context| {
        check("ECS_LOGLEVEL=info\n", context).iter().any(|finding| finding.id == "no-cluster")
    };
    assert!(missing(&whole));
    assert!(!missing(&Context { instance_file: Some(b"ECS_CLUSTER=prod\n"), ..whole.clone() }));
    assert!(!missing(&Context { json_file: Some(b"{\"Cluster\":\"prod\"}"), ..whole.clone() }));
    assert!(missing(&Context {
        json_file: Some(b""),
        instance_file: Some(b"ECS_CLUSTER=\n"),
        ..whole.clone()
    }));
    assert!(!missing(&Context { allow_default_cluster: true, ..whole.clone() }));
    let emptied =
        check("ECS_CLUSTER=\n", &Context { instance_file: Some(b"ECS_CLUSTER=prod\n"), ..whole });
    assert!(
        emptied.iter().any(|finding| finding.id == "no-cluster"),
        "an empty value overrides the instance file"
    );
}

// agent/config/config.go, NewConfig: the region of an external host is asked for before the JSON
// file is opened.
#[test]
fn json_file_gives_a_cluster_but_no_external_region() {
    let json_file = Some(b"{\"Cluster\":\"prod\",\"AWSRegion\":\"eu-west-1\"}".as_slice());
    let context = Context { json_file, whole: true, external: true, ..Context::default() };
    let findings = check("ECS_EXTERNAL=true\n", &context);
    let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["external-without-region"]);
}

#[test]
fn host_silences_rules_about_other_readers() {
    let at = |host: &str, text: &str| -> Vec<&'static str> {
        let context = Context { host: host.parse().ok(), ..Context::default() };
        check(text, &context).into_iter().map(|finding| finding.id).collect()
    };
    let comment = "# note \\\nECS_CLUSTER=v\n";
    assert_eq!(at("al2023", comment), ["comment-continuation"]);
    assert_eq!(at("suse", comment), [""; 0]);
    assert_eq!(at("al2023", "ECS_CLUSTER=v  \n"), [""; 0], "docker does not read the file there");
    assert_eq!(
        at("suse", "ECS_CLUSTER=\"v\"\n"),
        ["quoted-value"],
        "ecs-init keeps quotes everywhere"
    );
    assert_eq!(at("suse", "ECS_CLUSTER=v\nECS_LOG_DRIVER=awslogs\n"), ["not-loaded-here"]);
    assert_eq!(at("debian", "ECS_CLUSTER=v\nECS_LOG_DRIVER=awslogs\n"), [""; 0]);
}
