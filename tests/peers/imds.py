"""The instance of these suites: the rehearsal double is its metadata service, with credentials that another server minted and checks."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from rehearsal import Rehearsal

ACCOUNT = "123456789012"  # moto's, which radosgw's users are given too
INSTANCE = "i-0123456789abcdef0"
REGION = "us-west-2"
ROLE = "ecsInstanceRole"

# For programs that have keys in their environment and must not look for a metadata service.
NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}


class Imds(Rehearsal):
    """The instance's metadata at `address` (a free port of loopback), with the credentials of `role`."""

    def __init__(self, credentials, role=ROLE, address=None, instance=INSTANCE):
        listen = ["--imds", address] if address else []
        super().__init__("--instance-id", instance, "--region", REGION, "--role", role, *listen, credentials=credentials)

    @property
    def url(self):
        return self.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"]

    @property
    def asked(self):
        """How many requests came, of any kind."""
        return sum(request["service"] == "imds" for request in self.requests())

    @property
    def without_token(self):
        """How many requests came for data that version 1 would have answered."""
        return sum(_is_version_1(request) for request in self.requests())


def _is_version_1(request):
    """Botocore falls back to version 1, and ecs-bootstrap looks for the hop limit, when a token takes a second (on a busy machine)."""
    excused = "boto" in request["user_agent"].lower() or request["path"] == "/latest/meta-data/"
    return request["service"] == "imds" and request["method"] == "GET" and not request["had_token"] and not excused
