"""The clip store: the same windows as in memory, kept for later runs, and nothing half-written."""

from __future__ import annotations

import errno
import os
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio import mapped_samples, window_store
from audioconv.audio.read import Segment
from audioconv.audio.samples import quantised
from audioconv.errors import DataError
from audioconv.pipeline import reading_processes, windowing

RATE, LENGTH = 8000, 4000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return where stores are, for data of more than ten windows."""
    monkeypatch.setattr(window_store, "stores_folder", lambda: tmp_path / "stores")
    monkeypatch.setattr(windowing, "MAX_MEMORY_SAMPLES", 10 * LENGTH)
    return tmp_path / "stores"


@pytest.fixture
def recordings(tmp_path, rng):
    """Return recordings, short and long, of which one has another rate and one is damaged; and their contents."""
    files = []
    for number, seconds in enumerate([0.5, 0.3, 4.0, 2.0, 0.5, 0.7, 1.5] * 3):
        rate = 11025 if number == 4 else RATE
        files.append(tmp_path / f"{number}.wav")
        soundfile.write(files[-1], 0.1 * rng.standard_normal(round(seconds * rate)), rate, subtype="PCM_16")
    files[5].write_bytes(files[5].read_bytes()[:-6000])
    return files, ["sounds"] * len(files)


def load(recordings, **more):
    return windowing.load_windows(*recordings, RATE, LENGTH, **more)


def in_memory(recordings, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(windowing, "MAX_MEMORY_SAMPLES", 1 << 30)
        patch.setattr(windowing, "open_store", lambda key: None)
        return load(recordings)


def assert_equal(one, other):
    for name in ("begins", "ranges", "recordings", "scales"):
        np.testing.assert_array_equal(getattr(one.x, name), getattr(other.x, name))
    every = np.arange(len(one.x))
    np.testing.assert_array_equal(one.x[every], other.x[every])
    drawn = [some.x.draw(every, np.random.default_rng(3)) for some in (one, other)]
    np.testing.assert_array_equal(*drawn)
    np.testing.assert_array_equal(one.indices, other.indices)
    assert list(map(str, one.failures)) == list(map(str, other.failures))


# --- what is kept ---


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
    st.sampled_from([1e-38, 1e-12, 1e-3, 1.0, 7.5, 1e30]),
)
def test_an_error_is_90_db_below_the_largest_sample(values, gain):
    samples = (np.array(values) * gain).astype(np.float32)
    integers, scale = quantised(samples)
    error = np.abs(integers * np.float32(scale) - samples.astype(np.float64)).max()
    assert error <= max(scale / 2, np.abs(samples).max() / 32768 * (1 if scale > 2**-126 else np.inf))
    assert scale == 2.0 ** round(np.log2(scale))


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=20), st.integers(-60, 60))
def test_samples_of_16_bits_are_kept_exactly_at_any_gain_of_6_db(values, gain):
    samples = (np.array(values) * 2.0**gain).astype(np.float32)
    integers, scale = quantised(samples)
    np.testing.assert_array_equal(integers * np.float32(scale), samples)


# --- stores ---


def test_a_store_has_the_windows_of_memory(recordings, folder, monkeypatch):
    first = load(recordings)
    assert [path.name for path in folder.iterdir()] == [first.x.sources[0]._paths[0].parent.name]
    monkeypatch.setattr(reading_processes, "recording_parts", None)  # nothing is read again
    again = load(recordings)
    monkeypatch.undo()
    assert len(first.failures) == 1
    expected = in_memory(recordings, monkeypatch)
    assert isinstance(expected.x.sources[0], np.ndarray)
    assert_equal(first, expected)
    assert_equal(again, expected)


def test_small_data_stay_in_memory(recordings, folder):
    files, contents = recordings
    assert isinstance(load((files[:2], contents[:2])).x.sources[0], np.ndarray)
    assert not folder.exists()


def test_a_store_of_several_files(recordings, folder, monkeypatch):
    monkeypatch.setattr(window_store, "FILE_SAMPLES", 5 * LENGTH)
    monkeypatch.setattr(mapped_samples, "BLOCK", 1000)
    monkeypatch.setattr(mapped_samples, "RELEASED", 3000)
    found, again = load(recordings), load(recordings)
    assert len(found.x.sources[0]._paths) > 3
    expected = in_memory(recordings, monkeypatch)
    assert_equal(found, expected)
    assert_equal(again, expected)
    clips = np.full((2, LENGTH), 0.5, np.float32)
    np.testing.assert_array_equal(found.x.with_clips(clips)[len(found.x) :], clips)


def test_other_data_and_settings_have_stores_of_their_own(recordings, folder):
    files, contents = recordings
    load(recordings)
    soundfile.write(files[0], np.zeros(4000), RATE, subtype="PCM_16")
    assert not load(recordings).x[0].any()
    load((files, ["words"] * len(files)))
    windowing.load_windows(files, contents, RATE, LENGTH + 1)
    load(([Segment(file, 0.0, 0.2) for file in files], contents))
    assert len(list(folder.iterdir())) == 5


def test_a_file_that_can_be_read_by_now_is_read(recordings, folder):
    assert len(load(recordings).failures) == 1
    status = os.stat(recordings[0][5])
    with open(recordings[0][5], "ab") as file:
        file.write(bytes(6000))
    os.utime(recordings[0][5], ns=(status.st_atime_ns, status.st_mtime_ns))
    key = window_store.key_of(*recordings, RATE, LENGTH)
    next(folder.iterdir()).rename(folder / key)  # as if it had the same size
    assert not load(recordings).failures


def test_an_unreadable_file_is_told_from_a_store_as_well(recordings, folder):
    load(recordings)
    with pytest.raises(DataError, match=r"5\.wav: cut off"):
        load(recordings, strict=True)


@pytest.mark.parametrize("name", ["samples-000.pcm", "index.safetensors"])
def test_a_damaged_store(recordings, folder, name):
    expected = load(recordings)
    (store,) = folder.iterdir()
    content = bytearray((store / name).read_bytes())
    content[len(content) - 100] ^= 1
    (store / name).write_bytes(content)
    found = load(recordings)
    if name == "index.safetensors":  # made anew
        assert_equal(found, expected)
        return
    message = rf"samples-000\.pcm: the file is damaged, .* audioconv cache --drop {store.name}, "
    with pytest.raises(DataError, match=message):
        found.x[np.arange(len(found.x))]


def test_a_store_that_was_cut_off_is_made_anew(recordings, folder):
    expected = load(recordings)
    (store,) = folder.iterdir()
    with open(store / "samples-000.pcm", "ab") as file:
        file.write(b"ab")
    assert_equal(load(recordings), expected)


def test_a_full_disk_leaves_nothing_behind(recordings, folder, monkeypatch):
    def write(self, samples):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(window_store.SampleWriter, "write", write)
    with pytest.raises(DataError, match=r"could not be stored \(No space left on device\); make room .*CACHE_DIR"):
        load(recordings)
    assert not list(folder.iterdir())


def test_ctrl_c_leaves_nothing_behind(recordings, folder):
    count = 0

    def interrupt():
        nonlocal count
        count += 1
        if count == len(recordings[0]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(recordings, on_file=interrupt)
    assert not list(folder.iterdir())


def test_what_nobody_uses_is_removed_when_another_store_is_written(recordings, folder):
    files, contents = recordings
    for count, days in ((20, 40), (19, 20)):
        load((files[:count], contents[:count]))
        store = max(folder.iterdir(), key=os.path.getmtime)
        for path in (store, *store.iterdir()):
            os.utime(path, (time.time() - days * 86400,) * 2)
    (folder / ".ab.part").mkdir()
    os.utime(folder / ".ab.part", (time.time() - 2 * 86400,) * 2)
    (folder / ".cd.part").mkdir()
    load(recordings)
    assert len(list(folder.iterdir())) == 3
    assert (folder / ".cd.part").exists()
    assert len(window_store.list_stores()) == 2
