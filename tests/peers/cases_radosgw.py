"""The main job against Ceph's gateway: a real S3, so every key can be signed, and its answers are not moto's."""

import contextlib

import radosgw
from harness import Cases, equal, true
from imds import ROLE
from machine import installs_what_aws_s3_cp_gets
from objects import AWKWARD_KEYS, CONFIG, NORMALISED_KEY, KEY, KEYS_MOTO_CANNOT_VERIFY, body, source
from cloud import Cloud, may

case = Cases()
BUCKET, ARN = Cloud.bucket, Cloud.arn
KEYS = AWKWARD_KEYS + KEYS_MOTO_CANNOT_VERIFY
unavailable = radosgw.unavailable


@contextlib.contextmanager
def cloud(scratch):
    with radosgw.gateway(scratch) as ceph:
        yield CephCloud(ceph)


class CephCloud(Cloud):
    """A bucket that the role may read from, but not list."""

    def __init__(self, ceph):
        self.ceph = ceph
        endpoints = {"AWS_ENDPOINT_URL_S3": ceph.endpoint}
        super().__init__(endpoints, ceph.client("s3", radosgw.USER), ceph.role(ROLE, may("s3:GetObject", f"{ARN}/*")))
        self.s3.create_bucket(Bucket=BUCKET)
        self.put(KEY, CONFIG)
        for key in KEYS:
            self.put(key, body(key))

    def endpoints_with(self, imds):
        return self.endpoints | {"AWS_ENDPOINT_URL_STS": imds.env["AWS_ENDPOINT_URL_STS"]}


@case
def a_private_object_is_installed_byte_for_byte_as_aws_s3_cp_gets_it(cloud):
    with cloud.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, KEY), BUCKET, KEY, cloud.cli())
        before = machine.installed.stat()
        machine.run(source(BUCKET, KEY)).ended(0, "unchanged")
        after = machine.installed.stat()
        equal((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns), "inode and mtime")


@case(each=KEYS)
def an_awkward_key_is_fetched_as_aws_s3_cp_fetches_it(cloud, key):
    with cloud.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, key), BUCKET, key, cloud.cli())


@case
def a_key_that_http_would_normalise_is_refused_before_any_request(cloud):
    with cloud.instance() as machine:
        error = machine.run(source(BUCKET, NORMALISED_KEY)).ended(2, "settings").report["error"]
    true("segment" in error["message"], f"the message does not name the segment: {error}")


@case
def a_plus_in_a_source_is_a_plus(cloud):
    with cloud.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, f"s3://{BUCKET}/a+b", BUCKET, "a+b", cloud.cli())


@case
def the_printed_statement_allows_the_fetch(cloud):
    cloud.put("repaired", CONFIG)
    credentials = cloud.ceph.role("repaired", may("s3:GetObject", f"{ARN}/nothing"))
    with cloud.instance(credentials, "repaired") as machine:
        statement = machine.run(source(BUCKET, "repaired")).ended(20, "access_denied").statement("s3:GetObject")
        cloud.ceph.allow("repaired", statement)
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, "repaired"), BUCKET, "repaired", cloud.cli(credentials))


@case
def a_missing_key_or_bucket_is_not_found(cloud):
    with cloud.instance() as machine:
        machine.run(source(BUCKET, "absent")).ended(21, "not_found")
        machine.run(source("no-such-bucket-here", KEY)).ended(21, "not_found")


@case
def a_version_is_the_one_asked_for(cloud):
    bucket = "versioned"
    cloud.s3.create_bucket(Bucket=bucket)
    cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    older = cloud.put(KEY, b"ECS_CLUSTER=older\n", bucket)["VersionId"]
    newer = cloud.put(KEY, b"ECS_CLUSTER=newer\n", bucket)["VersionId"]
    credentials = cloud.ceph.role("versioned", may(["s3:GetObject", "s3:GetObjectVersion"], f"arn:aws:s3:::{bucket}/*"))
    with cloud.instance(credentials, "versioned") as machine:
        boot = installs_what_aws_s3_cp_gets(machine, source(bucket, KEY), bucket, KEY, cloud.cli(credentials))
        equal(boot.report["config"]["layers"][0]["version_id"], newer, "the reported version")
        machine.run(source(bucket, KEY, f"?versionId={older}")).ended(0, "installed")
        equal(machine.installed.read_bytes(), b"ECS_CLUSTER=older\n", "ecs.config")


@case
def an_object_encrypted_by_kms_is_installed(cloud):
    cloud.put("encrypted", CONFIG, ServerSideEncryption="aws:kms", SSEKMSKeyId=radosgw.KMS_KEY)
    with cloud.instance() as machine:
        installs_what_aws_s3_cp_gets(machine, source(BUCKET, "encrypted"), BUCKET, "encrypted", cloud.cli())


@case
def a_presigned_url_is_a_source_and_its_signature_stays_secret(cloud):
    signer = cloud.ceph.client("s3", radosgw.USER, cloud.ceph.tls_endpoint)
    address = signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    with cloud.instance() as machine:
        machine.env["AWS_CA_BUNDLE"] = cloud.ceph.ca
        machine.secrets.append(address.partition("X-Amz-Signature=")[2].encode())
        machine.run(address).ended(0, "installed")
        equal(machine.installed.read_bytes(), CONFIG, "ecs.config")
        forged = address[:-4] + ("0000" if address[-4:] != "0000" else "1111")
        machine.run(forged).ended(20, "access_denied")


@case
def an_unknown_secret_is_access_denied(cloud):
    wrong = cloud.credentials | {"SecretAccessKey": "wrong-" + cloud.credentials["SecretAccessKey"][6:]}
    with cloud.instance(wrong) as machine:
        machine.run(source(BUCKET, KEY)).ended(20, "access_denied")
        true(not machine.installed.exists(), "a file was installed")
