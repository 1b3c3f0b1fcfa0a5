"""Bodies and streams without end, and hostile files."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
import zlib
from dataclasses import replace

import httpx
import labs
import numpy as np
import pytest
from fuzzing import mutated, recordings
from labs import RATE, received, segment, talk, tone, until, wav
from websockets.exceptions import ConnectionClosed, InvalidStatus

from audioconv.lab import recording
from audioconv.lab.events import MAX_WAITING
from audioconv.lab.lab import LIMITS, MAX_STREAMS

# --- sizes ---


def test_ten_gigabytes_are_refused_before_they_come(page):
    head = f"POST /api/clips?class=yes&name=1.wav HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {page.token}\n"
    answer = talk(page, head + f"Content-Length: {10 * 10**9}\n", b"RIFF")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"larger than" in answer


def test_chunks_without_end_are_refused_at_the_bound(tmp_path):
    with labs.in_thread(tmp_path / "project", replace(LIMITS, upload_bytes=1_000_000)) as page:
        sent = 0

        def chunks():
            nonlocal sent
            while sent < 10**10:
                sent += 1 << 16
                yield bytes(1 << 16)

        with contextlib.suppress(httpx.TransportError):
            assert page.ask("POST", "/api/clips?class=yes&name=1.wav", content=chunks()).status_code == 413
        assert sent < 10**10
        assert page.get("/api/project")["classes"] == []
        assert not list((page.folder / ".lab").rglob("*.wav")) if (page.folder / ".lab").exists() else True
        # What is under the bound goes on to be taken.
        assert page.upload("yes", "1.wav", wav(tone(440)))["clips"]


def test_json_bodies_have_a_bound(page):
    answer = page.ask("POST", "/api/clips/delete", content=b'{"ids": ["' + b"x" * 5_000_000)
    assert answer.status_code == 413
    for body in (b"[]", b"{", b"null", b'{"nme": 1}', b"\xff", b'{"name": ' + b"[" * 100_000):
        assert page.ask("POST", "/api/classes", content=body).status_code == 400


def test_a_slow_upload_ends(tmp_path):
    with labs.in_thread(tmp_path / "project", replace(LIMITS, seconds=0.5)) as page:
        head = f"POST /api/clips?class=yes&name=1.wav HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {page.token}\n"
        begun = time.monotonic()
        answer = talk(page, head + "Content-Length: 100000\n", b"RIFF")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begun < 15


# --- streams without end ---


def test_a_recording_that_never_ends_is_ended(page, monkeypatch):
    monkeypatch.setitem(recording.LONGEST, "background", 12.0)
    messages = asyncio.run(
        page.record(np.zeros(60 * RATE, np.float32), RATE, RATE, mode="background", **{"class": "_background_noise_"})
    )
    assert messages[-1] == {"type": "done", "clips": 2, "seconds": 12.0}
    assert sorted(clip["seconds"] for clip in page.clips()) == [2.0, 10.0]


def test_a_recording_in_which_nothing_comes_is_ended(tmp_path):
    with labs.in_thread(tmp_path / "project", replace(LIMITS, idle_seconds=0.3)) as page:

        async def wait():
            async with page.socket("/api/record?class=yes&rate=16000") as client:
                messages = await received(client)
            assert client.close_code == 1008
            return messages

        (message,) = asyncio.run(wait())
        assert message == {"type": "error", "error": "nothing has come for 0.3 s"}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"123", "4 bytes a sample"),
        (np.array([0, np.nan], "<f4").tobytes(), "NaN"),
        (np.array([np.inf], "<f4").tobytes(), "infinite"),
        ("stop", "float32 samples"),
        ("{" * 100_000, "float32 samples"),
        (b"\0" * (2 << 20), None),
    ],
)
def test_messages_that_are_no_sound_end_a_recording(page, sent, told):
    async def send():
        async with page.socket("/api/record?class=yes&rate=16000") as client:
            with contextlib.suppress(ConnectionClosed):
                await client.send(sent)
            messages = await received(client)
        return client.close_code, messages

    code, messages = asyncio.run(send())
    assert code != 1000
    if told is not None:
        assert told in messages[-1]["error"]
    assert page.clips() == []


def test_recordings_at_a_time_have_a_bound(page):
    async def open_many():
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(MAX_STREAMS):
                await stack.enter_async_context(page.socket("/api/record?class=yes&rate=16000"))
            with pytest.raises(InvalidStatus) as caught:
                await stack.enter_async_context(page.socket("/api/record?class=yes&rate=16000"))
            assert caught.value.response.status_code == 503
        async with page.socket("/api/record?class=yes&rate=16000"):
            pass

    asyncio.run(open_many())


def test_what_a_recording_cannot_be_is_refused(page):
    async def refused(query):
        with pytest.raises(InvalidStatus) as caught:
            async with page.socket(f"/api/record?{query}"):
                pytest.fail(query)
        assert caught.value.response.status_code == 400

    for query in ("", "class=yes&rate=0", "class=yes&rate=1e9", "class=yes&mode=all", "class=yes&x=1", "class=a%2Fb",
                  "class=yes&rate=7999", "class=yes&speaker=%00"):  # fmt: skip
        asyncio.run(refused(query))


def test_a_page_that_does_not_read_its_events_is_left(page):
    """It is told to load everything anew, and the changes go on meanwhile."""

    async def stall():
        async with page.socket("/api/events", max_queue=1) as client:
            await client.recv()
            client.transport.pause_reading()
            for number in range(2 * MAX_WAITING):
                hub.publish({"type": "note", "message": f"{number} " + "x" * 20_000})
            assert (await asyncio.to_thread(page.post, "/api/classes", name="yes")) == {"name": "yes"}
            client.transport.resume_reading()
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await client.recv()
            return client.close_code

    hub = page.lab.events
    assert asyncio.run(stall()) in (1006, 1013)
    until(lambda: hub.subscribers == 0)


# --- hostile files ---


def bomb() -> bytes:
    """Return a PNG of 50,000 x 50,000 pixels in a few kilobytes."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = zlib.compress(bytes(50_001) * 100, 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", rows)
    )


def hostile() -> dict[str, bytes]:
    head = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    return {
        "empty.wav": b"",
        "text.wav": b"<html><script>alert(1)</script>",
        "huge.wav": head + b"data\xff\xff\xff\xff" + bytes(10),
        "no rate.wav": wav(tone(440))[:24] + bytes(4) + wav(tone(440))[28:],
        "channels.wav": wav(tone(440))[:22] + b"\xff\xff" + wav(tone(440))[24:],
        "nan.wav": wav(np.full(1000, np.nan), subtype="FLOAT"),
        "cut.flac": wav(tone(440), kind="FLAC")[:300],
        "playlist.m3u8.wav": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "bomb.png": bomb(),
        "script.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(x) show\n",
        "page.html": b"<script>alert(1)</script>",
        "program.wav.exe": b"MZ",
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_are_skipped_and_leave_nothing(page, name):
    answer = page.upload("yes", name, hostile()[name])
    assert answer["clips"] == []
    (skipped,) = answer["skipped"]
    assert skipped["name"]
    assert len(skipped["message"]) < 500
    assert "passwd" not in skipped["message"]
    assert str(page.folder) not in skipped["message"]
    assert "Traceback" not in skipped["message"]
    assert page.clips() == []
    assert not list((page.folder / ".lab").rglob("*.flac"))


def test_mutated_recordings_are_clips_or_skipped(page):
    rng = np.random.default_rng(0)
    samples = recordings(rng)
    stored = 0
    for number in range(30):
        content = mutated(samples[int(rng.integers(len(samples)))], rng)
        answer = page.upload("yes", f"{number}.wav", content)
        stored += len(answer["clips"])
        assert len(answer["clips"]) + len(answer["skipped"]) == 1
    assert len(page.clips()) == stored
    for clip in page.clips()[:5]:
        assert page.ask("GET", f"/api/clips/{segment(clip['id'])}/picture").status_code == 200


def test_a_recording_without_end_in_a_small_file_is_skipped(page, monkeypatch):
    """A FLAC file of silence has hours in kilobytes."""
    monkeypatch.setattr("audioconv.lab.storing.MAX_UPLOAD_SECONDS", 60.0)
    content = wav(np.zeros(100 * 8000, np.int16), 8000, kind="FLAC")
    assert len(content) < 100_000
    answer = page.upload("yes", "long.flac", content)
    assert "longer than 1 minutes" in answer["skipped"][0]["message"]


def test_a_broken_file_in_the_folder_breaks_no_list(page):
    (page.folder / "yes").mkdir()
    (page.folder / "yes" / "broken.wav").write_bytes(b"RIFF")
    (page.folder / "yes" / "fine.wav").write_bytes(wav(tone(440)))
    page.post("/api/classes", name="no")
    found = {clip["name"]: [fault["kind"] for fault in clip["faults"]] for clip in page.clips("yes")}
    assert found == {"broken.wav": ["unreadable"], "fine.wav": []}
    for what in ("picture", "audio"):
        assert page.ask("GET", f"/api/clips/{segment('yes/broken.wav')}/{what}").status_code == 422
