"""Ten thousand clips: the page is there at once, and the server stays small."""

from __future__ import annotations

import signal
import struct
import sys
import time

import labs
import numpy as np
import pytest
from labs import segment, tone, until, wav

CLIPS, CLASSES = 10_000, 20

SECONDS = 2.0
"""From the server's start to the page's first clips."""

BYTES = 500_000_000


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Return a folder of ten thousand clips of a fifth of a second, each another one."""
    folder = tmp_path_factory.mktemp("many")
    samples = np.random.default_rng(0).normal(0, 3000, 3200 + CLIPS).astype("<i2")
    size = 6400
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    head += b"data" + struct.pack("<I", size)
    for number in range(CLASSES):
        (folder / f"word {number:02}").mkdir()
    for number in range(CLIPS):
        name = f"word {number % CLASSES:02}/speaker{number % 97}_nohash_{number}.wav"
        (folder / name).write_bytes(head + samples[number : number + 3200].tobytes())
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process in /proc")
def test_ten_thousand_clips_are_there_after_two_seconds(many):
    with labs.in_process(many) as page:
        begun = time.perf_counter()
        project = page.get("/api/project")
        first = page.get("/api/clips?class=word+00&offset=0&limit=200")
        seconds = time.perf_counter() - begun
        assert sum(one["clips"] for one in project["classes"]) == CLIPS
        assert (first["total"], len(first["clips"])) == (CLIPS // CLASSES, 200)
        assert {clip["seconds"] for clip in first["clips"]} == {0.2}
        assert seconds < SECONDS
        last = page.get(f"/api/clips?offset={CLIPS - 10}")
        assert len(last["clips"]) == 10
        for clip in first["clips"][:50]:
            assert page.ask("GET", f"/api/clips/{segment(clip['id'])}/picture").status_code == 200
        # A change writes the whole manifest; then everything is checked.
        begun = time.perf_counter()
        moved = page.post("/api/clips/move", **{"ids": [clip["id"] for clip in first["clips"]], "class": "word 01"})
        assert len(moved["clips"]) == 200
        assert time.perf_counter() - begun < 2 * SECONDS
        assert page.post("/api/undo")["undone"] == "moved 200 clips to word 01"
        until(
            lambda: page.get("/api/project")["unmeasured"] == 0 and not page.get("/api/check")["unchecked"], every=0.5
        )
        print(f"{seconds:.2f} s, {labs.resident(page) / 1e6:.0f} MB")
        assert labs.resident(page) < BYTES
        assert sum(one["seconds"] for one in page.get("/api/project")["classes"]) == pytest.approx(0.2 * CLIPS)


@pytest.mark.slow
def test_headers_are_read_once(tmp_path):
    (tmp_path / "high").mkdir()
    for number in range(30):
        (tmp_path / "high" / f"{number}.wav").write_bytes(wav(tone(1000 + number)))
    with labs.in_process(tmp_path) as page:
        page.post("/api/classes", name="low")  # from now on the folder is a project
        until(lambda: page.get("/api/project")["unmeasured"] == 0)
        page.process.send_signal(signal.SIGINT)
        assert page.process.wait(labs.SECONDS) == 0
    with labs.in_process(tmp_path) as page:
        assert page.get("/api/project")["unmeasured"] == 0
