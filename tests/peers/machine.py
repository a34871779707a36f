"""A machine that is a folder, the real binary on it, and the recipe it replaces: `aws s3 cp`."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from harness import equal, true

BINARY = os.environ.get("ECS_BOOTSTRAP_BIN", "")
AWS = str(pathlib.Path(sys.executable).with_name("aws"))


def guarded(env):
    """`env`, if a program with it cannot ask the metadata service of the machine that these tests run on."""
    if "AWS_EC2_METADATA_SERVICE_ENDPOINT" not in env and not in_own_network():
        raise RuntimeError("refused: neither an own network namespace nor AWS_EC2_METADATA_SERVICE_ENDPOINT")
    return env


def in_own_network():
    """Whether loopback is the only interface, so that nothing sent can leave this namespace."""
    lines = pathlib.Path("/proc/self/net/dev").read_text().splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines] == ["lo"]


def plain_environment(home, env):
    """Nothing of the caller's environment but where programs are."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **env}


def aws(env, *words):
    """What the aws CLI prints."""
    with tempfile.TemporaryDirectory(prefix="peers-") as home:
        done = subprocess.run([AWS, *words], env=guarded(plain_environment(home, env)), capture_output=True, timeout=120)
    true(done.returncode == 0, f"`aws {' '.join(words)}` failed: {done.stderr.decode()}")
    return done.stdout


def aws_s3_cp(bucket, key, env):
    """The object as the aws CLI copies it: what ecs-bootstrap must install."""
    return aws(env, "s3", "cp", "--only-show-errors", f"s3://{bucket}/{key}", "-")


class Machine:
    """A folder to boot. `env` is how it finds its clouds; `secrets` must be in no file but ecs.config."""

    def __init__(self, env, secrets=()):
        self.folder = tempfile.TemporaryDirectory(prefix="peers-machine-")
        self.root = pathlib.Path(self.folder.name, "root")
        self.root.mkdir()
        self.env, self.secrets = env, [secret.encode() for secret in secrets]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    @property
    def installed(self):
        return self.root / "etc/ecs/ecs.config"

    def run(self, *sources, more=(), timeout="30s"):
        """`ecs-bootstrap run` on this machine."""
        layers = [word for source in sources for word in ("--config", source)]
        return self.command("run", *layers, "--timeout", timeout, *more)

    def command(self, *words):
        """Any command of ecs-bootstrap on this machine, with its report."""
        argv = [BINARY, *words, "--root", str(self.root), "--output", "json"]
        env = guarded(plain_environment(self.folder.name, self.env))
        done = subprocess.run(argv, env=env, capture_output=True, timeout=120)
        self.keeps_its_secrets(done.stdout + done.stderr)
        return Boot(done)

    def keeps_its_secrets(self, printed):
        # The SSM agent's file is where an external host's own come from.
        files = [path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith(("ecs.config", "credentials"))]
        for place, text in [("its output", printed), *((str(path), path.read_bytes()) for path in files)]:
            true(not any(secret in text for secret in self.secrets), f"a secret is in {place}")


class Boot:
    """How one run ended."""

    def __init__(self, done):
        self.status, self.stderr = done.returncode, done.stderr.decode()
        self.report = json.loads(done.stdout) if done.stdout.strip() else {}

    def ended(self, status, word):
        """Fails unless the run ended with this status, called by this word."""
        error = self.report.get("error") or {}
        got = (self.status, error.get("word") or self.report.get("outcome"))
        last = " / ".join(self.stderr.strip().splitlines()[-3:])
        true(got == (status, word), f"the run ended with {got}, not {(status, word)}: {error or last}")
        return self

    def statement(self, action):
        """The policy statement with this action that the message or the remedy prints, ready to paste."""
        error = self.report["error"]
        found = [one for one in _objects("{message}\n{remedy}".format(**error)) if action in str(one.get("Action", ""))]
        true(found, f"no statement with {action} is printed: {error}")
        return found[0]


def _objects(text):
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
            yield found
        except ValueError:
            end = at + 1
        at = text.find("{", end)


def installs_what_aws_s3_cp_gets(machine, source, bucket, key, cli_env):
    """One boot, compared byte for byte with the recipe it replaces."""
    boot = machine.run(source).ended(0, "installed")
    equal(machine.installed.read_bytes(), aws_s3_cp(bucket, key, cli_env), "ecs.config")
    return boot
