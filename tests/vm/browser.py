# SPDX-License-Identifier: GPL-2.0-or-later
"""Chromium without a window, driven by chromedriver over the protocol of WebDriver."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"     # the key of a reference, by the standard
STARTED = re.compile(r"started successfully on port (\d+)")
TIMEOUT_S = 120


class BrowserError(Exception):
    """chromedriver refused; the text says what and why."""


def is_installed() -> bool:
    return all(shutil.which(program) for program in ("chromium", "chromedriver"))


class Browser:
    """One window of a new profile."""

    def __init__(self, port: int, profile: Path) -> None:
        self.url = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--lang=en", f"--user-data-dir={profile}", "--window-size=1280,1000"]
        made = self._call("POST", "", capabilities={"alwaysMatch": {
            "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments}}})
        self.url += f"/{made['sessionId']}"

    def _call(self, method: str, path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Content-Type": "application/json"},
            data=json.dumps(body).encode() if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"]) from error

    def close(self) -> None:
        self._call("DELETE", "")

    def open(self, url: str) -> None:
        self._call("POST", "/url", url=url)

    def script(self, text: str, *arguments: Any) -> Any:
        """What a function with this body returns, in the frame that is chosen."""
        return self._call("POST", "/execute/sync", script=text, args=list(arguments))

    def find(self, selector: str) -> dict[str, str]:
        found: dict[str, str] = self._call("POST", "/element", using="css selector",
                                           value=selector)
        return found

    def _of(self, selector: str, method: str, path: str, **body: Any) -> Any:
        return self._call(method, f"/element/{self.find(selector)[ELEMENT]}/{path}", **body)

    def click(self, selector: str) -> None:
        self._of(selector, "POST", "click")

    def type(self, selector: str, text: str) -> None:
        self._of(selector, "POST", "clear")
        self._of(selector, "POST", "value", text=text)

    def press(self, keys: str) -> None:
        """Keys for the element that has the focus."""
        self._call("POST", "/actions", actions=[{"type": "key", "id": "keys", "actions": [
            {"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]}])

    def text(self, selector: str) -> str:
        """What is to be seen of it."""
        return str(self._of(selector, "GET", "text"))

    def is_enabled(self, selector: str) -> bool:
        return bool(self._of(selector, "GET", "enabled"))

    def frame(self, selector: str | None) -> None:
        """What follows concerns this frame; None: the whole page."""
        self._call("POST", "/frame", id=self.find(selector) if selector else None)

    def wait(self, condition: Callable[[], Any], words: str, timeout_s: float = TIMEOUT_S) -> Any:
        end = time.monotonic() + timeout_s
        why = ""
        while time.monotonic() < end:
            try:
                if result := condition():
                    return result
            except BrowserError as error:
                why = str(error).splitlines()[0]
            time.sleep(0.3)
        raise AssertionError(f"waited in vain for {words}; {why}; {self.shown()}; {self.log()}")

    def wait_text(self, selector: str, text: str, timeout_s: float = TIMEOUT_S) -> None:
        self.wait(lambda: text in self.text(selector), f"{text!r} in {selector}", timeout_s)

    def shown(self) -> str:
        return str(self.script("return document.body.innerText"))[-3000:]

    def log(self) -> list[str]:
        """What the browser complained about since the last call."""
        return [entry["message"] for entry in self._call("POST", "/se/log", type="browser")
                if entry["level"] in ("SEVERE", "WARNING")]

    def size(self, width: int, height: int) -> None:
        self._call("POST", "/window/rect", width=width, height=height)

    def screenshot(self, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))


@contextlib.contextmanager
def driver(work: Path) -> Iterator[Callable[[], Browser]]:
    """A function that opens a browser; all of them end with the block."""
    log = work / "chromedriver.log"
    with log.open("w") as to:
        process = subprocess.Popen(["chromedriver", "--port=0"], stdout=to, cwd=work,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   start_new_session=True, env={**os.environ, "HOME": str(work)})
    browsers: list[Browser] = []

    def start() -> Browser:
        end = time.monotonic() + TIMEOUT_S
        while not (found := STARTED.search(log.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                raise BrowserError(f"chromedriver did not start: {log.read_text()}")
            time.sleep(0.1)
        browsers.append(Browser(int(found[1]), work / f"profile{len(browsers)}"))
        return browsers[-1]

    try:
        yield start
    finally:
        for browser in browsers:
            with contextlib.suppress(OSError, BrowserError):
                browser.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
