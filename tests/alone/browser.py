"""Opens the page in headless Chromium, pastes a file, and reads what is shown; no request but that of the page itself may be made.

Usage: browser.py PAGE PROFILE. Chromium is driven over its debugging pipe: messages of JSON, each ended by a NUL byte.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

PAGE, PROFILE = Path(sys.argv[1]).resolve(), sys.argv[2]
PLANTED = 'ECS_LOGLEVEL=info\nECS_CLUSTER="prod"\n'
# Reads the result as soon as it is there; 20 s at most.
READ = """new Promise((done, fail) => {
  const began = Date.now();
  const look = () => {
    const text = document.getElementById("result")?.textContent ?? "";
    if (text.includes(WANTED)) done(text);
    else if (Date.now() - began > 20000) fail(new Error("shown: " + text));
    else setTimeout(look, 50);
  };
  look();
})"""


class Browser:
    def __init__(self):
        (from_us, self.write), (self.read, to_us) = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4.
        script = f'exec chromium --headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking --user-data-dir="$0" \
            --remote-debugging-pipe 3<&{from_us} 4>&{to_us}'
        self.process = subprocess.Popen(["bash", "-c", script, PROFILE], pass_fds=(from_us, to_us), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.close(from_us)
        os.close(to_us)
        self.numbers, self.buffer, self.events = itertools.count(1), b"", []

    def message(self):
        while b"\0" not in self.buffer:
            more = os.read(self.read, 1 << 16)
            if not more:
                sys.exit(f"chromium ended: {self.process.stderr.read().decode()[-2000:]}")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        sent = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self.write, json.dumps(sent).encode() + b"\0")
        while (got := self.message()).get("id") != number:
            self.events.append(got)
        return got["result"] if "result" in got else sys.exit(f"{method}: {got}")


def evaluate(browser, session, expression):
    done = browser.call("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
    return done["result"].get("value") if "exceptionDetails" not in done else sys.exit(json.dumps(done)[:2000])


def shown(browser, session, wanted):
    return evaluate(browser, session, READ.replace("WANTED", json.dumps(wanted)))


def main():
    browser = Browser()
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.call("Network.enable", session)
    browser.call("Page.enable", session)
    browser.call("Page.navigate", session, url=PAGE.as_uri())
    shown(browser, session, "ECS_CLUSTER is not set here")
    evaluate(browser, session, "document.getElementById('file').focus()")
    browser.call("Input.insertText", session, text=PLANTED)
    text = shown(browser, session, "error[quoted-value]")
    assert " --> ecs.config:2:13" in text and "ECS_CLUSTER is `prod`" in text and "1 error" in text, text
    # The page could not send it if it wanted to.
    refused = evaluate(browser, session, "fetch('http://127.0.0.1:9/').then(() => 'sent', (why) => why.name)")
    browser.call("Browser.getVersion")
    asked = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    browser.call("Browser.close")
    browser.process.wait(30)
    assert refused == "TypeError" and all(url == PAGE.as_uri() for url in asked), (refused, asked)
    print(f"{len(asked)} request")


main()
