"""Installation, upgrade, removal and purge; user data as it is printed."""

import hashlib
import json
import os
import shutil

import batch
from hosts import (
    FIRST,
    SETTINGS,
    TOKEN,
    agents_variables,
    as_variables,
    contains,
    equal,
    expect,
    host,
    installed,
    older,
    on_a_machine,
    show,
    state,
)
from lab import HERE, sh

PROJECT = HERE.parent.parent
PACKAGING = PROJECT / "packaging"
USER_DATA = PACKAGING / "user-data"
PLAY = """- hosts: localhost
  connection: local
  roles:
    - role: ecs_bootstrap
      ecs_bootstrap_from: https://my-artifacts.s3.us-west-2.amazonaws.com
      ecs_bootstrap_version: {version}
      ecs_bootstrap_sha256: "{checksum}"
      ecs_bootstrap_settings: {settings}
"""


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


@on_a_machine
def rpm_life(tally, cloud, machine):
    """The same with the rpm and its scriptlets. This Debian has rpm too, whose database knows nothing of Debian's libraries: --nodeps."""
    rpms(machine)
    machine.boot()
    before, rules = files(machine), firewall(machine)
    with tally.case("installing the rpm neither enables anything nor keeps the agent from starting"):
        machine.run("rpm --install --nodeps /root/0.rpm && systemctl restart ecs")
        equal(machine.try_run("systemctl is-enabled ecs-bootstrap ecs-bootstrap-guard")[1].split(), ["disabled", "disabled"])
        equal(state(machine), "active")
    with tally.case("the rpm's units are known to systemd as soon as it is installed"):
        equal(show(machine, "ecs-bootstrap", "LoadState"), "loaded")
        equal(show(machine, "ecs-bootstrap", "NeedDaemonReload"), "no")
    machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", SETTINGS + "block_imds = true\n")
    machine.run("systemctl enable --quiet ecs-bootstrap ecs-bootstrap-guard && systemctl start ecs-bootstrap-guard && systemctl restart ecs")
    with tally.case("an upgrade of the rpm keeps settings, units and guard, and runs nothing under a live agent"):
        expect(machine.try_run(f"container lab {TOKEN}")[0] != 0, "a container reaches instance metadata before the upgrade")
        facts = [(unit, "InvocationID") for unit in ("ecs-bootstrap", "ecs-bootstrap-guard", "ecs")]
        was = [show(machine, *fact) for fact in facts]
        machine.run("rpm --upgrade --nodeps /root/1.rpm")
        equal(machine.run("rpm --query ecs-bootstrap"), machine.run("rpm --query --package /root/1.rpm"))
        equal([show(machine, *fact) for fact in facts], was)
        equal(machine.read("/etc/ecs-bootstrap/ecs-bootstrap.toml"), SETTINGS + "block_imds = true\n")
        equal(machine.run("systemctl is-enabled ecs-bootstrap ecs-bootstrap-guard").split(), ["enabled", "enabled"])
        expect(machine.try_run(f"container lab {TOKEN}")[0] != 0, "a container reaches instance metadata after the upgrade")
    with tally.case("after the upgrade of the rpm nothing but the settings differs from it"):
        equal(machine.try_run("rpm --verify --nodeps ecs-bootstrap")[1].split(), ["S.5....T.", "c", "/etc/ecs-bootstrap/ecs-bootstrap.toml"])
    with tally.case("erasing the rpm leaves a running agent running, and free to start"):
        was = show(machine, "ecs", "InvocationID")
        machine.run("rpm --erase ecs-bootstrap")
        equal((state(machine), show(machine, "ecs", "InvocationID")), ("active", was))
        machine.run("systemctl restart ecs")
        equal(state(machine), "active")
    with tally.case("erasing the rpm leaves the host as before, but for settings and the agent's own file"):
        equal(files(machine) ^ before, {"/etc/ecs-bootstrap/ecs-bootstrap.toml.rpmsave"})
        equal(firewall(machine), rules)
        equal(machine.run("cat /etc/ecs/ecs.config"), FIRST)
    with tally.case("beside systemd 219 the rpm installs other units, also in an upgrade, and removes them at the end"):
        unit = "/etc/systemd/system/ecs-bootstrap.service"
        machine.run("cp /usr/bin/systemctl /root/systemctl && mv /etc/ecs-bootstrap/ecs-bootstrap.toml.rpmsave /root")
        machine.write("/root/older", "#!/bin/sh\n[ \"$1\" = --version ] && exec echo 'systemd 219'\nexec /root/systemctl \"$@\"\n", 0o755)
        machine.run("mount --bind /root/older /usr/bin/systemctl")
        for command in ("--install /root/0.rpm", "--upgrade /root/1.rpm"):
            machine.run(f"rpm --nodeps {command}")
            contains(machine.read(unit), machine.read("/usr/share/ecs-bootstrap/units/before-237/ecs-bootstrap.service"))
        equal(show(machine, "ecs-bootstrap", "Restart"), "no")
        machine.run("rpm --erase ecs-bootstrap")
        expect(machine.try_run(f"test -e {unit}")[0], "it is still there")


def rpms(machine):
    """The program of the deb on the disk as an rpm, in two builds of the same version: /root/0.rpm and /root/1.rpm."""
    tree = machine.folder / "tree"
    sh("dpkg-deb", "--extract", machine.root / "root/ecs-bootstrap.deb", tree)
    for revision in ("0", "1"):
        made = machine.folder / revision
        sh(PACKAGING / "build", "package", tree / "usr/bin/ecs-bootstrap", made, env={**os.environ, "REVISION": revision})
        sh("cp", *made.glob("*.rpm"), machine.root / f"root/{revision}.rpm")


def user_data(tally, deb):
    as_it_is = {"user-data/shell.sh": USER_DATA / "shell.sh", "user-data/cloud-config.yaml": USER_DATA / "cloud-config.yaml"}
    texts = {name: (file.read_text(), as_variables(FIRST)) for name, file in as_it_is.items()}
    # What Batch wrote is kept, and what only the layer sets is added.
    launch_template, variables = (PACKAGING / "batch/user-data.txt").read_text(), as_variables(FIRST) | batch.KEYS
    texts["batch/user-data.txt after Batch's part"] = (batch.merged(launch_template), variables)
    texts["batch/user-data.txt before Batch's part"] = (batch.merged(launch_template, batch_first=False), variables)
    for name, (text, variables) in texts.items():
        with host("user-data", deb) as (cloud, machine), tally.case(f"user data boots a host as it is printed: {name}"):
            with_user_data(machine, offer(cloud, deb, text))
            like_amazon_linux(machine)
            machine.boot()
            equal(state(machine), "active")
            equal(agents_variables(machine), variables)
            expect(machine.try_run(f"container lab {TOKEN}")[0] != 0, "a container reaches instance metadata")
    with host("user-data", deb) as (cloud, machine), tally.case("user data does not run a package with another checksum, and the agent stays down"):
        text = offer(cloud, deb, (USER_DATA / "shell.sh").read_text())
        cloud.put(package_name(deb), b"not the package", "my-artifacts")
        with_user_data(machine, text)
        like_amazon_linux(machine)
        machine.boot()
        expect(machine.try_run("command -v ecs-bootstrap")[0] != 0, "it was installed")
        expect(state(machine) != "active", "the agent runs")


def ansible(tally, deb):
    def play(checksum):
        machine.write("/root/play.yml", PLAY.format(version=version, checksum=checksum, settings=json.dumps(SETTINGS + "block_imds = true\n")))
        return machine.try_run("cd /root && ansible-playbook play.yml")

    version, content = package_name(deb).split("_")[1], deb.read_bytes()
    with host("ansible", deb) as (cloud, machine):
        cloud.put(package_name(deb), content, "my-artifacts")
        shutil.copytree(PACKAGING / "ansible", machine.root / "root/roles")
        machine.boot()
        with tally.case("the Ansible role installs no package with another checksum"):
            status, printed = play("0" * 64)
            contains(printed, "did not match")
            expect(status and machine.try_run("command -v ecs-bootstrap")[0], "it was installed")
        with tally.case("the Ansible role installs, sets and enables, and starts nothing"):
            was = show(machine, "ecs", "InvocationID")
            status, printed = play(hashlib.sha256(content).hexdigest())
            equal((status, printed if status else ""), (0, ""))
            equal(machine.run("systemctl is-enabled ecs-bootstrap-guard ecs-bootstrap").split(), ["enabled", "enabled"])
            equal((show(machine, "ecs", "InvocationID"), state(machine, "ecs-bootstrap")), (was, "inactive"))
        with tally.case("a second run of the Ansible role changes nothing"):
            contains(play(hashlib.sha256(content).hexdigest())[1], "changed=0 ")
        with tally.case("at the next boot the host is prepared as the Ansible role declares"):
            machine.reboot()
            equal(agents_variables(machine), as_variables(FIRST))
            expect(machine.try_run(f"container lab {TOKEN}")[0] != 0, "a container reaches instance metadata")


@on_a_machine
def ordering(tally, cloud, machine):
    verify = "systemctl daemon-reload; systemd-analyze verify --man=no --generators=yes multi-user.target"
    installed(machine)
    with_user_data(machine, "#cloud-config\n")
    with tally.case("cloud-init's own schema accepts cloud-config.yaml"):
        machine.write("/root/cloud-config.yaml", (USER_DATA / "cloud-config.yaml").read_text())
        contains(machine.run("cloud-init schema --config-file /root/cloud-config.yaml"), "Valid")
    with tally.case("on Debian the units and cloud-init have no ordering cycle"):
        equal(machine.run(verify), "")
    with tally.case("on Debian after-user-data.conf makes one, which systemd-analyze verify names"):
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
    machine.write("/etc/cloud/cloud.cfg.d/99-lab.cfg", "datasource_list: [NoCloud]\nnetwork: {config: disabled}\nlocale: false\n")
    machine.write("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: i-1234567890abcdef0\n")
    machine.write("/var/lib/cloud/seed/nocloud/user-data", user_data)


def like_amazon_linux(machine):
    """An agent that waits for user data, which on Debian waits for all of multi-user.target itself."""
    machine.write("/etc/systemd/system/ecs.service", (HERE / "agent/amazon-linux.service").read_text())
    final = machine.read("/lib/systemd/system/cloud-final.service")
    machine.write("/etc/systemd/system/cloud-final.service", final.replace("After=multi-user.target\n", ""))


def files(machine):
    """Every file of the machine that a package or its program could have made."""
    places = "/etc /usr /lib /run/ecs-bootstrap /var/lib/ecs-bootstrap /var/lib/systemd /root"
    return set(machine.try_run(f"find {places} -xdev -not -type d -not -path '/etc/ld.so.cache' -not -path '/root/.rpmdb/*' 2>/dev/null")[1].splitlines())


def firewall(machine):
    counters = "s/\\[[0-9]*:[0-9]*\\]//; s/counter packets [0-9]* bytes [0-9]*//; /^#/d"
    return machine.run(f"(iptables-save; ip6tables-save; nft list ruleset) | sed '{counters}'")
