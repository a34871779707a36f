"""A host whose role was created from what is printed boots; without one of its actions exactly the step fails that needs it."""

import json

from harness import Cases, equal, true
from hosts import session
from imds import INSTANCE, REGION, Imds
from kms import decrypting
from machine import Machine
from moto_cloud import policy
from world import ACCOUNT

case = Cases()

CONFIG = b"ECS_CLUSTER=prod\n"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PRINTED = "ecs-bootstrap-config"

# The kinds of object, and what is printed for each.
ACTIONS = {"plain": ["s3:GetObject"], "pinned": ["s3:GetObjectVersion"], "encrypted": ["s3:GetObject", "kms:Decrypt"]}


@case(each=[f"{kind}, {action}" for kind, actions in ACTIONS.items() for action in actions])
def the_host_boots_and_without_the_action_its_fetch_is_refused(world, each):
    kind, action = each.split(", ")
    name = f"boot-{kind}-{action.replace(':', '-').lower()}"
    source = store(world, name, kind)
    world.sh(world.print("--name", name, "--config", source, *(["--kms-key", KEY] if kind == "encrypted" else [])))
    keys = session(world, name)
    user = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{INSTANCE}"
    with Imds(keys, role=name) as imds, decrypting(world, name, user) as endpoint:
        env = {"AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url}
        with Machine(env) as machine:
            machine.run(source).ended(0, "installed")
            equal(machine.installed.read_bytes(), CONFIG, "ecs.config")
        take(world, name, kind, action)
        with Machine(env) as machine:
            boot = machine.run(source).ended(20, "access_denied")
            failed = [step["step"] for step in boot.report["steps"] if step["outcome"] == "failed"]
            equal(failed, ["fetch"], "the steps that failed")
            true(action in boot.report["error"]["remedy"], f"{action} is not in the remedy: {boot.report['error']}")
            true(not machine.installed.exists(), "a file was installed")
            world.iam.put_role_policy(RoleName=name, PolicyName="mended", PolicyDocument=policy(boot.statement(action)))
            machine.run(source).ended(0, "installed")


def store(world, bucket, kind):
    """The object, and its source."""
    world.moto.bucket(bucket)
    world.moto.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY} if kind == "encrypted" else {}
    version = world.moto.s3.put_object(Bucket=bucket, Key="ecs.config", Body=CONFIG, **encryption)["VersionId"]
    return f"s3://{bucket}/ecs.config" + (f"?versionId={version}" if kind == "pinned" else "")


def take(world, role, kind, action):
    """Takes the action out of the printed policy, and leaves the rest."""
    printed = world.iam.get_role_policy(RoleName=role, PolicyName=PRINTED)["PolicyDocument"]["Statement"]
    equal([statement["Action"] for statement in printed], ACTIONS[kind], "the actions that are printed")
    rest = [statement for statement in printed if statement["Action"] != action]
    world.iam.delete_role_policy(RoleName=role, PolicyName=PRINTED)
    if rest:
        world.iam.put_role_policy(RoleName=role, PolicyName=PRINTED, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rest}))
