"""Recordings: takes cut as they come, one clip, background; and the events that all pages get."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
import soundfile
from labs import RATE, tone, until, wav

from audioconv.audio.endpoints import find_word
from audioconv.audio.read import read
from audioconv.lab.takes import TakeCutter

WORDS = ("down", "left", "right")


@pytest.fixture(scope="module")
def spoken(test_data):
    """Return real words (T,) at 16 kHz, each as loud as the others."""
    paths = [path for word in WORDS for path in sorted((test_data / "speech-commands-9" / word).iterdir())[:8]]
    found = [read(path, RATE) for path in paths]
    return [samples * np.float32(0.4 / np.abs(samples).max()) for samples in found]


def stream(words, rate, noise, rng, pause=(0.6, 1.0)):
    """Return words with pauses between them in noise, at a rate, and where each begins and ends, in samples."""
    from audioconv.audio.samples import resample

    parts, places, place = [np.zeros(round(0.5 * rate), np.float32)], [], round(0.5 * rate)
    for word in words:
        word = resample(word, RATE, rate)
        parts += [word, np.zeros(round(rng.uniform(*pause) * rate), np.float32)]
        places.append((place, place + len(word)))
        place += len(parts[-1]) + len(word)
    samples = np.concatenate(parts)
    return samples + rng.normal(0, noise, len(samples)).astype(np.float32), places


def cut(samples, rate, block):
    cutter, takes = TakeCutter(rate), []
    for begin in range(0, len(samples), block):
        takes += cutter.push(samples[begin : begin + block])
    return [take.samples for take in takes + cutter.flush() if take.fault is None]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("noise", [0.0005, 0.003, 0.01])
def test_each_word_is_one_take(spoken, rate, noise, rng):
    samples, places = stream(spoken, rate, noise, rng)
    takes = cut(samples, rate, 1024)
    assert len(takes) == len(places)
    for take, (begin, end) in zip(takes, places, strict=True):
        # Takes are parts of the stream: each holds the middle of its word, and nothing of the one before.
        at = np.flatnonzero(samples == take[0])
        at = [place for place in at if np.array_equal(samples[place : place + len(take)], take)]
        assert len(at) == 1
        assert at[0] > begin - rate / 2
        assert at[0] + len(take) < end + rate / 2
        assert len(take) < 1.6 * rate


def test_takes_do_not_depend_on_the_size_of_blocks(spoken, rng):
    samples, _ = stream(spoken[:6], RATE, 0.003, rng)
    takes = cut(samples, RATE, len(samples))
    for block in (160, 333, 4096):
        again = cut(samples, RATE, block)
        assert len(again) == len(takes)
        assert all(np.array_equal(one, other) for one, other in zip(again, takes, strict=True))


def test_a_take_is_told_soon_after_it_was_spoken(spoken, rng):
    samples, places = stream(spoken[:5], RATE, 0.003, rng, pause=(1.0, 1.0))
    cutter, told = TakeCutter(RATE), []
    for begin in range(0, len(samples), 800):
        told += [begin + 800] * len(cutter.push(samples[begin : begin + 800]))
    assert len(told) == 5
    for at, (_, end), word in zip(told, places, spoken, strict=False):
        spoken_end = end - len(word) + round(find_word(word, RATE).end * RATE)
        assert at < spoken_end + RATE


def test_sounds_that_are_no_words_are_no_takes(rng):
    noise = rng.normal(0, 0.002, 30 * RATE).astype(np.float32)
    assert cut(noise, RATE, 1024) == []
    click = noise.copy()
    click[10 * RATE : 10 * RATE + 160] += 0.5
    assert cut(click, RATE, 1024) == []
    long = noise.copy()
    long[5 * RATE : 17 * RATE] += tone(440, 12)
    cutter = TakeCutter(RATE)
    faults = [take.fault for begin in range(0, len(long), 1024) for take in cutter.push(long[begin : begin + 1024])]
    assert set(faults) == {"long"}
    faint = noise.copy()
    for number in range(5):
        faint[(2 + 3 * number) * RATE :][: RATE // 2] += tone(2000, level=0.5)
    faint[20 * RATE :][: RATE // 2] += tone(2000, level=0.05)
    cutter = TakeCutter(RATE)
    faults = [take.fault for begin in range(0, len(faint), 1024) for take in cutter.push(faint[begin : begin + 1024])]
    assert faults == [None] * 5 + ["faint"]


def test_takes_become_clips_while_one_speaks(page, spoken, rng):
    samples, places = stream(spoken[:8], 48000, 0.003, rng)
    query = {"class": "down", "speaker": "anna", "mode": "takes"}
    messages = asyncio.run(page.record(samples, 48000, 2048, **query))
    clips = [message["clip"] for message in messages if message["type"] == "clip"]
    assert len(clips) == len(places)
    assert messages[-1] == {"type": "done", "clips": 8, "seconds": round(len(samples) / 48000, 3)}
    assert {(clip["class"], clip["speaker"], clip["rate"]) for clip in clips} == {("down", "anna", 48000)}
    assert all(clip["id"].startswith("down/anna_") for clip in clips)
    states = [message["state"] for message in messages if message["type"] == "take"]
    assert states == ["speaking", "pause"] * (len(states) // 2)
    assert len(states) >= 16
    levels = [message for message in messages if message["type"] == "level"]
    assert abs(len(levels) - 10 * len(samples) / 48000) < 0.05 * len(levels)
    assert not any(level["clipping"] or level["silent"] for level in levels)
    assert sorted(clip["id"] for clip in page.clips("down")) == sorted(clip["id"] for clip in clips)
    # Words are spoken before the page is told of them all: the first clip came before the end.
    kinds = [message["type"] for message in messages]
    assert kinds.index("clip") < kinds.index("level") + 40


def test_one_clip_is_trimmed_to_its_word(page, spoken, rng):
    samples, _ = stream(spoken[:1], RATE, 0.002, rng, pause=(2.0, 2.0))
    messages = asyncio.run(page.record(samples, RATE, mode="one", **{"class": "down"}))
    (clip,) = [message["clip"] for message in messages if message["type"] == "clip"]
    assert 0.4 < clip["seconds"] < 1.5
    noise = rng.normal(0, 0.002, 2 * RATE).astype(np.float32)
    messages = asyncio.run(page.record(noise, RATE, mode="one", **{"class": "down"}))
    assert [message["clip"]["seconds"] for message in messages if message["type"] == "clip"] == [2.0]


def test_background_is_kept_in_pieces(page, rng):
    noise = rng.normal(0, 0.01, round(20.7 * RATE)).astype(np.float32)
    messages = asyncio.run(page.record(noise, RATE, mode="background", **{"class": "_background_noise_"}))
    assert [message["clip"]["seconds"] for message in messages if message["type"] == "clip"] == [10.0, 10.0, 0.7]
    paths = sorted((page.folder / "_background_noise_").iterdir())
    together = np.concatenate([soundfile.read(path, dtype="int16")[0] for path in paths])
    assert np.array_equal(together, np.rint(noise * 32768).astype(np.int16))


def test_the_meter_warns(page):
    loud = np.clip(tone(440, 1.0, level=2.0), -1, 1)
    messages = asyncio.run(page.record(loud, RATE, mode="one", **{"class": "yes"}))
    assert all(message["clipping"] for message in messages if message["type"] == "level")
    silence = np.zeros(3 * RATE, np.float32)
    messages = asyncio.run(page.record(silence, RATE, mode="takes", **{"class": "yes"}))
    levels = [message for message in messages if message["type"] == "level"]
    assert [level["silent"] for level in levels[:10]] == [False] * 10
    assert levels[-1]["silent"]
    assert levels[-1]["db"] == -120.0


def test_a_page_that_closes_keeps_what_was_said(page, spoken, rng):
    samples, _ = stream(spoken[:2], RATE, 0.003, rng)

    async def leave():
        async with page.socket(f"/api/record?class=down&rate={RATE}", max_queue=None) as client:
            for begin in range(0, len(samples), 800):
                await client.send(samples[begin : begin + 800].astype("<f4").tobytes())

    asyncio.run(leave())  # without the message that ends it
    until(lambda: len(page.clips("down")) == 2)


def test_a_long_recording_is_cut_into_takes(page, spoken, rng):
    samples, _ = stream(spoken[:8], 48000, 0.003, rng, pause=(0.5, 0.8))
    answer = page.upload("down", "many.wav", wav(samples, 48000), cut=1)
    assert len(answer["clips"]) == 8
    answer = page.upload("down", "noise.wav", wav(rng.normal(0, 0.01, 3 * RATE)), cut=1)
    assert answer["clips"] == []
    assert "no words were found" in answer["skipped"][0]["message"]


def test_every_page_is_told_of_changes(page):
    async def watch():
        async with page.socket("/api/events") as one, page.socket("/api/events") as other:
            for client in (one, other):
                assert json.loads(await client.recv())["type"] == "project"
            before = (await asyncio.to_thread(page.get, "/api/project"))["revision"]
            await asyncio.to_thread(page.upload, "yes", "1.wav", wav(tone(440)))
            revisions = []
            for client in (one, other):
                while (event := json.loads(await client.recv()))["type"] != "project":
                    pass
                revisions.append(event["revision"])
            assert revisions == [before + 1] * 2
            # What others put into the folder is told, too.
            (page.folder / "yes" / "2.wav").write_bytes(wav(tone(880)))
            while True:
                event = json.loads(await one.recv())
                if event["type"] == "project" and event["revision"] > before + 1:
                    break

    asyncio.run(watch())
    assert len(page.clips("yes")) == 2
    until(lambda: page.lab.events.subscribers == 0)


@pytest.mark.parametrize(
    "name", ["bus.opus", "testing.m4a", "stereo_24bit.WAV", "signed_24bit.wav", "perfect-alley1.ogg"]
)
def test_files_of_any_format_become_clips(page, test_data, name):
    if name.endswith("m4a"):
        pytest.importorskip("av", reason="needs the extras: pip install 'audioconv[media]'")
    content = (test_data / "odd-formats" / name).read_bytes()
    (clip,) = page.upload("sound", name, content)["clips"]
    samples, rate = soundfile.read(page.folder / clip["id"], dtype="float32")
    expected = read(test_data / "odd-formats" / name, rate)
    expected = expected / max(1.0, float(np.abs(expected).max()))
    assert samples.ndim == 1
    assert np.abs(samples - expected).max() < 1 / 20_000
