"""The cloud beside a machine: IMDSv2, STS, S3 and what `doctor` asks of ECS and ECR, as strict as a boot needs. `cloud.py FOLDER READY-FD`, run in its own namespace.

Metadata answers only with a live token, and the token itself only within two hops, as EC2 does by default; all others answer over TLS
and only to the credentials that the metadata gave, but for what is open to all. How they answer is in FOLDER/world.json, read at each request; every request is
a line of FOLDER/log. Signatures are not checked here: the rehearsal cloud of the other tests does that.
"""

import hashlib
import http.server
import json
import os
import secrets
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])
ACCOUNT, INSTANCE, REGION = "123456789012", "i-1234567890abcdef0", "us-west-2"
KEY_ID, SESSION = "ASIABOOTLABORATORY00", "boot-laboratory-session-token"
TOKEN_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
HOPS = 2
STAMP = "%Y-%m-%dT%H:%M:%SZ"
LOCK = threading.Lock()
TOKENS = {}

STS_ANSWER = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::{account}:assumed-role/{role}/{instance}</Arn><UserId>AROABOOTLABORATORY:{instance}</UserId>
<Account>{account}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>boot</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"""
ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{0}</Code><Message>{1}</Message><RequestId>BOOT</RequestId></Error>'
NO_OBJECT = (404, "NoSuchKey", "The specified key does not exist.")
FAULTS = {"refuse": (403, "AccessDenied", "Access Denied"), "down": (503, "SlowDown", "Please reduce your request rate.")}


def world():
    return json.loads((FOLDER / "world.json").read_text())


def metadata(now_world):
    """Path to answer: what an instance with a role serves, as far as a boot asks for it."""
    role, now = now_world["role"], time.time()
    document = {"accountId": ACCOUNT, "instanceId": INSTANCE, "region": REGION, "availabilityZone": REGION + "a", "imageId": "ami-0abcdef1234567890",
                "instanceType": "t3.small", "privateIp": "10.213.0.10", "architecture": "x86_64", "version": "2017-09-30",
                "pendingTime": "2026-01-01T00:00:00Z"}
    answers = {
        "dynamic/instance-identity/document": json.dumps(document),
        "meta-data/instance-id": INSTANCE,
        "meta-data/ami-id": document["imageId"],
        "meta-data/instance-type": document["instanceType"],
        "meta-data/local-ipv4": document["privateIp"],
        "meta-data/local-hostname": "ip-10-213-0-10",
        "meta-data/mac": "02:00:00:00:00:10",
        "meta-data/placement/region": REGION,
        "meta-data/placement/availability-zone": REGION + "a",
        "meta-data/services/domain": "amazonaws.com",
        "meta-data/services/partition": "aws",
    }
    if role:
        stamps = {"LastUpdated": time.strftime(STAMP, time.gmtime(now)), "Expiration": time.strftime(STAMP, time.gmtime(now + 21600))}
        credentials = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": KEY_ID, "SecretAccessKey": "boot-laboratory", "Token": SESSION}
        profile = {"Code": "Success", "InstanceProfileArn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{role}", "InstanceProfileId": "AIPABOOT"}
        answers["meta-data/iam/info"] = json.dumps(profile | {"LastUpdated": stamps["LastUpdated"]})
        answers[f"meta-data/iam/security-credentials/{role}"] = json.dumps(credentials | stamps)
    return answers


def listing(answers, folder):
    """The names below a folder, one a line, folders with a slash; None if there is no such folder."""
    prefix = folder.rstrip("/") + "/" if folder.strip("/") else ""
    below = {path.removeprefix(prefix) for path in answers if path.startswith(prefix)}
    return "\n".join(sorted({name.split("/")[0] + "/" * ("/" in name) for name in below})) or None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, server_version, sys_version, wbufsize = "HTTP/1.1", "EC2ws", "", -1

    def answer(self, status, body="", kind="text/plain", **headers):
        body = body.encode() if isinstance(body, str) else body
        host, token = self.headers.get("Host", ""), TOKEN_TTL.removesuffix("-ttl-seconds") in self.headers
        line = {"from": self.client_address[0], "host": host, "method": self.command, "path": self.path, "status": status, "token": token}
        with LOCK, open(FOLDER / "log", "a") as log:
            log.write(json.dumps(line) + "\n")
        self.send_response(status)
        for name, value in ({"Content-Type": kind, "Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Metadata(Handler):
    def do_PUT(self):
        # The service sends this one answer with a small TTL, so that it does not outlive the hop limit.
        self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOPS)
        if self.connection.family == socket.AF_INET6:
            self.connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
        ttl = self.headers.get(TOKEN_TTL, "")
        if self.path != "/latest/api/token" or not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return self.answer(400 if self.path == "/latest/api/token" else 405)
        token = secrets.token_urlsafe(40)
        TOKENS[token] = time.monotonic() + int(ttl)
        self.answer(200, token, **{TOKEN_TTL: ttl})

    def do_GET(self):
        if TOKENS.get(self.headers.get("X-aws-ec2-metadata-token"), 0) < time.monotonic():
            return self.answer(401)
        answers, path = metadata(world()), self.path.split("?")[0].lstrip("/").partition("/")[2]
        found = answers.get(path.rstrip("/")) or listing(answers, path)
        self.answer(200, found) if found else self.answer(404)


# What ECS and ECR answer to the two actions that `doctor` tries, by X-Amz-Target's last word.
AGENTS = {name: f"https://ecs-{name[0]}-1.{REGION}.amazonaws.com/" for name in ("agent", "telemetry")}
ACTIONS = {
    "DiscoverPollEndpoint": {"endpoint": AGENTS["agent"], "telemetryEndpoint": AGENTS["telemetry"]},
    "GetAuthorizationToken": {"authorizationData": []},
}


class Services(Handler):
    """STS, S3, ECS and ECR, told apart by the host name and the action."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.signed():
            return self.answer(403, ERROR.format("InvalidClientTokenId", "The security token included in the request is invalid."), "text/xml")
        action = ACTIONS.get(self.headers.get("X-Amz-Target", "").rpartition(".")[2])
        if action:
            return self.answer(200, json.dumps(action), "application/x-amz-json-1.1")
        self.answer(200, STS_ANSWER.format(account=ACCOUNT, role=world()["role"], instance=world().get("session", INSTANCE)), "text/xml")

    def signed(self):
        return KEY_ID in self.headers.get("Authorization", "") and self.headers.get("X-Amz-Security-Token") == SESSION

    def do_GET(self):
        bucket = self.headers["Host"].split(".s3.")[0]
        key = self.path.split("?")[0].lstrip("/")
        object_, open_to_all = FOLDER / bucket / key, f"{bucket}/{key}".startswith(tuple(world()["open"]))
        fault = None if open_to_all else FAULTS.get(world()["s3"])
        if not fault and not open_to_all and not self.signed():
            fault = FAULTS["refuse"]
        if not fault and not object_.is_file():
            fault = NO_OBJECT
        if fault:
            return self.answer(fault[0], ERROR.format(*fault[1:]), "application/xml")
        body = object_.read_bytes()
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            return self.answer(304, ETag=etag)
        self.answer(200, body, "binary/octet-stream", ETag=etag, x_amz_request_id="BOOT")

    do_HEAD = do_GET


def serve(address, handler, tls=None):
    """Serves in a thread of its own; the address is taken when this returns."""

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        daemon_threads = True

    server = Server(address, handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever).start()


def main():
    (FOLDER / "log").touch()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(FOLDER / "server.pem", FOLDER / "server.key")
    serve(("169.254.169.254", 80), Metadata)
    serve(("fd00:ec2::254", 80), Metadata)
    serve(("10.213.0.1", 443), Services, tls)
    os.write(int(sys.argv[2]), b"1")


main()
