"""Runs every case against one moto, and prints the sums."""

import sys
import tempfile

import boots
import hosts
import papers
import sabotage
from world import world

SUITES = {"papers": papers, "hosts": hosts, "sabotage": sabotage, "boots": boots}


def main():
    with tempfile.TemporaryDirectory(prefix="role-") as scratch, world(scratch) as cloud:
        sums = [module.case.run(name, cloud) for name, module in SUITES.items()]
    passed, failed = (sum(column) for column in zip(*sums))
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
