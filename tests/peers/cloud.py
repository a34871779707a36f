"""What the suites share: a cloud with one seeded bucket, an instance in it, and the aws CLI with the instance's credentials."""

import contextlib

from harness import equal
from imds import NO_METADATA, REGION, ROLE, Imds
from machine import Machine
from objects import MARKER

VARIABLES = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}


def may(action, *resources):
    return {"Effect": "Allow", "Action": action, "Resource": list(resources)}


class Cloud:
    """`endpoints` are the variables that lead to this cloud; `credentials` are those of ecsInstanceRole."""

    bucket = "fleet-configuration"
    arn = f"arn:aws:s3:::{bucket}"

    def __init__(self, endpoints, s3, credentials):
        self.endpoints, self.s3, self.credentials = endpoints, s3, credentials

    def put(self, key, body, bucket=bucket, **more):
        return self.s3.put_object(Bucket=bucket, Key=key, Body=body, **more)

    def cli(self, credentials=None):
        """The aws CLI's environment: the same cloud, the same credentials."""
        credentials = credentials or self.credentials
        keys = {variable: credentials[name] for name, variable in VARIABLES.items()}
        return {**self.endpoints, **keys, **NO_METADATA, "AWS_DEFAULT_REGION": REGION}

    @contextlib.contextmanager
    def instance(self, credentials=None, role=ROLE):
        """A machine whose metadata service serves these credentials."""
        credentials = credentials or self.credentials
        with Imds(credentials, role) as imds, machine_of(imds, credentials, self.endpoints_with(imds)) as machine:
            yield machine

    def endpoints_with(self, imds):
        """The variables for a machine with this metadata service; a cloud without STS takes that of the double."""
        return self.endpoints


@contextlib.contextmanager
def machine_of(imds, credentials, endpoints):
    """A machine that finds `imds` by its variable."""
    secrets = (credentials["SecretAccessKey"], credentials["SessionToken"], MARKER)
    with Machine(endpoints | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url}, secrets) as machine:
        yield machine
    equal(imds.without_token, 0, "the number of metadata requests without a token")
