"""Boots: healthy, refused, with S3 down, with an edited file."""

import time

from hosts import (
    FIRST,
    LAB,
    SECOND,
    SETTINGS,
    TOKEN,
    UNITS,
    agents_variables,
    as_variables,
    choose_units,
    contains,
    equal,
    expect,
    installed,
    journal,
    on_a_machine,
    report,
    sandbox,
    show,
    starts,
    state,
)
from lab import HERE, wait_for

ABANDONED = "abandon\n"
LIFECYCLE = HERE.parent.parent / "packaging/lifecycle"


@on_a_machine
def healthy(tally, cloud, machine):
    machine.boot()
    with tally.case("installing the package alone neither enables anything nor keeps the agent from starting"):
        machine.run("dpkg --install /root/ecs-bootstrap.deb && systemctl restart ecs")
        equal(machine.try_run("systemctl is-enabled ecs-bootstrap")[1].strip(), "disabled")
        equal(state(machine), "active")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS)
    with tally.case("systemd-analyze verify finds nothing in the units and drop-ins"):
        equal(machine.run(f"systemd-analyze verify --man=no {UNITS}"), "")
    machine.run("systemctl enable ecs-bootstrap")
    machine.reboot()
    with tally.case("with a healthy cloud the bootstrap succeeds and the agent starts"):
        equal(state(machine, "ecs-bootstrap"), "active")
        equal(report(machine)["outcome"], "installed")
        equal(state(machine), "active")
    with tally.case("the bootstrap has ended before the agent starts"):
        ended = int(show(machine, "ecs-bootstrap", "ExecMainExitTimestampMonotonic"))
        began = int(show(machine, "ecs", "ExecMainStartTimestampMonotonic"))
        expect(0 < ended < began, f"bootstrap ended at {ended}, agent began at {began}")
    with tally.case("the agent sees exactly the fetched variables"):
        equal(agents_variables(machine), as_variables(FIRST))
        equal(machine.run("cat /run/agent/container"), FIRST)
    with tally.case("the file is 0600 and root's"):
        equal(machine.run("stat -c '%a %U %G' /etc/ecs/ecs.config").strip(), "600 root root")
    with tally.case("metadata was never asked without a token"):
        asked = [request for request in cloud.requests() if request["service"] == "imds" and request["method"] == "GET"]
        expect(asked, "metadata was not asked at all")
        equal([request for request in asked if not request["had_token"]], [])
    with tally.case("a second boot changes nothing"):
        machine.reboot()
        equal(report(machine)["outcome"], "unchanged")
        equal(state(machine), "active")
    refresh(tally, cloud, machine)
    with tally.case("one command removes the start condition"):
        machine.run("systemctl disable ecs-bootstrap && rm /var/lib/ecs-bootstrap/state.json && systemctl restart ecs")
        equal(state(machine), "active")


def refresh(tally, cloud, machine):
    with tally.case("a refresh that finds nothing new leaves the agent alone"):
        machine.run("systemctl start ecs-bootstrap-refresh")
        equal((report(machine)["outcome"], starts(machine)), ("unchanged", 1))
    with tally.case("a refresh that finds a change restarts the agent with it"):
        cloud.put("ecs.config", SECOND)
        machine.run("systemctl start ecs-bootstrap-refresh")
        equal(report(machine)["outcome"], "installed")
        wait_for("the agent's restart", lambda: starts(machine) == 2)
        equal(agents_variables(machine), as_variables(SECOND))


@on_a_machine
def edited(tally, cloud, machine):
    machine.write("/etc/systemd/system/ecs.service.d/lab.conf", "[Service]\nRestartSec=1s\n")
    installed(machine)
    machine.reboot()
    machine.run("echo ECS_LOGLEVEL=debug >>/etc/ecs/ecs.config")
    with tally.case("after an edit of the file, `status --check` fails"):
        status, printed = machine.try_run("ecs-bootstrap status --check")
        expect(status != 0, printed)
        contains(printed, "changed after the last run")
    with tally.case("an agent that dies is not started again with an edited file"):
        machine.run("systemctl kill --signal KILL ecs")
        wait_for("the refusal", lambda: "changed after the last run" in journal(machine, "ecs"))
        equal(machine.run("wc -l </run/agent/starts").strip(), "1")
    with tally.case("nor does `systemctl start` start it, and its journal names cause and remedy"):
        expect(machine.try_run("systemctl restart ecs")[0] != 0, "it was started")
        expect(state(machine) != "active", "the agent runs")
        contains(journal(machine, "ecs"), "changed after the last run", "ecs-bootstrap run")
    with tally.case("once a run succeeds, the agent starts by itself"):
        machine.run("ecs-bootstrap run --replace")
        wait_for("the agent", lambda: state(machine) == "active", 25)
        equal(agents_variables(machine), as_variables(FIRST))


@on_a_machine
def source_down(tally, cloud, machine):
    installed(machine)
    machine.reboot()
    cloud.is_down()
    machine.reboot()
    with tally.case("with S3 down at the second boot the file is kept, as report and journal tell"):
        equal(report(machine)["outcome"], "kept")
        equal(machine.run("cat /etc/ecs/ecs.config"), FIRST)
        contains(journal(machine, "ecs-bootstrap"), "kept")
    with tally.case("with S3 down at the second boot the agent starts all the same"):
        equal(state(machine), "active")
        equal(agents_variables(machine), as_variables(FIRST))
    with tally.case("a refusal never falls back to the kept file"):
        cloud.refuses()
        machine.reboot()
        equal(report(machine)["error"]["word"], "access_denied")
        equal(state(machine), "inactive")


def replaced_when_lost(machine):
    """What packaging/lifecycle describes, with a program in its unit that only records its arguments."""
    units = "/etc/systemd/system"
    for file in LIFECYCLE.glob("ecs-bootstrap-*"):
        machine.write(f"{units}/{file.name}", file.read_text())
    machine.write(f"{units}/ecs-bootstrap.service.d/abandon.conf", (LIFECYCLE / "abandon.conf").read_text())
    machine.write("/root/records", '#!/bin/sh\necho "$*" >>/run/abandoned\n', 0o755)
    machine.write(f"{units}/ecs-bootstrap-abandon.service.d/lab.conf", "[Service]\nBindReadOnlyPaths=/root/records:/usr/bin/ecs-bootstrap\n")


@on_a_machine
def refused(tally, cloud, machine):
    installed(machine)
    replaced_when_lost(machine)
    cloud.refuses()
    machine.reboot()
    with tally.case("when the bucket refuses, the agent does not start"):
        equal(state(machine, "ecs-bootstrap"), "failed")
        equal(state(machine), "inactive")
        expect(machine.try_run("test -e /run/agent")[0], "the agent was started")
    with tally.case("`systemctl status` names why the bucket refused and the remedy"):
        status = machine.try_run("systemctl status --no-pager --full --lines 30 ecs-bootstrap")[1]
        contains(status, 'Status: "run: access_denied at ', "s3:GetObject")
    with tally.case("so does the journal"):
        contains(journal(machine, "ecs-bootstrap"), "access_denied", "s3:GetObject")
    with tally.case("a refusal is not tried again"):
        equal(show(machine, "ecs-bootstrap", "NRestarts"), "0")
    with tally.case("packaging/lifecycle has a host that was refused replaced"):
        wait_for("the hook", lambda: machine.try_run("test -e /run/abandoned")[0] == 0)
        equal(machine.run("cat /run/abandoned"), ABANDONED)
    with tally.case("when the bucket answers again, one command starts both"):
        cloud.recovers()
        machine.run("systemctl start ecs")
        equal((state(machine, "ecs-bootstrap"), state(machine)), ("active", "active"))
        equal(agents_variables(machine), as_variables(FIRST))


@on_a_machine
def late(tally, cloud, machine):
    installed(machine)
    replaced_when_lost(machine)
    cloud.is_down()
    back = time.monotonic() + 60
    machine.reboot()
    with tally.case("with S3 down at the first boot the agent does not start, and the bootstrap tries again by itself"):
        expect(not machine.read("/etc/ecs/ecs.config"), "a file is there")
        wait_for("a third try", lambda: int(show(machine, "ecs-bootstrap", "NRestarts")) > 1, 60)
        expect(state(machine) != "active", "the agent runs")
    not_replaced(tally, machine)
    with tally.case("once S3 is back, a minute late, bootstrap and agent start by themselves"):
        time.sleep(max(0, back - time.monotonic()))
        cloud.recovers()
        wait_for("the agent", lambda: state(machine) == "active", 40)
        equal(agents_variables(machine), as_variables(FIRST))
    not_replaced(tally, machine, "nor one that succeeded in the end")


def not_replaced(tally, machine, which="that tries again by itself"):
    with tally.case(f"packaging/lifecycle has no host replaced {which}"):
        expect(machine.try_run("test -e /run/abandoned")[0], "it was replaced")


@on_a_machine
def given_up(tally, cloud, machine):
    """A failure that could pass with time, and a bound for it; then the units for a systemd that knows no retry of a oneshot."""
    installed(machine)
    replaced_when_lost(machine)
    cloud.is_down()
    for units in ("", ", with the units for systemd before 244"):
        if units:
            choose_units(machine, 241)
        cloud.is_down()
        machine.write("/etc/ecs/ecs.config", "")
        machine.run("rm -rf /var/lib/ecs-bootstrap")
        machine.reboot(lambda: machine.try_run("test -e /run/ecs-bootstrap/report.json")[0] == 0)
        with tally.case(f"while S3 is down the host retries, and is neither replaced nor does its agent start{units}"):
            wait_for("the pause", lambda: state(machine, "ecs-bootstrap") == "activating")
            expect(machine.try_run("test -e /run/abandoned")[0], "it was replaced")
            expect(state(machine) != "active", "the agent runs")
        with tally.case(f"ecs-bootstrap-give-up.service ends the retries and has the host replaced{units}"):
            machine.run("systemctl start ecs-bootstrap-give-up")
            equal(set(machine.run("cat /run/abandoned").splitlines(True)), {ABANDONED})
            expect(state(machine, "ecs-bootstrap") in ("failed", "inactive"), "it tries again")
        with tally.case(f"once S3 is back, one command starts bootstrap and agent{units}"):
            cloud.recovers()
            machine.run("systemctl start ecs")
            equal((state(machine, "ecs-bootstrap"), state(machine)), ("active", "active"))
        with tally.case(f"a host that is prepared is not given up{units}"):
            machine.run("rm /run/abandoned && systemctl start ecs-bootstrap-give-up")
            expect(machine.try_run("test -e /run/abandoned")[0], "it was replaced")


@on_a_machine
def old_units(tally, cloud, machine):
    """The units that Amazon Linux 2 gets, on this Debian: of systemd 219 itself tests/packaging has the filter."""
    installed(machine)
    choose_units(machine, 219)
    replaced_when_lost(machine)
    cloud.is_down()
    machine.run("systemctl enable --quiet ecs-bootstrap-guard")
    machine.reboot(lambda: machine.try_run("test -e /run/ecs-bootstrap/report.json")[0] == 0)
    with tally.case("with the units for systemd 219, a failure that can pass with time is waited out, and the agent starts by itself"):
        wait_for("the pause", lambda: "sleep" in machine.run("systemctl status --no-pager ecs-bootstrap || :"))
        cloud.recovers()
        wait_for("the agent", lambda: state(machine) == "active", 40)
        equal(agents_variables(machine), as_variables(FIRST))
        equal(show(machine, "ecs-bootstrap", "FragmentPath"), "/etc/systemd/system/ecs-bootstrap.service")
    not_replaced(tally, machine)
    with tally.case("with the units for systemd 219, guard and report are there, and stay when a unit ends"):
        expect(machine.try_run(f"container lab {TOKEN}")[0] != 0, "a container reaches instance metadata")
        machine.run("systemctl start ecs-bootstrap-guard-verify && systemctl start ecs-bootstrap-refresh")
        contains(machine.run("ecs-bootstrap guard status"), "last proof: blocked on every network")
        equal(report(machine)["outcome"], "unchanged")
    with tally.case("with the units for systemd 219, a refusal is final, and the host is replaced"):
        cloud.refuses()
        machine.reboot()
        equal((state(machine, "ecs-bootstrap"), state(machine)), ("failed", "inactive"))
        equal(machine.run("cat /run/abandoned"), ABANDONED)
    with tally.case("once systemd is newer, the units of the package count again, and stay enabled"):
        cloud.recovers()
        machine.run("/usr/share/ecs-bootstrap/choose-units && systemctl daemon-reload")
        contains(show(machine, "ecs-bootstrap", "FragmentPath"), "/lib/systemd/system/ecs-bootstrap.service")
        sandbox(machine, LAB)
        machine.reboot()
        equal((report(machine)["outcome"], state(machine), state(machine, "ecs-bootstrap-guard")), ("unchanged", "active", "active"))
