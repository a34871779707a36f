"""What one run does to the file system: strace's record of it, as operations on the machine's files."""

import dataclasses
import re

# Every call that reads or changes files, by path or by descriptor.
CALLS = (
    "open,openat,read,write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,fchmod,chmod,"
    "fchmodat,ftruncate,close,newfstatat,statx,fstat,lseek,readlink,flock,access,fcntl,getdents64"
)
LINE = re.compile(r"^(\d+)\s+(\w+)\((.*)\)\s+= (-?\d+|\?)(.*)$", re.DOTALL)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")


@dataclasses.dataclass(frozen=True)
class Call:
    """One system call that touches the machine."""

    name: str
    # Which of the calls of that name in its thread it is, from 1: strace's `when`.
    number: int
    arguments: str
    result: int
    path: str

    def strings(self):
        return [unescaped(text) for text in STRING.findall(self.arguments)]


def unescaped(text):
    """The bytes of a string as strace prints it."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def strace(output, *more):
    """The command that writes the record."""
    return ("strace", "-f", "-y", "-qq", "-s", "1000000", "-o", str(output), "-e", f"trace={CALLS}", *more)


def calls(record, root):
    """The calls that touch what is below `root`, in their order."""
    counts, found, unfinished = {}, [], {}
    for line in record.read_text(encoding="latin-1").splitlines():
        thread = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            unfinished[thread] = line.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"^(\d+)\s+<\.\.\. \w+ resumed>(.*)$", line, re.DOTALL):
            line = unfinished.pop(thread, "") + resumed[2]
        if not (match := LINE.match(line)):
            continue
        _, name, arguments, result, _ = match.groups()
        counts[thread, name] = number = counts.get((thread, name), 0) + 1
        if str(root) in arguments:
            descriptor = DESCRIPTOR.match(arguments)
            strings = STRING.findall(arguments)
            path = descriptor[1] if descriptor else strings[0] if strings else ""
            found.append(Call(name, number, arguments, int(result) if result != "?" else 0, path))
    return found
