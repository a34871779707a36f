"""Parameter Store and Secrets Manager in moto, with enforcement on. moto judges these two services by action, not by resource, and
refuses with 403 and XML where AWS answers 400 and JSON."""

import contextlib
import fnmatch
import json
import subprocess

from cloud import may
from harness import Cases, equal, true
from imds import NO_METADATA, REGION
from machine import BINARY, plain_environment
from moto_cloud import moto_on_loopback
from objects import MARKER, source
import cases_moto

case = Cases()
BUCKET = cases_moto.BUCKET
AUTH = """ECS_CLUSTER=prod
ECS_ENGINE_AUTH_TYPE=docker
ECS_ENGINE_AUTH_DATA={"r.test":{"username":"ci","password":"${secret:fleet/registry#password}"}}
X_PLAIN=${ssm:/fleet/plain}
"""
LAYERS = (source(BUCKET, "auth"), "ssm:///fleet/ecs.config", "secretsmanager://fleet/more")
PLACEHOLDERS = ("ssm:///fleet/plain", "secretsmanager://fleet/registry")
ACTIONS = ("s3:GetObject", "ssm:GetParameter", "secretsmanager:GetSecretValue")


@contextlib.contextmanager
def cloud(scratch):
    with moto_on_loopback(scratch) as moto:
        yield SecretCloud(moto)


class SecretCloud(cases_moto.MotoCloud):
    def __init__(self, moto):
        super().__init__(moto)
        self.ssm, self.secrets = moto.client("ssm", moto.keys), moto.client("secretsmanager", moto.keys)
        self.put("auth", AUTH.encode())
        self.parameter("/fleet/ecs.config", f"# {MARKER}\nECS_HOST_DATA_DIR=/{MARKER}\n")
        self.parameter("/fleet/plain", f"{MARKER}-1")
        for name, value in (("fleet/registry", json.dumps({"password": MARKER})), ("fleet/more", f"X_MORE={MARKER}\n")):
            self.secrets.create_secret(Name=name, SecretString=value)

    def parameter(self, name, value):
        self.ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def printed(self, scratch="/nonexistent"):
        """The statements of `role print` for these sources."""
        words = [word for one in (*LAYERS, *PLACEHOLDERS) for word in ("--config", one)]
        argv = [BINARY, "role", "print", "--output", "json", "--region", REGION, *words]
        done = subprocess.run(argv, env=plain_environment(scratch, NO_METADATA), capture_output=True, text=True, timeout=60)
        true(done.returncode == 0, done.stderr)
        return json.loads(done.stdout)["inline_policies"]["ecs-bootstrap-config"]["Statement"]

    def allowed(self):
        return [by_action(one) for one in self.printed()]


def by_action(statement):
    """For moto, for which the resource of these two services' requests is always `*`."""
    return statement | ({} if "s3:GetObject" in statement["Action"] else {"Resource": "*"})


def listed(one_or_many):
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


def boots(machine, *more):
    return machine.run(*LAYERS, more=["--expand", "-v", *more])


@case
def the_printed_role_is_enough_for_layers_and_fields(cloud):
    with cloud.instance_that("enough", *cloud.allowed()) as (machine, _):
        boots(machine, "--dry-run").ended(0, "dry_run")
        boot = boots(machine).ended(0, "installed")
        text = machine.installed.read_text()
    true(f'"password":"{MARKER}"' in text and f"X_PLAIN={MARKER}-1\n" in text, "a placeholder was not replaced")
    true(f"ECS_HOST_DATA_DIR=/{MARKER}\n" in text and f"X_MORE={MARKER}\n" in text, "a layer is missing")
    sources = [one["source"] for one in boot.report["config"]["secrets"]]
    equal(sources, list(PLACEHOLDERS), "the reported sources of placeholders")


@case
def the_printed_role_names_what_moto_calls_the_parameters_and_secrets(cloud):
    patterns = [pattern for one in cloud.printed() for pattern in listed(one["Resource"])]
    arns = [cloud.secrets.describe_secret(SecretId=name)["ARN"] for name in ("fleet/registry", "fleet/more")]
    arns += [cloud.ssm.get_parameter(Name=name)["Parameter"]["ARN"] for name in ("/fleet/ecs.config", "/fleet/plain")]
    for arn in arns:
        equal([fnmatch.fnmatchcase(arn, pattern) for pattern in patterns].count(True), 1, f"the number of statements about {arn}")


@case(each=ACTIONS)
def the_printed_role_without_one_action_is_not_enough(cloud, action):
    name = "less" + action.replace(":", "")
    statements = [one for one in cloud.allowed() if action not in one["Action"]]
    with cloud.instance_that(name, *statements) as (machine, _):
        boot = boots(machine).ended(20, "access_denied")
        cloud.moto.allow(name, *statements, by_action(boot.statement(action)))
        boots(machine).ended(0, "installed")


@case
def rotation_is_seen_and_nothing_is_written_without_it(cloud):
    with cloud.instance_that("rotation", *cloud.allowed()) as (machine, _):
        boots(machine).ended(0, "installed")
        before = machine.installed.stat()
        boots(machine).ended(0, "unchanged")
        equal(machine.installed.stat().st_mtime_ns, before.st_mtime_ns, "the time of ecs.config")
        cloud.parameter("/fleet/plain", f"{MARKER}-2")
        boot = boots(machine).ended(0, "installed")
        true(f"X_PLAIN={MARKER}-2\n" in machine.installed.read_text(), "the new value is missing")
        equal(boot.report["config"]["secrets"][0]["version_id"], "2", "the reported version")


@case
def a_missing_parameter_and_secret_are_not_found(cloud):
    with cloud.instance_that("missing", may(list(ACTIONS), "*")) as (machine, _):
        machine.run("ssm:///absent").ended(21, "not_found")
        machine.run("secretsmanager://absent").ended(21, "not_found")
        machine.run("ssm:///fleet/plain?version=99").ended(21, "not_found")


@case
def a_secret_scheduled_for_deletion_is_not_found(cloud):
    cloud.secrets.create_secret(Name="leaving", SecretString="X=1\n")
    cloud.secrets.delete_secret(SecretId="leaving")
    with cloud.instance_that("leaving", may(list(ACTIONS), "*")) as (machine, _):
        machine.run("secretsmanager://leaving").ended(21, "not_found")
