//! Configurations that people really wrote: those of ECS's documentation are clean, those of the
//! reports are not.

use ecs_config::lint::registered::Registered;
use ecs_config::lint::{self, Context, File, Finding, Severity};

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
fn the_documentations_single_variable_is_clean() {
    clean("ECS_CLUSTER=MyCluster\n");
}

// The same page, between `cat <<'EOF'` and `EOF`.
#[test]
fn the_documentations_heredoc_with_docker_auth_is_clean() {
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
fn the_documentations_dockercfg_auth_is_clean() {
    clean(concat!(
        "ECS_ENGINE_AUTH_TYPE=dockercfg\n",
        r#"ECS_ENGINE_AUTH_DATA={"https://index.docker.io/v1/":{"auth":"zq212MzEXAMPLE7o6T25Dk0i","email":"email@example.com"}}"#,
        "\n",
    ));
}

// From the bootstrapping page and the example values of "Amazon ECS container agent configuration".
#[test]
fn the_documentations_attributes_and_reserved_ports_are_clean() {
    clean(
        "ECS_INSTANCE_ATTRIBUTES={\"envtype\":\"prod\"}\nECS_RESERVED_PORTS=[22, 80, 5000, 8080]\nECS_RESERVED_PORTS_UDP=[53, 123]\n",
    );
}

/// A report's mistake gives a finding of the rule that names its cause, as bad as the table of
/// reports asks.
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
fn agent_215_a_key_that_is_no_registry() {
    let auth = r#"ECS_ENGINE_AUTH_DATA={"my registry":{"auth":"dTpw"}}"#;
    report(
        &format!("ECS_ENGINE_AUTH_TYPE=dockercfg\n{auth}\n"),
        Severity::Warning,
        "registry-name",
    );
}

#[test]
fn agent_1704_tag_keys_that_are_reserved() {
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
    report("HTTP_PROXY=10.0.0.131:3128\n", Severity::Error, "proxy-without-no-proxy");
    report(
        "HTTP_PROXY=10.0.0.131:3128\nNO_PROXY=169.254.169.254\n",
        Severity::Error,
        "proxy-without-no-proxy",
    );
}

#[test]
fn agent_311_and_409_paths_inside_the_container() {
    report("ECS_LOGFILE=/opt/logs/ecs-agent.log\n", Severity::Warning, "container-path");
}

#[test]
fn systemd_8857_backslashes_that_get_lost() {
    report("ECS_LOG_OPTS={\"tag\":\"a\\\"b\"}\n", Severity::Error, "backslash-lost");
}

#[test]
fn the_anywhere_script_appends_to_a_file_without_final_newline() {
    report("ECS_LOGLEVEL=info", Severity::Warning, "missing-final-newline");
    report("ECS_LOGLEVEL=infoECS_CLUSTER=default\n", Severity::Error, "breaks-logging");
}

#[test]
fn the_view_is_merged_in_the_agents_order() {
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

#[test]
fn a_host_silences_rules_about_readers_it_does_not_have() {
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
