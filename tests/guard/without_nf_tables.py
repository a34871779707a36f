"""Runs a command as on a kernel without nf_tables: a seccomp filter refuses sockets of NETLINK_NETFILTER. usage: without_nf_tables.py COMMAND..."""
import ctypes
import os
import struct
import sys

NETLINK, NETFILTER, REFUSED = 16, 12, 0x00050000 | 93  # SECCOMP_RET_ERRNO with EPROTONOSUPPORT
SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
PROGRAM = [
    (LOAD, 0, 0, 0), (EQUALS, 0, 5, SOCKET),
    (LOAD, 0, 0, 16), (EQUALS, 0, 3, NETLINK),
    (LOAD, 0, 0, 32), (EQUALS, 0, 1, NETFILTER),
    (RETURN, 0, 0, REFUSED), (RETURN, 0, 0, 0x7FFF0000),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in PROGRAM))


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
wanted = Filter(len(PROGRAM), ctypes.addressof(code))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(wanted), 0, 0):
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
