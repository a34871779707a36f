"""What a power cut can leave on a disk, given what a run did to it.

The model is what POSIX promises and no more. Bytes that were written are on the disk for certain once the file was synced; before that a part
of them may be, from the start, or none. A name that was made, replaced or removed is so for certain once its folder was synced; before that
each of the folder's changes may or may not be there, whatever became of the others. What is synced stays.
"""

import dataclasses
import itertools
import pathlib
import re

# How much of what was written and not synced is there.
PARTS = tuple(part / 16 for part in range(17))


# Moments and durations.
VARYING = re.compile(rb'\d{4}-\d\d-\d\dT[\d:.]*Z?|"(start|duration)_ms": \d+|\(\d+ ms\)')


@dataclasses.dataclass(frozen=True)
class Operation:
    kind: str  # mkdir, create, write, sync, rename, unlink, sync-folder
    path: str
    more: object = None


def operations(calls, root):
    """The changes in a record, with paths below the machine's folder."""
    root = str(root)
    found = []

    def below(path):
        path = path.decode() if isinstance(path, bytes) else path
        return str(pathlib.PurePath(path).relative_to(root)) if path.startswith(root + "/") else None

    for call in calls:
        if call.result < 0:
            continue
        strings = call.strings()
        if call.name in ("mkdir", "mkdirat"):
            found.append(Operation("mkdir", below(strings[0])))
        elif call.name in ("open", "openat") and "O_CREAT" in call.arguments:
            found.append(Operation("create", below(strings[0]), "O_TRUNC" in call.arguments))
        elif call.name == "write" and (path := below(call.path)):
            found.append(Operation("write", path, strings[-1][: call.result]))
        elif call.name in ("fsync", "fdatasync"):
            path = below(call.path)
            found.append(Operation("sync", path or "."))
        elif call.name.startswith("rename"):
            found.append(Operation("rename", below(strings[0]), below(strings[1])))
        elif call.name in ("unlink", "unlinkat"):
            found.append(Operation("unlink", below(strings[0])))
    return [operation for operation in found if operation.path]


class Disk:
    """Files as numbered inodes: their durable bytes, what was written since, and names in folders, durable and not."""

    def __init__(self, template):
        self.inodes, self.names, self.folders, self.pending = {}, {}, set(), {}
        self.durable_folders = set()
        template = pathlib.Path(template)
        for path in template.rglob("*"):
            name = str(path.relative_to(template))
            if path.is_dir():
                self.folders.add(name)
            else:
                number = self.inode(path.read_bytes())
                self.names[name] = number
        self.durable = dict(self.names)
        self.durable_folders = set(self.folders)

    def inode(self, synced):
        number = len(self.inodes) + 1
        self.inodes[number] = (synced, b"")
        return number

    def change(self, path, number):
        """A name in a folder now means this inode, or none."""
        self.names.pop(path, None)
        if number:
            self.names[path] = number
        self.pending.setdefault(str(pathlib.PurePath(path).parent), []).append((path, number))

    def apply(self, operation):
        kind, path, more = operation.kind, operation.path, operation.more
        if kind == "mkdir":
            self.folders.add(path)
            self.pending.setdefault(str(pathlib.PurePath(path).parent), []).append((path, "folder"))
        elif kind == "create":
            if path not in self.names:
                self.change(path, self.inode(b""))
        elif kind == "write":
            synced, since = self.inodes[self.names[path]]
            self.inodes[self.names[path]] = (synced, since + more)
        elif kind == "sync" and path in self.names:
            synced, since = self.inodes[self.names[path]]
            self.inodes[self.names[path]] = (synced + since, b"")
        elif kind == "sync":
            for changed, number in self.pending.pop(path, []):
                self.settle(self.durable, self.durable_folders, changed, number)
        elif kind == "rename":
            number = self.names[path]
            self.change(path, None)
            self.pending[str(pathlib.PurePath(path).parent)].pop()
            self.names[more] = number
            self.pending.setdefault(str(pathlib.PurePath(more).parent), []).append((path, ("rename", more, number)))
        elif kind == "unlink" and path in self.names:
            self.change(path, None)

    @staticmethod
    def settle(names, folders, path, number):
        if number == "folder":
            folders.add(path)
        elif isinstance(number, tuple):
            names.pop(path, None)
            names[number[1]] = number[2]
        elif number is None:
            names.pop(path, None)
        else:
            names[path] = number

    def cuts(self):
        """Every state in which a cut now can leave the disk: paths with bytes, and folders."""
        pending = [(folder, changes) for folder, changes in self.pending.items() if changes]
        changes = [change for _, changes in pending for change in changes]
        for kept in itertools.product((False, True), repeat=len(changes)):
            names, folders = dict(self.durable), set(self.durable_folders)
            for (path, number), is_kept in zip(changes, kept):
                if is_kept:
                    self.settle(names, folders, path, number)
            names = {path: number for path, number in names.items() if self.reachable(path, folders)}
            unsynced = sorted({number for number in names.values() if self.inodes[number][1]})
            for parts in itertools.product(PARTS, repeat=len(unsynced)):
                part = dict(zip(unsynced, parts))
                files = {path: self.bytes(number, part.get(number, 1.0)) for path, number in names.items()}
                yield frozenset(files.items()), frozenset(folders)

    def bytes(self, number, part):
        synced, since = self.inodes[number]
        return synced + since[: round(len(since) * part)]

    @staticmethod
    def reachable(path, folders):
        parents = [str(parent) for parent in pathlib.PurePath(path).parents if str(parent) != "."]
        return all(parent in folders for parent in parents)


def states(done, template):
    """All different states after a cut before, amid or after any of the operations, by what makes them different: not the time."""
    disk, found = Disk(template), {}
    for operation in (None, *done):
        if operation:
            disk.apply(operation)
        found.update((without_times(state), state) for state in disk.cuts())
    return found


def without_times(state):
    files, folders = state
    return frozenset((path, VARYING.sub(b"", content)) for path, content in files), folders


def write(state, root):
    root.mkdir(exist_ok=True)
    files, folders = state
    for folder in sorted(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path, content in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        (root / path).chmod(0o600)
