"""The units that a host gets, for each systemd that is named, hold nothing which that version does not know or reads otherwise.

`unit_versions.py TREE FOLDER`: TREE is the package's tree of files; copies of it are made in FOLDER, where the package's own script
chooses. One line a case, and a count.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent.parent / "systemd/directives"
# Amazon Linux 2 and RHEL 7, Ubuntu 18.04, Debian 10, Ubuntu 20.04, Debian 11, Ubuntu 22.04, Amazon Linux 2023 and Debian 12, Ubuntu 24.04,
# Debian 13 and RHEL 10.
NAMED = (219, 237, 241, 245, 247, 249, 252, 255, 257)


def directives():
    rows = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {what: int(since) for what, since in rows}


def chosen(tree, folder, version):
    """A root with the package, after its script has run beside this systemd: the path of each unit that counts there."""
    root = folder / str(version)
    shutil.copytree(tree, root, symlinks=True)
    choose(root, folder, version)
    return {unit.name: effective(root, unit.name) for unit in (root / "usr/lib/systemd/system").glob("ecs-bootstrap*.*")}


def choose(root, folder, version, *arguments):
    (folder / "bin").mkdir(exist_ok=True)
    systemctl = folder / "bin/systemctl"
    systemctl.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && echo 'systemd {version} ({version}-1)'\n")
    systemctl.chmod(0o755)
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "DPKG_ROOT": str(root)}
    subprocess.run([root / "usr/share/ecs-bootstrap/choose-units", *arguments], env=environment, check=True)


def effective(root, name):
    copied = root / "etc/systemd/system" / name
    return copied if copied.exists() else root / "usr/lib/systemd/system" / name


def unknown(text, version):
    """What this version does not know, or reads otherwise, in a unit."""
    table, found = directives(), []
    for line in re.findall(r"^[A-Z]\w+=.*", text, re.MULTILINE):
        since = [table[what] for what in table if line.startswith(what if "=" in what else f"{what}=")]
        if not since or max(since) > version:
            found.append(line)
    if version < 244 and "Type=oneshot" in text:
        found += re.findall(r"^Restart=.*", text, re.MULTILINE)
    if version < 239:
        found += re.findall(r"^SystemCallFilter=.*@.*", text, re.MULTILINE)
    return found


def main(tree, folder):
    cases = []
    for version in NAMED:
        units = chosen(tree, folder, version)
        wrong = {name: lines for name, path in units.items() if (lines := unknown(path.read_text(), version))}
        cases.append((f"systemd {version} knows every line of its units", len(units) == 6 and not wrong, wrong))
        copied = any("etc" in path.relative_to(folder / str(version)).parts for path in units.values())
        cases.append((f"systemd {version} gets {'units of its own' if version < 247 else 'the units of the package'}", copied == (version < 247), units))
    for version in NAMED[:4]:
        newer = sorted(NAMED)[NAMED.index(version) + 1]
        found = [line for path in (folder / str(newer)).glob("etc/systemd/system/*") for line in unknown(path.read_text(), version)]
        found = found or unknown((tree / "usr/lib/systemd/system/ecs-bootstrap.service").read_text(), version)
        cases.append((f"this test would find the units of systemd {newer} beside {version}", bool(found), found))
    cases += changes(tree, folder)
    for name, good, seen in cases:
        print(f"ok {name}" if good else f"FAILED {name}: {seen}")
    failed = sum(not good for _, good, _ in cases)
    print(f"{len(cases) - failed} passed, {failed} failed")


def changes(tree, folder):
    """A host whose systemd is upgraded, whose administrator has a unit, and whose package goes."""
    root = folder / "changes"
    shutil.copytree(tree, root, symlinks=True)
    etc = root / "etc/systemd/system"
    (etc / "docker.service.wants").mkdir(parents=True)
    own = etc / "ecs-bootstrap-refresh.timer"
    own.write_text("[Timer]\nOnBootSec=1h\n")
    choose(root, folder, 241)
    link, unit = etc / "docker.service.wants/ecs-bootstrap-guard.service", "ecs-bootstrap-guard.service"
    link.symlink_to(f"/etc/systemd/system/{unit}")
    old = effective(root, unit).read_text()
    choose(root, folder, 245)
    newer = effective(root, unit).read_text()
    choose(root, folder, 252)
    upgraded = sorted(path.name for path in etc.iterdir()) == ["docker.service.wants", own.name] and str(link.readlink()) == f"/usr/lib/systemd/system/{unit}"
    choose(root, folder, 219)
    oldest = effective(root, unit).read_text()
    choose(root, folder, 219, "remove")
    left = sorted(path.name for path in etc.iterdir())
    return [
        ("after an upgrade of systemd the units are chosen again", old != newer and upgraded, (upgraded, str(link.readlink()))),
        ("a unit of the administrator's is not overwritten", own.read_text() == "[Timer]\nOnBootSec=1h\n" and oldest != old, own.read_text()),
        ("a removal leaves no copy of a unit", left == ["docker.service.wants", own.name], left),
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
