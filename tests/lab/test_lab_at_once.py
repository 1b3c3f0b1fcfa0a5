"""Two pages at once, two servers of one folder, and a server that is killed."""

from __future__ import annotations

import asyncio
import json
import threading

import labs
import numpy as np
from labs import RATE, tone, wav

from audioconv.lab.events import EventHub
from audioconv.lab.faults import Checker
from audioconv.lab.project import Project


def test_two_pages_at_once_lose_nothing(page):
    """Both record into, move and remove clips of one folder: each change is whole."""
    failures = []

    def work(name: str) -> None:
        try:
            for number in range(12):
                (clip,) = page.upload(name, f"{name}{number}.wav", wav(tone(400 + number)))["clips"]
                page.post("/api/clips/move", **{"ids": [clip["id"]], "class": f"{name} moved"})
                if number % 3 == 0:
                    found = [one["id"] for one in page.clips(f"{name} moved")]
                    page.post("/api/clips/delete", ids=found[:1])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("anna", "bert")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    check_consistent(page, {"anna moved": 8, "bert moved": 8})


def test_two_servers_of_one_folder_lose_nothing(tmp_path):
    folder = tmp_path / "project"
    with labs.in_thread(folder) as first, labs.in_thread(folder) as second:

        def work(page, name) -> None:
            for number in range(10):
                page.upload(name, f"{name}{number}.wav", wav(tone(400 + number)))

        threads = [threading.Thread(target=work, args=one) for one in ((first, "anna"), (second, "bert"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first.post("/api/classes", name="last")
        check_consistent(first, {"anna": 10, "bert": 10})


class EndsAsThePauseEnds(threading.Event):
    """The event that ends a thread, set by another thread at the very end of a pause that nobody interrupted."""

    def __init__(self, wake: threading.Event) -> None:
        super().__init__()
        self.wake = wake

    def wait(self, timeout=None):
        self.set()
        self.wake.set()
        return False


def test_the_checks_end_though_their_end_comes_at_the_end_of_a_pause(tmp_path):
    checker = Checker(Project(tmp_path), EventHub())
    checker._stop = EndsAsThePauseEnds(checker._wake)
    checker.start()
    checker._thread.join(20)
    assert not checker._thread.is_alive()


def check_consistent(page, counts):
    from audioconv.datasets import open_collection

    assert open_collection(page.folder, minimum_classes=1).counts == counts
    listed = {path.relative_to(page.folder).as_posix() for path in open_collection(page.folder).paths}
    there = {path.relative_to(page.folder).as_posix() for path in page.folder.glob("*/*.flac")}
    assert listed == there
    assert {clip["id"] for clip in page.clips()} == there


def test_a_killed_server_loses_at_most_the_take_that_is_spoken(tmp_path):
    """SIGKILL in the middle of the fourth word: three clips are there, and the folder is as it should be."""
    rng = np.random.default_rng(0)
    word = np.concatenate([tone(500, 0.4) * np.hanning(6400).astype(np.float32), np.zeros(RATE, np.float32)])
    samples = np.concatenate([np.zeros(RATE // 2, np.float32), np.tile(word, 4)])
    samples += rng.normal(0, 0.001, len(samples)).astype(np.float32)
    folder = tmp_path / "project"
    with labs.in_process(folder) as page:

        async def record():
            found = 0
            async with page.socket(f"/api/record?class=yes&rate={RATE}&speaker=anna") as client:
                end = RATE // 2 + 3 * len(word) + 3200
                for begin in range(0, end, 800):
                    await client.send(samples[begin : min(end, begin + 800)].astype("<f4").tobytes())
                while found < 3:
                    found += json.loads(await client.recv())["type"] == "clip"
                page.process.kill()

        asyncio.run(record())
        page.process.wait()
    from audioconv.datasets import open_collection

    assert open_collection(folder, minimum_classes=1).counts == {"yes": 3}
    with labs.in_thread(folder) as page:
        clips = page.clips("yes")
        assert [clip["speaker"] for clip in clips] == ["anna"] * 3
        assert all(0.5 < clip["seconds"] < 1 for clip in clips)
        assert page.post("/api/undo") == {"undone": "added 1 clip to yes"}
