"""Figures that repeat exactly under any load, and so may fail a change: instructions, disk syncs and the size of the binary.

`limits` holds the last accepted figure of each; one that is passed by 2 % fails.
"""

import os
import pathlib
import re
import shutil
import subprocess

from measure import instructions
from names import BUCKET, KEY, PROJECT

LIMITS = PROJECT / "tests/bench/limits"
ROOM = 1.02
# The goals of the design, printed beside what was found.
GOALS = {"run, first (M instructions)": 12, "run, again (M instructions)": 12, "status --check (M instructions)": 0.8, "disk syncs, first run": 4, "disk syncs, again": 0, "binary (MiB)": 4.5}


def syncs(argv, env, root):
    """Calls of fsync for what is on the disk: not below /run, which is memory."""
    traced = subprocess.run(["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", *argv], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    paths = re.findall(r"f(?:data)?sync\(\d+<([^>]*)>", traced.stderr)
    return sum(not path.startswith(f"{root}/run") for path in paths)


def limits():
    lines = [line for line in LIMITS.read_text().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(None, 1) for line in lines)}


def found(cloud, scratch):
    """The figures by name."""
    binary, root, env = os.environ["ECS_BOOTSTRAP_BIN"], scratch / "gated", cloud.environment
    installed = root / "etc/ecs/ecs.config"
    run = [binary, "run", "--config", f"s3://{BUCKET}/{KEY}", "--root", str(root), "--quiet"]
    check = [binary, "status", "--check", "--root", str(root)]
    lint = [binary, "lint", str(installed)]
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    subprocess.run(run, env=env, check=True, stdout=subprocess.DEVNULL)  # makes the folders
    first = []
    for _ in range(3):
        installed.unlink()
        first.append(instructions(run, env))
    figures = {
        "run, first (M instructions)": min(first),
        "run, again (M instructions)": min(instructions(run, env) for _ in range(3)),
        "status --check (M instructions)": min(instructions(check, env) for _ in range(3)),
        "lint (M instructions)": min(instructions(lint, env) for _ in range(3)),
    }
    if shutil.which("strace"):
        installed.unlink()
        figures["disk syncs, first run"] = syncs(run, env, root)
        figures["disk syncs, again"] = syncs(run, env, root)
    figures["binary (MiB)"] = pathlib.Path(binary).stat().st_size / 2**20
    return figures


def check(cloud, scratch):
    """(name, figure, goal) of those with a goal, and how many passed their limit."""
    known, failures, figures = limits(), 0, found(cloud, scratch)
    for name, figure in figures.items():
        limit = known[name]
        passed = figure > limit * ROOM
        failures += passed
        print(f"{'FAILED' if passed else 'ok'} {name}: {figure:.4g}, of at most {limit:.4g} and 2 %")
    return [(name, figures[name], goal) for name, goal in GOALS.items() if name in figures], failures
