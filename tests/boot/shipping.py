"""How it gets onto a host and off again: upgrade, removal, purge; user data as it is printed."""

import hashlib

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
    on_a_machine,
    show,
    state,
)
from lab import HERE, sh

PACKAGING = HERE.parent.parent / "packaging"
USER_DATA = PACKAGING / "user-data"


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
    as_it_is = {"user-data/shell.sh": USER_DATA / "shell.sh", "user-data/cloud-config.yaml": USER_DATA / "cloud-config.yaml"}
    texts = {name: (file.read_text(), as_variables(FIRST)) for name, file in as_it_is.items()}
    # What Batch wrote stands, and beside it what only the layer sets.
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


@on_a_machine
def circle(tally, cloud, machine):
    verify = "systemctl daemon-reload; systemd-analyze verify --man=no --generators=yes multi-user.target"
    installed(machine)
    with_user_data(machine, "#cloud-config\n")
    with tally.case("cloud-init's own schema accepts cloud-config.yaml"):
        machine.write("/root/cloud-config.yaml", (USER_DATA / "cloud-config.yaml").read_text())
        contains(machine.run("cloud-init schema --config-file /root/cloud-config.yaml"), "Valid")
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
    machine.write("/etc/cloud/cloud.cfg.d/99-lab.cfg", "datasource_list: [NoCloud]\nnetwork: {config: disabled}\nlocale: false\n")
    machine.write("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: i-1234567890abcdef0\n")
    machine.write("/var/lib/cloud/seed/nocloud/user-data", user_data)


def like_amazon_linux(machine):
    """An agent that waits for user data, which on Debian waits for all of multi-user.target itself."""
    machine.write("/etc/systemd/system/ecs.service", (HERE / "agent/amazon-linux.service").read_text())
    final = machine.read("/lib/systemd/system/cloud-final.service")
    machine.write("/etc/systemd/system/cloud-final.service", final.replace("After=multi-user.target\n", ""))


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
