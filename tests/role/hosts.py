"""The role of each kind of host, made by the aws CLI from what is printed, and found right."""

from harness import Cases, equal, true
from imds import INSTANCE
from moto_cloud import policy
from simulator import simulator
from world import ACCOUNT

case = Cases()

SOURCE = "s3://config/ecs.config"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:user/administrator"


@case(each=["ec2", "batch", "external"])
def a_role_made_by_the_printed_commands_is_found_right(world, kind):
    name = f"made-for-{kind}"
    world.sh(world.print("--for", kind, "--name", name, "--config", SOURCE))
    world.check("--for", kind, "--role", name, "--config", SOURCE).is_clean()


@case(each=["ec2", "batch", "external"])
def a_custom_role_made_by_the_printed_commands_is_found_right(world, kind):
    wish = ["--for", kind, "--custom", "--create-cluster", "--tag-authorization", "--with-task-execution", "--config", SOURCE]
    name = f"custom-for-{kind}"
    world.sh(world.print("--name", name, *wish))
    world.check("--role", name, *wish).is_clean()


@case
def what_is_beyond_need_is_named_and_the_command_takes_it_away(world):
    """AmazonS3ReadOnlyAccess is what the guide attaches: it reads every bucket of the account."""
    world.sh(world.print("--name", "beyond"))
    world.iam.attach_role_policy(RoleName="beyond", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    finding = world.check("--role", "beyond", "--config", SOURCE).remarks("beyond-need")
    equal(finding["severity"], "warning", "its severity")
    true("s3:Get*" in finding["message"], finding["message"])
    world.sh(finding["fix"])
    world.check("--role", "beyond", "--config", SOURCE).is_clean()


@case
def on_the_host_itself_the_role_s_own_fetch_is_the_evidence(world):
    world.moto.bucket("config")
    world.moto.s3.put_object(Bucket="config", Key="ecs.config", Body=b"ECS_CLUSTER=prod\n")
    world.sh(world.print("--name", "own", "--config", SOURCE))
    keys = session(world, "own")
    check = world.check("--config", SOURCE, keys=keys).works()
    equal(check.report["role"], "own", "the role, told by the credentials")
    true(any("iam:GetRole" in line for line in check.report["not_seen"]), check.report)
    world.iam.delete_role_policy(RoleName="own", PolicyName="ecs-bootstrap-config")
    world.sh(world.check("--config", SOURCE, keys=keys).names("object-not-readable"))
    world.check("--config", SOURCE, keys=keys).works()


@case
def who_may_see_nothing_is_told_so_and_by_the_command_may(world):
    world.iam.create_user(UserName="nobody")
    keys = world.iam.create_access_key(UserName="nobody")["AccessKey"]
    world.sh(world.print("--name", "unseen"))
    world.sh(world.check("--role", "unseen", keys=keys).names("not-seen"))
    world.check("--role", "unseen", keys=keys).is_clean()


@case
def without_credentials_the_check_ends_with_11(world):
    env = {name: value for name, value in world.environment().items() if not name.startswith("AWS_") or "METADATA" in name}
    check = world.check(env=env)
    equal((check.status, check.report["error"]["word"]), (11, "no_role"), "the end")


@case
def what_depends_on_the_request_is_unsure_until_the_simulator_decides(world):
    world.sh(world.print("--name", "tagged"))
    grant = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::config/ecs.config"}
    grant["Condition"] = {"StringEquals": {"aws:PrincipalTag/stage": "prod"}}
    world.iam.put_role_policy(RoleName="tagged", PolicyName="own", PolicyDocument=policy(grant))
    doubt = world.check("--role", "tagged", "--config", SOURCE).remarks("unsure")
    true("s3:GetObject" in doubt["message"] and "aws:PrincipalTag/stage" in doubt["message"], doubt)
    with simulator(world.moto.endpoint) as endpoint:
        check = world.check("--role", "tagged", "--config", SOURCE, env=world.environment() | {"AWS_ENDPOINT_URL": endpoint})
    check.is_clean()
    true(not any("simulator" in line for line in check.report["not_seen"]), check.report)


@case
def what_the_organisation_refuses_is_found_by_the_simulator(world):
    world.sh(world.print("--name", "organised", "--config", SOURCE))
    with simulator(world.moto.endpoint, ["s3:GetObject"]) as endpoint:
        check = world.check("--role", "organised", "--config", SOURCE, env=world.environment() | {"AWS_ENDPOINT_URL": endpoint})
    equal(check.names("organisation"), "", "the command, for no command of the account mends it")


def session(world, role, name=INSTANCE):
    """The credentials of a host that has the role. EC2 is who really assumes it; here the administrator does it for EC2."""
    principal = {"Service": "ec2.amazonaws.com", "AWS": ADMINISTRATOR}
    trust = policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
    world.iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
    return world.moto.credentials(role, name)
