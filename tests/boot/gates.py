"""The health gate, with real systemd: an agent that never comes up, one in another cluster, one that comes up late."""

from hosts import FIRST, SECOND, SETTINGS, contains, equal, installed, journal, on_a_machine, report
from lab import HERE, wait_for

STAND_IN = """#!/bin/sh
[ "$1" = start ] || exit 0
echo >>/run/agent-starts
exec perl /usr/libexec/introspection.pl
"""
# The same variables and another comment: a version of its own.
THIRD = SECOND + "# the third\n"


@on_a_machine
def health_gate(tally, cloud, machine):
    machine.write("/usr/libexec/amazon-ecs-init", STAND_IN, 0o755)
    machine.write("/usr/libexec/introspection.pl", (HERE / "agent/introspection.pl").read_text())
    machine.write("/etc/agent-mode", "up\n")
    machine.write("/etc/systemd/system/ecs.service.d/lab.conf", "[Service]\nRestartSec=1s\n")
    installed(machine)
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS.replace('"4s"', '"40s"') + 'health_gate = "8s"\n')
    machine.reboot()
    wait_for("the agent", lambda: answers(machine, "blue"))
    for mode, found in (("never", "does not answer"), ("other", "it is in the cluster other")):
        cloud.put("ecs.config", SECOND if mode == "never" else THIRD)
        machine.write("/etc/agent-mode", f"{mode}\n")
        with tally.case(f"an agent whose mode is `{mode}` gets the file before again"):
            machine.try_run("systemctl start ecs-bootstrap-refresh")
            contains(journal(machine, "ecs-bootstrap-refresh"), "unhealthy, exit status 32", found)
            equal((report(machine)["outcome"], machine.run("cat /etc/ecs/ecs.config")), ("unhealthy", FIRST))
            wait_for("the agent with the file before", lambda: answers(machine, "blue"))
        with tally.case(f"the version of mode `{mode}` is not installed again"):
            starts = machine.run("cat /run/agent-starts")
            machine.run("systemctl start ecs-bootstrap-refresh")
            equal((report(machine)["outcome"], machine.run("cat /run/agent-starts")), ("kept", starts))
            machine.run("ecs-bootstrap status --check")
    with tally.case("an agent that comes up late is kept"):
        cloud.put("ecs.config", SECOND + "# the fourth\n")
        machine.write("/etc/agent-mode", "late\n")
        machine.run("systemctl start ecs-bootstrap-refresh")
        equal(report(machine)["outcome"], "installed")
        contains(str(report(machine)["steps"]), "ecs.service is up in the cluster blue")


def answers(machine, cluster):
    ask = "curl --silent --max-time 2 http://127.0.0.1:51678/v1/metadata"
    return f'"{cluster}"' in machine.try_run(ask)[1]
