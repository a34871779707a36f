"""Runs the suites named on the command line, or all: `ok NAME` or `FAILED NAME: why` for each case, and the totals.

A suite is a module with `cloud(folder)`, what its cases share, and `case`, its cases; `unavailable()`, if it has one, tells what
this machine lacks for it, and `ENTER` is a command in which it must be run.
"""

import importlib
import os
import re
import subprocess
import sys
import tempfile

from harness import why
from machine import in_own_network

SUITES = {"moto": "cases_moto", "secrets": "cases_secrets", "radosgw": "cases_radosgw", "names": "cases_names"}


def run(suite):
    """(passed, failed, skipped)"""
    module = importlib.import_module(SUITES[suite])
    reason = module.unavailable() if hasattr(module, "unavailable") else None
    if reason:
        print(f"skipped: {suite}: {reason}", flush=True)
        return 0, int(os.environ.get("CI") == "true"), 1
    if hasattr(module, "ENTER") and not in_own_network():
        return run_in(module.ENTER, suite)
    try:
        with tempfile.TemporaryDirectory(prefix=f"peers-{suite}-") as scratch, module.cloud(scratch) as cloud:
            return *module.case.run(suite, cloud), 0
    except Exception as error:  # a server that does not start fails its own suite only
        print(f"FAILED {suite}: its servers: {why(error)}", flush=True)
        return 0, 1, 0


def run_in(enter, suite):
    """The same program in a namespace; its lines pass through, but for its totals."""
    child = subprocess.Popen([*enter, sys.executable, __file__, suite], stdout=subprocess.PIPE, text=True)
    totals = None
    for line in child.stdout:
        totals = re.fullmatch(r"(\d+) passed, (\d+) failed\n", line)
        if not totals:
            print(line, end="", flush=True)
    child.wait()
    return (int(totals[1]), int(totals[2]), 0) if totals else (0, 1, 0)


def main(wanted):
    unknown = set(wanted) - set(SUITES)
    if unknown:
        sys.exit(f"no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    passed, failed, skipped = (sum(column) for column in zip(*(run(suite) for suite in wanted or SUITES)))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
