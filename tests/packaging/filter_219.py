"""Runs a program under the filter that systemd 219 makes of a unit's SystemCallFilter= lines: `filter_219.py UNIT PROGRAM [ARGUMENT..]`.

Its reading is that of config_parse_syscall_filter and apply_seccomp (redhat-plumbers/systemd-rhel7, src/core/load-fragment.c, execute.c):
the first list that does not begin with `~` allows execve, exit, exit_group, rt_sigreturn and sigreturn beside its own words; a word that is
not a system call, as every group, is skipped with a warning; and without SystemCallErrorNumber= whatever is not allowed kills the process.
"""

import ctypes
import os
import re
import sys
from pathlib import Path

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x00000000, 0x00050000
ALWAYS = ("execve", "exit", "exit_group", "rt_sigreturn", "sigreturn")


def main(unit, program, *arguments):
    text = Path(unit).read_text()
    lists = re.findall(r"^SystemCallFilter=(.*)", text, re.MULTILINE)
    if lists:
        load(lists, "SystemCallErrorNumber=EPERM" in text)
    os.execv(program, [program, *arguments])


def load(lists, errno):
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    numbers, allows = set(), not lists[0].startswith("~")
    if allows:
        numbers |= {seccomp.seccomp_syscall_resolve_name(name.encode()) for name in ALWAYS}
    for words in lists:
        inverted = words.startswith("~") == allows
        named = {seccomp.seccomp_syscall_resolve_name(word.encode()) for word in words.lstrip("~").split()}
        numbers = numbers - named if inverted else numbers | named
    other = ERRNO | 1 if errno else KILL
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(other if allows else ALLOW)))
    for number in numbers - {-1}:
        seccomp.seccomp_rule_add(context, ctypes.c_uint32(ALLOW if allows else other), ctypes.c_int(number), ctypes.c_uint(0))
    if seccomp.seccomp_load(context):
        sys.exit("the filter was not loaded")


if __name__ == "__main__":
    main(*sys.argv[1:])
