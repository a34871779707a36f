//! What a shell, a here-document or a template left in a value.

use ecs_config::lint::fix;

use super::{ERROR, NOTE, finds};

#[test]
fn shell_syntax_in_a_value_is_one_error() {
    for line in [
        "NO_PROXY=169.254.169.254,169.254.170.2,/var/run/docker.sock >> /etc/ecs/ecs.config",
        "ECS_LOGFILE=/log/ecs-agent.log >> /etc/ecs/ecs.config",
        "ECS_DATADIR=/data >>/etc/ecs/ecs.config",
        "ECS_BACKEND_HOST=>> /etc/ecs/ecs.config",
        "ECS_CLUSTER=prod > /etc/ecs/ecs.config",
        "ECS_LOGLEVEL=info | sudo tee -a /etc/ecs/ecs.config",
        "ECS_HOST_DATA_DIR=/var/lib/ecs && systemctl restart ecs",
        "ECS_NVIDIA_RUNTIME=nvidia;",
        "ECS_CLUSTER=$(curl -s http://example.com/cluster)",
        "ECS_DATADIR=`pwd`",
        "MY_SETTING=1 2>&1",
        "ECS_ENABLE_TASK_IAM_ROLE=true ; ECS_LOGLEVEL=debug",
    ] {
        let file = format!("{line}\n");
        let unknown = [("unknown-variable", super::WARNING), ("shell-in-value", ERROR)];
        let expected = if line.starts_with("MY_") { &unknown[..] } else { &unknown[1..] };
        let mut found = super::check(file.as_bytes());
        found.sort_by_key(|one| std::cmp::Reverse(one.severity));
        let ids: Vec<_> = found.iter().map(|one| (one.id, one.severity)).collect();
        assert_eq!(ids, expected, "{line}");
        assert_eq!(fix(file.as_bytes()).0, file.as_bytes(), "{line}");
    }
}

#[test]
fn fix_leaves_a_redirection_as_it_is() {
    let file = b"ECS_BACKEND_HOST= >> /etc/ecs/ecs.config\n";
    assert_eq!(fix(file).0, file);
}

#[test]
fn placeholder_that_was_not_filled_in_is_an_error() {
    for line in [
        "ECS_DATADIR={{ d }}",
        "ECS_HOST_DATA_DIR=#{Data}",
        "ECS_NVIDIA_RUNTIME=%{runtime}",
        "ECS_CLUSTER={{ cluster }}",
        "ECS_CLUSTER=<%= @cluster %>",
        "ECS_CLUSTER=<your cluster>",
        "ECS_LOGLEVEL=@@LEVEL@@",
        "HTTP_PROXY=http://{{ proxy }}:3128",
        "ECS_ENABLE_TASK_ENI=##ENI##",
        "ECS_INSTANCE_ATTRIBUTES={{ attributes | to_json }}",
        "ECS_LOGFILE=__LOGFILE__",
        "ECS_CLUSTER=${Token[TOKEN.123]}",
        "ECS_CLUSTER=!Ref Cluster",
        "ECS_CLUSTER=changeme",
    ] {
        let id = "placeholder-left-in";
        let found = super::check(format!("{line}\nNO_PROXY=*\n").as_bytes());
        let ids: Vec<_> = found.iter().map(|one| (one.id, one.severity)).collect();
        assert_eq!(ids, [(id, ERROR)], "{line}");
    }
}

#[test]
fn values_that_only_look_like_leftovers_are_silent() {
    for line in [
        "ECS_LOG_OPTS={\"tag\":\"{{.Name}}\"}",
        "ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"}",
        "ECS_NVIDIA_RUNTIME=a>b",
        "AWS_EXECUTION_ENV=a_b__c",
        "ECS_DATADIR=/data/a{b}",
    ] {
        finds(&format!("{line}\n"), &[]);
    }
    finds("ECS_NVIDIA_RUNTIME=${region}\n", &[("no-expansion", NOTE)]);
}
