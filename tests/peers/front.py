"""A front of a server that answers some requests itself; all others are passed on unchanged, with their signatures."""

import contextlib
import dataclasses
import http.client
import http.server
import threading
import urllib.parse

# Set anew on each of the two connections.
OWN = {"connection", "content-length", "transfer-encoding", "date", "server"}


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: http.client.HTTPMessage
    body: bytes


def xml(status, text):
    return Answer(status, {"Content-Type": "text/xml"}, text.encode())


@contextlib.contextmanager
def front(endpoint, answer):
    """The URL of a front of `endpoint`; `answer(request, upstream)` returns an Answer: its own, or that of `upstream()`."""
    host = urllib.parse.urlsplit(endpoint).netloc

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, self.headers, body)
            answered = answer(request, lambda: ask(request))
            self.send_response(answered.status)
            for name, value in {**answered.headers, "Content-Length": str(len(answered.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answered.body)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any

        def log_message(self, *_):
            pass

    def ask(request):
        upstream = http.client.HTTPConnection(host, timeout=60)
        upstream.request(request.method, request.path, request.body, dict(request.headers))
        answered = upstream.getresponse()
        headers = {name: value for name, value in answered.getheaders() if name.lower() not in OWN}
        body = answered.read()
        upstream.close()
        return Answer(answered.status, headers, body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
