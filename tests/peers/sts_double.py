"""GetCallerIdentity for credentials that radosgw minted, because radosgw does not know that call.

It knows one session token and does not check signatures: moto does.
"""

import contextlib
import http.server
import threading

from imds import ACCOUNT, INSTANCE

ANSWER = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::{account}:assumed-role/{role}/{instance}</Arn><UserId>AROAEXAMPLE:{instance}</UserId><Account>{account}</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"""
REFUSAL = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>
<Message>The security token included in the request is invalid.</Message></Error>
<RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>"""


@contextlib.contextmanager
def sts_for(credentials, role):
    """The URL of an STS that knows these credentials as `role` on our instance."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known = self.headers.get("X-Amz-Security-Token") == credentials["SessionToken"] and b"Action=GetCallerIdentity" in asked
            text = ANSWER if known else REFUSAL
            body = text.format(account=ACCOUNT, role=role, instance=INSTANCE).encode()
            self.send_response(200 if known else 403)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield "http://{}:{}".format(*server.server_address)
    finally:
        server.shutdown()
        server.server_close()
