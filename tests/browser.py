"""A headless Chromium, driven by the DevTools protocol over a pipe, for tests that look at a page as a reader does."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: Seconds that one answer may take.
PATIENCE = 30
#: Chromium reads commands from descriptor 3 and writes answers to 4.
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}


class Browser:
    """One Chromium with one page; what the page said and asked for is kept until the next one is opened."""

    def __init__(self, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Above 10, so that neither lies where the other is to be put.
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        self.log = open(os.path.join(profile, "chromium.log"), "wb")  # noqa: SIM115  (closed with the browser)
        flags = ["--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run"]
        quiet = ["--disable-background-networking", "--disable-component-update", "--disable-extensions"]
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", START, *map(str, theirs), CHROMIUM, *flags, *quiet, f"--user-data-dir={profile}"],
            pass_fds=theirs,
            stdout=subprocess.DEVNULL,
            stderr=self.log,
        )
        for fd in (theirs_in, theirs_out, *theirs):
            os.close(fd)
        self.answers, self.commands = ours_in, ours_out
        self.unread, self.number, self.session = b"", 0, None
        self.events = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility", "DOM"):
            self.send(f"{domain}.enable")

    def close(self):
        self.session = None
        self.send("Browser.close")
        self.process.wait(PATIENCE)
        for fd in (self.answers, self.commands):
            os.close(fd)
        self.log.close()

    def send(self, method, **params):
        """Send a command and return its result; events that come before it are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(method)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _next(self, wanted):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.answers], [], [], max(end - time.monotonic(), 0))
            assert ready, f"Chromium did not answer {wanted} within {PATIENCE} s"
            part = os.read(self.answers, 1 << 16)
            assert part, f"Chromium ended before it answered {wanted}"
            self.unread += part
        line, self.unread = self.unread.split(b"\0", 1)
        return json.loads(line)

    def open(self, path, *, width=1280, height=900, scheme="light", media="screen"):
        """Open a file as one with a screen of this size sees it, and wait until it has loaded."""
        self.look(width=width, height=height, scheme=scheme, media=media)
        self.events = []
        self.send("Page.navigate", url=path.as_uri())
        while not self.of("Page.loadEventFired"):
            self.events.append(self._next("Page.navigate"))

    def look(self, *, width=1280, height=900, scheme="light", media="screen"):
        """Change the size of the screen, its scheme, or to paper."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", media=media, features=[feature])

    def of(self, event):
        """Return the parameters of all events of a name since the page was opened."""
        return [each["params"] for each in self.events if each.get("method") == event]

    def run(self, code):
        """Return what a piece of JavaScript gives, in plain types."""
        found = self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key):
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            said = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **said)

    def tree(self):
        """Return what a screen reader is told: (role, name, properties) in the order of the page."""
        nodes = {node["nodeId"]: node for node in self.send("Accessibility.getFullAXTree")["nodes"]}
        told, stack = [], [next(iter(nodes))]
        while stack:
            node = nodes[stack.pop()]
            if not node.get("ignored"):
                properties = {each["name"]: each["value"].get("value") for each in node.get("properties", [])}
                told.append((node["role"]["value"], node.get("name", {}).get("value", ""), properties))
            stack.extend(child for child in reversed(node.get("childIds", [])) if child in nodes)
        return told

    def picture(self, path, **clip):
        """Write the whole page as a PNG."""
        height = self.run("document.documentElement.scrollHeight")
        width = self.run("innerWidth")
        area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1, **clip}
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=area)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self):
        return base64.b64decode(self.send("Page.printToPDF", preferCSSPageSize=True)["data"])
