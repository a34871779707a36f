"""Runs the commands of the tutorial, of README.md and of guard(8) in order, and prints the sums."""

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hosts
import lab
import shipping
from account import BIN, account
from commands import commands

PROJECT = Path(__file__).resolve().parent.parent.parent

# The pages whose commands are run, in this order, and where: the first heading that matches decides.
PAGES = {
    "packaging/man/ecs-bootstrap-tutorial.7.md": {r"9\.": "host", r"\d+\.": "workstation"},
    "README.md": {"Try it|Install|One host|Roll it out": "host"},
    "packaging/man/ecs-bootstrap-guard.8.md": {"EXAMPLES": "host"},
}

# All others are run elsewhere: which file runs them, and by which words.
ELSEWHERE = {
    "packaging/build": ("tests/readme/run", "  packaging/build\n"),
    "cargo run -q -p ecs-config -- FILE": ("tests/alone/run", "--package ecs-config --bin ecs-config-lint"),
    "cargo run -p rehearsal": ("tests/rehearsal/tests/every_boot_ends_as_promised.rs", 'env!("CARGO_BIN_EXE_rehearsal")'),
    "tests/run": (".ci/run", "step tests/run"),
    "aws s3 cp s3://my-bucket/ecs.config /etc/ecs/ecs.config": ("tests/peers/machine.py", '"s3", "cp"'),
    "iptables --insert FORWARD 1 --in-interface docker+ --destination 169.254.169.254/32 --jump DROP": (
        "tests/guard/cases/docker.sh",
        "iptables -I FORWARD 1 -i docker+ -d $V4/32 -j DROP",
    ),
}


class Workstation:
    """One shell for all commands, as a person has it: moto for AWS, and a folder with what is made of the project."""

    def __init__(self, cloud, made):
        self.cloud = cloud
        (made / "packaging").symlink_to(PROJECT / "packaging")
        (made / "target").mkdir()
        (made / "target/dist").symlink_to(made / "dist")
        env = {name: value for name, value in cloud.environment().items() if "REGION" not in name}
        env |= {"HOME": str(made), "PATH": f"{BIN}:{env['PATH']}"}
        self.shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=made)

    def try_run(self, text):
        """What a command ends with and what it prints; the shell keeps what it sets."""
        self.shell.stdin.write(f"{{ {text}\n}} </dev/null; printf '\\0%d\\0' $?\n".encode())
        self.shell.stdin.flush()
        printed, status = self.until_nul(), self.until_nul()
        return int(status), printed

    def until_nul(self):
        read = bytearray()
        while (byte := self.shell.stdout.read(1)) != b"\0":
            if not byte:
                raise RuntimeError(f"the shell ended: {read.decode()}")
            read += byte
        return read.decode()

    def user_data(self):
        """What EC2 was given for the one instance."""
        instance = self.instance()
        answer = self.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
        return base64.b64decode(answer["UserData"]["Value"]).decode()

    def instance(self):
        reservations = self.ec2.describe_instances()["Reservations"]
        [instance] = [instance["InstanceId"] for reservation in reservations for instance in reservation["Instances"]]
        return instance

    @property
    def ec2(self):
        return self.cloud.moto.client("ec2", self.cloud.moto.keys)

    def objects(self):
        """Every object of every bucket: what the host will find."""
        s3 = self.cloud.moto.s3
        for bucket in s3.list_buckets()["Buckets"]:
            for entry in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
                yield bucket["Name"], entry["Key"], s3.get_object(Bucket=bucket["Name"], Key=entry["Key"])["Body"].read()

    def open_to_the_vpc(self):
        """What the bucket's policy lets hosts read who have no credentials yet, if they come by the endpoint that was made."""
        [bucket], [endpoint] = self.cloud.moto.s3.list_buckets()["Buckets"], self.ec2.describe_vpc_endpoints()["VpcEndpoints"]
        [statement] = json.loads(self.cloud.moto.s3.get_bucket_policy(Bucket=bucket["Name"])["Policy"])["Statement"]
        hosts.equal(statement["Condition"], {"StringEquals": {"aws:SourceVpce": endpoint["VpcEndpointId"]}})
        hosts.equal((statement["Effect"], statement["Principal"], statement["Action"]), ("Allow", "*", "s3:GetObject"))
        return statement["Resource"].removeprefix("arn:aws:s3:::").removesuffix("*")

    def register(self, cluster):
        """What the agent does, for the laboratory's is a stand-in: enters the instance in its cluster."""
        ecs = self.cloud.moto.client("ecs", self.cloud.moto.keys)
        ecs.register_container_instance(cluster=cluster, instanceIdentityDocument=json.dumps({"instanceId": self.instance()}))


class Host:
    """The container instance, once the workstation has started one."""

    def __init__(self, workstation, deb, life):
        cloud, self.machine = life.enter_context(hosts.host("readme", deb))
        for bucket, key, content in workstation.objects():
            cloud.put(key, content, bucket)
        cloud.open_to_all(workstation.open_to_the_vpc())
        shipping.with_user_data(self.machine, workstation.user_data())
        shipping.like_amazon_linux(self.machine)
        # sudo drops the variable that names the laboratory's CA; on a real host the CA is built in.
        self.machine.write("/etc/sudoers.d/lab", 'Defaults env_keep += "AWS_CA_BUNDLE"\n', 0o440)
        lab.sh("cp", deb, self.machine.root / "root")
        self.machine.boot()
        said = self.machine.try_run("tail -n 5 /var/log/cloud-init-output.log")[1]
        hosts.expect(hosts.state(self.machine) == "active", f"the agent does not run; of user data: {said}")
        hosts.expect(self.machine.try_run(f"container lab {hosts.TOKEN}")[0] != 0, "a container reaches instance metadata")
        workstation.register(hosts.agents_variables(self.machine)["ECS_CLUSTER"])

    def try_run(self, text):
        return self.machine.try_run(f"cd /root && {text}")


def run(command, where):
    """Runs a command, which must succeed, print what the page says, and be marked if, and only if, it cannot be run."""
    hosts.expect(where, "there is no host")
    status, printed = where.try_run(command.text)
    if command.marked:
        return hosts.expect(status != 0, "it is marked, and yet it can be run here")
    hosts.expect(status == 0 or command.printed is not None and "echo $?" in command.text, f"exit status {status}: {printed[-2000:]}")
    hosts.expect(command.printed is None or command.prints(printed), f"the page has\n{command.printed}\nand it prints\n{printed}")


def is_run_elsewhere(command):
    """Whether the file that is said to run it still has the words that do."""
    hosts.expect(command.name in ELSEWHERE, "no test runs it: mark it, or say in tests/readme/main.py which one does")
    file, words = ELSEWHERE[command.name]
    hosts.contains((PROJECT / file).read_text(), words)


def where(command):
    """Host or workstation, or nowhere here."""
    places = PAGES[command.page]
    place = next((place for heading, place in places.items() if re.match(heading, command.heading)), None)
    return "workstation" if place and command.marked else place


def main(made):
    if "LAB_PID" not in os.environ:
        lab.tools()
        lab.debian()
    lab.isolate()
    lab.sh("ip", "link", "set", "lo", "up")
    tally, places = hosts.Tally(), {}
    every = [command for page in PAGES for command in commands((PROJECT / page).read_text(), page)]
    [deb] = (made / "dist").glob("ecs-bootstrap_*_amd64.deb")
    with contextlib.ExitStack() as life:
        places["workstation"] = Workstation(life.enter_context(account(made)), made)
        for command in every:
            place = where(command)
            if place == "host" and "host" not in places:
                with tally.case("the user data that the tutorial makes boots a host, and its agent starts"):
                    places["host"] = None
                    places["host"] = Host(places["workstation"], deb, life)
            with tally.case(f"{command.place}: {command.name}"):
                if place and command.name not in ELSEWHERE:
                    run(command, places[place])
                else:
                    is_run_elsewhere(command)
    print(f"{tally.passed} passed, {tally.failed} failed, {0 if os.environ.get('CI') == 'true' else 1} skipped")
    sys.exit(tally.failed > 0)


main(Path(sys.argv[1]))
