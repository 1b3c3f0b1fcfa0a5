"""A real browser that is asked questions: Chromium, without a window, through its DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")

# As root, and in containers, its sandbox does not work; the other flags keep it from asking its maker for news.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip

SECONDS = 60.0
"""After which an answer no longer comes."""


def find() -> str | None:
    """Return the path of a browser, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A page in a browser; a context manager.

    Parameters
    ----------
    flags : sequence of str
        More flags of its command line. Default: none.

    Attributes
    ----------
    requests : list of str
        Every address that the page has asked for.
    complaints : list of str
        What the page has written to the console, and what has failed.
    """

    def __init__(self, flags: Sequence[str] = ()) -> None:
        self._flags = tuple(flags)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._number = 0
        self._session: str | None = None
        self._buffer = b""
        self._loaded = False
        self._answers: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        """Start it, with a profile of its own."""
        path = find()
        if path is None:
            raise FileNotFoundError(f"there is no {' or '.join(NAMES)}; on Debian: apt-get install chromium")
        self._profile = tempfile.TemporaryDirectory(prefix="audioconv-browser-", ignore_cleanup_errors=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Away from 3 and 4, at which the browser looks for its ends.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]

        def place_ends() -> None:
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = [
            path,
            *FLAGS,
            *self._flags,
            f"--user-data-dir={self._profile.name}",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=place_ends,
            start_new_session=True,
        )
        for end in (*ends, theirs_in, theirs_out):
            os.close(end)
        self._out, self._in = ours_out, ours_in
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it, with all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for end in (self._out, self._in):
            os.close(end)
        self._profile.cleanup()

    def open(self, page: Path | str, width: int, height: int = 900, *, dark: bool = False, scale: float = 1.0) -> None:
        """Load a file, or an address, into a window of this size in CSS pixels; `scale`: dots of a pixel."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
            mobile=width < 600,
        )  # fmt: skip
        self.emulate(dark=dark)
        self._loaded = False
        self._ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        end = time.monotonic() + SECONDS
        while not self._loaded:
            self._receive(end)

    def emulate(self, *, media: str = "", dark: bool = False) -> None:
        """Show the page as on another medium, such as ``print``, or to those who like it dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is on the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in the input element of a selector."""
        node = self._ask("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")["result"]
        self._ask("DOM.setFileInputFiles", files=[str(path)], objectId=node["objectId"])

    def drop_file(self, path: Path, x: float, y: float) -> None:
        """Drag a file to a place of the window, in CSS pixels, and drop it."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self._ask("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def press(self, key: str) -> None:
        """Press a key and let it go, as a person does: "Enter" or "Tab"."""
        code = {"Enter": 13, "Tab": 9}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def before_scripts(self, script: str) -> None:
        """Run a script in each page that is opened from now on, before its own."""
        self._ask("Page.addScriptToEvaluateOnNewDocument", source=script)

    def wait_for(self, expression: str, seconds: float = SECONDS) -> Any:
        """Return what an expression of JavaScript is as soon as it is true; `TimeoutError` if it never is."""
        end = time.monotonic() + seconds
        while not (found := self.evaluate(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} has not been true for {seconds:g} s")
            time.sleep(0.05)
        return found

    def answer_with(self, files: Mapping[str, bytes]) -> None:
        """Answer requests for these addresses, instead of the network; requests for all others go on."""
        self._answers = dict(files)
        self._ask("Fetch.enable", patterns=[{"urlPattern": address} for address in files])

    def screenshot(self, clip: tuple[float, float, float, float] | None = None) -> bytes:
        """Return the whole page, or the part (left, top, width, height) of it, as PNG."""
        if clip is None:
            size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
            clip = (0, 0, size["width"], size["height"])
        area = dict(zip(("x", "y", "width", "height"), clip, strict=True), scale=1)
        answer = self._ask("Page.captureScreenshot", format="png", clip=area, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        answer = self._ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(answer["data"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._send(method, **parameters)
        end = time.monotonic() + SECONDS
        while True:
            answer = self._receive(end)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _send(self, method: str, **parameters: Any) -> int:
        """Send a command; return its number."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = memoryview(json.dumps(message).encode() + b"\0")
        while content:
            content = content[os.write(self._out, content) :]
        return self._number

    def _receive(self, end: float) -> dict[str, Any]:
        """Return the next message, after noting what it tells of the page."""
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"the browser has said nothing for {SECONDS:g} s")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise ConnectionError("the browser has ended")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        told = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Fetch.requestPaused":
                self._answer(told)
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(told))
        return message

    def _answer(self, told: dict[str, Any]) -> None:
        """Answer a request with a file of `answer_with`; what the browser says to that is passed over."""
        address = told["request"]["url"]
        kind = "text/javascript" if address.endswith("js") else "application/wasm"
        self._send(
            "Fetch.fulfillRequest",
            requestId=told["requestId"],
            responseCode=200,
            responseHeaders=[
                {"name": "Content-Type", "value": kind},
                {"name": "Access-Control-Allow-Origin", "value": "*"},
            ],
            body=base64.b64encode(self._answers[address]).decode(),
        )
