"""A host whose role was made by the printed commands boots; without one of its actions exactly the step that needs it fails."""

import json

from account import ACCOUNT_ID
from harness import Cases, equal, true
from hosts import session
from imds import INSTANCE, REGION, Imds
from kms import decrypting
from machine import Machine
from moto_cloud import policy

case = Cases()

CONFIG = b"ECS_CLUSTER=prod\n"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PRINTED = "ecs-bootstrap-config"

# The kinds of object, and what is printed for each.
ACTIONS = {"plain": ["s3:GetObject"], "pinned": ["s3:GetObjectVersion"], "encrypted": ["s3:GetObject", "kms:Decrypt"]}


@case(each=[f"{kind}, {action}" for kind, actions in ACTIONS.items() for action in actions])
def host_boots_only_with_each_printed_action(account, each):
    kind, action = each.split(", ")
    name = f"boot-{kind}-{action.replace(':', '-').lower()}"
    source = store(account, name, kind)
    account.sh(account.print("--name", name, "--config", source, *(["--kms-key", KEY] if kind == "encrypted" else [])))
    keys = session(account, name)
    user = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/{INSTANCE}"
    with Imds(keys, role=name) as imds, decrypting(account, name, user) as endpoint:
        env = {"AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url}
        with Machine(env) as machine:
            machine.run(source).ended(0, "installed")
            equal(machine.installed.read_bytes(), CONFIG, "ecs.config")
        remove(account, name, kind, action)
        with Machine(env) as machine:
            boot = machine.run(source).ended(20, "access_denied")
            failed = [step["step"] for step in boot.report["steps"] if step["outcome"] == "failed"]
            equal(failed, ["fetch"], "the steps that failed")
            true(action in boot.report["error"]["remedy"], f"{action} is not in the remedy: {boot.report['error']}")
            true(not machine.installed.exists(), "a file was installed")
            account.iam.put_role_policy(RoleName=name, PolicyName="granted", PolicyDocument=policy(boot.statement(action)))
            machine.run(source).ended(0, "installed")


def store(account, bucket, kind):
    """The object, and its source."""
    account.moto.bucket(bucket)
    account.moto.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY} if kind == "encrypted" else {}
    version = account.moto.s3.put_object(Bucket=bucket, Key="ecs.config", Body=CONFIG, **encryption)["VersionId"]
    return f"s3://{bucket}/ecs.config" + (f"?versionId={version}" if kind == "pinned" else "")


def remove(account, role, kind, action):
    """Removes the action from the printed policy, and leaves the rest."""
    printed = account.iam.get_role_policy(RoleName=role, PolicyName=PRINTED)["PolicyDocument"]["Statement"]
    equal([statement["Action"] for statement in printed], ACTIONS[kind], "the actions that are printed")
    rest = [statement for statement in printed if statement["Action"] != action]
    account.iam.delete_role_policy(RoleName=role, PolicyName=PRINTED)
    if rest:
        account.iam.put_role_policy(RoleName=role, PolicyName=PRINTED, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rest}))
