"""Instance metadata, version 2 only, as strict as the real one about tokens; it serves credentials that somebody else minted.

Written from AWS's documentation for these tests alone: it shares no code and no expectations with the rehearsal cloud.
"""

import http.server
import json
import secrets
import socket
import threading
import time

ACCOUNT = "123456789012"  # moto's, which radosgw's users are given too
INSTANCE = "i-0123456789abcdef0"
REGION = "us-west-2"
ROLE = "ecsInstanceRole"

# For programs that have keys in their environment and must not look for a metadata service.
NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}


class Imds:
    """An instance's metadata on `address`, with the credentials of `role`, for as long as the `with` lasts."""

    def __init__(self, credentials, role=ROLE, address=("127.0.0.1", 0)):
        self.tokens = {}
        self.asked = 0  # requests of any kind
        self.without_token = 0  # requests for data that version 1 would have answered
        self.items = _items(credentials, role)
        self.server = _Server(address, _handler(self))
        self.url = "http://{}:{}".format(*self.server.server_address)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def grant(self, headers):
        """The answer to PUT /latest/api/token."""
        ttl = headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if "X-Forwarded-For" in headers:
            return 403, b"", {}
        if not (ttl.isdigit() and 1 <= int(ttl) <= 21600):
            return 400, b"<html>400 - Bad Request</html>", {}
        token = secrets.token_urlsafe(42)
        self.tokens[token] = time.monotonic() + int(ttl)
        return 200, token.encode(), {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": ttl}

    def answer(self, path, headers):
        """The answer to GET."""
        token = headers.get("X-aws-ec2-metadata-token", "")
        self.without_token += not token and not _excused(path, headers)
        if self.tokens.get(token, 0) < time.monotonic():
            return 401, b"<html>401 - Unauthorized</html>", {}
        body = self.items.get(path.rstrip("/").removeprefix("/latest/"))
        return (404, b"<html>404 - Not Found</html>", {}) if body is None else (200, body.encode(), {})


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, handler):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


def _items(credentials, role):
    now = "2026-01-01T00:00:00Z"
    info = {"Code": "Success", "LastUpdated": now, "InstanceProfileId": "AIPA0123456789EXAMPLE"}
    info["InstanceProfileArn"] = f"arn:aws:iam::{ACCOUNT}:instance-profile/{role}"
    document = {"accountId": ACCOUNT, "instanceId": INSTANCE, "region": REGION, "availabilityZone": f"{REGION}b"}
    document |= {"architecture": "x86_64", "imageId": "ami-0123456789abcdef0", "instanceType": "t3.small", "version": "2017-09-30"}
    document |= {"billingProducts": None, "kernelId": None, "pendingTime": now, "privateIp": "10.0.0.10"}
    delivered = {"Code": "Success", "LastUpdated": now, "Type": "AWS-HMAC", "Token": credentials["SessionToken"]}
    delivered |= {name: credentials[name] for name in ("AccessKeyId", "SecretAccessKey")}
    delivered["Expiration"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 3600))
    return {
        "dynamic/instance-identity/document": json.dumps(document, indent=2),
        "meta-data/ami-id": document["imageId"],
        "meta-data/iam/info": json.dumps(info, indent=2),
        "meta-data/iam/security-credentials": role,
        f"meta-data/iam/security-credentials/{role}": json.dumps(delivered, indent="\t"),
        "meta-data/instance-id": INSTANCE,
        "meta-data/instance-type": document["instanceType"],
        "meta-data/placement/availability-zone": document["availabilityZone"],
        "meta-data/placement/region": REGION,
        "meta-data/services/domain": "amazonaws.com",
        "meta-data/services/partition": "aws",
    }


def _excused(path, headers):
    """Botocore falls back to version 1, and ecs-bootstrap looks for the hop limit, when a token takes a second (on a busy machine)."""
    return "boto" in headers.get("User-Agent", "").lower() or path == "/latest/meta-data/"


def _handler(imds):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_PUT(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send(*(imds.grant(self.headers) if self.path == "/latest/api/token" else (405, b"", {})))

        def do_GET(self):
            self.send(*imds.answer(self.path, self.headers))

        def send(self, status, body, headers):
            imds.asked += 1
            self.send_response(status)
            kind = "text/plain" if status == 200 else "text/html"
            for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler
