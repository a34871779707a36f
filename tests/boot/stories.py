"""What happens on a container instance, told as it happens: each story boots its own machine beside its own cloud."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import traceback

from lab import AUTHORITY, BUCKET, HERE, SEES_BOOT_ID, Cloud, Machine, sh, wait_for

SETTINGS = f'config = ["s3://{BUCKET}/ecs.config"]\ntimeout = "4s"\n'
FIRST = "ECS_CLUSTER=blue\nECS_ENABLE_TASK_IAM_ROLE=true\n"
SECOND = "ECS_CLUSTER=blue\nECS_ENABLE_TASK_IAM_ROLE=true\nECS_LOGLEVEL=warn\n"
# The laboratory's certificates, and less patience than on a real host.
LAB = f"[Service]\nEnvironment={AUTHORITY}\nRestartSec=1s\n{SEES_BOOT_ID}"
UNITS = "ecs.service docker.service $(cd /lib/systemd/system && ls ecs-bootstrap*)"
# What systemd itself puts into a service's environment.
SYSTEMDS = {"LANG", "PATH", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "PWD"}
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
def host(name, deb):
    """A cloud and a container instance that is off, with the package on its disk."""
    with Cloud() as cloud, Machine(name) as machine:
        cloud.put("ecs.config", FIRST)
        equip(machine, deb)
        yield cloud, machine


def on_a_machine(story):
    """A story of one machine."""

    @functools.wraps(story)
    def told(tally, deb):
        with host(story.__name__.replace("_", "-"), deb) as (cloud, machine):
            story(tally, cloud, machine)

    return told


def tell(deb, word):
    """Tells all stories whose name has the word."""
    tally = Tally()
    for story in (healthy, fence, edited, source_down, refused, late, package_life, user_data, circle):
        if word in story.__name__:
            story(tally, deb)
    return tally


def equip(machine, deb):
    """Puts ecs-init's stand-in and the package on the disk; the package is installed when the machine runs."""
    machine.write("/usr/libexec/amazon-ecs-init", (HERE / "agent/amazon-ecs-init").read_text(), 0o755)
    machine.write("/etc/systemd/system/ecs.service", (HERE / "agent/debian.service").read_text())
    machine.write("/etc/ecs/ecs.config", "")
    for unit in ("ecs-bootstrap", "ecs-bootstrap-refresh", "ecs-bootstrap-guard", "ecs-bootstrap-guard-verify"):
        machine.write(f"/etc/systemd/system/{unit}.service.d/lab.conf", LAB)
    sh("cp", deb, machine.root / "root/ecs-bootstrap.deb")
    sh("systemctl", f"--root={machine.root}", "--quiet", "enable", "ecs.service")


def installed(machine):
    """A running machine with the package, settings and the interlock."""
    machine.boot()
    machine.run("systemctl stop ecs && dpkg --install /root/ecs-bootstrap.deb")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS)
    machine.run("systemctl enable ecs-bootstrap")


def expect(fact, what):
    if not fact:
        raise AssertionError(what)


def equal(found, wanted):
    expect(found == wanted, f"found {found!r}, wanted {wanted!r}")


def contains(text, *words):
    for word in words:
        expect(word in text, f"no {word!r} in:\n{text}")


def state(machine, unit="ecs"):
    return machine.try_run(f"systemctl is-active {unit}")[1].strip()


def show(machine, unit, name):
    return machine.run(f"systemctl show --value --property={name} {unit}").strip()


def report(machine):
    return json.loads(machine.run("cat /run/ecs-bootstrap/report.json"))


def agents_variables(machine):
    # The unit is active before its program has written anything.
    wait_for("the agent's first act", lambda: machine.try_run("test -e /run/agent/environment")[0] == 0)
    lines = machine.run("cat /run/agent/environment").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name not in SYSTEMDS}


def as_variables(text):
    return dict(line.split("=", 1) for line in text.splitlines())


@on_a_machine
def healthy(tally, cloud, machine):
    machine.boot()
    with tally.case("installing the package alone neither enables anything nor keeps the agent from starting"):
        machine.run("dpkg --install /root/ecs-bootstrap.deb && systemctl restart ecs")
        equal(machine.try_run("systemctl is-enabled ecs-bootstrap")[1].strip(), "disabled")
        equal(state(machine), "active")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS)
    with tally.case("every unit and drop-in passes systemd-analyze verify in silence"):
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
        asked = [request for request in cloud.requests() if request["host"] == "169.254.169.254" and request["method"] == "GET"]
        expect(asked, "metadata was not asked at all")
        equal([request for request in asked if not request["token"]], [])
    with tally.case("a second boot changes nothing"):
        machine.reboot()
        equal(report(machine)["outcome"], "unchanged")
        equal(state(machine), "active")
    refresh(tally, cloud, machine)
    with tally.case("one command takes the interlock away"):
        machine.run("systemctl disable ecs-bootstrap && rm /var/lib/ecs-bootstrap/state.json && systemctl restart ecs")
        equal(state(machine), "active")


def refresh(tally, cloud, machine):
    def starts():
        return len(machine.run("cat /run/agent/starts").splitlines())

    with tally.case("a refresh that finds nothing new leaves the agent alone"):
        machine.run("systemctl start ecs-bootstrap-refresh")
        equal((report(machine)["outcome"], starts()), ("unchanged", 1))
    with tally.case("a refresh that finds a change restarts the agent with it"):
        cloud.put("ecs.config", SECOND)
        machine.run("systemctl start ecs-bootstrap-refresh")
        equal(report(machine)["outcome"], "installed")
        wait_for("the agent's restart", lambda: starts() == 2)
        equal(agents_variables(machine), as_variables(SECOND))


@on_a_machine
def fence(tally, cloud, machine):
    def blocked(command):
        expect(machine.try_run(command)[0] != 0, f"{command} got an answer")

    def fenced():
        blocked(f"container lab {TOKEN}")
        machine.run(TOKEN)

    installed(machine)
    machine.run("docker network create other")
    with tally.case("without the guard a container reaches instance metadata"):
        expect(machine.run(f"container lab {TOKEN}"), "no token came")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS + "block_imds = true\n")
    machine.run("systemctl enable ecs-bootstrap-guard")
    machine.reboot()
    with tally.case("the fence stands before Docker starts"):
        stands = int(show(machine, "ecs-bootstrap-guard", "ExecMainExitTimestampMonotonic"))
        docker = int(show(machine, "docker", "ExecMainStartTimestampMonotonic"))
        expect(0 < stands < docker, f"fence at {stands}, Docker at {docker}")
    with tally.case("after a boot no container reaches instance metadata, and the host does"):
        fenced()
        blocked(f"container --network other lab {TOKEN}")
        equal((report(machine)["outcome"], report(machine)["guard"]["state"]), ("installed", "installed"))
        equal(state(machine), "active")
    with tally.case("the verify unit has proven the fence after Docker"):
        equal(show(machine, "ecs-bootstrap-guard-verify", "Result"), "success")
        contains(machine.run("journalctl --boot --unit ecs-bootstrap-guard-verify --output cat"), "docker0 IPv4: blocked")
    with tally.case("after a restart of Docker no container reaches instance metadata, and the host does"):
        machine.run("systemctl restart docker")
        fenced()
    with tally.case("after another reboot no container reaches instance metadata, and the host does"):
        machine.reboot()
        fenced()
    with tally.case("when somebody flushed all rules, `guard prove` says that it leaks"):
        machine.run("nft flush ruleset")
        equal(machine.try_run("ecs-bootstrap guard prove")[0], 51)
    with tally.case("the verify unit mends what was flushed, and its journal says so"):
        machine.run("systemctl restart ecs-bootstrap-guard-verify && ecs-bootstrap guard prove")
        contains(machine.run("journalctl --boot --unit ecs-bootstrap-guard-verify --output cat"), "fence: installed")
    host_tasks(tally, machine, blocked)
    with tally.case("without its fence Docker does not start, nor does the agent"):
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


@on_a_machine
def edited(tally, cloud, machine):
    installed(machine)
    machine.reboot()
    machine.run("echo ECS_LOGLEVEL=debug >>/etc/ecs/ecs.config")
    with tally.case("after somebody edited the file, `status --check` fails"):
        status, said = machine.try_run("ecs-bootstrap status --check")
        expect(status != 0, said)
        contains(said, "changed after the last run")
    with tally.case("the agent does not start with an edited file, and its journal says why and what to do"):
        machine.try_run("systemctl restart ecs")
        expect(state(machine) != "active", "the agent runs")
        said = machine.run("journalctl --boot --unit ecs --output cat")
        contains(said, "changed after the last run", "ecs-bootstrap run")
    with tally.case("an agent that dies is not restarted with an edited file"):
        equal(machine.run("cat /run/agent/starts | wc -l").strip(), "1")
    with tally.case("once a run agrees, the agent starts by itself"):
        machine.run("ecs-bootstrap run --replace")
        wait_for("the agent", lambda: state(machine) == "active", 25)
        equal(agents_variables(machine), as_variables(FIRST))


@on_a_machine
def source_down(tally, cloud, machine):
    installed(machine)
    machine.reboot()
    cloud.set(s3="down")
    machine.reboot()
    with tally.case("with S3 down at the second boot the file is kept, and the report and the journal say so"):
        equal(report(machine)["outcome"], "kept")
        equal(machine.run("cat /etc/ecs/ecs.config"), FIRST)
        contains(machine.run("journalctl --boot --unit ecs-bootstrap --output cat"), "kept")
    with tally.case("with S3 down at the second boot the agent starts all the same"):
        equal(state(machine), "active")
        equal(agents_variables(machine), as_variables(FIRST))
    with tally.case("a refusal never falls back to the kept file"):
        cloud.set(s3="refuse")
        machine.reboot()
        equal(report(machine)["error"]["word"], "access_denied")
        equal(state(machine), "inactive")


@on_a_machine
def refused(tally, cloud, machine):
    installed(machine)
    cloud.set(s3="refuse")
    machine.reboot()
    with tally.case("when the bucket refuses, the agent does not start"):
        equal(state(machine, "ecs-bootstrap"), "failed")
        equal(state(machine), "inactive")
        expect(machine.try_run("test -e /run/agent")[0], "the agent was started")
    with tally.case("`systemctl status` says why the bucket refused and what to do"):
        contains(machine.try_run("systemctl status --no-pager --full --lines 30 ecs-bootstrap")[1], "access_denied", "s3:GetObject")
    with tally.case("the journal says so too"):
        contains(machine.run("journalctl --boot --unit ecs-bootstrap"), "access_denied", "s3:GetObject")
    with tally.case("a refusal is not tried again"):
        equal(show(machine, "ecs-bootstrap", "NRestarts"), "0")
    with tally.case("when the bucket answers again, one command starts both"):
        cloud.set(s3="healthy")
        machine.run("systemctl start ecs")
        equal((state(machine, "ecs-bootstrap"), state(machine)), ("active", "active"))
        equal(agents_variables(machine), as_variables(FIRST))


@on_a_machine
def late(tally, cloud, machine):
    installed(machine)
    cloud.set(s3="down")
    machine.reboot()
    with tally.case("with S3 down at the first boot the agent does not start, and the bootstrap tries again by itself"):
        expect(not machine.read("/etc/ecs/ecs.config"), "a file is there")
        wait_for("a second try", lambda: int(show(machine, "ecs-bootstrap", "NRestarts")) > 0, 40)
        expect(state(machine) != "active", "the agent runs")
    with tally.case("once S3 is back, bootstrap and agent come up with nobody's help"):
        cloud.set(s3="healthy")
        wait_for("the agent", lambda: state(machine) == "active", 40)
        equal(agents_variables(machine), as_variables(FIRST))


@on_a_machine
def package_life(tally, cloud, machine):
    machine.boot()
    before, rules = files(machine), firewall(machine)
    older(machine)
    machine.run("dpkg --install /root/older.deb")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS)
    machine.run("systemctl enable --quiet ecs-bootstrap ecs-bootstrap-guard && systemctl start ecs-bootstrap-guard-verify && systemctl restart ecs")
    with tally.case("an upgrade keeps the settings and runs nothing under a live agent"):
        facts = [("ecs-bootstrap", "InvocationID"), ("ecs", "InvocationID")]
        was = [show(machine, *fact) for fact in facts]
        machine.run("dpkg --install /root/ecs-bootstrap.deb")
        equal([show(machine, *fact) for fact in facts], was)
        equal(machine.read("/etc/ecs-bootstrap/ecs-bootstrap.toml"), SETTINGS)
    with tally.case("removing the package leaves a running agent running, and free to start"):
        machine.run("dpkg --remove ecs-bootstrap")
        equal(state(machine), "active")
        machine.run("systemctl restart ecs")
        equal(state(machine), "active")
    with tally.case("purging leaves the host as before, but for the agent's own file"):
        machine.run("dpkg --purge ecs-bootstrap")
        equal(files(machine) ^ before, {"/root/older.deb"} & files(machine))
        equal(firewall(machine), rules)
        equal(machine.run("cat /etc/ecs/ecs.config"), FIRST)
    with tally.case("a package that is purged while installed leaves nothing either"):
        machine.run("dpkg --install /root/ecs-bootstrap.deb && systemctl enable --quiet ecs-bootstrap ecs-bootstrap-guard && dpkg --purge ecs-bootstrap")
        equal(files(machine) - before, {"/root/older.deb"})


def user_data(tally, deb):
    folder = HERE.parent.parent / "packaging/user-data"
    batch = "\n--==part==\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho ECS_CLUSTER=batch-7 >>/etc/ecs/ecs.config\n\n--==part==--\n"
    appended = as_variables(FIRST) | {"ECS_CLUSTER": "batch-7"}
    for file, ending, variables in (
        ("shell.sh", "", as_variables(FIRST)),
        ("cloud-config.yaml", "", as_variables(FIRST)),
        ("multipart.txt", batch, appended),
    ):
        with host("user-data", deb) as (cloud, machine), tally.case(f"user data boots a host as it is printed: {file}"):
            text = (folder / file).read_text().removesuffix("\n--==part==--\n" if ending else "") + ending
            with_user_data(machine, offer(cloud, deb, text))
            like_amazon_linux(machine)
            machine.boot()
            equal(state(machine), "active")
            equal(agents_variables(machine), variables)
            expect(machine.try_run(f"container lab {TOKEN}")[0] != 0, "a container reaches instance metadata")
    with host("user-data", deb) as (cloud, machine), tally.case("user data does not run a package with another checksum, and the agent stays down"):
        text = offer(cloud, deb, (folder / "shell.sh").read_text())
        cloud.put(package_name(deb), b"not the package", "my-artifacts")
        with_user_data(machine, text)
        like_amazon_linux(machine)
        machine.boot()
        expect(machine.try_run("command -v ecs-bootstrap")[0] != 0, "it was installed")
        expect(state(machine) != "active", "the agent runs")


@on_a_machine
def circle(tally, cloud, machine):
    verify = "systemctl daemon-reload; systemd-analyze verify --man=no --generators=yes multi-user.target"
    installed(machine)
    with_user_data(machine, "#cloud-config\n")
    with tally.case("on Debian the units and cloud-init close no circle"):
        equal(machine.run(verify), "")
    with tally.case("on Debian after-user-data.conf closes one, which systemd-analyze verify names"):
        place = "/etc/systemd/system/ecs-bootstrap.service.d/after-user-data.conf"
        machine.write(place, machine.read("/usr/share/ecs-bootstrap/after-user-data.conf"))
        contains(machine.try_run(verify)[1], "Found ordering cycle", "cloud-final.service")


def package_name(deb):
    return sh("dpkg-deb", "--show", "--showformat=${Package}_${Version}_${Architecture}.deb", deb)


def offer(cloud, deb, text):
    """Puts a release where user data looks for it, and gives the user data with what a user fills in: the checksum of checksums."""
    name, content = package_name(deb), deb.read_bytes()
    sums = f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    cloud.put(name, content, "my-artifacts")
    cloud.put("SHA256SUMS", sums, "my-artifacts")
    return text.replace("0" * 64, hashlib.sha256(sums.encode()).hexdigest())


def with_user_data(machine, user_data):
    """cloud-init is on, with user data from the disk: it asks EC2's metadata only on EC2's hardware."""
    (machine.root / "etc/cloud/cloud-init.disabled").unlink()
    machine.write("/etc/cloud/cloud.cfg.d/99-lab.cfg", "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n")
    machine.write("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: i-1234567890abcdef0\n")
    machine.write("/var/lib/cloud/seed/nocloud/user-data", user_data)


def like_amazon_linux(machine):
    """An agent that waits for user data, which on Debian waits for all of multi-user.target itself."""
    machine.write("/etc/systemd/system/ecs.service", (HERE / "agent/amazon-linux.service").read_text())
    final = machine.read("/lib/systemd/system/cloud-final.service")
    machine.write("/etc/systemd/system/cloud-final.service", final.replace(" multi-user.target", ""))


def older(machine):
    """The same package under an earlier version."""
    machine.run("dpkg-deb --raw-extract /root/ecs-bootstrap.deb /tmp/older && sed -i 's/^Version: .*/Version: 0.0.1-1/' /tmp/older/DEBIAN/control"
                " && dpkg-deb --root-owner-group -Zgzip -z1 --build /tmp/older /root/older.deb && rm -r /tmp/older")


def files(machine):
    """Every file of the machine that a package or its program could have made."""
    places = "/etc /usr /lib /run/ecs-bootstrap /var/lib/ecs-bootstrap /var/lib/systemd /root"
    return set(machine.try_run(f"find {places} -xdev -not -type d -not -path '/etc/ld.so.cache' 2>/dev/null")[1].splitlines())


def firewall(machine):
    counters = "s/\\[[0-9]*:[0-9]*\\]//; s/counter packets [0-9]* bytes [0-9]*//; /^#/d"
    return machine.run(f"(iptables-save; ip6tables-save; nft list ruleset) | sed '{counters}'")
