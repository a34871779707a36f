"""A network namespace in which AWS's own names and the metadata address lead to the rehearsal cloud, as the measurements need it."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PROJECT = pathlib.Path(__file__).resolve().parents[2]
TARGET = (PROJECT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
# What ships is static.
STATIC = "x86_64-unknown-linux-musl"
REGION, BUCKET, KEY = "eu-west-1", "fleet-config", "prod/ecs.config"
NAMES = [f"{BUCKET}.s3.{REGION}.amazonaws.com", f"sts.{REGION}.amazonaws.com"]
ENTER = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--net", "--mount"]
# Servers and the floor: quick to compile, and quick.
TOOLS = TARGET / "tools-release"


def build():
    """The programs that are measured and those they are measured with."""
    cargo = ["cargo", "build", "--quiet", "--locked"]
    subprocess.run([*cargo, "--profile", "tools-release", "--package", "rehearsal", "--package", "floor", "--package", "fleet"], cwd=PROJECT, check=True)
    if "ECS_BOOTSTRAP_BIN" not in os.environ:
        subprocess.run([*cargo, "--release", "--target", STATIC], cwd=PROJECT, check=True)
        os.environ["ECS_BOOTSTRAP_BIN"] = str(TARGET / STATIC / "release/ecs-bootstrap")


def enter_namespace():
    """Builds, and runs this program once more in a namespace of its own; returns there."""
    if os.environ.get("BENCH_NAMESPACE") == "own":
        run = lambda *argv: subprocess.run(argv, check=True)
        hosts = pathlib.Path(os.environ["BENCH_SCRATCH"], "hosts")
        hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ["localhost", *NAMES]))
        run("mount", "--bind", str(hosts), "/etc/hosts")
        run("ip", "link", "set", "lo", "up")
        run("ip", "address", "add", "169.254.169.254/32", "dev", "lo")
        return
    if not shutil.which("ip") or subprocess.run([*ENTER, "true"], capture_output=True).returncode:
        sys.exit("skipped: needs root, or user namespaces, and iproute2")
    build()
    # In memory where that can be: what a disk takes for a sync is the disk's; gates.py counts them.
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as scratch:
        environment = {**os.environ, "BENCH_NAMESPACE": "own", "BENCH_SCRATCH": scratch}
        sys.exit(subprocess.run([*ENTER, sys.executable, *sys.argv], env=environment).returncode)


class Cloud:
    """One cloud with its log of requests."""

    def __init__(self, *options):
        self.scratch = pathlib.Path(os.environ["BENCH_SCRATCH"])
        self.log, self.ca = self.scratch / "requests.log", self.scratch / "ca.pem"
        self.log.unlink(missing_ok=True)
        fixed = ["--imds", "169.254.169.254:80", "--aws", "127.0.0.1:443", "--region", REGION, "--ca", str(self.ca), "--log", str(self.log)]
        argv = [TOOLS / "rehearsal", "--serve", *fixed, *options]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while not (line := self.process.stdout.readline()).startswith("#"):
            if not line:
                sys.exit("the rehearsal cloud did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def put(self, key, content):
        """Stores an object."""
        file = self.scratch / "object"
        file.write_bytes(content)
        self.process.stdin.write(f"object {BUCKET} {key} {file}\n")
        self.process.stdin.flush()
        if (answer := self.process.stdout.readline().strip()) != "ok":
            sys.exit(f"storing {key}: {answer}")

    def requests(self):
        """What was asked since the last call."""
        seen = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        os.truncate(self.log, 0)
        return seen

    @property
    def environment(self):
        """Nothing of the caller's but where programs are."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.scratch),
            "LC_ALL": "C.UTF-8",
            "AWS_CA_BUNDLE": str(self.ca),
            "SSL_CERT_FILE": str(self.ca),
        }


@contextlib.contextmanager
def wire():
    """Gives a function that tells the bytes on loopback since, headers included."""
    count = lambda: int(re.search(r"lo:\s*(\d+)", pathlib.Path("/proc/net/dev").read_text())[1])
    before = count()
    yield lambda: count() - before
