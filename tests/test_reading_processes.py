"""Recordings that processes read: the same pieces and errors as by threads, whatever happens to a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from audioconv.audio.read import Segment
from audioconv.errors import DataError
from audioconv.io import parallel
from audioconv.pipeline import reading_processes, windowing
from audioconv.pipeline.reading_processes import BATCH, MAX_HELD, read_pieces

RATE, LENGTH = 8000, 4000


@pytest.fixture(autouse=True)
def processes(monkeypatch):
    """Let two processes read however few files; return those that were started."""
    started = []

    class Noted(reading_processes._ReadingProcess):
        def __init__(self):
            super().__init__()
            started.append(self._process)

    monkeypatch.setattr(reading_processes, "_ReadingProcess", Noted)
    monkeypatch.setattr(reading_processes, "MIN_FILES", 1)
    monkeypatch.setattr(parallel, "_limit", 2)
    monkeypatch.setattr(reading_processes, "usable_cores", lambda: 2)  # whatever the machine has
    return started


@pytest.fixture
def recordings(tmp_path, rng):
    """Return recordings of all kinds, more than a batch, and their contents."""
    files, contents = [], []
    for number, seconds in enumerate([0.5, 0.3, 4.0, 2.0, 0.5, 0.7, 45.0] * 12):
        rate = 11025 if number % 5 == 4 else RATE
        files.append(tmp_path / f"{number}.wav")
        contents.append("words" if number % 2 else "sounds")
        soundfile.write(files[-1], 0.1 * rng.standard_normal(round(seconds * rate)), rate, subtype="PCM_16")
    assert len(files) > 2 * BATCH
    assert 45 * RATE > MAX_HELD
    # The last of a batch is long, and so is a whole batch.
    for number in (BATCH - 1, *range(2 * BATCH, 3 * BATCH)):
        soundfile.write(files[number], 0.1 * rng.standard_normal(MAX_HELD + 1), RATE, subtype="PCM_16")
    files[3] = Segment(files[3], 0.2, 0.6)
    files[8] = tmp_path / "missing.wav"
    files[19].write_bytes(files[19].read_bytes()[:-6000])
    files[-1] = tmp_path / "no\nline é.wav"
    soundfile.write(files[-1], 0.1 * rng.standard_normal(LENGTH), RATE)
    return files, contents


def read(recordings, **more):
    with read_pieces(*recordings, RATE, LENGTH, **more) as found:
        return list(found)


def by_threads(recordings, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(reading_processes, "MIN_FILES", 1 << 30)
        return read(recordings)


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, DataError):
            assert isinstance(one, DataError)
            assert str(one) == str(other)
            continue
        assert [(list(piece.begins), piece.scale, piece.is_drawn) for piece in one] == [
            (list(piece.begins), piece.scale, piece.is_drawn) for piece in other
        ]
        for piece, same in zip(one, other, strict=True):
            assert piece.samples.dtype == np.int16
            np.testing.assert_array_equal(piece.samples, same.samples)


def are_ended(processes):
    return all(process.poll() is not None for process in processes)


def test_processes_read_what_threads_do(recordings, monkeypatch, processes):
    expected = by_threads(recordings, monkeypatch)
    assert not processes
    assert sum(isinstance(one, DataError) for one in expected) == 2
    counted = []
    found = read(recordings, on_file=lambda: counted.append(1))
    assert len(processes) == 2
    assert are_ended(processes)
    assert len(counted) == len(expected)
    assert_same(found, expected)


@pytest.mark.skipif(os.name == "nt", reason="ends by signal")
@pytest.mark.parametrize("after", [0, 3, BATCH + 5])
def test_when_a_process_is_killed_its_recordings_are_read_by_this_one(recordings, monkeypatch, processes, after):
    expected, found = by_threads(recordings, monkeypatch), []
    with read_pieces(*recordings, RATE, LENGTH) as reading:
        for one in reading:
            found.append(one)
            if len(found) == after + 1:
                processes[after % 2].kill()
    assert_same(found, expected)
    assert are_ended(processes)


def test_where_no_process_can_be_started_this_one_reads(recordings, monkeypatch, processes, tmp_path):
    expected = by_threads(recordings, monkeypatch)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert_same(read(recordings), expected)
    assert processes == [None, None]


def test_the_first_unreadable_file_ends_it_if_it_must(recordings, processes):
    with pytest.raises(DataError, match=r"missing\.wav"):
        read(recordings, strict=True)
    assert are_ended(processes)


def test_no_process_is_left_when_reading_ends_early(recordings, processes):
    with read_pieces(*recordings, RATE, LENGTH) as found:
        next(found)
        assert not are_ended(processes)
    assert are_ended(processes)


@pytest.mark.parametrize(("limit", "frozen"), [(1, False), (2, True)])
def test_threads_read_where_there_is_one_processor_or_no_python(recordings, monkeypatch, processes, limit, frozen):
    monkeypatch.setattr(parallel, "_limit", limit)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    assert len(read(recordings)) == len(recordings[0])
    assert not processes


def test_windows_are_the_same(recordings, monkeypatch):
    loaded = []
    for least in (1, 1 << 30):
        monkeypatch.setattr(reading_processes, "MIN_FILES", least)
        loaded.append(windowing.load_windows(*recordings, RATE, LENGTH))
    one, other = loaded
    np.testing.assert_array_equal(one.x[:], other.x[:])
    np.testing.assert_array_equal(one.indices, other.indices)
    assert list(map(str, one.failures)) == list(map(str, other.failures))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads the memory of a process in /proc")
def test_they_end_when_the_process_that_reads_is_killed(recordings, tmp_path):
    code = f"""
import sys
from audioconv.io import parallel
from audioconv.pipeline import reading_processes
reading_processes.MIN_FILES, parallel._limit, reading_processes.usable_cores = 1, 2, lambda: 2
files = {[os.fspath(file) for file in recordings[0] if not isinstance(file, Segment)]!r}
with reading_processes.read_pieces(files, ["words"] * len(files), {RATE}, {LENGTH}) as found:
    next(found)
    print("reads", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"reads\n"
    children = _children(process.pid)
    assert len(children) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(os.path.exists(f"/proc/{child}") for child in children):
        time.sleep(0.02)
    assert not [child for child in children if _is_alive(child)]


def _children(parent):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(name))
    return found


def _is_alive(number):
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
