"""Projects to train on, and streams with words in them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import soundfile
from labs import RATE, Page, tone, until, wav

from audioconv.audio.read import read

TONES = {"high": 1200, "low": 300}
QUICK = {"arch": "tc-resnet8", "epochs": 4, "reject": False}
"""Options of a training on tones that takes a moment."""


def add_tones(page: Page, count: int = 6) -> None:
    rng = np.random.default_rng(0)
    for label, frequency in TONES.items():
        for number in range(count):
            samples = tone(frequency * rng.uniform(0.98, 1.02)) + rng.normal(0, 0.01, RATE // 2).astype(np.float32)
            page.upload(label, f"{number}.wav", wav(samples))


def some_clips(folder: Path, word: str, count: int, first: int = 0) -> list[Path]:
    """Return clips of a word by so many speakers, one of each, of Speech Commands."""
    of = {}
    for path in sorted((folder / "speech-commands-9" / word).iterdir()):
        of.setdefault(path.name[:8], path)
    return list(of.values())[first : first + count]


def takes(folder: Path, word: str, speaker: str) -> list[Path]:
    return sorted((folder / "speech-commands-9" / word).glob(f"{speaker}_*"))


def add_words(page: Page, folder: Path, words: dict[str, list[Path]], background: float = 20.0) -> None:
    """Add real words, whose names do not tell who speaks, and so many seconds of a running tap."""
    for label, paths in words.items():
        for number, path in enumerate(paths):
            page.upload(label, f"take {number}.flac", path.read_bytes())
    tap = read(folder / "background-noise" / "running_tap.flac", RATE)
    for begin in range(0, round(background * RATE), 10 * RATE):
        page.upload("_background_noise_", f"{begin}.wav", wav(0.2 * tap[begin : begin + 10 * RATE]))


def spliced(paths: list[tuple[str, Path]], pause: float = 0.8) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Return words one after the other in soft noise, and where each clip lies, in seconds."""
    rng = np.random.default_rng(0)
    parts, places, seconds = [np.zeros(RATE, np.float32)], [], 1.0
    for label, path in paths:
        samples = read(path, RATE)
        places.append((label, seconds, seconds + len(samples) / RATE))
        parts += [samples, np.zeros(round(pause * RATE), np.float32)]
        seconds += (len(parts[-1]) + len(samples)) / RATE
    joined = np.concatenate(parts)
    return (joined + rng.normal(0, 0.001, len(joined))).astype(np.float32), places


def found_of(events: list[dict[str, Any]], places: list[tuple[str, float, float]], tolerance: float = 0.25) -> int:
    """Return how many of the words have an event of their own."""
    return sum(
        any(
            one["label"] == label and one["begin"] < end + tolerance and one["end"] > begin - tolerance
            for one in events
        )
        for label, begin, end in places
    )


def train(page: Page, seconds: float = 300.0, **options: Any) -> dict[str, Any]:
    """Train, and return the state at the end."""
    page.post("/api/train", **options)
    return until_ended(page, seconds)


def until_ended(page: Page, seconds: float = 300.0) -> dict[str, Any]:
    until(lambda: state(page)["state"] in ("done", "failed", "cancelled"), seconds)
    return state(page)


def state(page: Page) -> dict[str, Any]:
    return page.get("/api/project")["run"]


@contextlib.contextmanager
def events_of(page: Page) -> Iterator[list[dict[str, Any]]]:
    """Collect the events of pages during the block."""
    import threading

    found, stop, ready = [], [], threading.Event()

    async def main() -> None:
        stop.extend([asyncio.get_running_loop(), asyncio.Event()])
        async with page.socket("/api/events") as client:
            reading = asyncio.create_task(collect(client))
            await stop[1].wait()
            reading.cancel()

    async def collect(client) -> None:
        async for message in client:
            found.append(json.loads(message))
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(30)
    try:
        yield found
    finally:
        stop[0].call_soon_threadsafe(stop[1].set)
        thread.join(30)


async def listen(
    page: Page, samples: np.ndarray, answer=lambda message: None, rate: int = RATE, last=(), **query: Any
) -> list[dict[str, Any]]:
    """Send samples to the model; `answer` returns what is sent for a message; `last` is sent behind the samples.

    The stream ends when all samples have been listened to and everything that was sent has its answer.
    """
    async with page.socket("/api/listen?" + urlencode({"rate": rate, **query})) as client:
        messages: list[dict[str, Any]] = []
        sent = 0

        async def read_all() -> None:
            nonlocal sent
            async for text in client:
                messages.append(json.loads(text))
                if (reply := answer(messages[-1])) is not None:
                    sent += 1
                    await client.send(json.dumps(reply))

        def is_done() -> bool:
            times = [message["time"] for message in messages if message["type"] == "scores"]
            answers = [message for message in messages if message["type"] in ("stored", "refused", "threshold")]
            return bool(times) and times[-1] > len(samples) / rate - 0.1 and len(answers) == sent

        reading = asyncio.create_task(read_all())
        for begin in range(0, len(samples), rate // 20):
            await client.send(samples[begin : begin + rate // 20].astype("<f4").tobytes())
        for message in last:
            sent += 1
            await client.send(json.dumps(message))
        while not is_done():
            await asyncio.sleep(0.02)
        await client.send('{"type": "stop"}')
        await reading
        assert client.close_code == 1000, messages[-1]
    return messages


def picture(colour: tuple[int, int, int], seed: int) -> bytes:
    """Return a small PNG of noise around a colour."""
    import io

    from PIL import Image

    rng = np.random.default_rng(seed)
    pixels = np.clip(np.asarray(colour) + rng.normal(0, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def sound_file(samples: np.ndarray, path: Path) -> Path:
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path
