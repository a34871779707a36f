"""The main job against Ceph's gateway: a real S3, so every key can be signed, and its answers are not moto's."""

import contextlib

import radosgw
from harness import Cases, equal, true
from imds import ROLE
from machine import installs_what_aws_s3_cp_gets
from objects import AWKWARD_KEYS, CONFIG, FOLDED_KEY, KEY, KEYS_MOTO_CANNOT_VERIFY, body, source
from sts_double import sts_for
from world import World, may

case = Cases()
BUCKET, ARN = World.bucket, World.arn
KEYS = AWKWARD_KEYS + KEYS_MOTO_CANNOT_VERIFY
unavailable = radosgw.unavailable


@contextlib.contextmanager
def world(scratch):
    with radosgw.gateway(scratch) as ceph:
        yield CephWorld(ceph)


class CephWorld(World):
    """A bucket that the role may read from, but not list."""

    def __init__(self, ceph):
        self.ceph = ceph
        endpoints = {"AWS_ENDPOINT_URL_S3": ceph.endpoint}
        super().__init__(endpoints, ceph.client("s3", radosgw.USER), ceph.role(ROLE, may("s3:GetObject", f"{ARN}/*")))
        self.s3.create_bucket(Bucket=BUCKET)
        self.put(KEY, CONFIG)
        for key in KEYS:
            self.put(key, body(key))

    @contextlib.contextmanager
    def instance(self, credentials=None, role=ROLE):
        with sts_for(credentials or self.credentials, role) as sts, super().instance(credentials, role) as machine:
            machine.env["AWS_ENDPOINT_URL_STS"] = sts
            yield machine


@case
def a_private_object_is_installed_byte_for_byte_as_aws_s3_cp_gets_it(world):
    with world.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, KEY), BUCKET, KEY, world.cli())
        before = machine.installed.stat()
        machine.run(source(BUCKET, KEY)).ended(0, "unchanged")
        after = machine.installed.stat()
        equal((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns), "inode and mtime")


@case(each=KEYS)
def an_awkward_key_is_fetched_as_aws_s3_cp_fetches_it(world, key):
    with world.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, key), BUCKET, key, world.cli())


@case
def a_key_that_http_would_fold_is_refused_before_anything_is_asked(world):
    with world.instance() as machine:
        error = machine.run(source(BUCKET, FOLDED_KEY)).ended(2, "settings").report["error"]
    true("segment" in error["message"], f"it does not say what is wrong with the key: {error}")


@case
def a_plus_in_a_source_is_a_plus(world):
    with world.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, f"s3://{BUCKET}/a+b", BUCKET, "a+b", world.cli())


@case
def the_printed_statement_mends_the_role(world):
    world.put("mended", CONFIG)
    credentials = world.ceph.role("mended", may("s3:GetObject", f"{ARN}/nothing"))
    with world.instance(credentials, "mended") as machine:
        statement = machine.run(source(BUCKET, "mended")).ended(20, "access_denied").statement("s3:GetObject")
        world.ceph.allow("mended", statement)
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, "mended"), BUCKET, "mended", world.cli(credentials))


@case
def a_missing_key_or_bucket_is_not_found(world):
    with world.instance() as machine:
        machine.run(source(BUCKET, "absent")).ended(21, "not_found")
        machine.run(source("no-such-bucket-here", KEY)).ended(21, "not_found")


@case
def a_version_is_the_one_asked_for(world):
    bucket = "versioned"
    world.s3.create_bucket(Bucket=bucket)
    world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    older = world.put(KEY, b"ECS_CLUSTER=older\n", bucket)["VersionId"]
    newer = world.put(KEY, b"ECS_CLUSTER=newer\n", bucket)["VersionId"]
    credentials = world.ceph.role("versioned", may(["s3:GetObject", "s3:GetObjectVersion"], f"arn:aws:s3:::{bucket}/*"))
    with world.instance(credentials, "versioned") as machine:
        boot = installs_what_aws_s3_cp_gets(machine, source(bucket, KEY), bucket, KEY, world.cli(credentials))
        equal(boot.report["config"]["layers"][0]["version_id"], newer, "the reported version")
        machine.run(source(bucket, KEY, f"?versionId={older}")).ended(0, "installed")
        equal(machine.installed.read_bytes(), b"ECS_CLUSTER=older\n", "ecs.config")


@case
def an_object_encrypted_by_kms_is_installed(world):
    world.put("encrypted", CONFIG, ServerSideEncryption="aws:kms", SSEKMSKeyId=radosgw.KMS_KEY)
    with world.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, "encrypted"), BUCKET, "encrypted", world.cli())


@case
def a_presigned_address_is_a_source_and_its_signature_stays_secret(world):
    signer = world.ceph.client("s3", radosgw.USER, world.ceph.tls_endpoint)
    address = signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    with world.instance() as machine:
        machine.env["AWS_CA_BUNDLE"] = world.ceph.ca
        machine.secrets.append(address.partition("X-Amz-Signature=")[2].encode())
        machine.run(address).ended(0, "installed")
        equal(machine.installed.read_bytes(), CONFIG, "ecs.config")
        forged = address[:-4] + ("0000" if address[-4:] != "0000" else "1111")
        machine.run(forged).ended(20, "access_denied")


@case
def a_secret_that_the_gateway_does_not_know_is_access_denied(world):
    wrong = world.credentials | {"SecretAccessKey": "wrong-" + world.credentials["SecretAccessKey"][6:]}
    with world.instance(wrong) as machine:
        machine.run(source(BUCKET, KEY)).ended(20, "access_denied")
        true(not machine.installed.exists(), "a file was installed")
