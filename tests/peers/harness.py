"""Cases, their one-line verdicts, and the processes they start. Knows nothing of AWS.

A case is a function whose name is the sentence that is false when it fails. `@case` registers it; `@case(each=[...])`
registers it once for each value, which it gets as its second argument.
"""

import contextlib
import ctypes
import pathlib
import signal
import socket
import subprocess
import time
import traceback

HERE = str(pathlib.Path(__file__).parent)
PR_SET_PDEATHSIG = 1


class Cases:
    """The cases of one suite, in the order in which they are written."""

    def __init__(self):
        self.registered = []

    def __call__(self, function=None, *, each=None):
        if function is None:
            return lambda function: self._add(function, each)
        return self._add(function, None)

    def _add(self, function, each):
        name = function.__name__.replace("_", " ")
        if each is None:
            self.registered.append((name, function))
        for value in each or []:
            self.registered.append((f"{name}: {value!r}", lambda cloud, value=value: function(cloud, value)))
        return function

    def run(self, suite, cloud):
        """Runs every case against `cloud`, prints a line for each, and returns (passed, failed)."""
        verdicts = [_verdict(f"{suite}: {name}", function, cloud) for name, function in self.registered]
        return verdicts.count(True), verdicts.count(False)


def _verdict(name, function, cloud):
    try:
        function(cloud)
    except Exception as error:  # a case may fail in any way; the others still run
        print(f"FAILED {name}: {why(error)}", flush=True)
        return False
    print(f"ok {name}", flush=True)
    return True


def why(error):
    """One line: the assertion's message, or what went wrong where."""
    if isinstance(error, AssertionError) and error.args:
        return error
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(HERE)]
    where = f"{pathlib.Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "outside the tests"
    return f"{type(error).__name__} at {where}: {error}"


def equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what} is {got!r}, not {wanted!r}")


def true(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def _die_with_parent():
    """A killed harness leaves no server behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def process(argv, log, **more):
    """A server for as long as the `with` lasts; what it prints goes to the file `log`."""
    with open(log, "wb") as out:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=_die_with_parent, **more)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def wait_for(fact, what, seconds=180):
    """Returns the first true value of `fact()`; an exception counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Exception):
            if value := fact():
                return value
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)


def free_port():
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
