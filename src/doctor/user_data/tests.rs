use super::*;

#[track_caller]
fn check(document: &str, line: Option<usize>) {
    assert_eq!(waits_for_agent(document), line, "{document}");
}

#[test]
fn commands_that_wait_for_the_agent_are_found() {
    for command in [
        "systemctl start ecs",
        "  sudo systemctl enable --now ecs.service",
        "/usr/bin/systemctl start ecs",
        "sudo /bin/systemctl enable --now ecs.service",
        "/sbin/service ecs start",
        "/etc/init.d/ecs restart",
        "systemctl \\\n  start ecs",
        "yum -y update && systemctl restart ecs",
        "systemctl start docker ecs > /dev/null 2>&1",
        "if true; then systemctl start ecs; fi",
        "OUT=$(systemctl start ecs)",
        "bash -c 'systemctl start ecs'",
        "bash <<EOF\nsystemctl start ecs\nEOF",
        "start() {\n  systemctl start ecs\n}\nstart",
        "function start {\nsystemctl start ecs\n}",
        "\"systemctl\" 'start' ecs",
        "case a in a) systemctl start ecs;; esac",
        "sudo -u ec2-user sh -c 'systemctl start amazon-ecs'",
        "sudo -n nice -n 19 systemctl start ecs",
    ] {
        assert!(shell::waits_for_agent(command).is_some(), "{command}");
    }
}

#[test]
fn loops_that_end_with_the_agent_are_found() {
    for command in [
        "until curl -sf http://localhost:51678/v1/metadata; do sleep 1; done",
        "while ! curl -s localhost:51678; do sleep 1\ndone",
        "while true; do curl -s localhost:51678 && break; sleep 1; done",
        "until nc -z 127.0.0.1 51678\ndo\n  sleep 1\ndone",
        "until (echo > /dev/tcp/localhost/51678) 2>/dev/null; do sleep 1; done",
        "until systemctl is-active --quiet ecs; do sleep 2; done",
        "until docker ps | grep -q ecs-agent; do sleep 2; done",
        "until [ -f /var/lib/ecs/data/agent.db ]; do sleep 2; done",
        "bash -c 'until curl -s localhost:51678; do sleep 1; done'",
        "until [ \"$(curl -s localhost:51678/v1/metadata)\" ]; do sleep 1; done",
        "while :; do S=$(curl -s localhost:51678); [ -n \"$S\" ] && break; sleep 1; done",
        "while sleep 1; do curl -s localhost:51678 | grep -q Cluster && break; done",
    ] {
        assert!(shell::waits_for_agent(command).is_some(), "{command}");
    }
}

#[test]
fn text_background_and_bounded_loops_do_not_wait() {
    for command in [
        "systemctl enable --now --no-block ecs",
        "systemctl enable ecs",
        "# systemctl start ecs",
        "systemctl start docker && echo ecs",
        "echo '* * * * * root systemctl restart ecs' > /etc/cron.d/x",
        "echo \"systemctl start ecs\" >> /etc/rc.local",
        "echo systemctl start ecs | at now + 2 minutes",
        "cat <<'EOF' > /etc/cron.d/x\n* * * * * root systemctl restart ecs\nEOF\necho done",
        "cat <<-EOF > /x\n\tsystemctl start ecs\n\tEOF",
        "at now <<EOF\nsystemctl start ecs\nEOF",
        "systemctl start ecs &",
        "nohup systemctl start ecs >/dev/null 2>&1 &",
        "(sleep 10; systemctl start ecs) &",
        "{ sleep 10; systemctl start ecs; } &",
        "sleep 10 && systemctl start ecs &",
        "until curl localhost:51678; do sleep 1; done &",
        "systemd-run --on-active=60 systemctl start ecs",
        "setsid -f systemctl start ecs",
        "timeout 60 bash -c 'until curl localhost:51678; do sleep 1; done'",
        "for i in 1 2 3; do curl localhost:51678 && break; sleep 1; done",
        "while [ $i -lt 30 ]; do curl localhost:51678 && break; i=$((i+1)); done",
        "while ((i++ < 30)); do curl -s localhost:51678 && break; sleep 1; done",
        "while read line; do grep ecs-agent /x; done < /y",
        "until curl https://example.com; do sleep 1; done; curl localhost:51678",
        "crontab -l | { cat; echo '@reboot systemctl start ecs'; } | crontab -",
        "systemctl stop ecs",
    ] {
        assert_eq!(shell::waits_for_agent(command), None, "{command}");
    }
}

#[test]
fn line_numbers_count_from_the_start_of_the_document() {
    check("#!/bin/bash\ncat <<EOF\nx\nEOF\n\nsystemctl start ecs\n", Some(6));
    check("#!/usr/bin/python3\nsystemctl start ecs\n", None);
    let mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"==B==\"\n\n--==B==\n\
                Content-Type: text/x-shellscript\n\n#!/bin/bash\nsystemctl start ecs\n\n--==B==--\n";
    check(mime, Some(8));
}

#[test]
fn cloud_config_lists_are_commands_and_files_are_text() {
    let config = |body: &str| format!("#cloud-config\n{body}");
    for body in [
        "runcmd:\n  - systemctl start ecs\n",
        "runcmd:\n- [systemctl, start, ecs]\n",
        "runcmd:\n  - [ \"systemctl\", \"enable\",\n      \"--now\", 'ecs' ]\n",
        "runcmd:\n  - - systemctl\n    - start\n    - ecs\n",
        "runcmd:\n  - |\n    echo x\n    systemctl start ecs\n",
        "runcmd:\n  - \"systemctl start ecs\"\n",
        "bootcmd:\n  - systemctl start ecs\n",
        "runcmd:\n  - [sh, -c, 'until curl localhost:51678; do sleep 1; done']\n",
    ] {
        assert!(waits_for_agent(&config(body)).is_some(), "{body}");
    }
    assert!(
        waits_for_agent("## template: jinja\n#cloud-config\nruncmd:\n  - systemctl start ecs\n")
            .is_some()
    );
    for body in [
        "write_files:\n  - path: /etc/cron.d/x\n    content: |\n      systemctl restart ecs\n",
        "runcmd:\n  - systemctl enable --now --no-block ecs\n  - [systemctl, enable, ecs]\n",
        "runcmd:\n  - echo hello\nfinal_message: systemctl start ecs\n",
    ] {
        check(&config(body), None);
    }
}

#[test]
fn user_data_is_recognised_by_how_it_begins() {
    for text in [
        "#!/bin/sh\n",
        "\n  #cloud-config\n",
        "#Cloud-Config\n",
        "Content-Type: multipart/mixed\nMIME-Version: 1.0\n",
        "#include https://example.com/\n",
        "## template: jinja\n#cloud-config\n",
        "",
        " \n",
    ] {
        assert!(is_recognised(text.as_bytes()), "{text}");
    }
    assert!(is_recognised(&[0x1f, 0x8b, 8, 0]));
    for text in [
        "sudo yum -y update\necho ECS_CLUSTER=blue >> /etc/ecs/ecs.config",
        "# cloud-config\nruncmd: []\n",
        "echo x\n#!/bin/bash\n",
        "IyEvYmluL2Jhc2gK",
        "<powershell>\n",
    ] {
        assert!(!is_recognised(text.as_bytes()), "{text}");
    }
}
