"""An account in moto, with AWS's managed policies and with enforcement on; ecs-bootstrap and the shell, with an administrator's keys or others'."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys

from harness import process, true, wait_for
from imds import NO_METADATA, REGION
from machine import BINARY, guarded, plain_environment
from moto_cloud import MOTO, Moto

ACCOUNT_ID = "123456789012"
BIN = pathlib.Path(sys.executable).parent
VARIABLES = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}


class Account:
    def __init__(self, moto, scratch):
        self.moto, self.iam, self.scratch = moto, moto.iam, pathlib.Path(scratch)

    def environment(self, keys=None):
        env = {"AWS_ENDPOINT_URL": self.moto.endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, **NO_METADATA}
        env |= {VARIABLES[name]: value for name, value in (keys or self.moto.keys).items() if name in VARIABLES}
        return guarded(plain_environment(self.scratch, env))

    def print(self, *words):
        """`role print`, as text."""
        done = subprocess.run([BINARY, "role", "print", *words], env=self.environment(), capture_output=True, text=True, timeout=60)
        true(done.returncode == 0, f"`role print {' '.join(words)}` failed: {done.stderr}")
        return done.stdout

    def check(self, *words, keys=None, env=None):
        """`role check`."""
        argv = [BINARY, "role", "check", *words, "--output", "json", "--timeout", "60s"]
        return Check(subprocess.run(argv, env=env or self.environment(keys), capture_output=True, text=True, timeout=120))

    def sh(self, script):
        """Runs what was printed, as an administrator would, with the aws CLI of the virtual environment."""
        env = self.environment()
        env["PATH"] = f"{BIN}:{env['PATH']}"
        done = subprocess.run(["sh"], input=script, env=env, capture_output=True, text=True, timeout=300, cwd=self.scratch)
        true(done.returncode == 0, f"sh ended with {done.returncode}: {done.stderr.strip()}\n{script}")


class Check:
    """How one check ended."""

    def __init__(self, done):
        self.status, self.stderr = done.returncode, done.stderr
        self.report = json.loads(done.stdout) if done.stdout.strip() else {}
        self.findings = self.report.get("findings", [])
        self.errors = [finding for finding in self.findings if finding["severity"] == "error"]

    def is_clean(self):
        """Nothing at all was found: no error, and nothing beyond need."""
        true(self.status == 0 and not self.findings, f"exit {self.status}: {self.findings or self.stderr or self.report}")

    def works(self):
        """No error was found; there may be notes."""
        true(self.status == 0, f"exit {self.status}: {self.errors or self.stderr or self.report}")
        return self

    def names(self, finding):
        """This is the one error; the command that fixes it."""
        ids = [error["id"] for error in self.errors]
        true((self.status, ids) == (70, [finding]), f"exit {self.status} with {ids}, not 70 with {finding}: {self.findings or self.stderr}")
        return self.errors[0]["fix"]

    def notes(self, finding):
        """What is not an error, and still worth a note."""
        found = [one for one in self.works().findings if one["id"] == finding]
        true(found, f"no {finding} among {self.findings}")
        return found[0]


@contextlib.contextmanager
def account(scratch):
    log = pathlib.Path(scratch, "moto.log")
    env = plain_environment(scratch, {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"})
    with process([MOTO, "-H", "127.0.0.1", "-p", "0"], log, cwd=scratch, env=env):
        port = wait_for(lambda: re.search(r"Running on http://127.0.0.1:(\d+)", log.read_text()), "moto's start")[1]
        account = Account(Moto(f"http://127.0.0.1:{port}"), scratch)
        account.moto.enforce()
        yield account
