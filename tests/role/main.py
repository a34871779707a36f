"""Runs every case against one moto, and prints the sums."""

import sys
import tempfile

import boots
import documents
import hosts
import negative_cases
from account import account

SUITES = {"documents": documents, "hosts": hosts, "negative_cases": negative_cases, "boots": boots}


def main():
    with tempfile.TemporaryDirectory(prefix="role-") as scratch, account(scratch) as in_moto:
        sums = [module.case.run(name, in_moto) for name, module in SUITES.items()]
    passed, failed = (sum(column) for column in zip(*sums))
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
