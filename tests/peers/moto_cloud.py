"""moto as S3, STS and IAM, with SigV4, session tokens and IAM policies enforced.

Everything is seeded before enforcement begins, with an administrator of its own; from then on a request that AWS would
refuse is refused. moto's own metadata service is not used: it answers without a token.
"""

import contextlib
import json
import pathlib
import re
import ssl
import sys
import urllib.request

import boto3

from harness import process, wait_for
from imds import INSTANCE, REGION

MOTO = str(pathlib.Path(sys.executable).with_name("moto_server"))

# EC2 is who really assumes the role; here the administrator does it for EC2. One statement, because moto stumbles over a statement
# without an AWS principal.
PRINCIPAL = {"Service": "ec2.amazonaws.com", "AWS": "arn:aws:iam::123456789012:user/administrator"}
TRUST = {"Effect": "Allow", "Principal": PRINCIPAL, "Action": "sts:AssumeRole"}
INSTANCE_POLICY = json.loads(pathlib.Path(__file__).with_name("container-instance-role.json").read_text())
OWN_NAME = f"https://sts.{REGION}.amazonaws.com"
ADMINISTRATOR = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Moto:
    """A seeded moto. `endpoint` is None where it answers under AWS's own names."""

    def __init__(self, endpoint, ca=None):
        self.endpoint, self.ca = endpoint, ca
        anybody = {"AccessKeyId": "anybody", "SecretAccessKey": "anything"}
        iam = self.client("iam", anybody)
        iam.create_user(UserName="administrator")
        iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=policy(ADMINISTRATOR))
        self.keys = iam.create_access_key(UserName="administrator")["AccessKey"]
        self.s3, self.iam, self.sts = (self.client(service, self.keys) for service in ("s3", "iam", "sts"))

    def client(self, service, keys):
        names = {"AccessKeyId": "aws_access_key_id", "SecretAccessKey": "aws_secret_access_key", "SessionToken": "aws_session_token"}
        keys = {argument: keys[name] for name, argument in names.items() if name in keys}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, verify=self.ca, **keys)

    def enforce(self):
        """From here on every request is checked."""
        context = ssl.create_default_context(cafile=self.ca) if self.ca else None
        url = f"{self.endpoint or OWN_NAME}/moto-api/reset-auth"
        request = urllib.request.Request(url, b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(request, context=context).close()

    def bucket(self, name):
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def role(self, name, *statements):
        """A role for container instances with these statements beside the documented ones; its credentials for our instance."""
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(TRUST))
        self.iam.put_role_policy(RoleName=name, PolicyName="ecs", PolicyDocument=json.dumps(INSTANCE_POLICY))
        if statements:
            self.allow(name, *statements)
        return self.credentials(name)

    def allow(self, role, *statements):
        self.iam.put_role_policy(RoleName=role, PolicyName="configuration", PolicyDocument=policy(*statements))

    def credentials(self, role, session=INSTANCE):
        arn = f"arn:aws:iam::123456789012:role/{role}"
        return self.sts.assume_role(RoleArn=arn, RoleSessionName=session)["Credentials"]


@contextlib.contextmanager
def moto_on_loopback(scratch):
    log = pathlib.Path(scratch, "moto.log")
    with process([MOTO, "-H", "127.0.0.1", "-p", "0"], log, cwd=scratch):
        port = wait_for(lambda: re.search(r"Running on http://127.0.0.1:(\d+)", log.read_text()), "moto's start")[1]
        yield Moto(f"http://127.0.0.1:{port}")
