"""The launch template's user data, read and written by a MIME library, alone and as AWS Batch merges it."""

import email
import email.policy
import sys
from pathlib import Path

sys.path.insert(0, "tests/boot")
import batch

TEXT = Path("packaging/batch/user-data.txt").read_text("ascii")

[script] = batch.scripts(TEXT)
assert script.startswith("#!/bin/sh\n"), script[:40]

whole = email.message_from_string(TEXT, policy=email.policy.default)
assert TEXT.startswith("MIME-Version: 1.0\nContent-Type: multipart/mixed;"), "Batch looks for these first"
assert whole["MIME-Version"] == "1.0"
assert not whole.epilogue and not whole.preamble, "there is text outside the parts"
boundary = whole.get_boundary()
assert boundary != batch.BOUNDARY, "the boundary is Batch's own"

# What the library makes of the script is the same message.
assert batch.scripts(batch.message(script, boundary=boundary)) == [script]

for first in (True, False):
    wanted = [batch.part(), script] if first else [script, batch.part()]
    assert batch.scripts(batch.merged(TEXT, first)) == wanted, first
assert len(batch.merged(TEXT)) < 16384, "more than EC2 takes"

# Every key that Batch writes is left to it.
kept = script[script.index("keep = [") : script.index("]", script.index("keep = ["))]
assert [name for name in batch.KEYS if f'"{name}"' not in kept] == []
