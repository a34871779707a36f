"""The role of each kind of host, made by the aws CLI from what is printed, and checked by whoever may see more or less of it."""

from account import ACCOUNT_ID
from harness import Cases, equal, true
from imds import INSTANCE
from moto_cloud import policy
from simulator import simulator

case = Cases()

SOURCE = "s3://config/ecs.config"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT_ID}:user/administrator"


@case(each=["ec2", "batch", "external"])
def printed_commands_make_a_role_without_findings(account, kind):
    name = f"made-for-{kind}"
    account.sh(account.print("--for", kind, "--name", name, "--config", SOURCE))
    account.check("--for", kind, "--role", name, "--config", SOURCE).is_clean()


@case(each=["ec2", "batch", "external"])
def printed_commands_make_a_custom_role_without_findings(account, kind):
    request = ["--for", kind, "--custom", "--create-cluster", "--tag-authorization", "--with-task-execution", "--config", SOURCE]
    name = f"custom-for-{kind}"
    account.sh(account.print("--name", name, *request))
    account.check("--role", name, *request).is_clean()


@case
def printed_command_removes_excess_permissions(account):
    """AmazonS3ReadOnlyAccess is what the guide attaches: it reads every bucket of the account."""
    account.sh(account.print("--name", "beyond"))
    account.iam.attach_role_policy(RoleName="beyond", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    finding = account.check("--role", "beyond", "--config", SOURCE).notes("beyond-need")
    equal(finding["severity"], "warning", "its severity")
    true("s3:Get*" in finding["message"], finding["message"])
    account.sh(finding["fix"])
    account.check("--role", "beyond", "--config", SOURCE).is_clean()


@case
def printed_commands_for_several_excess_policies_do_not_undo_each_other(account):
    """Both policies grant the object; each of the others grants an object of its own."""
    account.sh(account.print("--name", "several"))
    for name in ["AdministratorAccess", "PowerUserAccess"]:
        account.iam.attach_role_policy(RoleName="several", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    sources = ["--config", SOURCE, "--config", "s3://config/first", "--config", "s3://config/second"]
    for name in ["first", "second"]:
        grant = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::config/{name}"}
        account.iam.put_role_policy(RoleName="several", PolicyName=name, PolicyDocument=policy(grant))
    findings = account.check("--role", "several", *sources).works().findings
    equal([finding["id"] for finding in findings], ["beyond-need"] * 4, "what is found")
    for finding in findings:
        account.sh(finding["fix"])
    account.check("--role", "several", *sources).is_clean()


@case
def check_on_the_host_fetches_with_its_own_credentials(account):
    account.moto.bucket("config")
    account.moto.s3.put_object(Bucket="config", Key="ecs.config", Body=b"ECS_CLUSTER=prod\n")
    account.sh(account.print("--name", "own", "--config", SOURCE))
    keys = session(account, "own")
    check = account.check("--config", SOURCE, keys=keys).works()
    equal(check.report["role"], "own", "the role, known from the credentials")
    true(any("iam:GetRole" in line for line in check.report["not_seen"]), check.report)
    account.iam.delete_role_policy(RoleName="own", PolicyName="ecs-bootstrap-config")
    account.sh(account.check("--config", SOURCE, keys=keys).names("object-not-readable"))
    account.check("--config", SOURCE, keys=keys).works()


@case
def unprivileged_user_gets_the_command_that_allows_reading(account):
    account.iam.create_user(UserName="unprivileged")
    keys = account.iam.create_access_key(UserName="unprivileged")["AccessKey"]
    account.sh(account.print("--name", "unseen"))
    account.sh(account.check("--role", "unseen", keys=keys).names("not-seen"))
    account.check("--role", "unseen", keys=keys).is_clean()


@case
def check_without_credentials_exits_with_11(account):
    env = {name: value for name, value in account.environment().items() if not name.startswith("AWS_") or "METADATA" in name}
    check = account.check(env=env)
    equal((check.status, check.report["error"]["word"]), (11, "no_role"), "exit status and word")


@case
def request_dependent_permission_is_unsure_until_simulated(account):
    account.sh(account.print("--name", "tagged"))
    grant = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::config/ecs.config"}
    grant["Condition"] = {"StringEquals": {"aws:PrincipalTag/stage": "prod"}}
    account.iam.put_role_policy(RoleName="tagged", PolicyName="own", PolicyDocument=policy(grant))
    doubt = account.check("--role", "tagged", "--config", SOURCE).notes("unsure")
    true("s3:GetObject" in doubt["message"] and "aws:PrincipalTag/stage" in doubt["message"], doubt)
    with simulator(account.moto.endpoint) as endpoint:
        check = account.check("--role", "tagged", "--config", SOURCE, env=account.environment() | {"AWS_ENDPOINT_URL": endpoint})
    check.is_clean()
    true(not any("simulator" in line for line in check.report["not_seen"]), check.report)


@case
def organisation_refusal_is_found_by_the_simulator(account):
    account.sh(account.print("--name", "organised", "--config", SOURCE))
    with simulator(account.moto.endpoint, ["s3:GetObject"]) as endpoint:
        check = account.check("--role", "organised", "--config", SOURCE, env=account.environment() | {"AWS_ENDPOINT_URL": endpoint})
    equal(check.names("organisation"), "", "the command, for no command of the account fixes it")


def session(account, role, name=INSTANCE):
    """The credentials of a host that has the role. EC2 is who really assumes it; here the administrator does it for EC2."""
    principal = {"Service": "ec2.amazonaws.com", "AWS": ADMINISTRATOR}
    trust = policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
    account.iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
    return account.moto.credentials(role, name)
