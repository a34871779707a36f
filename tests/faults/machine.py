"""A host that is a folder, the real program on it, and what must be true of it after any interruption."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from rehearsal import PROJECT  # noqa: E402

OLD = b"ECS_CLUSTER=prod\n# the old one\n"
NEW = b"ECS_CLUSTER=prod\nECS_LOGLEVEL=warn\n"
SOURCE = "s3://fleet-config/ecs.config"
CONFIG, REPORT = "etc/ecs/ecs.config", "run/ecs-bootstrap/report.json"
FOLDERS = ("etc/ecs", "var/lib/ecs-bootstrap", "run/ecs-bootstrap")


def program():
    """The one that ECS_BOOTSTRAP_BIN names, or a debug build."""
    if "ECS_BOOTSTRAP_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "ecs-bootstrap"], cwd=PROJECT, check=True)
        target = PROJECT / os.environ.get("CARGO_TARGET_DIR", "target")
        os.environ["ECS_BOOTSTRAP_BIN"] = str(target / "debug/ecs-bootstrap")
    return os.environ["ECS_BOOTSTRAP_BIN"]


class Wrong(Exception):
    """Something that must not happen did."""


def expect(holds, what):
    if not holds:
        raise Wrong(what)


class Machine:
    """A copy of a folder, for as long as the `with` lasts."""

    def __init__(self, cloud, template=None):
        self.cloud, self.template = cloud, template

    def __enter__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="interrupted-"))
        if self.template:
            shutil.copytree(self.template, self.root, dirs_exist_ok=True)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def read(self, path):
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def call(self, *arguments, before=(), timeout=60):
        """The program with these arguments, run by the command `before`."""
        command = [*before, program(), "--root", str(self.root), *arguments]
        environment = {"PATH": os.environ["PATH"], **self.cloud.env}
        return subprocess.run(command, env=environment, capture_output=True, timeout=timeout, check=False)

    def run(self, before=()):
        return self.call("run", "--quiet", "--config", SOURCE, "--timeout", "20s", before=before)

    def is_whole(self, first):
        """One configuration or the other, or, before the first installation, none."""
        found = self.read(CONFIG)
        expect(found in ((None, NEW) if first else (OLD, NEW)), f"ecs.config holds {found!r}")
        return found

    def tells_the_truth(self):
        """`status --check` passes only for bytes that the state has."""
        if self.call("status", "--check").returncode == 0:
            expect(self.read(CONFIG) in (OLD, NEW), "status --check passes for other bytes")

    def is_repaired_by_the_next_run(self):
        """It installs the new file, leaves nothing beside it, and its report is right."""
        ended = self.run()
        expect(ended.returncode == 0, f"the next run ended with {ended.returncode}: {ended.stderr.decode()}")
        expect(self.read(CONFIG) == NEW, "the next run did not install the new file")
        report = json.loads(self.read(REPORT) or b"{}")
        expect(report.get("exit_status") == 0, f"the next run's report is {report}")
        strays = [name for folder in FOLDERS for name in os.listdir(self.root / folder) if name.startswith(".")]
        expect(not strays, f"the next run left {strays}")
        expect(self.call("status", "--check").returncode == 0, "status --check fails after the next run")
