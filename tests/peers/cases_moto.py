"""The main job against moto: what IAM and S3 refuse, and what each kind of key, version and encryption gives."""

import contextlib
import json

from front import front, xml
from harness import Cases, equal, true
from imds import INSTANCE, REGION, ROLE, Imds
from machine import aws, installs_what_aws_s3_cp_gets
from moto_cloud import moto_on_loopback, policy
from objects import AWKWARD_KEYS, CONFIG, KEY, body, source
from cloud import Cloud, machine_of, may

case = Cases()
BUCKET, ARN = Cloud.bucket, Cloud.arn
EXTERNAL = "mi-0123456789abcdef0"


@contextlib.contextmanager
def cloud(scratch):
    with moto_on_loopback(scratch) as moto:
        yield MotoCloud(moto)


class MotoCloud(Cloud):
    """Seeded, then closed: from here on IAM decides."""

    def __init__(self, moto):
        self.moto, self.iam, self.buckets = moto, moto.iam, 0
        moto.bucket(BUCKET)
        allowed = may("s3:GetObject", *(f"{ARN}/{key}" for key in (KEY, *AWKWARD_KEYS)))
        super().__init__({"AWS_ENDPOINT_URL": moto.endpoint}, moto.s3, moto.role(ROLE, allowed))
        self.auto_scaling = moto.client("autoscaling", moto.keys)
        self.put(KEY, CONFIG)
        for key in AWKWARD_KEYS:
            self.put(key, body(key))
        moto.enforce()

    def launched(self, group="hosts"):
        """An instance of an Auto Scaling group, and the group's name."""
        image = self.moto.client("ec2", self.moto.keys).describe_images()["Images"][0]["ImageId"]
        template = {"LaunchConfigurationName": group, "ImageId": image, "InstanceType": "t3.small"}
        self.auto_scaling.create_launch_configuration(**template)
        self.auto_scaling.create_auto_scaling_group(
            AutoScalingGroupName=group, LaunchConfigurationName=group, MinSize=1, MaxSize=1, AvailabilityZones=[f"{REGION}a"])
        groups = self.auto_scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
        return groups[0]["Instances"][0]["InstanceId"], group

    @contextlib.contextmanager
    def versions(self):
        """A bucket with two versions of ecs.config, for one case: its name, the older version, the newer."""
        self.buckets += 1
        bucket = self.moto.bucket(f"versions-{self.buckets}")
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        bodies = (b"ECS_CLUSTER=older\n", b"ECS_CLUSTER=newer\n")
        yield bucket, *(self.put("ecs.config", text, bucket)["VersionId"] for text in bodies)

    @contextlib.contextmanager
    def instance_that(self, name, *statements):
        """A machine with a role of its own, and the role's credentials."""
        credentials = self.moto.role(name, *statements)
        with self.instance(credentials, name) as machine:
            yield machine, credentials


@case
def moto_enforces_what_these_cases_rely_on(cloud):
    stranger = cloud.moto.client("s3", cloud.moto.role("stranger"))
    try:
        stranger.get_object(Bucket=BUCKET, Key=KEY)
    except stranger.exceptions.ClientError as error:
        return equal(error.response["Error"]["Code"], "AccessDenied", "the refusal")
    raise AssertionError("moto let a role without any S3 permission read")


@case
def a_private_object_is_installed_byte_for_byte_as_aws_s3_cp_gets_it(cloud):
    with cloud.instance() as machine:
        boot = installs_what_aws_s3_cp_gets(machine, source(BUCKET, KEY), BUCKET, KEY, cloud.cli())
    equal(boot.report["host"]["arn"], f"arn:aws:sts::123456789012:assumed-role/{ROLE}/{INSTANCE}", "the reported ARN")
    equal(boot.report["config"]["bytes"], len(CONFIG), "the reported size")


@case
def an_abandoned_instance_is_unhealthy_with_the_printed_role_and_only_with_it(cloud):
    instance, group = cloud.launched()
    role = f"abandon-{group}"
    cloud.moto.role(role)
    credentials = cloud.moto.credentials(role, instance)
    health = lambda: cloud.auto_scaling.describe_auto_scaling_instances(InstanceIds=[instance])["AutoScalingInstances"][0]["HealthStatus"]
    with Imds(credentials, role, instance=instance) as imds, machine_of(imds, credentials, cloud.endpoints) as machine:
        refused = machine.command("abandon")
        refused.ended(20, "access_denied")
        true("autoscaling:SetInstanceHealth" in refused.report["error"]["message"], "the refusal names the action")
        equal(health().upper(), "HEALTHY", "the health before")
        printed = machine.command("role", "print", "--lifecycle=" + group, "--format", "json").report["inline_policies"]
        statement, = printed["ecs-bootstrap-lifecycle"]["Statement"]
        true(statement["Resource"].endswith(f"/{group}"), "the printed statement is about the group")
        # moto knows no resources of Auto Scaling: it compares every statement's with `*`.
        cloud.moto.allow(role, statement | {"Resource": "*"})
        machine.command("abandon").ended(0, "abandoned")
        equal(health().upper(), "UNHEALTHY", "the health after")


@case
def a_second_run_leaves_the_same_inode_and_time(cloud):
    with cloud.instance() as machine:
        machine.run(source(BUCKET, KEY)).ended(0, "installed")
        before = machine.installed.stat()
        machine.run(source(BUCKET, KEY)).ended(0, "unchanged")
        after = machine.installed.stat()
    equal((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns), "inode and mtime")
    equal(oct(after.st_mode & 0o7777), "0o600", "the mode")


@case
def a_changed_object_replaces_the_file_whole(cloud):
    with cloud.instance_that("changing", may("s3:GetObject", f"{ARN}/changing")) as (machine, _):
        for text in (b"ECS_CLUSTER=before\nECS_LOGLEVEL=warn\n", b"ECS_CLUSTER=after\n"):
            cloud.put("changing", text)
            machine.run(source(BUCKET, "changing")).ended(0, "installed")
            equal(machine.installed.read_bytes(), text, "ecs.config")
        equal([path.name for path in machine.installed.parent.iterdir()], ["ecs.config"], "the folder")


@case(each=AWKWARD_KEYS)
def an_awkward_key_is_fetched_as_aws_s3_cp_fetches_it(cloud, key):
    with cloud.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, key), BUCKET, key, cloud.cli())


@case
def an_arn_is_a_source(cloud):
    with cloud.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, f"{ARN}/{KEY}", BUCKET, KEY, cloud.cli())


@case
def another_key_is_access_denied_and_nothing_is_written(cloud):
    cloud.put("other", CONFIG)
    with cloud.instance() as machine:
        machine.run(source(BUCKET, "other")).ended(20, "access_denied")
        true(not machine.installed.exists(), "a file was installed")


@case
def the_printed_statement_allows_the_fetch_and_nothing_more(cloud):
    cloud.put("repaired/ecs.config", CONFIG)
    wanted = source(BUCKET, "repaired/ecs.config")
    with cloud.instance_that("repaired") as (machine, credentials):
        statement = machine.run(wanted).ended(20, "access_denied").statement("s3:GetObject")
        cloud.moto.allow("repaired", statement)
        installs_what_aws_s3_cp_gets(machine, wanted, BUCKET, "repaired/ecs.config", cloud.cli(credentials))
        machine.run(source(BUCKET, KEY)).ended(20, "access_denied")


@case
def the_printed_statement_for_a_version_allows_the_fetch(cloud):
    with cloud.versions() as (bucket, older, _), cloud.instance_that("pinned", may("s3:GetObject", f"arn:aws:s3:::{bucket}/*")) as (machine, _):
        pinned = source(bucket, "ecs.config", f"?versionId={older}")
        statement = machine.run(pinned).ended(20, "access_denied").statement("s3:GetObjectVersion")
        cloud.moto.allow("pinned", statement)
        machine.run(pinned).ended(0, "installed")
        equal(machine.installed.read_bytes(), b"ECS_CLUSTER=older\n", "ecs.config")


@case
def a_version_is_the_one_asked_for_and_the_newest_without_asking(cloud):
    with cloud.versions() as (bucket, older, newer):
        allowed = may(["s3:GetObject", "s3:GetObjectVersion"], f"arn:aws:s3:::{bucket}/*")
        with cloud.instance_that("versioned", allowed) as (machine, credentials):
            newest = source(bucket, "ecs.config")
            boot = installs_what_aws_s3_cp_gets(machine, newest, bucket, "ecs.config", cloud.cli(credentials))
            equal(boot.report["config"]["layers"][0]["version_id"], newer, "the reported version")
            machine.run(f"{newest}?versionId={older}").ended(0, "installed")
            equal(machine.installed.read_bytes(), b"ECS_CLUSTER=older\n", "ecs.config")
            machine.run(f"{newest}?versionId=11111111-2222-4333-8444-555555555555").ended(21, "not_found")


@case
def a_missing_key_without_list_permission_is_access_denied(cloud):
    with cloud.instance() as machine:
        error = machine.run(source(BUCKET, "absent")).ended(20, "access_denied").report["error"]
    true("ListBucket" in "{message} {remedy}".format(**error), f"it does not mention that the key may be missing: {error}")


@case
def a_missing_key_with_list_permission_is_not_found(cloud):
    with cloud.instance_that("lister", may("s3:GetObject", f"{ARN}/*"), may("s3:ListBucket", ARN)) as (machine, _):
        machine.run(source(BUCKET, "absent")).ended(21, "not_found")


@case
def a_missing_bucket_is_not_found(cloud):
    with cloud.instance_that("everywhere", may("s3:*", "*")) as (machine, _):
        machine.run(source("no-such-bucket-here", KEY)).ended(21, "not_found")


@case
def an_object_encrypted_by_kms_is_installed(cloud):
    cloud.put("encrypted", CONFIG, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3")
    allowed = may("s3:GetObject", f"{ARN}/encrypted"), may("kms:Decrypt", "*")
    with cloud.instance_that("decrypter", *allowed) as (machine, credentials):
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, "encrypted"), BUCKET, "encrypted", cloud.cli(credentials))


@case(each=["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def an_object_with_a_stored_checksum_is_installed(cloud, algorithm):
    key = f"checksum/{algorithm}"
    cloud.put(key, CONFIG, ChecksumAlgorithm=algorithm)
    with cloud.instance_that(f"sum{algorithm}", may("s3:GetObject", f"{ARN}/{key}")) as (machine, _):
        machine.run(source(BUCKET, key)).ended(0, "installed")
        equal(machine.installed.read_bytes(), CONFIG, "ecs.config")


@case
def an_object_over_one_mebibyte_is_refused(cloud):
    cloud.put("large", b"ECS_CLUSTER=prod\n" + b"#" * (1 << 20) + b"\n")
    with cloud.instance_that("large", may("s3:GetObject", f"{ARN}/large")) as (machine, _):
        machine.run(source(BUCKET, "large")).ended(23, "integrity")


@case
def a_digest_that_differs_is_refused(cloud):
    with cloud.instance() as machine:
        machine.run(source(BUCKET, KEY, "#sha256=" + "0" * 64)).ended(23, "integrity")
        true(not machine.installed.exists(), "a file was installed")


@case
def credentials_with_a_wrong_secret_prove_nothing(cloud):
    wrong = cloud.credentials | {"SecretAccessKey": "wrong-" + cloud.credentials["SecretAccessKey"][6:]}
    with cloud.instance(wrong) as machine:
        machine.run(source(BUCKET, KEY)).ended(12, "identity_mismatch")
        true(not machine.installed.exists(), "a file was installed")


@case
def credentials_of_another_session_are_not_this_instance(cloud):
    with cloud.instance(cloud.moto.credentials(ROLE, session="i-0fedcba9876543210")) as machine:
        machine.run(source(BUCKET, KEY)).ended(12, "identity_mismatch")


@case
def credentials_with_an_unknown_token_prove_nothing(cloud):
    with cloud.instance(cloud.credentials | {"SessionToken": "planted-unknown-token"}) as machine:
        machine.run(source(BUCKET, KEY)).ended(12, "identity_mismatch")


@case
def verify_names_the_identity_that_the_aws_cli_names(cloud):
    with cloud.instance() as machine:
        host = machine.command("verify").report["host"]
    identity = json.loads(aws(cloud.cli(), "sts", "get-caller-identity", "--output", "json"))
    equal((host["arn"], host["account_id"]), (identity["Arn"], identity["Account"]), "the identity")


@case
def a_bucket_policy_that_denies_is_access_denied(cloud):
    bucket = cloud.moto.bucket("denying")
    cloud.put(KEY, CONFIG, bucket)
    denial = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    cloud.s3.put_bucket_policy(Bucket=bucket, Policy=policy(denial))
    with cloud.instance_that("denied", may("s3:GetObject", "*")) as (machine, _):
        machine.run(source(bucket, KEY)).ended(20, "access_denied")


@case
def a_dry_run_and_verbose_log_keep_the_secrets(cloud):
    with cloud.instance() as machine:
        machine.run(source(BUCKET, KEY), more=["--dry-run", "-vvv"]).ended(0, "dry_run")
        true(not machine.installed.exists(), "a file was installed")
        machine.run(source(BUCKET, KEY), more=["-vvv"]).ended(0, "installed")


@case
def an_unexpected_account_is_named(cloud):
    with cloud.instance() as machine:
        boot = machine.run(source(BUCKET, KEY), more=["--expect-account", "999999999999"]).ended(12, "identity_mismatch")
    true("123456789012" in boot.report["error"]["message"], f"the account is not named: {boot.report['error']}")


@contextlib.contextmanager
def outside(cloud, *sessions, endpoint=None):
    """A machine that is registered as EXTERNAL, and what its SSM agent writes for these sessions. Instance metadata runs and must not be asked."""
    written = [ssm_file(credentials) for credentials in sessions]
    with Imds(cloud.credentials) as imds, machine_of(imds, sessions[0], {"AWS_ENDPOINT_URL": endpoint or cloud.moto.endpoint}) as machine:
        registration = machine.root / "var/lib/amazon/ssm/Vault/Store/RegistrationKey"
        credentials = machine.root / "root/.aws/credentials"
        for file, text in ((registration, json.dumps({"instanceID": EXTERNAL, "region": REGION})), (credentials, written[0])):
            file.parent.mkdir(parents=True)
            file.write_text(text)
        yield machine, lambda: credentials.write_text(written[-1])
        equal(imds.asked, 0, "the number of requests to instance metadata")


def ssm_file(credentials):
    keys = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey", "aws_session_token": "SessionToken"}
    return "\n".join(["[default]", *(f"{name} = {credentials[key]}" for name, key in keys.items()), ""])


@case
def a_host_outside_ec2_installs_and_never_asks_instance_metadata(cloud):
    with outside(cloud, cloud.moto.credentials(ROLE, session=EXTERNAL)) as (machine, _):
        host = machine.run(source(BUCKET, KEY)).ended(0, "installed").report["host"]
        equal((host["kind"], host["instance_id"]), ("external", EXTERNAL), "the reported host")
        equal(machine.installed.read_bytes(), CONFIG, "ecs.config")
        machine.command("verify").ended(0, "verified")


@case(each=["mi-0fedcba9876543210", INSTANCE])
def a_session_that_is_not_the_registered_host_is_an_identity_mismatch(cloud, session):
    with outside(cloud, cloud.moto.credentials(ROLE, session=session)) as (machine, _):
        error = machine.run(source(BUCKET, KEY)).ended(12, "identity_mismatch").report["error"]
        true(session in error["message"] and EXTERNAL in error["message"], f"it does not name both: {error}")
        true(not machine.installed.exists(), "a file was installed")


@case
def expired_credentials_are_waited_out_until_the_ssm_agent_rotates_them(cloud):
    old, new = (cloud.moto.credentials(ROLE, session=EXTERNAL) for _ in range(2))
    rotations = []
    with expired(cloud.moto.endpoint, old, rotations) as endpoint, outside(cloud, old, new, endpoint=endpoint) as (machine, rotate):
        rotations.append(rotate)
        machine.run(source(BUCKET, KEY)).ended(0, "installed")
        true(not rotations, "the old credentials were not refused")


@case
def unknown_credentials_are_waited_out_until_the_ssm_agent_rotates_them(cloud):
    gone = cloud.credentials | {"AccessKeyId": "ASIAGONEWITHITSROLE0"}
    rotations = []

    def answer(request, upstream):
        answered = upstream()
        rotate_once(rotations)
        return answered

    new = cloud.moto.credentials(ROLE, session=EXTERNAL)
    with front(cloud.moto.endpoint, answer) as endpoint, outside(cloud, gone, new, endpoint=endpoint) as (machine, rotate):
        rotations.append(rotate)
        machine.run(source(BUCKET, KEY)).ended(0, "installed")


def expired(endpoint, credentials, rotations):
    """moto, which never calls a session expired, behind a front that calls this one so, as STS and S3 do, and then rotates."""
    code, message = "<Code>ExpiredToken</Code>", "<Message>The security token included in the request is expired</Message>"

    def answer(request, upstream):
        if credentials["AccessKeyId"] not in request.headers.get("Authorization", ""):
            return upstream()
        rotate_once(rotations)
        if request.method == "POST":
            return xml(403, f"<ErrorResponse><Error><Type>Sender</Type>{code}{message}</Error><RequestId>front</RequestId></ErrorResponse>")
        return xml(400, f"<Error>{code}{message}</Error>")

    return front(endpoint, answer)


def rotate_once(rotations):
    """What the SSM agent does, at the moment of the first request with the old credentials."""
    if rotations:
        rotations.pop()()
