"""A host whose role was created from what is printed boots; without one of its actions exactly the step fails that needs it."""

import json

from harness import Cases, equal, true
from hosts import session
from imds import Imds
from machine import Machine

case = Cases()

CONFIG = b"ECS_CLUSTER=prod\n"


@case(each=["s3:GetObject", "s3:GetObjectVersion"])
def the_host_boots_and_without_the_action_its_fetch_is_refused(world, action):
    bucket = f"boot-{action.split(':')[1].lower()}"
    world.moto.bucket(bucket)
    world.moto.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = world.moto.s3.put_object(Bucket=bucket, Key="ecs.config", Body=CONFIG)["VersionId"]
    source = f"s3://{bucket}/ecs.config" + (f"?versionId={version}" if action.endswith("Version") else "")
    role = f"booting-{bucket}"
    world.sh(world.print("--name", role, "--config", source))
    keys = session(world, role)
    imds = Imds(keys, role=role)
    env = {"AWS_ENDPOINT_URL": world.moto.endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url}
    with imds, Machine(env) as machine:
        machine.run(source).ended(0, "installed")
        equal(machine.installed.read_bytes(), CONFIG, "ecs.config")
    take(world, role, action)
    with Imds(keys, role=role) as imds, Machine(env | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url}) as machine:
        boot = machine.run(source).ended(20, "access_denied")
        failed = [step["step"] for step in boot.report["steps"] if step["outcome"] == "failed"]
        equal(failed, ["fetch"], "the steps that failed")
        error = boot.report["error"]
        true(f'"{action}"' in json.dumps(boot.statement(action)), f"{action} is not in {error}")
        world.iam.put_role_policy(RoleName=role, PolicyName="mended", PolicyDocument=_policy(boot.statement(action)))
        machine.run(source).ended(0, "installed")


def take(world, role, action):
    """Takes the action out of the printed policy, and with it all that is printed beside AWS's own."""
    printed = world.iam.get_role_policy(RoleName=role, PolicyName="ecs-bootstrap-config")["PolicyDocument"]
    equal([statement["Action"] for statement in printed["Statement"]], [action], "the actions that are printed")
    world.iam.delete_role_policy(RoleName=role, PolicyName="ecs-bootstrap-config")


def _policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
