"""Bad input of all kinds, many clients at a time: no crash, right answers to others, and memory does not grow."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
import threading
import time

import numpy as np
import plain_http
import pytest
import soundfile
from services import Running, hear, in_process
from streams import RATE, recording

SAID = [("high", 0.5), ("low", 1.6)]
PCM = np.round(recording(SAID, 2.5) * 32767).astype("<i2")
THREADS = 6

LIMITS = ("--max-clients", 24, "--max-upload", 1, "--max-seconds", 3, "--max-idle", 3)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits its memory by /proc and RLIMIT_AS")


def attack(running: Running, seconds: float, seed: int) -> int:
    """Let several threads attack for so long; return how many attacks there were."""
    from attacks import ATTACKS

    until = time.monotonic() + seconds
    failures, counts = [], []

    def work(number: int) -> None:
        rng, count = np.random.default_rng([seed, number]), 0
        try:
            while time.monotonic() < until:
                ATTACKS[int(rng.integers(len(ATTACKS)))](rng, running)
                count += 1
        except BaseException as error:
            failures.append(error)
        counts.append(count)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts)


def check_right_answers(running: Running) -> None:
    """Ask both services as others do, once there is room again."""
    until = time.monotonic() + 30
    while True:
        answer = plain_http.post(f"{running.url}/classify", content=PCM_FILE, timeout=30)
        assert answer.status_code in (200, 503)
        try:
            events = asyncio.run(hear(running, PCM.tobytes(), RATE, 1000))
        except (AssertionError, ConnectionError):  # there are too many clients
            if time.monotonic() > until:
                raise
            events = []
        if answer.status_code == 200 and events:
            break
        assert time.monotonic() < until
        time.sleep(0.2)
    assert [one["label"] for one in answer.json()["detections"]] == [label for label, _ in SAID]
    assert [event.data["name"] for event in events] == [label for label, _ in SAID]


def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, PCM, RATE, format="WAV")
    return file.getvalue()


PCM_FILE = wav()


def fuzz(tones_file, rounds: int, seconds: float, most_growth: int) -> list[int]:
    """Attack in rounds; after each the services must answer rightly. Memory after the first third may not grow."""
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}  # freed memory is not spread over an arena for each thread
    with in_process(tones_file, *LIMITS, environment=environment) as running:
        begun = len(running.reports)
        resident, count = [], 0
        for number in range(rounds):
            count += attack(running, seconds, number)
            check_right_answers(running)
            resident.append(running.resident())
            print(f"{count} attacks; MB after each round: {[round(one / 1e6) for one in resident]}")
        assert running.process.poll() is None
        # Decoders in C write what they find in damaged files; the service itself writes nothing more.
        own = [
            line
            for line in running.reports[begun:]
            if re.search(r"internal error|Traceback|Exception|\w+Warning", line)
        ]
        assert not own, own[:20]
    assert count > 3 * rounds
    assert max(resident[rounds // 3 :]) - max(resident[: max(1, rounds // 3)]) < most_growth
    return resident


@pytest.mark.slow
def test_attacks_of_some_seconds(tones_file):
    fuzz(tones_file, 3, 3.0, 100_000_000)


@pytest.mark.slow
@pytest.mark.long
def test_attacks_of_ten_minutes(tones_file):
    resident = fuzz(tones_file, 30, 20.0, 40_000_000)
    # A leak would show as a slope: MB a round, over the last two thirds.
    later = np.array(resident[10:]) / 1e6
    assert np.polyfit(np.arange(len(later)), later, 1)[0] < 1.0
