"""What every scenario needs: a container instance with the package on its disk, functions that inspect it, and a tally."""

import contextlib
import dataclasses
import functools
import json
import os
import traceback

from lab import AUTHORITY, BUCKET, HERE, SEES_BOOT_ID, Cloud, Machine, sh, wait_for

# A program that was built on a newer Debian than the machine's needs its C library too: run() gives such a package these.
OLD_LIBC = os.environ.get("LAB_LIBC")
LIBC = [f"/lib/x86_64-linux-gnu/{name}" for name in ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2")]
SETTINGS = f'config = ["s3://{BUCKET}/ecs.config"]\ntimeout = "4s"\n'
FIRST = "ECS_CLUSTER=blue\nECS_ENABLE_TASK_IAM_ROLE=true\n"
SECOND = "ECS_CLUSTER=blue\nECS_ENABLE_TASK_IAM_ROLE=true\nECS_LOGLEVEL=warn\n"
# The laboratory's certificates, and shorter pauses than on a real host.
LAB = f"[Service]\nEnvironment={AUTHORITY}\nRestartSec=1s\n{SEES_BOOT_ID}"
UNITS = "ecs.service docker.service $(cd /usr/lib/systemd/system && ls -d ecs-bootstrap*)"
# What systemd itself puts into a service's environment.
OF_SYSTEMD = {"LANG", "PATH", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "PWD", "USER", "LOGNAME", "HOME", "SHELL"}
OF_SYSTEMD |= {"MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"}
TOKEN = "curl -sm 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0

    @contextlib.contextmanager
    def case(self, name):
        """A sentence that is false when the block raises."""
        try:
            yield
        except Exception as error:
            self.failed += 1
            where = traceback.extract_tb(error.__traceback__)[1]
            print(f"FAILED {name}: {error} ({where.name}, line {where.lineno})", flush=True)
        else:
            self.passed += 1
            print(f"ok {name}", flush=True)


@contextlib.contextmanager
def host(name, deb, **options):
    """A cloud and a container instance that is off, with the package on its disk."""
    with Cloud(**options) as cloud, Machine(name) as machine:
        cloud.put("ecs.config", FIRST)
        equip(machine, deb)
        yield cloud, machine


def on_a_machine(scenario):
    """A scenario with one machine."""

    @functools.wraps(scenario)
    def run(tally, deb):
        with host(scenario.__name__.replace("_", "-"), deb) as (cloud, machine):
            scenario(tally, cloud, machine)

    return run


def equip(machine, deb):
    """Puts ecs-init's stand-in and the package on the disk; the package is installed when the machine runs."""
    machine.write("/usr/libexec/amazon-ecs-init", (HERE / "agent/amazon-ecs-init").read_text(), 0o755)
    machine.write("/etc/systemd/system/ecs.service", (HERE / "agent/debian.service").read_text())
    machine.write("/etc/ecs/ecs.config", "")
    sandbox(machine, LAB)
    sh("cp", deb, machine.root / "root/ecs-bootstrap.deb")
    if OLD_LIBC:
        (machine.root / "opt/libc").mkdir(parents=True)
        sh("cp", "--dereference", *LIBC, machine.root / "opt/libc")
    sh("systemctl", f"--root={machine.root}", "--quiet", "enable", "ecs.service")


def sandbox(machine, text):
    """What the laboratory adds to our units."""
    for unit in ("ecs-bootstrap", "ecs-bootstrap-refresh", "ecs-bootstrap-guard", "ecs-bootstrap-guard-verify"):
        machine.write(f"/etc/systemd/system/{unit}.service.d/lab.conf", text)


def installed(machine):
    """A running machine with the package, settings and the start condition."""
    machine.boot()
    machine.run("systemctl stop ecs && dpkg --install /root/ecs-bootstrap.deb")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS)
    machine.run("systemctl enable ecs-bootstrap")


def older(machine):
    """The same package under an earlier version."""
    machine.run("dpkg-deb --raw-extract /root/ecs-bootstrap.deb /tmp/older && sed -i 's/^Version: .*/Version: 0.0.1-1/' /tmp/older/DEBIAN/control"
                " && dpkg-deb --root-owner-group -Zgzip -z1 --build /tmp/older /root/older.deb && rm -r /tmp/older")


def choose_units(machine, version):
    """Has the package choose its units again as it would beside this version of systemd."""
    machine.write("/root/older/systemctl", f"#!/bin/sh\n[ \"$1\" = --version ] && exec echo 'systemd {version}'\nexec systemctl \"$@\"\n", 0o755)
    if version < 232:  # These units see the machine's own /proc, where nothing can be mounted over nspawn's boot id.
        sandbox(machine, LAB.replace(SEES_BOOT_ID, ""))
    machine.run("PATH=/root/older:$PATH /usr/share/ecs-bootstrap/choose-units && systemctl daemon-reload")


def expect(fact, what):
    if not fact:
        raise AssertionError(what)


def equal(found, wanted):
    expect(found == wanted, f"found {found!r}, wanted {wanted!r}")


def contains(text, *words):
    for word in words:
        expect(word in text, f"{word!r} is missing in:\n{text}")


def state(machine, unit="ecs"):
    return machine.try_run(f"systemctl is-active {unit}")[1].strip()


def journal(machine, unit):
    return machine.run(f"journalctl --boot --unit {unit} --output cat")


def show(machine, unit, name):
    return machine.run(f"systemctl show --value --property={name} {unit}").strip()


def report(machine):
    return json.loads(machine.run("cat /run/ecs-bootstrap/report.json"))


def agents_variables(machine):
    # The unit is active before its program has written anything.
    wait_for("the agent's first act", lambda: machine.try_run("test -e /run/agent/environment")[0] == 0)
    lines = machine.run("cat /run/agent/environment").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name not in OF_SYSTEMD}


def starts(machine):
    """How many times the agent was started in this boot."""
    return len(machine.run("cat /run/agent/starts").splitlines())


def as_variables(text):
    return dict(line.split("=", 1) for line in text.splitlines())


