"""Secrets that are rotated while the host runs: a layer of Parameter Store, and a value of Secrets Manager in another layer."""

from hosts import agents_variables, as_variables, equal, expect, installed, on_a_machine, report, starts, state
from lab import BUCKET, wait_for

SETTINGS = f'config = ["ssm:///fleet/ecs.config", "s3://{BUCKET}/ecs.config"]\nexpand = true\ntimeout = "30s"\n'
PULLS = "ECS_CLUSTER=blue\nECS_ENGINE_AUTH_TYPE=docker\n"
PULLS += 'ECS_ENGINE_AUTH_DATA={"r.test":{"username":"fleet","password":"${secret:fleet/registry#password}"}}\n'
# Once, soon after it is started, where the timer that ships waits for half an hour.
SOON = "[Timer]\nOnBootSec=\nOnUnitInactiveSec=\nOnActiveSec=1s\nRandomizedDelaySec=0\n"
OURS = "/etc/ecs /var/lib/ecs-bootstrap"


def rotate(cloud, number):
    """A new version of each; what is secret has the word PLANTED."""
    cloud.keep("parameter", "/fleet/ecs.config", f"# PLANTED-{number}\nECS_LOGLEVEL={('warn', 'debug')[number - 1]}\n")
    cloud.keep("secret", "fleet/registry", f'{{"password": "PLANTED-PASSWORD-{number}"}}')


def wanted(number):
    """The agent's variables with these versions."""
    text = PULLS.replace("${secret:fleet/registry#password}", f"PLANTED-PASSWORD-{number}")
    return as_variables(text) | {"ECS_LOGLEVEL": ("warn", "debug")[number - 1]}


def versions(machine):
    """Which versions of the parameter and of the secret the report names."""
    config = report(machine)["config"]
    return config["layers"][0]["version_id"], config["secrets"][0]["version_id"]


@on_a_machine
def rotated_secrets(tally, cloud, machine):
    cloud.put("ecs.config", PULLS)
    rotate(cloud, 1)
    installed(machine)
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS)
    machine.write("/etc/systemd/system/ecs-bootstrap-refresh.timer.d/lab.conf", SOON)
    machine.reboot()
    with tally.case("a boot installs a layer from Parameter Store and a value from Secrets Manager"):
        equal((report(machine)["outcome"], state(machine)), ("installed", "active"))
        equal(agents_variables(machine), wanted(1))
        equal(versions(machine), ("1", f"00000000-0000-4000-8000-{1:012}"))
    with tally.case("what was rotated is installed when the refresh timer elapses, and the agent restarts with it"):
        rotate(cloud, 2)
        machine.run("systemctl start ecs-bootstrap-refresh.timer")
        wait_for("the agent's restart", lambda: starts(machine) == 2, 60)
        equal(agents_variables(machine), wanted(2))
        wait_for("the end of the refresh", lambda: state(machine, "ecs-bootstrap-refresh") == "inactive", 60)
        equal((report(machine)["outcome"], versions(machine)), ("installed", ("2", f"00000000-0000-4000-8000-{2:012}")))
    with tally.case("a refresh without a rotation writes nothing but when it was, and leaves the agent alone"):
        machine.run("touch /root/before && systemctl start ecs-bootstrap-refresh")
        equal((report(machine)["outcome"], starts(machine)), ("unchanged", 2))
        equal(machine.run(f"find {OURS} -type f -newer /root/before"), "/var/lib/ecs-bootstrap/verified.json\n")
    with tally.case("no secret is in the journal, in what is left for others, or in what is printed"):
        for command in ("run --dry-run --verbose", "status", "doctor", "run --verbose --replace"):
            expect("PLANTED" not in machine.try_run(f"ecs-bootstrap {command}")[1], f"{command} prints it")
        kept = machine.run("grep --recursive --files-with-matches PLANTED /run/ecs-bootstrap /var/lib/ecs-bootstrap /var/log || :").split()
        equal(kept, ["/var/lib/ecs-bootstrap/ecs.config.previous"])
        expect("PLANTED" not in machine.run("journalctl --output verbose"), "it is in the journal")
        equal(machine.run("stat --format %a /var/lib/ecs-bootstrap/ecs.config.previous").strip(), "600")
