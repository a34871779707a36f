#!/usr/bin/env python3
"""Interrupts runs and inspects what they leave: `tests/faults/interrupt.py [kills] [errors] [power] [crowd]... [--all]`.

  kills   SIGKILL at every file system call of a first installation and of a replacement
  errors  an error at every such call: ENOSPC, EIO, EDQUOT, EROFS, EMFILE, EINTR, ENOMEM
  power   every legal state of the disk after a power cut at any moment, replayed
  crowd   50 runs at once, 1,000 in a row, 200 signals at random moments

After each of them ecs.config is whole, `status --check` tells the truth, and the next run leaves the new file, a true report and nothing
beside it. Without --all a sample of each, which takes about a minute. Prints the counts; needs strace.
"""

import concurrent.futures
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import power  # noqa: E402
import trace  # noqa: E402
from machine import NEW, OLD, SOURCE, Machine, Wrong, expect, program  # noqa: E402

from rehearsal import Rehearsal  # noqa: E402

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EMFILE", "EINTR", "ENOMEM")
SEED = 20261126
AT_ONCE = os.cpu_count() or 2


class Lab:
    """A cloud, a machine before its first installation and one with the old file, and a tally."""

    def __init__(self, cloud, folder, everything):
        self.cloud, self.folder, self.everything = cloud, pathlib.Path(folder), everything
        self.passed, self.failed = 0, 0
        self.random = random.Random(SEED)
        self.empty, self.old = self.folder / "empty", self.folder / "old"
        self.empty.mkdir()
        self.put(OLD)
        with Machine(cloud) as machine:
            expect(machine.run().returncode == 0, "the first run fails")
            shutil.copytree(machine.root, self.old)
        self.put(NEW)

    def put(self, text):
        (self.folder / "object").write_bytes(text)
        self.cloud.command("object", "fleet-config", "ecs.config", self.folder / "object")

    def stages(self):
        return (("first installation", self.empty), ("replacement", self.old))

    def some(self, items, fewer):
        """All of them, or so many, always the same."""
        return items if self.everything or len(items) <= fewer else self.random.sample(items, fewer)

    def each(self, title, cases, check):
        """Checks every case, several at once, and prints how many were right."""
        before = self.failed

        def checked(case):
            try:
                check(*case)
            except (Wrong, subprocess.TimeoutExpired) as error:
                return f"FAILED {title}, {case[0]}: {error}"
            return None

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for wrong in pool.map(checked, cases):
                if wrong:
                    self.failed += 1
                    print(wrong, flush=True)
                else:
                    self.passed += 1
        print(f"{'ok' if before == self.failed else 'FAILED'} {title}: {len(cases)}", flush=True)

    def record(self, template):
        """The calls of one undisturbed run, and the machine's folder in them."""
        with Machine(self.cloud, template) as machine:
            output = self.folder / "record"
            expect(machine.run(trace.strace(output)).returncode == 0, "the run fails under strace")
            return trace.calls(output, machine.root), machine.root

    def cut(self, template):
        """The states that a power cut amid a run can leave."""
        calls, root = self.record(template)
        return power.states(power.operations(calls, root), template)


def kills(lab):
    for title, template in lab.stages():
        calls, _ = lab.record(template)
        cases = [(f"{call.name} {call.number}", call, template) for call in calls]

        def check(_, call, template):
            with Machine(lab.cloud, template) as machine:
                ended = machine.run(injection(f"{call.name}:signal=KILL:when={call.number}"))
                expect(ended.returncode in (-signal.SIGKILL, 137, 0), f"it ended with {ended.returncode}")
                machine.is_whole(template == lab.empty)
                machine.tells_the_truth()
                machine.is_repaired_by_the_next_run()

        lab.each(f"kill points of a {title}", lab.some(cases, 50), check)


def errors(lab):
    for title, template in lab.stages():
        calls, _ = lab.record(template)
        cases = [(f"{error} at {call.name} {call.number}", call, error, template) for call in calls for error in ERRORS]

        def check(_, call, error, template):
            for _ in range(5):
                with Machine(lab.cloud, template) as machine:
                    ended, hit = injected(machine, f"{call.name}:error={error}:when={call.number}")
                    if not hit:
                        continue
                    expect(0 <= ended.returncode < 128, f"it ended with {ended.returncode}: {ended.stderr.decode()}")
                    found = machine.is_whole(template == lab.empty)
                    if ended.returncode == 40 and b"is as it was" in ended.stderr:
                        expect(found != NEW, "the message denies that the new file is in place")
                    machine.tells_the_truth()
                    return machine.is_repaired_by_the_next_run()
            raise Wrong("five times another call had its number, on none of the machine's files")

        lab.each(f"errors injected into a {title}", lab.some(cases, 80), check)


def injection(what, output="/dev/null"):
    return ("strace", "-f", "-y", "-qq", "-o", str(output), "-e", f"trace={what.split(':')[0]}", "-e", f"inject={what}")


def injected(machine, what):
    """A run with one error, and whether that was on one of the machine's files: how often a thread writes to its event descriptor varies."""
    with tempfile.NamedTemporaryFile(prefix="interrupted-", encoding="latin-1", mode="r") as record:
        ended = machine.run(injection(what, record.name))
        lines = [line for line in record if "(INJECTED)" in line]
    return ended, bool(lines) and all(str(machine.root) in line for line in lines)


def power_cuts(lab):
    for title, template in lab.stages():
        states = lab.cut(template)
        # A second cut amid the run after the first one: a sample, since these states are tens of thousands.
        again = {}
        for number, state in enumerate(lab.random.sample(list(states.values()), 20 if lab.everything else 2)):
            folder = lab.folder / f"cut-{title}-{number}"
            power.write(state, folder)
            again |= lab.cut(folder)
        again = [state for key, state in again.items() if key not in states]
        states |= {("again", number): state for number, state in enumerate(lab.random.sample(again, min(500, len(again))))}
        cases = [(f"state {number}", state, template) for number, state in enumerate(states.values())]

        def check(_, state, template):
            with Machine(lab.cloud) as machine:
                power.write(state, machine.root)
                machine.is_whole(template == lab.empty)
                machine.tells_the_truth()
                machine.is_repaired_by_the_next_run()

        lab.each(f"disk states after a power cut amid a {title}", lab.some(cases, 80), check)


def crowd(lab):
    with Machine(lab.cloud, lab.old) as machine:
        def one(_):
            ended = machine.run()
            expect(ended.returncode == 0, f"it ended with {ended.returncode}: {ended.stderr.decode()}")

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            list(pool.map(one, range(50)))
        lab.each("runs at once", [("50 runs", machine)], lambda _, machine: machine.is_repaired_by_the_next_run())
    in_a_row(lab, 1000 if lab.everything else 20)
    cases = [(f"signal {number}", lab.random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)),
              lab.random.uniform(0.0, 0.12)) for number in range(200 if lab.everything else 30)]

    def check(_, sent, after):
        with Machine(lab.cloud, lab.old) as machine:
            process = subprocess.Popen(
                [program(), "--root", str(machine.root), "run", "--quiet", "--config", SOURCE],
                env={"PATH": os.environ["PATH"], **lab.cloud.env}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )
            time.sleep(after)
            process.send_signal(sent)
            process.wait(timeout=30)
            machine.is_whole(False)
            machine.tells_the_truth()
            machine.is_repaired_by_the_next_run()

    lab.each("signals at random moments", cases, check)


def in_a_row(lab, runs):
    """Each with another object; the folders do not grow."""
    with Machine(lab.cloud, lab.old) as machine:
        wrong = 0
        for number in range(runs):
            text = NEW + b"# %d\n" % number
            lab.put(text)
            wrong += machine.run().returncode != 0 or machine.read("etc/ecs/ecs.config") != text
        lab.put(NEW)
        lab.each(f"of {runs} runs in a row, the last", [(f"{wrong} wrong", machine)],
                 lambda _, machine: (expect(wrong == 0, f"{wrong} were wrong"), machine.is_repaired_by_the_next_run()))


KINDS = {"kills": kills, "errors": errors, "power": power_cuts, "crowd": crowd}


def main(arguments):
    everything = "--all" in arguments
    chosen = [word for word in arguments if word in KINDS] or list(KINDS)
    if not shutil.which("strace"):
        print("skipped: strace(1) is not installed\n0 passed, 0 failed, 1 skipped")
        return 1 if os.environ.get("CI") == "true" else 0
    program()
    with Rehearsal() as cloud, tempfile.TemporaryDirectory(prefix="interrupt-") as folder:
        lab = Lab(cloud, folder, everything)
        for kind in chosen:
            KINDS[kind](lab)
    print(f"{lab.passed} passed, {lab.failed} failed, 0 skipped")
    return 1 if lab.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
