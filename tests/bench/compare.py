"""Times whole processes in turn, under AWS's own host names over TLS, in a network namespace of their own.

The servers' own time (moto's 5 to 15 ms a request) is in every row, so the ratios understate the difference. Instructions are
callgrind's count of one run in user mode: the same binary gives nearly the same number under any load.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import cases_names
from imds import REGION
from machine import AWS, BINARY, guarded, in_own_network, plain_environment
from objects import KEY, source

BUCKET = cases_names.BUCKET
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 15
SILENT = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]


def commands(root, copy):
    """Name, command line, and the file to remove before each run, if any."""
    ours = [BINARY, "run", "--config", source(BUCKET, KEY), "--root", str(root), "--quiet"]
    return [
        ("ecs-bootstrap run, first", ours, root / "etc/ecs/ecs.config"),
        ("ecs-bootstrap run, again", ours, None),
        ("aws s3 cp", [AWS, "s3", "cp", "--only-show-errors", f"s3://{BUCKET}/{KEY}", copy], None),
        ("true (starting a process)", [shutil.which("true")], None),
    ]


def measure(argv, env):
    """(wall, processor) milliseconds of one process that must succeed."""
    start = time.perf_counter()
    child = os.posix_spawn(argv[0], argv, env, file_actions=SILENT)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(argv)}: exit status {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def instructions(argv, env):
    if not shutil.which(CALLGRIND[0]):
        return "no valgrind"
    done = subprocess.run([*CALLGRIND, *argv], env=env, capture_output=True, text=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    return f"{int(counted[1]) / 1e6:.1f} M" if counted and done.returncode == 0 else "failed"


def table(rows, env):
    print(f"{'':28}{'wall ms, min / median':>24}{'CPU ms, median':>18}{'of ours':>10}{'instructions':>16}")
    ours = statistics.median(wall for wall, _ in rows[0][2])
    for name, argv, runs in rows:
        wall, processor = [wall for wall, _ in runs], [processor for _, processor in runs]
        median = statistics.median(wall)
        times = f"{min(wall):.1f} / {median:.1f}"
        count = instructions(argv, env) if argv[0] == BINARY else ""
        print(f"{name:28}{times:>24}{statistics.median(processor):>18.1f}{median / ours:>9.1f}x{count:>16}")


def main():
    with tempfile.TemporaryDirectory(prefix="peers-bench-") as scratch, cases_names.cloud(scratch) as cloud:
        with cloud.instance() as machine:
            env = guarded(plain_environment(machine.folder.name, {"AWS_CA_BUNDLE": cloud.ca, "AWS_DEFAULT_REGION": REGION}))
            rows = [(name, argv, removed, []) for name, argv, removed in commands(machine.root, f"{scratch}/copy")]
            for turn in range(-1, ROUNDS):  # the first warms the caches and is not counted
                for _, argv, removed, runs in rows:
                    if removed:
                        removed.unlink(missing_ok=True)
                    taken = measure(argv, env)
                    if turn >= 0:
                        runs.append(taken)
            print(f"{ROUNDS} rounds, each command in turn; load average {os.getloadavg()[0]:.1f}")
            table([(name, argv, runs) for name, argv, _, runs in rows], env)


if in_own_network():
    main()
else:
    reason = cases_names.unavailable()
    sys.exit(f"skipped: {reason}" if reason else subprocess.run([*cases_names.ENTER, sys.executable, *sys.argv]).returncode)
