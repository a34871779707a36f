"""The guard of instance metadata, on a machine that boots: bridges, host network tasks, Docker without it."""

from hosts import SETTINGS, TOKEN, contains, equal, expect, installed, journal, on_a_machine, report, show, state


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
    with tally.case("the guard is set before Docker starts"):
        guarded = int(show(machine, "ecs-bootstrap-guard", "ExecMainExitTimestampMonotonic"))
        docker = int(show(machine, "docker", "ExecMainStartTimestampMonotonic"))
        expect(0 < guarded < docker, f"guard at {guarded}, Docker at {docker}")
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
    with tally.case("after a flush of all rules and of the guard's routing rules, `guard prove` reports that it leaks"):
        machine.run("ecs-bootstrap guard install --without nftables")
        machine.run("nft flush ruleset")
        only_the_host_reaches_metadata()
        machine.run("for family in -4 -6; do while ip $family rule del pref 0 protocol kernel; do :; done; done")
        equal(machine.try_run("ecs-bootstrap guard prove")[0], 51)
    with tally.case("the verify unit repairs what was flushed, and its journal reports it"):
        machine.run("systemctl restart ecs-bootstrap-guard-verify && ecs-bootstrap guard prove")
        contains(journal(machine, "ecs-bootstrap-guard-verify"), "routing rules: repaired")
    host_tasks(tally, machine, blocked)
    with tally.case("without the guard Docker does not start, nor does the agent"):
        machine.write("/etc/systemd/system/ecs-bootstrap-guard.service.d/fails.conf", "[Service]\nExecStart=\nExecStart=/bin/false\n")
        machine.reboot()
        expect("active" not in (state(machine, "docker"), state(machine)), "Docker or the agent runs")


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


