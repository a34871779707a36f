"""A metadata service that counts: any request answers the instance id, and leaves one line in the log.

usage: imds.py LOG ADDRESS,PORT...
With HOP_LIMIT set, answers travel that many hops only, as on EC2. With ON_REQUEST set, that command runs at the moment of each request,
and the line says whether it succeeded.
"""
import http.server
import os
import socket
import subprocess
import sys
import threading

LOG = open(sys.argv[1], "a", buffering=1)
WITNESS = os.environ.get("ON_REQUEST", "true").split()
HOPS = int(os.environ.get("HOP_LIMIT", "64"))


class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self):
        seen = subprocess.run(WITNESS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        LOG.write("%s %s %s %s\n" % (self.client_address[0], self.command, self.path, "fenced" if seen else "open"))
        if self.connection.family == socket.AF_INET6:
            self.connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
        else:
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOPS)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"i-0123456789abcdef0")

    do_GET = do_PUT = answer

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


class Server6(Server):
    address_family = socket.AF_INET6


threads = []
for address in sys.argv[2:]:
    host, port = address.rsplit(",", 1)
    server = (Server6 if ":" in host else Server)((host, int(port)), Metadata)
    threads.append(threading.Thread(target=server.serve_forever))
for thread in threads:
    thread.start()
