"""The unmodified binary as on an instance: AWS's own host names over TLS, metadata at its true address, not one endpoint variable.

All of it in a network and mount namespace of its own, which has no way out: /etc/hosts there leads AWS's names to moto, and its
loopback carries the metadata addresses. Where users may make namespaces, this needs no root.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess

from authority import certificate_for
from harness import Cases, equal, process, true, wait_for
from imds import REGION, ROLE, Imds
from machine import Machine, aws_s3_cp, in_own_network
from moto_cloud import MOTO, Moto
from objects import CONFIG, KEY, MARKER, source
from cloud import Cloud, may

case = Cases()
BUCKET, ARN = Cloud.bucket, Cloud.arn
NAMES = [
    "iam.amazonaws.com",
    f"sts.{REGION}.api.aws",
    *(f"{service}.{REGION}.amazonaws.com" for service in ("sts", "sts-fips", "s3")),
    *(f"{BUCKET}.{service}.{REGION}.amazonaws.com" for service in ("s3", "s3-fips", "s3.dualstack")),
]
METADATA = {"IPv4": "169.254.169.254:80", "IPv6": "[fd00:ec2::254]:80"}
ENTER = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--net", "--mount"]


def unavailable():
    """Why there can be no such namespace here, if so."""
    if not shutil.which("ip"):
        return "needs Debian's iproute2 (ip not found)"
    tried = subprocess.run([*ENTER, "true"], capture_output=True, text=True)
    return f"needs root, or user namespaces: {tried.stderr.strip()}" if tried.returncode else None


@contextlib.contextmanager
def cloud(scratch):
    assert in_own_network(), "this suite runs in its own network namespace"
    _lay_out_the_network(pathlib.Path(scratch, "hosts"))
    ca, certificate, key = certificate_for(NAMES, pathlib.Path(scratch))
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # for boto3 in this process, which has keys of its own
    argv = [MOTO, "-H", "127.0.0.1", "-p", "443", "-s", "-c", certificate, "-k", key]
    log = pathlib.Path(scratch, "moto.log")
    with process(argv, log, cwd=scratch):
        wait_for(lambda: "Running on" in log.read_text(), "moto's start")
        yield NamesCloud(Moto(None, ca), ca)


def _lay_out_the_network(hosts):
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ["localhost", *NAMES]))
    run = lambda *argv: subprocess.run(argv, check=True)
    run("mount", "--bind", str(hosts), "/etc/hosts")
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", "169.254.169.254/32", "dev", "lo")
    if pathlib.Path("/proc/net/if_inet6").exists():
        run("ip", "addr", "add", "fd00:ec2::254/128", "dev", "lo", "nodad")


class NamesCloud:
    def __init__(self, moto, ca):
        self.moto, self.ca = moto, ca
        moto.bucket(BUCKET)
        self.credentials = moto.role(ROLE, may("s3:GetObject", f"{ARN}/{KEY}"))
        moto.s3.put_object(Bucket=BUCKET, Key=KEY, Body=CONFIG)
        moto.enforce()

    @contextlib.contextmanager
    def instance(self, mode="IPv4", **env):
        """A machine that is told only which authority to trust, and its metadata service."""
        secrets = (self.credentials["SecretAccessKey"], self.credentials["SessionToken"], MARKER)
        env = {"AWS_CA_BUNDLE": self.ca, **env}
        with Imds(self.credentials, address=METADATA[mode]) as imds, Machine(env, secrets) as machine:
            yield machine
            equal(imds.without_token, 0, "the number of metadata requests without a token")


@case
def a_private_object_is_installed_byte_for_byte_as_the_documented_recipe_gets_it(cloud):
    with cloud.instance() as machine:
        boot = machine.run(source(BUCKET, KEY)).ended(0, "installed")
        recipe = {"AWS_CA_BUNDLE": cloud.ca, "AWS_DEFAULT_REGION": REGION}
        equal(machine.installed.read_bytes(), aws_s3_cp(BUCKET, KEY, recipe), "ecs.config")
        machine.run(source(BUCKET, KEY)).ended(0, "unchanged")
    equal(boot.report["host"]["region"], REGION, "the reported region")


@case
def a_denied_key_is_access_denied(cloud):
    with cloud.instance() as machine:
        machine.run(source(BUCKET, "other")).ended(20, "access_denied")


@case(each=["AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT"])
def dual_stack_and_fips_endpoints_are_those_of_the_aws_cli(cloud, variable):
    with cloud.instance(**{variable: "true"}) as machine:
        recipe = {"AWS_CA_BUNDLE": cloud.ca, "AWS_DEFAULT_REGION": REGION, variable: "true"}
        machine.run(source(BUCKET, KEY)).ended(0, "installed")
        equal(machine.installed.read_bytes(), aws_s3_cp(BUCKET, KEY, recipe), "ecs.config")


@case
def an_unknown_certificate_authority_is_not_trusted(cloud):
    with cloud.instance(AWS_CA_BUNDLE="") as machine:
        boot = machine.run(source(BUCKET, KEY), timeout="5s").ended(22, "source_unreachable")
        true(not machine.installed.exists(), "the file came over an untrusted connection")
        true("certificate" in str(boot.report["error"]).lower(), f"the message does not mention the certificate: {boot.report['error']}")


if pathlib.Path("/proc/net/if_inet6").exists():

    @case
    def metadata_over_ipv6_is_asked_when_the_mode_is_ipv6(cloud):
        with cloud.instance("IPv6", AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE="IPv6") as machine:
            machine.run(source(BUCKET, KEY)).ended(0, "installed")

    @case
    def metadata_over_ipv6_is_found_without_a_mode(cloud):
        with cloud.instance("IPv6") as machine:
            machine.run(source(BUCKET, KEY)).ended(0, "installed")
