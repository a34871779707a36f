"""The script of shell.sh is in cloud-config.yaml and Batch's user data too: they differ only as their headers describe."""

import email
from pathlib import Path

import yaml

FOLDER, BATCH = Path("packaging/user-data"), Path("packaging/batch/user-data.txt")
BEGIN, END = "# Until all of this", "$install"


def common(script):
    """From the start condition to the installation of the package."""
    lines = script[script.index(BEGIN):].splitlines()
    return [line for line in lines[: next(i for i, line in enumerate(lines) if line.startswith(END)) + 1] if line]


shell = common((FOLDER / "shell.sh").read_text())
config = yaml.safe_load((FOLDER / "cloud-config.yaml").read_text())
parts = email.message_from_string(BATCH.read_text()).get_payload()
assert len(shell) > 20, shell
assert common(config["write_files"][1]["content"]) == shell, "cloud-config.yaml"
assert common(parts[0].get_payload()) == shell, BATCH
