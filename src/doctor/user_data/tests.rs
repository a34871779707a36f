use super::*;

fn known() -> Known {
    Known::new(vec!["ecs.service", "amazon-ecs.service", "multi-user.target"])
}

fn waits(command: &str) -> Option<usize> {
    scan(command, 1, &mut known()).waits
}

#[track_caller]
fn check(document: &str, line: Option<usize>) {
    assert_eq!(waits_for_agent(document, &mut known()), line, "{document}");
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
        "function start {\nsystemctl start ecs\n}\nstart",
        "\"systemctl\" 'start' ecs",
        "case a in a) systemctl start ecs;; esac",
        "sudo -u ec2-user sh -c 'systemctl start amazon-ecs'",
        "sudo -n nice -n 19 systemctl start ecs",
        "invoke-rc.d ecs start",
        "systemd-run --wait systemctl start ecs",
        "doas systemctl start ecs",
        "UNIT=ecs\nsystemctl start \"${UNIT}.service\"",
        "for s in docker ecs; do systemctl enable --now \"$s\"; done",
        "echo \"systemctl start ecs\" | bash",
        "printf \"systemctl start ecs\\n\" | sh -x",
        "bash <<< \"systemctl start ecs\"",
        "cat <<\"EOF\" > /x.sh\n#!/bin/sh\nsystemctl start ecs\nEOF\nchmod +x /x.sh\n/x.sh",
        "tee /y.sh <<EOF\nsystemctl start ecs\nEOF\nsudo sh /y.sh",
        "trap \"systemctl start ecs\" EXIT",
        "nohup systemctl start ecs &\nwait $!",
        "eval \"systemctl start ecs\"",
        "runuser -u root -- systemctl start ecs",
        "sudo --user root systemctl start ecs",
        "flock /x systemctl start ecs",
        "echo ecs | xargs systemctl start",
        "zsh -c \"systemctl start ecs\"",
        "$(which systemctl) start ecs",
        "SYSTEMCTL=/bin/systemctl; $SYSTEMCTL start ecs",
        "systemctl start {docker,ecs}",
        "systemctl is-system-running --wait",
        "cloud-init status --wait",
        "cloud-init-per once x systemctl start ecs",
        "systemctl start multi-user.target",
        "cat <<EOF > /x\n\"$(systemctl start ecs)\"\nEOF",
        "cat <<EOF\n`systemctl start ecs`\nEOF",
        "test -f /x && exit 0; systemctl start ecs",
        "test -d /x ||\n  exit 1\nsystemctl start ecs",
        "if test -f /x; then exit 0; fi\nsystemctl start ecs",
        "stop() { exit 1; }\nsystemctl start ecs",
    ] {
        assert!(waits(command).is_some(), "{command}");
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
        "until [ $(curl -so /dev/null -w \"%{http_code}\" localhost:51678) -eq 200 ]; do sleep 5; done",
        "while [ $(docker ps -q -f name=ecs-agent | wc -l) -lt 1 ]; do sleep 1; done",
        "C=0; while [ \"$C\" -ne 200 ]; do C=$(curl -sw \"%{http_code}\" localhost:51678); done",
        "until [ \"$C\" = 200 ]; do C=$(curl -sw \"%{http_code}\" localhost:51678); done",
        "until test -s /var/log/ecs/ecs-init.log; do sleep 1; done",
        "until systemctl status ecs; do sleep 1; done",
        "up() { curl -sf localhost:51678; }\nuntil up; do sleep 1; done",
        "URL=http://localhost:51678\nuntil curl -s $URL; do sleep 1; done",
        "until timeout 5 curl -s localhost:51678; do sleep 1; done",
        "while [ ! -f /var/lib/ecs/data/agent.db ]; do sleep 1; done",
        "while [ -z \"$(curl -s localhost:51678)\" ]; do sleep 1; done",
        "for ((;;)); do curl -s localhost:51678 && break; sleep 1; done",
        "for (( n = 0; ; n++ )); do\ncurl -s localhost:51678 && break\ndone",
    ] {
        assert!(waits(command).is_some(), "{command}");
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
        "for ((i = 0; i < 30; i++)); do curl -s localhost:51678 && break; sleep 1; done",
        "while ((i++ < 30)); do curl -s localhost:51678 && break; sleep 1; done",
        "while read line; do grep ecs-agent /x; done < /y",
        "until curl https://example.com; do sleep 1; done; curl localhost:51678",
        "crontab -l | { cat; echo '@reboot systemctl start ecs'; } | crontab -",
        "systemctl stop ecs",
        "systemctl start ecs --job-mode=ignore-dependencies",
        "systemctl --root=/mnt enable --now ecs",
        "f() { systemctl start ecs; }",
        "f() { systemctl start ecs; }\nf &",
        "cat > /x.sh <<EOF\nsystemctl start ecs\nEOF\nnohup bash /x.sh &",
        "n=0; until curl localhost:51678; do n=$((n+1)); [ $n = 30 ] && exit 1; done",
        "while docker ps | grep -q ecs-agent; do sleep 1; done",
        "until ! systemctl is-active -q ecs; do sleep 1; done",
        "while [ -n \"$(docker ps -q -f name=ecs-agent)\" ]; do sleep 1; done",
        "X=\"systemctl start ecs\"",
        "until docker pull amazon/amazon-ecs-agent:latest; do sleep 5; done",
        "trap \"systemctl start ecs\" USR1",
        "cat <<'EOF' > /x\n$(systemctl start ecs)\nEOF",
        "echo done\nexit 0\nsystemctl start ecs",
        "if true; then echo; fi; exit; systemctl start ecs",
    ] {
        assert_eq!(waits(command), None, "{command}");
    }
}

#[test]
fn line_numbers_count_from_the_start_of_the_document() {
    check("#!/bin/bash\ncat <<EOF\nx\nEOF\n\nsystemctl start ecs\n", Some(6));
    check("#!/usr/bin/python3\nsystemctl start ecs\n", None);
    // White space that separates no words of a shell.
    check("#!/bin/sh\necho a\u{b}b\u{a0}c\n\u{c}\nsystemctl start ecs\n", Some(4));
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
        assert!(waits_for_agent(&config(body), &mut known()).is_some(), "{body}");
    }
    check("## template: jinja\n#cloud-config\nruncmd:\n  - systemctl start ecs\n", Some(4));
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

/// Neither the stack nor the time is without limit.
#[test]
fn nested_scripts_and_templates_have_a_limit() {
    let nested = "{ ".repeat(30) + "$(";
    for text in [
        "$(".repeat(50_000),
        "{ ".repeat(50_000),
        "a() ".repeat(50_000),
        "function a ".repeat(50_000),
        "<<a ".repeat(50_000),
        nested.repeat(1000),
        "X='eval $X; eval $X'; eval $X".to_owned(),
    ] {
        check(&format!("#!/bin/sh\n{text}"), None);
    }
    check(&"## template: jinja\n".repeat(20_000), None);
}

#[test]
fn word_with_values_has_a_limit() {
    let mut known = super::known::Known::default();
    known.assign("X", "x".repeat(1024));
    let words = known.expand(&"$X".repeat(100_000), true);
    assert!(words[0].len() < 300_000, "{}", words[0].len());
}

#[test]
fn cloud_config_runs_the_files_that_it_writes() {
    let file = "write_files:\n- path: /x.sh\n  content: |\n    #!/bin/sh\n    systemctl start ecs\n\
                \x20 permissions: '0755'\n- encoding: b64\n  path: /y.sh\n\
                \x20 content: IyEvYmluL3NoCnN5c3RlbWN0bCBzdGFydCBlY3MK\n";
    for (commands, line) in [
        ("runcmd:\n- /x.sh\n", Some(12)),
        ("runcmd: [[bash, /x.sh]]\n", Some(11)),
        ("runcmd:\n- echo\n- [/y.sh]\n", Some(13)),
        ("runcmd:\n-\n  - sh\n  - -c\n  - 'echo a, b; /y.sh'\n", Some(12)),
        ("runcmd:\n- echo /x.sh\n- /x.sh &\n", None),
    ] {
        check(&format!("#cloud-config\n{file}{commands}"), line);
    }
    let archive = "#cloud-config-archive\n- type: text/x-shellscript\n  content: |\n    #!/bin/sh\n\
                   \x20   systemctl start ecs\n";
    check(archive, Some(5));
}

#[test]
fn encoded_parts_are_decoded() {
    let mime = "Content-Type: multipart/mixed; boundary=\"B\"; charset=\"x\"\nMIME-Version: 1.0\n\n\
                --B\nContent-Transfer-Encoding: base64\n\nIyEvYmluL3NoCnN5c3RlbWN0bCBz\n\
                dGFydCBlY3MK\n\n--B--\n";
    check(mime, Some(8));
}
