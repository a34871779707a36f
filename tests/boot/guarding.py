"""The guard of instance metadata, on a machine that boots: bridges, host network tasks, Docker without it."""

from hosts import SETTINGS, TOKEN, contains, equal, expect, installed, journal, older, on_a_machine, report, show, state
from lab import sh, wait_for

FAILS = "/etc/systemd/system/ecs-bootstrap-guard.service.d/fails.conf"


@on_a_machine
def guard(tally, cloud, machine):
    def blocked(command):
        expect(machine.try_run(command)[0] != 0, f"{command} got an answer")

    def only_the_host_reaches_metadata():
        blocked(f"container lab {TOKEN}")
        machine.run(TOKEN)

    installed(machine)
    machine.run("docker network create other")
    with tally.case("without the guard a container reaches instance metadata"):
        expect(machine.run(f"container lab {TOKEN}"), "no token came")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS + "block_imds = true\n")
    machine.run("systemctl enable ecs-bootstrap-guard")
    machine.reboot()
    with tally.case("the guard is set before containerd and Docker start"):
        guarded = int(show(machine, "ecs-bootstrap-guard", "ExecMainExitTimestampMonotonic"))
        later = [int(show(machine, unit, "ExecMainStartTimestampMonotonic")) for unit in ("containerd", "docker")]
        expect(0 < guarded < min(later), f"guard at {guarded}, containerd and Docker at {later}")
    with tally.case("after a boot no container reaches instance metadata, and the host does"):
        only_the_host_reaches_metadata()
        blocked(f"container --network other lab {TOKEN}")
        equal((report(machine)["outcome"], report(machine)["guard"]["state"]), ("installed", "installed"))
        equal(state(machine), "active")
    with tally.case("the verify unit has proven the guard after Docker"):
        equal(show(machine, "ecs-bootstrap-guard-verify", "Result"), "success")
        contains(machine.run("ecs-bootstrap guard status"), "last proof: blocked on every network")
    with tally.case("after a restart of Docker no container reaches instance metadata, and the host does"):
        machine.run("systemctl restart docker")
        only_the_host_reaches_metadata()
    with tally.case("after another reboot no container reaches instance metadata, and the host does"):
        machine.reboot()
        only_the_host_reaches_metadata()
    flushed(tally, machine, only_the_host_reaches_metadata)
    host_tasks(tally, machine, blocked)
    repaired_at_once(tally, machine)
    running_containers(tally, machine)
    failing_guard(tally, machine)


def flushed(tally, machine, only_the_host_reaches_metadata):
    with tally.case("after a flush of all rules and of the guard's routing rules, `guard prove` reports that it leaks"):
        machine.run("ecs-bootstrap guard install --without nftables")
        machine.run("nft flush ruleset")
        only_the_host_reaches_metadata()
        for address in ("169.254.169.254", "fd00:ec2::254"):
            # By the laboratory's own ip: that of Debian 11 deletes other rules, too.
            rules = ["ip", "-n", machine.name, "-6" if ":" in address else "-4", "rule"]
            while address in sh(*rules):
                sh(*rules, "del", "pref", "0", "to", address)
        # A bridge without a container has no carrier, and then nothing is sent (52).
        machine.run("docker run --detach --rm --volume /usr:/usr:ro --name attached lab sleep 600")
        equal(machine.try_run("ecs-bootstrap guard prove")[0], 51)
        machine.run("docker rm --force attached")
    with tally.case("the verify unit repairs what was flushed, and its journal reports it"):
        machine.run("systemctl restart ecs-bootstrap-guard-verify && ecs-bootstrap guard prove")
        contains(journal(machine, "ecs-bootstrap-guard-verify"), "routing rules: installed")


def repaired_at_once(tally, machine):
    """What flushes or may flush the rules, and the guard after it, without waiting for the timer."""
    machine.write("/etc/nftables.conf", "flush ruleset\n")
    machine.run("systemctl stop ecs-bootstrap-guard-verify.timer && systemctl start nftables ecs-bootstrap-guard-verify")
    for action in ("reload nftables", "restart nftables", "restart systemd-networkd"):
        with tally.case(f"`systemctl {action}` has the guard repaired and proven at once"):
            was = show(machine, "ecs-bootstrap-guard-verify", "InvocationID")
            machine.run(f"nft flush ruleset && systemctl {action}")
            wait_for("the verify unit", lambda: show(machine, "ecs-bootstrap-guard-verify", "InvocationID") != was, 5)
            machine.run("systemctl start ecs-bootstrap-guard-verify && ecs-bootstrap guard prove")
    machine.run("systemctl stop nftables && systemctl restart docker")


def running_containers(tally, machine):
    """The start condition of Docker is one for its start only."""
    machine.run("docker run --detach --restart always --volume /usr:/usr:ro --name stays lab sleep 4242")

    def runs():
        return [machine.run("docker inspect --format '{{.State.StartedAt}} {{.State.Running}}' stays"), show(machine, "docker", "InvocationID")]

    older(machine)
    actions = {
        "a restart": "systemctl restart ecs-bootstrap-guard",
        "a reload": "systemctl reload ecs-bootstrap-guard",
        "a stop": "systemctl stop ecs-bootstrap-guard && systemctl start ecs-bootstrap-guard",
        "an upgrade": "dpkg --install /root/older.deb && dpkg --install /root/ecs-bootstrap.deb",
        "disabling": "systemctl disable --now ecs-bootstrap-guard && systemctl enable --now ecs-bootstrap-guard",
    }
    for name, action in actions.items():
        with tally.case(f"{name} of the guard leaves Docker and its containers running"):
            was = runs()
            machine.run(action)
            equal(runs(), was)
    with tally.case("a failed restart of the guard leaves them running too, and then Docker does not start again"):
        was = runs()
        machine.write(FAILS, "[Service]\nExecStart=\nExecStart=/bin/false\n")
        expect(machine.try_run("systemctl daemon-reload; systemctl restart ecs-bootstrap-guard")[0], "the restart succeeded")
        equal(runs(), was)
        expect(machine.try_run("systemctl restart docker")[0], "Docker started")
        contains(journal(machine, "docker"), "the guard of instance metadata is not in place")


def failing_guard(tally, machine):
    with tally.case("with the guard failing at boot Docker does not start, nor does a container or the agent"):
        machine.reboot()
        expect("active" not in (state(machine, "docker"), state(machine)), "Docker or the agent runs")
        expect(machine.try_run("pgrep --full 'sleep 424[2]'")[0], "a container runs")
    with tally.case("the start condition of Docker can be masked, as its file describes"):
        machine.run("mkdir -p /etc/systemd/system/docker.service.d && ln -s /dev/null /etc/systemd/system/docker.service.d/50-ecs-bootstrap-guard.conf")
        machine.run("systemctl daemon-reload && systemctl reset-failed docker && systemctl start docker")
        wait_for("the container", lambda: machine.try_run("pgrep --full 'sleep 424[2]'")[0] == 0)
    with tally.case("where the guard is disabled Docker starts without it"):
        machine.run("rm /etc/systemd/system/docker.service.d/50-ecs-bootstrap-guard.conf && systemctl disable --quiet ecs-bootstrap-guard")
        machine.run("systemctl daemon-reload && systemctl restart docker")


def host_tasks(tally, machine, blocked):
    task = f"systemd-run --quiet --wait --pipe --slice ecstasks.slice {TOKEN}"
    with tally.case("without host task blocking, a task in ecstasks.slice reaches instance metadata"):
        machine.run(task)
    with tally.case("with it, a process and a host network container in ecstasks.slice are refused, and the agent's slice is not"):
        machine.run("ecs-bootstrap guard install --block-imds-host-tasks")
        blocked(task)
        machine.run(f"container --network host lab {TOKEN}")
        blocked(f"container --network host --cgroup-parent ecstasks-one.slice lab {TOKEN}")
        machine.run(f"systemd-run --quiet --wait --pipe --slice ecs.slice {TOKEN}")
    with tally.case("tasks stay refused after their slice was stopped and started again"):
        machine.run("systemctl stop ecstasks.slice")
        blocked(task)
        blocked(f"container --network host --cgroup-parent ecstasks-two.slice lab {TOKEN}")


