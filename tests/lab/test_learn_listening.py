"""Listening with the model: scores, events, and verdicts by which the last seconds become clips."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress

import labs
import numpy as np
import pytest
import sharing
import soundfile
from labs import RATE
from learning import listen
from streams import recording, train
from websockets.exceptions import ConnectionClosed, InvalidStatus

from audioconv.lab import listening
from audioconv.lab.listening import HeardEvents, ListeningStream, around_loudest_word
from audioconv.lab.project import Project
from audioconv.model import Model

TONES_RATE = 4000
SAID = [("high", 1.0), ("low", 3.0), ("high", 5.0)]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """Return the file of a model of the tones `high` and `low`."""
    folder = sharing.made_once(
        tmp_path_factory, "served-tones", lambda into: train("tc-resnet8").save(into / "tones.safetensors")
    )
    return folder / "tones.safetensors"


@pytest.fixture
def listener(page, model_file):
    """Return a lab that has the model."""
    (page.folder / "models").mkdir()
    (page.folder / "models" / "model.safetensors").write_bytes(model_file.read_bytes())
    return page


@pytest.fixture(scope="module")
def sound():
    return recording(SAID, 7.0)


def events(messages):
    return [message for message in messages if message["type"] == "event"]


def test_scores_levels_and_events(listener, sound):
    messages = asyncio.run(listen(listener, sound, rate=TONES_RATE))
    assert messages[0]["type"] == "ready"
    assert [one["label"] for one in events(messages)] == [label for label, _ in SAID]
    for one, (_, begin) in zip(events(messages), SAID, strict=True):
        assert one["begin"] == one["time"] == pytest.approx(begin, abs=0.15)
        assert one["end"] == pytest.approx(begin + 0.3, abs=0.15)
        assert messages[0]["threshold"] <= one["score"] <= 1
        answer = listener.ask("GET", f"/api/listen/events/{one['id']}/audio")
        samples, rate = soundfile.read(io.BytesIO(answer.content))
        assert rate == TONES_RATE
        place = round((one["begin"] - listening.EVENT_MARGIN_SECONDS) * rate)
        np.testing.assert_allclose(samples, sound[place : place + len(samples)], atol=2**-15)
    scores = [message for message in messages if message["type"] == "scores"]
    assert 60 <= len(scores) <= 7 / listening.SCORES_SECONDS
    assert set(scores[0]["scores"]) == {"high", "low", "_unknown_"}
    # The first tone lasts from 1.0 to 1.3 s.
    speech = [one["time"] for one in scores if one["speech"]]
    assert any(1.0 < time < 1.4 for time in speech)
    assert not any(1.6 < time < 2.9 for time in speech)
    loudest = max(scores, key=lambda one: one["db"])
    assert -20 < loudest["db"] < -5


def test_verdicts_put_clips_under_their_right_names(listener, sound):
    wanted = {0: {"verdict": "right"}, 1: {"verdict": "wrong"}, 2: {"verdict": "wrong", "label": "low"}}
    count = 0

    def answer(message):
        nonlocal count
        if message["type"] != "event":
            return None
        count += 1
        return {"type": "verdict", "event": message["id"], **wanted[count - 1]}

    messages = asyncio.run(listen(listener, sound, answer, rate=TONES_RATE, speaker="Anna"))
    stored = [message for message in messages if message["type"] == "stored"]
    assert [message["clip"]["class"] for message in stored] == ["high", "_unknown_", "low"]
    assert [message["event"] for message in stored] == [one["id"] for one in events(messages)]
    for message, (_, begin) in zip(stored, SAID, strict=True):
        clip = message["clip"]
        assert (clip["speaker"], clip["rate"]) == ("Anna", TONES_RATE)
        samples, _ = soundfile.read(listener.folder / clip["id"])
        # The tone is all of it but margins.
        first = round((begin - listening.EVENT_MARGIN_SECONDS - 0.2) * TONES_RATE)
        assert np.abs(samples).max() == pytest.approx(np.abs(sound[first : first + len(samples)]).max(), abs=0.01)
    about = listener.get("/api/project")
    assert {one["name"]: one["clips"] for one in about["classes"]} == {"_unknown_": 1, "high": 1, "low": 1}
    assert listener.post("/api/undo")["undone"] == "added 1 clip to low"


def test_a_verdict_after_the_stream_has_ended(listener, sound):
    (one, *_) = events(asyncio.run(listen(listener, sound, rate=TONES_RATE)))
    stored = listener.post(f"/api/listen/events/{one['id']}/verdict", verdict="wrong", label="low", speaker="Bo")
    assert (stored["clip"]["class"], stored["clip"]["speaker"]) == ("low", "Bo")
    assert listener.ask("POST", "/api/listen/events/none/verdict", json={"verdict": "right"}).status_code == 404
    same = listener.ask("POST", f"/api/listen/events/{one['id']}/verdict", json={"verdict": "wrong", "label": "high"})
    assert (same.status_code, same.json()["error"]) == (
        400,
        "'high' is what was found; a wrong event is of another class",
    )


def test_a_missed_word_is_cut_around_the_loudest_sound(listener, sound):
    missed = {"type": "missed", "label": "high"}
    messages = asyncio.run(listen(listener, sound, rate=TONES_RATE, threshold=1.0, last=[missed]))
    assert events(messages) == []
    (stored,) = [message for message in messages if message["type"] == "stored"]
    assert (stored["clip"]["class"], stored["clip"]["seconds"]) == ("high", listening.MISSED_SECONDS)
    samples, _ = soundfile.read(listener.folder / stored["clip"]["id"])
    # The tone from 5.0 to 5.3 s is in its middle.
    loud = np.flatnonzero(np.abs(samples) > 0.1) / TONES_RATE
    assert (loud[0] + loud[-1]) / 2 == pytest.approx(1.0, abs=0.1)


def test_the_threshold_is_changed_while_listening(listener, sound):
    def answer(message):
        # The second tone comes behind it, and so does the first one's neighbour no more.
        return {"type": "threshold", "value": 1.0} if message["type"] == "event" else None

    stream = ListeningStream(Model.load(listener.folder / "models/model.safetensors"), None, HeardEvents(), TONES_RATE)
    found = [one for one in stream.push(sound[: 2 * TONES_RATE]) if one["type"] == "event"]
    assert len(found) == 1
    assert stream.take({"type": "threshold", "value": 1.0}) == [{"type": "threshold", "value": 1.0}]
    assert [one for one in stream.push(sound[2 * TONES_RATE :]) + stream.finish() if one["type"] == "event"] == []
    messages = asyncio.run(listen(listener, sound, answer, rate=TONES_RATE))
    assert {"type": "threshold", "value": 1.0} in messages


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"type": "verdict", "event": "99", "verdict": "right"}, "not kept any more"),
        ({"type": "verdict", "event": "1", "verdict": "maybe"}, "a verdict is right or wrong"),
        ({"type": "threshold", "value": 2}, "between 0 and 1"),
        ({"type": "threshold", "value": "high"}, "must be a number"),
        ({"type": "missed", "label": "../x"}, "cannot have '/'"),
        ({"type": "missed", "label": 3}, "the name of a class is needed"),
        ({"type": "else"}, "a message is of the type"),
    ],
)
def test_a_message_that_cannot_be_followed_ends_nothing(listener, sound, message, error):
    messages = asyncio.run(listen(listener, sound[: 2 * TONES_RATE], rate=TONES_RATE, last=[message]))
    (refused,) = [one for one in messages if one["type"] == "refused"]
    assert error in refused["error"]
    assert listener.clips() == []


def test_silence_is_no_missed_word(listener):
    last = [{"type": "missed", "label": "high"}]
    messages = asyncio.run(listen(listener, np.zeros(8000, np.float32), rate=TONES_RATE, last=last))
    (refused,) = [one for one in messages if one["type"] == "refused"]
    assert "nothing was said" in refused["error"]


@pytest.mark.parametrize("data", [b"abc", np.full(100, np.nan, "<f4").tobytes(), "[]", "x" * 100])
def test_what_is_no_sound_ends_the_stream_with_an_error(listener, data):
    async def send():
        messages = []
        async with listener.socket("/api/listen?rate=4000") as client:
            await client.send(data)
            with suppress(ConnectionClosed):
                while True:
                    messages.append(json.loads(await client.recv()))
            return messages, client.close_code

    messages, code = asyncio.run(send())
    assert messages[-1]["type"] == "error"
    assert code == 1003


def test_without_a_model_there_is_nothing_to_listen_with(page):
    async def connect():
        async with page.socket("/api/listen"):
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(connect())
    assert refused.value.response.status_code == 409
    assert b"there is no model yet" in refused.value.response.body


def test_sounds_of_events_are_forgotten(listener, sound, monkeypatch):
    monkeypatch.setattr(listening, "KEPT_EVENTS", 2)
    messages = asyncio.run(listen(listener, sound, rate=TONES_RATE))
    kept = [listener.ask("GET", f"/api/listen/events/{one['id']}/audio").status_code for one in events(messages)]
    assert kept == [404, 200, 200]
    monkeypatch.setattr(listening, "KEPT_SECONDS", -1.0)
    messages = asyncio.run(listen(listener, sound, rate=TONES_RATE))
    kept = [listener.ask("GET", f"/api/listen/events/{one['id']}/audio").status_code for one in events(messages)]
    assert kept == [404, 404, 404]


def test_memory_of_a_stream_does_not_grow(model_file, tmp_path):
    stream = ListeningStream(Model.load(model_file), Project(tmp_path), HeardEvents(), TONES_RATE)
    noise = np.random.default_rng(0).normal(0, 0.01, TONES_RATE).astype(np.float32)
    for _ in range(100):
        stream.push(noise)
    # Twice what is kept, since room is made for as much again; 100 s have come.
    assert len(stream._history._kept) <= 4 * listening.HISTORY_SECONDS * TONES_RATE


def test_around_the_loudest_of_several_words():
    samples = np.random.default_rng(0).normal(0, 0.0005, 4 * RATE).astype(np.float32)
    for begin, level in ((0.3, 0.05), (2.6, 0.4)):
        samples[round(begin * RATE) : round(begin * RATE) + RATE // 2] += labs.tone(500, 0.5, level=level)
    cut = around_loudest_word(samples, RATE)
    assert len(cut) == 2 * RATE
    loud = np.flatnonzero(np.abs(cut) > 0.3) / RATE
    assert loud[0] > 0.4
    assert loud[-1] - loud[0] == pytest.approx(0.5, abs=0.02)
    assert len(around_loudest_word(samples[:RATE], RATE)) == RATE
    assert len(around_loudest_word(np.zeros(4 * RATE, np.float32), RATE)) == 2 * RATE
