"""moto with iam:SimulatePrincipalPolicy, which it has not: everything else goes through to it."""

import contextlib
import http.client
import http.server
import threading
import urllib.parse

ANSWER = """<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>
<IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults></SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>simulated</RequestId></ResponseMetadata></SimulatePrincipalPolicyResponse>"""
MEMBER = """<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>{decision}</EvalDecision>
<OrganizationsDecisionDetail><AllowedByOrganizations>{organisation}</AllowedByOrganizations></OrganizationsDecisionDetail></member>"""


@contextlib.contextmanager
def simulator(moto, refused_by_organisation=()):
    """The endpoint of a moto whose simulator allows all but what the organisation refuses."""
    host = urllib.parse.urlsplit(moto).netloc

    def member(action):
        refused = action in refused_by_organisation
        return MEMBER.format(action=action, decision="implicitDeny" if refused else "allowed", organisation=str(not refused).lower())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = dict(urllib.parse.parse_qsl(body.decode()))
            if asked.get("Action") != "SimulatePrincipalPolicy":
                return self.pass_on(body)
            actions = [value for name, value in asked.items() if name.startswith("ActionNames.member.")]
            self.send(200, ANSWER.format(members="".join(map(member, actions))).encode())

        def pass_on(self, body):
            upstream = http.client.HTTPConnection(host, timeout=60)
            upstream.request("POST", self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            self.send(answer.status, answer.read())
            upstream.close()

        def send(self, status, body):
            self.send_response(status)
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
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
