"""The module and the stack, evaluated, and the roles that they must make: those of `role print` for the same hosts."""

import json
import subprocess
import tempfile
from pathlib import Path

import hcl
import intrinsics
from harness import Cases, equal, true

case = Cases()

MODULE, STACK = Path("packaging/terraform"), Path("packaging/cloudformation/ecs-bootstrap.yaml")
REGIONS = {"aws": "us-west-2", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

KEY = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CHINA = KEY.replace("aws", "aws-cn").replace("us-west-2", "cn-north-1")
ONE, TWO = "s3://config/prod/ecs.config", "s3://config/common.config"
LAYER, LAYER_ARN = "ssm:///fleet/ecs.config", "arn:aws:ssm:us-west-2:123456789012:parameter/fleet/ecs.config"
SECRET, SECRET_ARN = "secretsmanager://fleet/more", "arn:aws:secretsmanager:us-west-2:123456789012:secret:fleet/registry-AbCdEf"
HERE = ["--region", "us-west-2", "--account", "123456789012"]
ALL = {"iam_role_custom_agent_policy": True, "iam_role_create_cluster": True, "iam_role_tag_authorization": True, "iam_role_task_execution": True}
ALL_STACK = {"CustomAgentPolicy": "true", "CreateCluster": "true", "TagAuthorization": "true", "TaskExecution": "true"}
ALL_FLAGS = ["--custom", "--create-cluster", "--tag-authorization", "--with-task-execution"]

# Flags of `role print --for ec2`, variables of the module, parameters of the stack (None: it has none for this), and the partition.
ROLES = {
    "one layer": (["--config", ONE], {"config": [ONE]}, {"Config": ONE}, "aws"),
    "two layers": (["--config", ONE, "--config", TWO], {"config": [ONE, TWO]}, {"Config": ONE, "ConfigOverlay": TWO}, "aws"),
    "an owner": (
        ["--config", f"{ONE}?owner=123456789012", "--config", f"{TWO}?owner=123456789012"],
        {"config": [f"{ONE}?owner=123456789012", f"{TWO}?owner=123456789012"]},
        {"Config": ONE, "ConfigOverlay": TWO, "ConfigOwner": "123456789012"},
        "aws",
    ),
    "a version, a region and a digest": (
        ["--config", f"{ONE}?region=eu-west-1&versionId=3HL4.k_q-R#sha256={'a' * 64}", "--config", TWO],
        {"config": [f"{ONE}?region=eu-west-1&versionId=3HL4.k_q-R#sha256={'a' * 64}", TWO]},
        None,
        "aws",
    ),
    "a key": (["--config", ONE, "--kms-key", KEY], {"config": [ONE], "kms_key_arns": [KEY]}, {"Config": ONE, "KmsKeyArn": KEY}, "aws"),
    "a key in China": (
        ["--config", ONE, "--region", "cn-north-1", "--kms-key", CHINA],
        {"config": [ONE], "kms_key_arns": [CHINA]},
        {"Config": ONE, "KmsKeyArn": CHINA},
        "aws-cn",
    ),
    "a key in GovCloud": (
        ["--config", ONE, "--region", "us-gov-west-1", "--kms-key", KEY.replace("aws", "aws-us-gov").replace("us-west-2", "us-gov-west-1")],
        {"config": [ONE], "kms_key_arns": [KEY.replace("aws", "aws-us-gov").replace("us-west-2", "us-gov-west-1")]},
        {"Config": ONE, "KmsKeyArn": KEY.replace("aws", "aws-us-gov").replace("us-west-2", "us-gov-west-1")},
        "aws-us-gov",
    ),
    "a custom policy": (["--config", ONE, "--custom"], {"config": [ONE], "iam_role_custom_agent_policy": True}, {"Config": ONE, "CustomAgentPolicy": "true"}, "aws"),
    "a custom policy with everything": (["--config", ONE, *ALL_FLAGS], {"config": [ONE], **ALL}, {"Config": ONE, **ALL_STACK}, "aws"),
    "a parameter": (["--config", LAYER, *HERE], {"config": [LAYER]}, {"Config": LAYER}, "aws"),
    "a parameter and a secret, with a key": (
        ["--config", LAYER, "--config", SECRET, *HERE, "--kms-key", KEY],
        {"config": [LAYER, SECRET], "kms_key_arns": [KEY]},
        {"Config": LAYER, "ConfigOverlay": SECRET, "KmsKeyArn": KEY},
        "aws",
    ),
    "an object and a secret by its ARN, with an owner and a key": (
        ["--config", f"{ONE}?owner=123456789012", "--config", f"secretsmanager://{SECRET_ARN}", "--kms-key", KEY],
        {"config": [f"{ONE}?owner=123456789012", f"secretsmanager://{SECRET_ARN}"], "kms_key_arns": [KEY]},
        {"Config": ONE, "ConfigOverlay": f"secretsmanager://{SECRET_ARN}", "ConfigOwner": "123456789012", "KmsKeyArn": KEY},
        "aws",
    ),
    "secrets that an object names, with a key": (
        ["--config", ONE, "--config", LAYER, "--config", f"secretsmanager://{SECRET_ARN}", *HERE, "--kms-key", KEY],
        {"config": [ONE], "secrets": [LAYER, f"secretsmanager://{SECRET_ARN}"], "kms_key_arns": [KEY]},
        {"Config": ONE, "ParameterArns": LAYER_ARN, "SecretArns": SECRET_ARN, "KmsKeyArn": KEY},
        "aws",
    ),
    "two secrets that a parameter names": (
        ["--config", LAYER, "--config", "secretsmanager://a", "--config", f"secretsmanager://{SECRET_ARN}", *HERE],
        {"config": [LAYER], "secrets": ["secretsmanager://a", f"secretsmanager://{SECRET_ARN}"]},
        {"Config": LAYER, "SecretArns": f"arn:aws:secretsmanager:us-west-2:123456789012:secret:a-??????,{SECRET_ARN}"},
        "aws",
    ),
    "versions and regions of secrets": (
        ["--config", f"{LAYER}?label=prod&region=eu-west-1", "--config", f"{SECRET}?versionStage=AWSPREVIOUS#sha256={'b' * 64}", *HERE],
        {"config": [f"{LAYER}?label=prod&region=eu-west-1", f"{SECRET}?versionStage=AWSPREVIOUS#sha256={'b' * 64}"]},
        None,
        "aws",
    ),
    "secrets and a key in China": (
        ["--config", LAYER, "--config", SECRET, "--region", "cn-north-1", "--account", "123456789012", "--kms-key", CHINA],
        {"config": [LAYER, SECRET], "kms_key_arns": [CHINA]},
        {"Config": LAYER, "ConfigOverlay": SECRET, "KmsKeyArn": CHINA},
        "aws-cn",
    ),
    "no layer": ([], {"config": []}, None, "aws"),
}


def module(partition="aws", **variables):
    given = {"name": "hosts", "config": [ONE], "image_id": "ami-0123456789abcdef0", "subnet_ids": ["subnet-1"]} | variables
    known = {
        "data.aws_partition.current": {"partition": partition},
        "data.aws_region.current": {"region": REGIONS[partition]},
        "data.aws_caller_identity.current": {"account_id": "123456789012"},
    }
    return hcl.Module(MODULE, given, known)


def stack(partition="aws", **parameters):
    given = {"Config": ONE, "ImageId": "ami-0123456789abcdef0", "SubnetIds": "subnet-1"} | parameters
    return intrinsics.Stack(STACK, given, {"Partition": partition, "Region": REGIONS[partition], "AccountId": "123456789012", "StackName": "hosts"}).resources()


def statements(document):
    """One triple for each action and resource, so that grouping does not matter."""
    many = lambda value: value if isinstance(value, list) else [value]
    equal(document["Version"], "2012-10-17", "the version of the policy")
    rest = lambda one: json.dumps({name: value for name, value in one.items() if name not in ("Action", "Resource")}, sort_keys=True)
    return {
        (action, resource, rest(one))
        for one in document["Statement"]
        for action in many(one["Action"])
        for resource in many(one.get("Resource", ""))
    }


def printed(binary, flags):
    """The role that the program prints, without this machine's environment and settings."""
    with tempfile.TemporaryDirectory() as root:
        command = [binary, "role", "print", "--root", root, "--for", "ec2", "--format", "json", *flags]
        done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
    true(done.returncode == 0, done.stderr)
    role = json.loads(done.stdout)
    true(role["instance_profile"], "no instance profile is printed")
    return {
        "trust": statements(role["trust_policy"]),
        "managed": set(role["managed_policies"]),
        "inline": {name: statements(document) for name, document in role["inline_policies"].items()},
    }


def role_of_module(resources):
    of = lambda kind: [value for address, value in resources.items() if address.startswith(f"{kind}.")]
    [role] = of("aws_iam_role")
    [profile] = of("aws_iam_instance_profile")
    policies, attached = of("aws_iam_role_policy"), of("aws_iam_role_policy_attachment")
    owners = {one["role"] for one in [profile, *policies, *attached]}
    true(owners <= {"<aws_iam_role.this[0].name>", "<aws_iam_role.this[0].id>", role.get("name")}, f"policies and profile belong to {owners}")
    return {
        "trust": statements(json.loads(role["assume_role_policy"])),
        "managed": {one["policy_arn"] for one in attached},
        "inline": {one["name"]: statements(json.loads(one["policy"])) for one in policies},
    }


def role_of_stack(resources):
    role = resources["Role"]
    equal(resources["InstanceProfile"], {"Roles": ["<Role>"]}, "the instance profile")
    return {
        "trust": statements(role["AssumeRolePolicyDocument"]),
        "managed": set(role.get("ManagedPolicyArns", [])),
        "inline": {one["PolicyName"]: statements(one["PolicyDocument"]) for one in role["Policies"]},
    }


def same_role(made, wanted):
    """Reports only what differs, since whole roles are long."""
    for part in ("trust", "managed"):
        equal(made[part] ^ wanted[part], set(), f"the difference in {part}")
    equal(set(made["inline"]), set(wanted["inline"]), "the names of the policies")
    for name, document in wanted["inline"].items():
        equal(made["inline"][name] ^ document, set(), f"the difference in {name}")


@case(each=list(ROLES))
def the_module_makes_the_printed_role(binary, name):
    flags, variables, _, partition = ROLES[name]
    same_role(role_of_module(module(partition, **variables).resources()), printed(binary, flags))


@case(each=[name for name, role in ROLES.items() if role[2]])
def the_stack_makes_the_printed_role(binary, name):
    flags, _, parameters, partition = ROLES[name]
    same_role(role_of_stack(stack(partition, **parameters)), printed(binary, flags))


@case
def an_existing_instance_profile_replaces_the_role(_):
    arn = "arn:aws:iam::123456789012:instance-profile/mine"
    resources = module(create_iam_instance_profile=False, iam_instance_profile_arn=arn).resources()
    equal([address for address in resources if "aws_iam" in address], [], "what the module makes in IAM")
    equal(resources["aws_launch_template.this[0]"]["iam_instance_profile"], [{"arn": arn}], "the instance profile")
    resources = stack(InstanceProfileArn=arn)
    true("Role" not in resources and "InstanceProfile" not in resources, "the stack makes a role")
    equal(resources["LaunchTemplate"]["LaunchTemplateData"]["IamInstanceProfile"], {"Arn": arn}, "the instance profile")
