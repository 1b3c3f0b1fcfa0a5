"""A page of `audioconv lab` in a real browser, with a microphone that plays a file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import platformdirs
import soundfile

from audioconv.audio.read import read

RATE = 16000
DESKTOP, TABLET, PHONE = (1440, 900), (1000, 900), (390, 844)

AXE_VERSION = "4.14.1"
AXE_VARIABLE = "AUDIOCONV_AXE"
AXE_REASON = f"needs the npm package axe-core: set {AXE_VARIABLE} to its folder"

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


def axe() -> Path | None:
    """Return the script of axe-core: in the folder of the variable, or in the cache; None where it is not."""
    cached = platformdirs.user_cache_path("audioconv") / f"axe-core-{AXE_VERSION}" / "package"
    folder = Path(os.environ[AXE_VARIABLE]) if os.environ.get(AXE_VARIABLE) else cached
    return folder / "axe.min.js" if (folder / "axe.min.js").is_file() else None


class FakeMicrophone:
    """The file that the browser plays as its microphone, from its beginning whenever a page opens that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.silence(1.0)

    def play(self, samples: np.ndarray, rate: int = RATE) -> float:
        """Let the microphone, opened next, have this sound; return its seconds."""
        soundfile.write(self.path, samples, rate, subtype="PCM_16")
        return len(samples) / rate

    def silence(self, seconds: float) -> float:
        """Let it have a quiet room."""
        return self.play(room(seconds))


def room(seconds: float, seed: int = 0) -> np.ndarray:
    """Return the sound of a quiet room."""
    return np.random.default_rng(seed).normal(0, 5e-4, round(seconds * RATE))


def spoken(files: Sequence[Path], pause: float = 0.7) -> np.ndarray:
    """Return clips one after the other in a quiet room."""
    parts = [room(0.5)]
    for number, file in enumerate(files):
        samples = read(file, RATE)
        # All about as loud, as one person at one microphone is.
        parts += [samples * (0.2 / max(1e-3, np.abs(samples).max())) + room(len(samples) / RATE, number), room(pause, number)]
    return np.concatenate(parts)


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """Run `audioconv lab` for a folder; yield the address of its page."""
    command = [sys.executable, "-m", "audioconv", "lab", str(folder), "--port", "0", "--no-browser", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("lab: "), line
            yield line.removeprefix("lab: ").strip()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def chromium(microphone: Path | None = None) -> Iterator:
    """Start a full Chromium, whose microphone plays a file once; yield it as Playwright's browser."""
    from drawing import browser
    from playwright.sync_api import sync_playwright

    played = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
    with sync_playwright() as playwright:
        # Its own headless shell gives no microphone: the window is there, and not seen.
        started = playwright.chromium.launch(
            executable_path=browser.find(), headless=False, args=["--headless=new", *FLAGS, *played]
        )
        try:
            yield started
        finally:
            started.close()


def opened(browser, address: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False, language: str = "en"):
    """Open a page and wait until it is there; its errors are in `page.errors`, the requests in `page.addresses`."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", locale=language,
        permissions=["microphone", "camera", "clipboard-read", "clipboard-write"], accept_downloads=True,
    )  # fmt: skip
    page = context.new_page()
    page.errors, page.addresses = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: line.type == "error" and page.errors.append(line.text))
    page.on("request", lambda request: page.addresses.append(request.url))
    page.goto(address)
    page.wait_for_selector("body:not(.loading)", timeout=10_000)
    return page


def until(page, expression: str, seconds: float = 15.0) -> None:
    """Wait until an expression of JavaScript is true; `page.wait_for_function` would need a weaker policy of the page."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not true after {seconds:g} s: {expression}"
        page.wait_for_timeout(30)
