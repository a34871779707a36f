"""Two programs print the same bytes and end with the same status, over every file that the linter's tests have.

Usage: agree.py ECS_BOOTSTRAP ECS_CONFIG_LINT
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
CORPUS = sorted(path for name in ("lint", "merge", "docker", "ecs_init", "systemd") for path in (TREE / "tests/fuzz/corpus" / name).iterdir())
ONE, OTHER = (str(Path(program).resolve()) for program in sys.argv[1:])
BOTH = [[ONE, "lint"], [OTHER]]
calls = 0


def ended(program, arguments, stdin=b""):
    done = subprocess.run([*program, *arguments], input=stdin, capture_output=True, env={}, check=False)
    return done.returncode, done.stdout, done.stderr


def compare(arguments, stdin=b""):
    global calls
    calls += 1
    one, other = (ended(program, arguments, stdin) for program in BOTH)
    if one != other:
        sys.exit(f"{arguments}:\n{one}\n{other}")
    return one


def compare_fixed(path):
    """What `--fix` writes and prints; both get a copy of the same name."""
    global calls
    calls += 1
    made = []
    for program in BOTH:
        shutil.copyfile(path, "ecs.config")
        made.append((ended(program, ["--fix", "--output", "json", "ecs.config"]), Path("ecs.config").read_bytes()))
    if made[0] != made[1]:
        sys.exit(f"--fix {path}: {made}")


def compare_explained(rule):
    """stdout and status alone: the usage that is printed with an unknown rule names the program."""
    one, other = (ended(program, ["--explain", rule])[:2] for program in BOTH)
    if one != other:
        sys.exit(f"--explain {rule}: {one} {other}")


def main():
    names = [str(path) for path in CORPUS]
    for output in ("text", "json", "sarif"):
        for options in ([], ["--whole"], ["--for", "al2023"], ["--for", "external", "--deny", "warnings"], ["--block-imds-host-tasks"]):
            compare(["--output", output, *options, *names])
    for path in CORPUS:
        compare(["--readers", "--output", "json", str(path)])
        compare(["-"], path.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for path in CORPUS:
            compare_fixed(path)
    rules = {path.name.removesuffix("-corrected") for path in CORPUS if path.parent.name == "lint"}
    for rule in sorted(rules):
        compare_explained(rule)
    # What cannot be checked, with what it prints on stderr.
    statuses = [compare(arguments)[0] for arguments in ([], ["/nonexistent"], ["/"], ["--fix", "-"], ["--readers", *names[:2]])]
    if set(statuses) != {2}:
        sys.exit(f"exit statuses {statuses}")
    print(f"{calls} calls, {len(CORPUS)} files")


main()
