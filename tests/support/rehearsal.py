"""The rehearsal cloud (tests/rehearsal) as a process: the double of instance metadata, STS and S3 for the layers in Python."""

import json
import os
import pathlib
import subprocess
import tempfile

PROJECT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    """The double, built by the first call unless REHEARSAL_BIN names it."""
    if "REHEARSAL_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "rehearsal"], cwd=PROJECT, check=True)
        os.environ["REHEARSAL_BIN"] = str(PROJECT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/rehearsal")
    return os.environ["REHEARSAL_BIN"]


class Rehearsal:
    """`rehearsal --serve` with these options for as long as the `with` lasts; `env` is how a program finds it.

    `credentials` are those that the host's role gets, in boto3's words; `enter` is a command in which it is started.
    """

    def __init__(self, *options, credentials=None, enter=()):
        self.options, self.credentials, self.enter = options, credentials, enter
        self.env = {}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rehearsal-")
        folder = pathlib.Path(self.folder.name)
        self.log = folder / "log"
        argv = [*self.enter, binary(), "--serve", "--log", str(self.log), *self.options]
        if self.credentials:
            document = {name: self.credentials[name] for name in ("AccessKeyId", "SecretAccessKey")}
            (folder / "credentials").write_text(json.dumps(document | {"Token": self.credentials["SessionToken"]}))
            argv += ["--credentials", str(folder / "credentials")]
        with open(folder / "errors", "w") as errors:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        while (line := self.process.stdout.readline()).startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            self.env[name] = value
        if not line:
            raise RuntimeError(f"the double did not start: {(folder / 'errors').read_text()}")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()

    def command(self, *words):
        """One of the commands that the double reads while it runs."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"{words}: {answer or 'the double has ended'}")

    def requests(self):
        """Every request so far, oldest first."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]
