"""Whole processes, measured from outside."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

SILENT = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]


def timed(argv, env, statuses=(0,)):
    """Wall and CPU milliseconds and peak MiB of one process that must succeed."""
    start = time.perf_counter()
    child = os.posix_spawn(argv[0], argv, env, file_actions=SILENT)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) not in statuses:
        sys.exit(f"{' '.join(map(str, argv))}: exit status {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024


def peak(argv, env, statuses=(0,)):
    """Peak MiB of a process: GNU time starts it, for a child of a large process begins as large as that."""
    done = subprocess.run(["/usr/bin/time", "--format", "%M", *argv], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode not in statuses:
        sys.exit(f"{' '.join(map(str, argv))}: exit status {done.returncode}: {done.stderr[-300:]}")
    return int(done.stderr.split()[-1]) / 1024


def instructions(argv, env):
    """Millions, in user mode, as callgrind counts them: the same program gives nearly the same number under any load."""
    if not shutil.which("valgrind"):
        return None
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *argv], env=env, capture_output=True, text=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if not counted or done.returncode:
        sys.exit(f"callgrind {' '.join(map(str, argv))}: exit status {done.returncode}: {done.stderr[-300:]}")
    return int(counted[1]) / 1e6


def machine():
    """What the figures were taken on."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    load = " ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{os.cpu_count()} cores, {cpu[1] if cpu else os.uname().machine}, Linux {os.uname().release}; load {load}"
