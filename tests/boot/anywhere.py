"""A server outside EC2 becomes an instance of ECS Anywhere: packaging/ecs-anywhere/install.sh as printed, with its placeholders filled in."""

import hashlib

from hosts import FIRST, SETTINGS, agents_variables, as_variables, equal, expect, host, report, state
from lab import HERE, REGION

INSTALL = HERE.parent.parent / "packaging/ecs-anywhere/install.sh"
BUCKET, SCRIPT = "amazon-ecs-agent", "ecs-anywhere-install-latest.sh"
ID = "mi-0123456789abcdef0"
SSM_UNIT = "[Service]\nExecStart=/usr/bin/amazon-ssm-agent\n[Install]\nWantedBy=multi-user.target\n"
OURS = "ECS_ENABLE_TASK_IAM_ROLE=true\n"
# What AWS's script wrote, what was there before, without a final line feed, and what was fetched.
WANTED = as_variables(f"AWS_DEFAULT_REGION={REGION}\nECS_EXTERNAL=true\nECS_LOGLEVEL=warn\nECS_CLUSTER=my-cluster\n{OURS}")
RUN = "ACTIVATION_ID=id ACTIVATION_CODE=code sh /root/install.sh"
FLAGS = "--docker-install-source none --ip-compatibility ipv6"


def anywhere(tally, deb):
    with host("anywhere", deb, instance=ID) as (cloud, machine):
        server(cloud, machine, OURS)
        with tally.case("a script of AWS with another checksum is not run"):
            cloud.put(SCRIPT, "touch /root/anything\n", BUCKET)
            expect(machine.try_run(RUN)[0] != 0, "it succeeded")
            expect(not (machine.root / "root/anything").exists(), "it was run")
        cloud.put(SCRIPT, stand_in(), BUCKET)
        with tally.case("ECS Anywhere, step by step: the agent first starts with AWS's keys and ours"):
            machine.run(f"{RUN} -- {FLAGS}")
            equal((report(machine)["outcome"], report(machine)["host"]["kind"], report(machine)["host"]["instance_id"]), ("installed", "external", ID))
            equal((state(machine), agents_variables(machine)), ("active", WANTED))
            equal(machine.run("wc -l </run/agent/starts").strip(), "1")
            equal(machine.read("/root/aws-script-ran").split()[1:], ["false"])
            equal(machine.read("/root/aws-script-arguments").split()[8:], ["--no-start", *FLAGS.split()])
        with tally.case("ECS Anywhere: the install script refuses what is not its own, and what it gives AWS's script itself"):
            for wrong in ("--enable-gpu", "-- --cluster other", "--interlock -- --no-start"):
                expect(machine.try_run(f"{RUN} {wrong}")[0] != 0, f"it took {wrong}")
            equal(machine.run("wc -l </root/aws-script-arguments").strip(), "1")
        with tally.case("ECS Anywhere: the install script can be repeated"):
            machine.run(RUN)
            equal((report(machine)["outcome"], state(machine)), ("unchanged", "active"))
        with tally.case("outside EC2 instance metadata is never asked"):
            equal([request for request in cloud.requests() if request["service"] == "imds"], [])
    with host("anywhere", deb, instance=ID) as (cloud, machine):
        server(cloud, machine, FIRST)
        cloud.put(SCRIPT, stand_in(), BUCKET)
        cloud.refuses()
        with tally.case("ECS Anywhere, with the start condition: where the bucket refuses, AWS's own start does not start the agent"):
            expect(machine.try_run(f"{RUN} --interlock")[0] != 0, "it succeeded")
            equal(report(machine)["error"]["word"], "access_denied")
            expect(machine.try_run("test -e /run/agent")[0], "the agent was started")
        cloud.recovers()
        with tally.case("ECS Anywhere, with the start condition: once the bucket answers, the same command starts the agent, with the layer's cluster"):
            machine.run(f"{RUN} --interlock -- {FLAGS}")
            equal((state(machine), agents_variables(machine)), ("active", WANTED | as_variables(FIRST)))
            equal(machine.read("/root/aws-script-ran").split()[1:], ["true"])
        with tally.case("ECS Anywhere, with the start condition: the next boot is prepared as well"):
            machine.reboot()
            equal((report(machine)["outcome"], state(machine)), ("unchanged", "active"))
            equal(agents_variables(machine), WANTED | as_variables(FIRST))


def server(cloud, machine, config):
    """A running server without any agent; what AWS's script would download is on its disk."""
    agent = HERE / "agent"
    things = {"amazon-ecs-init": agent / "amazon-ecs-init", "ecs.service": agent / "debian.service", "amazon-ssm-agent": agent / "amazon-ssm-agent"}
    for name, file in things.items():
        machine.write(f"/opt/ecs-anywhere/{name}", file.read_text())
    machine.write("/opt/ecs-anywhere/amazon-ssm-agent.service", SSM_UNIT)
    for gone in ("usr/libexec/amazon-ecs-init", "etc/systemd/system/ecs.service", "etc/systemd/system/multi-user.target.wants/ecs.service"):
        (machine.root / gone).unlink()
    machine.write("/etc/ecs/ecs.config", "ECS_LOGLEVEL=warn")
    machine.write("/usr/local/bin/gpg", "#!/bin/sh\n", 0o755)
    machine.write("/root/install.sh", INSTALL.read_text().replace("0" * 64, hashlib.sha256(stand_in().encode()).hexdigest()))
    cloud.put("ecs.config", config)
    machine.boot()
    machine.run("dpkg --install /root/ecs-bootstrap.deb")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS.replace('"4s"', '"20s"'))


def stand_in():
    return (HERE / "agent/ecs-anywhere-install.sh").read_text()
