"""A role that is right but for one fault: the check names it, and the command that it prints fixes it."""

import json

from account import ACCOUNT_ID
from harness import Cases
from moto_cloud import policy

case = Cases()

SOURCE = "s3://config/ecs.config"
OBJECT = "arn:aws:s3:::config/ecs.config"
KEY = f"arn:aws:kms:us-west-2:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ECS = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
SSM = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def trust(effect="Allow", principal="ec2.amazonaws.com", action="sts:AssumeRole", **more):
    return {"Effect": effect, "Principal": {"Service": principal}, "Action": action, **more}


def trusting(*statements):
    return lambda iam, role: iam.update_assume_role_policy(RoleName=role, PolicyDocument=policy(*statements))


def inline(name, *statements):
    return lambda iam, role: iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy(*statements))


def attached(*statements):
    """A policy of the account's own."""

    def break_role(iam, role):
        made = iam.create_policy(PolicyName=f"own-{role}", PolicyDocument=policy(*statements))
        iam.attach_role_policy(RoleName=role, PolicyArn=made["Policy"]["Arn"])

    return break_role


def detached(arn):
    return lambda iam, role: iam.detach_role_policy(RoleName=role, PolicyArn=arn)


def custom_without_poll(iam, role):
    iam.detach_role_policy(RoleName=role, PolicyArn=ECS)
    actions = ["ecs:RegisterContainerInstance", "ecs:DiscoverPollEndpoint", "ecs:StartTelemetrySession", "ecs:Submit*"]
    inline("own", allow(actions))(iam, role)


def no_grant(iam, role):
    iam.delete_role_policy(RoleName=role, PolicyName="ecs-bootstrap-config")


def out_of_profile(iam, role):
    iam.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)


def no_profile(iam, role):
    out_of_profile(iam, role)
    iam.delete_instance_profile(InstanceProfileName=role)


def another_in_profile(iam, role):
    out_of_profile(iam, role)
    iam.create_role(RoleName=f"other-{role}", AssumeRolePolicyDocument=policy(trust()))
    iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=f"other-{role}")


def bounded(iam, role):
    made = iam.create_policy(PolicyName=f"boundary-{role}", PolicyDocument=policy(allow("ecs:*"), allow("ecr:*"), allow("logs:*")))
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=made["Policy"]["Arn"])


def gone(iam, role):
    no_profile(iam, role)
    no_grant(iam, role)
    iam.detach_role_policy(RoleName=role, PolicyArn=ECS)
    iam.delete_role(RoleName=role)


# What is done to the role, what is found, on which kind of host.
FAULTS = {
    "the managed policy is detached": (detached(ECS), "ecs-policy-missing", "ec2"),
    "a policy of one's own lacks ecs:Poll": (custom_without_poll, "ecs-policy-missing", "batch"),
    "an external host's managed policy is detached": (detached(SSM), "ssm-policy-missing", "external"),
    "the trust names another service": (trusting(trust(principal="lambda.amazonaws.com")), "trust-principal", "ec2"),
    "an external host's trust names EC2": (trusting(trust()), "trust-principal", "external"),
    "the trust allows another action": (trusting(trust(action="sts:TagSession")), "trust-action", "batch"),
    "the trust denies it, too": (trusting(trust(), trust("Deny", Sid="No")), "trust-denied", "ec2"),
    "the trust is for another account": (
        trusting(trust(principal="ssm.amazonaws.com", Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}})),
        "trust-condition",
        "external",
    ),
    "there is no instance profile": (no_profile, "instance-profile-missing", "ec2"),
    "the instance profile is empty": (out_of_profile, "instance-profile-empty", "batch"),
    "the instance profile holds another role": (another_in_profile, "instance-profile-other", "ec2"),
    "an inline policy denies S3": (inline("no", deny("s3:*")), "explicit-deny", "ec2"),
    "an inline policy denies all but EC2": (inline("no", {"Effect": "Deny", "NotAction": "ec2:*", "Resource": "*"}), "explicit-deny", "ec2"),
    "the policy that grants the object denies it, too": (
        inline("ecs-bootstrap-config", allow("s3:GetObject", OBJECT), deny("S3:GET*", "arn:aws:s3:::config/*")),
        "explicit-deny",
        "ec2",
    ),
    "an own managed policy denies registration": (attached(deny("ecs:RegisterContainerInstance")), "explicit-deny", "ec2"),
    "an own managed policy allows some and denies some": (attached(allow("ecs:Poll"), deny("ecs:Submit*")), "explicit-deny", "ec2"),
    "nothing grants the object": (no_grant, "object-not-readable", "ec2"),
    "the object is granted under a condition of ListBucket": (
        inline("ecs-bootstrap-config", allow("s3:GetObject", OBJECT, Condition={"StringLike": {"s3:prefix": "*"}})),
        "object-not-readable",
        "ec2",
    ),
    "another key is granted": (inline("ecs-bootstrap-config", allow("s3:GetObject", OBJECT + ".old")), "object-not-readable", "external"),
    "the bucket is granted, its objects are not": (
        inline("ecs-bootstrap-config", allow("s3:*", "arn:aws:s3:::config")),
        "object-not-readable",
        "ec2",
    ),
    "all but the object is granted": (
        inline("ecs-bootstrap-config", {"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::config/*"}),
        "object-not-readable",
        "ec2",
    ),
    "the object is granted in an account that is not the bucket's": (
        inline("ecs-bootstrap-config", allow("s3:GetObject", OBJECT, Condition={"StringEquals": {"s3:ResourceAccount": "999999999999"}})),
        "object-not-readable",
        "owner",
    ),
    "a pinned version is granted as the latest one": (inline("ecs-bootstrap-config", allow("s3:GetObject", OBJECT)), "object-not-readable", "pinned"),
    "the key of KMS is not granted": (inline("ecs-bootstrap-config", allow("s3:GetObject", OBJECT)), "key-not-usable", "kms"),
    "a permissions boundary leaves S3 out": (bounded, "permissions-boundary", "ec2"),
    "the role does not exist": (gone, "role-missing", "ec2"),
}
REQUESTS = {
    "owner": ["--config", f"{SOURCE}?owner={ACCOUNT_ID}"],
    "pinned": ["--config", f"{SOURCE}?versionId=3HL4kqtJlcpXroDTDmJ"],
    "kms": ["--config", SOURCE, "--kms-key", KEY],
}


def request(kind):
    return REQUESTS.get(kind) or ["--for", kind, "--config", SOURCE]


def make(account, role, kind):
    """A role as `role print --format json` has it; the CLI's commands have cases of their own."""
    documents = json.loads(account.print("--name", role, *request(kind), "--format", "json"))
    account.iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(documents["trust_policy"]))
    for arn in documents["managed_policies"]:
        account.iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    for name, document in documents["inline_policies"].items():
        account.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    if documents["instance_profile"]:
        account.iam.create_instance_profile(InstanceProfileName=documents["instance_profile"])
        account.iam.add_role_to_instance_profile(InstanceProfileName=documents["instance_profile"], RoleName=role)


@case(each=list(FAULTS))
def printed_command_fixes_the_named_fault(account, fault):
    break_role, finding, kind = FAULTS[fault]
    role = f"faulty-{list(FAULTS).index(fault)}"
    make(account, role, kind)
    account.check("--role", role, *request(kind)).is_clean()
    break_role(account.iam, role)
    account.sh(account.check("--role", role, *request(kind)).names(finding))
    account.check("--role", role, *request(kind)).works()
