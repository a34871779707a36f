"""Ceph's radosgw, a real S3 that was not written for tests: one monitor, one store in memory, one gateway, all on loopback.

Needs no root, but Debian's radosgw, ceph-mon, ceph-osd and ceph-common. It checks SigV4 signatures and session tokens, knows AssumeRole
and enforces role policies; GetCallerIdentity it does not know, so the rehearsal double is STS here. Its errors carry no Message.
"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import uuid

import boto3
from botocore.config import Config

from authority import certificate_for
from harness import free_port, process, wait_for
from imds import INSTANCE, REGION

PROGRAMS = ["ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"]
USER = {"AccessKeyId": "AKIAPEERSADMIN", "SecretAccessKey": "peers-administrator"}
KMS_KEY = "fleet-key"

# cephx stays on: with authentication off the gateway's session is refused and hangs.
CONFIG = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
pid file =
crash dir = {folder}
log file = {folder}/$name.log
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data = {folder}/mon
paxos propose interval = 0.05
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 268435456
[osd]
keyring = {folder}/osd/keyring
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway} ssl_endpoint=127.0.0.1:{tls} ssl_certificate={folder}/server.pem ssl_private_key={folder}/server.key
rgw s3 auth use sts = true
rgw sts key = 0123456789abcdef
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {kms_key}=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
"""


def unavailable():
    """Why there can be no gateway here, if so."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    return f"needs Debian's radosgw, ceph-mon, ceph-osd and ceph-common ({', '.join(missing)} not found)" if missing else None


class Gateway:
    """A running gateway, and the programs that manage it."""

    def __init__(self, folder, port, tls_port):
        self.folder, self.endpoint, self.tls_endpoint = folder, f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}"
        self.conf = str(folder / "ceph.conf")

    def manage(self, program, *arguments, **more):
        """Runs one of Ceph's programs against this cluster; what it prints."""
        argv = [program, "-c", self.conf, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, **more)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
        return done.stdout

    def client(self, service, keys, endpoint=None):
        return boto3.client(
            service,
            endpoint_url=endpoint or self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=Config(signature_version="v4" if service == "sts" else "s3v4"),
        )

    def administrator(self):
        keys = [f"--access-key={USER['AccessKeyId']}", f"--secret-key={USER['SecretAccessKey']}"]
        self.manage("radosgw-admin", "user", "create", "--uid=administrator", "--display-name=administrator", *keys)

    def role(self, name, *statements):
        """A role with these statements; its credentials for our instance."""
        trust = {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/administrator"]}, "Action": ["sts:AssumeRole"]}
        document = f"--assume-role-policy-doc={policy(trust)}"
        self.manage("radosgw-admin", "role", "create", f"--role-name={name}", "--path=/", document)
        self.allow(name, *statements)
        arn = f"arn:aws:iam:::role/{name}"
        return self.client("sts", USER).assume_role(RoleArn=arn, RoleSessionName=INSTANCE)["Credentials"]

    def allow(self, name, *statements):
        document = f"--policy-doc={policy(*statements)}"
        self.manage("radosgw-admin", "role-policy", "put", f"--role-name={name}", "--policy-name=p", document)


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@contextlib.contextmanager
def gateway(scratch):
    """A gateway whose data lives in the folder `scratch`, which must have a short name (it holds sockets)."""
    folder = pathlib.Path(scratch)
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    monitor, port, tls = free_port(), free_port(), free_port()
    settings = CONFIG.format(fsid=uuid.uuid4(), monitor=monitor, gateway=port, tls=tls, folder=folder, kms_key=KMS_KEY)
    (folder / "ceph.conf").write_text(settings)
    ceph = Gateway(folder, port, tls)
    ceph.ca, *_ = certificate_for(["localhost"], folder)
    with contextlib.ExitStack() as servers:

        def serve(program, *arguments):
            servers.enter_context(process([program, "-c", ceph.conf, *arguments, "-f"], folder / f"{program}.out"))

        _make_monitor(ceph, monitor)
        serve("ceph-mon", "-i", "a")
        wait_for(lambda: ceph.manage("ceph", "--connect-timeout", "3", "-s"), "Ceph's monitor")
        _make_store(ceph)
        serve("ceph-osd", "-i", "0")
        wait_for(lambda: "1 up" in ceph.manage("ceph", "osd", "stat"), "Ceph's store")
        serve("radosgw", "-n", "client.rgw")
        wait_for(lambda: ceph.administrator() is None, "Ceph's user")
        wait_for(lambda: ceph.client("s3", USER).list_buckets(), "Ceph's gateway")
        yield ceph


def _make_monitor(ceph, port):
    keyring, monmap = str(ceph.folder / "keyring"), str(ceph.folder / "monmap")
    fsid = ceph.manage("ceph-conf", "--lookup", "fsid").strip()
    entities = {"mon.": ["--cap", "mon", "allow *"], "client.admin": ["--cap", "mon", "allow *", "--cap", "osd", "allow *"]}
    entities["client.rgw"] = ["--cap", "mon", "allow rw", "--cap", "osd", "allow rwx"]
    for name, capabilities in entities.items():
        create = [] if pathlib.Path(keyring).exists() else ["--create-keyring"]
        ceph.manage("ceph-authtool", *create, keyring, "--gen-key", "-n", name, *capabilities)
    ceph.manage("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{port}]", monmap)
    ceph.manage("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)


def _make_store(ceph):
    store, key = str(uuid.uuid4()), ceph.manage("ceph-authtool", "--gen-print-key").strip()
    ceph.manage("ceph", "osd", "new", store, "-i", "-", input=json.dumps({"cephx_secret": key}))
    ceph.manage("ceph-authtool", "--create-keyring", str(ceph.folder / "osd/keyring"), "-n", "osd.0", "--add-key", key)
    ceph.manage("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
