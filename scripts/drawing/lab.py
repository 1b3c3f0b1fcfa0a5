"""A page of `audioconv lab` in a real browser, with a microphone that plays a file."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audioconv.audio.read import read
from drawing import browser

RATE = 16000
DESKTOP, TABLET, PHONE = (1440, 900), (1000, 900), (390, 844)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


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


@dataclass
class Journey:
    """What it took, from the opened page, to the first word that was found.

    Attributes
    ----------
    clicks, typed : int
        Of the mouse; and words that were typed, each with Enter.
    seconds : dict
        Of each step.
    sound_seconds : float
        Of speaking and of listening, which take their time however fast the computer is.
    """

    clicks: int = 0
    typed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    sound_seconds: float = 0.0


def spoken(files: Sequence[Path], pause: float = 0.7) -> np.ndarray:
    """Return clips one after the other in a quiet room."""
    parts = [room(0.5)]
    for number, file in enumerate(files):
        samples = read(file, RATE)
        # All about as loud, as one person at one microphone is.
        parts += [
            samples * (0.2 / max(1e-3, np.abs(samples).max())) + room(len(samples) / RATE, number),
            room(pause, number),
        ]
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
def chromium(microphone: Path | None = None) -> Iterator[Any]:
    """Start a full Chromium, whose microphone plays a file once; yield it as Playwright's browser."""
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


def opened(
    window: Any, address: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False, language: str = "en"
) -> Any:
    """Open a page and wait until it is there; its errors are in `page.errors`, the requests in `page.addresses`."""
    context = window.new_context(
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


def until(page: Any, expression: str, seconds: float = 15.0) -> None:
    """Wait until an expression of JavaScript is true: `page.wait_for_function` needs a weaker policy of the page."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not true after {seconds:g} s: {expression}"
        page.wait_for_timeout(30)


def collect(page: Any, microphone: FakeMicrophone, clips: Mapping[str, Sequence[Path]], journey: Journey) -> None:
    """Record 20 s of background, then each word's clips as takes."""
    began = time.monotonic()
    microphone.play(room(30))
    page.click("#record")
    until(page, "document.getElementById('recorder').classList.contains('running')")
    until(page, "!document.getElementById('recorder').classList.contains('running')", 40)
    journey.clicks += 1
    journey.seconds["background"] = time.monotonic() - began
    journey.sound_seconds += 20
    for number, (word, files) in enumerate(clips.items()):
        began = time.monotonic()
        if number:
            page.click("#new-class")  # after the background, the cursor is there
            journey.clicks += 1
        page.keyboard.type(word)
        page.keyboard.press("Enter")
        journey.typed += 1
        until(page, f"document.getElementById('class-title').textContent === {word!r}")
        seconds = microphone.play(spoken(files))
        journey.sound_seconds += seconds
        page.click("#record")
        until(page, "document.getElementById('recorder').classList.contains('running')")
        page.wait_for_timeout(1000 * seconds)
        page.click("#record")
        until(page, "!document.getElementById('recorder').classList.contains('running')")
        journey.clicks += 2
        journey.seconds[word] = time.monotonic() - began


def train(page: Any, journey: Journey, name: str = "training", seconds: float = 500) -> None:
    """Press the button, and wait for the model."""
    began = time.monotonic()
    page.click("#train-button")
    journey.clicks += 1
    state = "document.getElementById('run-state').textContent"
    until(page, f"{state} !== '' && !{state}.startsWith('Trained')")
    until(page, f"{state}.startsWith('Trained') || {state}.includes('failed')", seconds)
    assert page.inner_text("#run-state").startswith("Trained"), page.inner_text("#run")
    until(page, "document.querySelector('#listening').hidden === false && document.querySelector('.tiles') !== null")
    journey.seconds[name] = time.monotonic() - began


def set_threshold(page: Any, value: float) -> None:
    """Move the slider of the threshold."""
    page.evaluate(
        "(value) => { const slider = document.getElementById('threshold'); slider.value = value;"
        " slider.dispatchEvent(new Event('input')); }",
        value,
    )
    page.wait_for_timeout(300)  # the page tells the server when the slider stands still


def listen_again(page: Any, microphone: FakeMicrophone, samples: np.ndarray, journey: Journey) -> int:
    """Let a page that listens stop, and listen to a sound to its end; return how many words it has found there."""
    before = page.evaluate("document.querySelectorAll('#events li').length")
    page.click("#listen-button")
    seconds = microphone.play(samples)
    journey.sound_seconds += seconds
    page.click("#listen-button")
    page.wait_for_timeout(1000 * (seconds + 0.5))
    return int(page.evaluate("document.querySelectorAll('#events li').length")) - before


def listen(page: Any, microphone: FakeMicrophone, samples: np.ndarray, journey: Journey) -> list[str]:
    """Let the page listen to a sound; return the words that it finds, in their order."""
    seconds = microphone.play(samples) + 1.5
    journey.sound_seconds += seconds
    before = page.evaluate("document.querySelectorAll('#events li').length")
    began = time.monotonic()
    page.click("#listen-button")
    until(page, f"document.querySelectorAll('#events li').length > {before}", seconds + 15)
    if "first word" not in journey.seconds:
        journey.clicks += 1
        journey.seconds["first word"] = time.monotonic() - began
    page.wait_for_timeout(max(0.0, 1000 * (began + seconds - time.monotonic())))
    names = page.evaluate("[...document.querySelectorAll('#events b')].map((one) => one.textContent)")
    return names[: len(names) - before][::-1]
