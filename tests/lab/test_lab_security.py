"""Attacks: foreign pages, missing tokens, names that lead elsewhere, bodies and streams without end, hostile files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace
from pathlib import Path

import httpx
import labs
import numpy as np
import pytest
from fuzzing import mutated, recordings
from labs import RATE, segment, tone, until, wav
from websockets.exceptions import ConnectionClosed, InvalidStatus

from audioconv.lab import recording
from audioconv.lab.events import MAX_WAITING
from audioconv.lab.lab import LIMITS, MAX_STREAMS

PATHS = ("/api/project", "/api/clips", "/api/check", "/api/voices", "/api/nothing")


def talk(page, head: str, body: bytes = b"", *, seconds: float = 20.0) -> bytes:
    """Send a request as it is, and return what is answered before the connection ends."""
    answer = bytearray()
    with (
        socket.create_connection(("127.0.0.1", page.port), timeout=seconds) as client,
        contextlib.suppress(ConnectionError),
    ):
        client.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
        while part := client.recv(1 << 16):
            answer += part
    return bytes(answer)


async def received(client) -> list[dict]:
    """Return all messages until the server ends the connection, for whatever reason."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(json.loads(await client.recv()))
    return messages


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != "headers.json"}


# --- who may ask ---


def test_the_page_needs_no_token_and_everything_else_does(page):
    answer = httpx.get(page.url + "/", trust_env=False)
    assert answer.status_code == 200
    assert page.token not in answer.text
    for path in PATHS:
        assert httpx.get(page.url + path, trust_env=False).status_code == 401
        for wrong in ("Bearer", "Bearer " + "x" * 32, f"Bearer {page.token[:-1]}", f"Bearer {page.token}x", page.token):
            headers = {"authorization": wrong}
            assert httpx.get(page.url + path, headers=headers, trust_env=False).status_code == 401
        # Neither in the address nor as a cookie.
        assert httpx.get(f"{page.url}{path}?token={page.token}", trust_env=False).status_code == 401
        assert httpx.get(page.url + path, headers={"cookie": f"token={page.token}"}, trust_env=False).status_code == 401
    assert page.ask("GET", "/api/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/api/events", "/api/record?class=yes"])
def test_a_websocket_needs_the_token(page, path):
    async def refused(**more) -> int:
        with pytest.raises(InvalidStatus) as caught:
            async with page.socket(path, **more):
                pass
        return caught.value.response.status_code

    async def attack():
        assert await refused(token="x" * 32) == 401
        assert await refused(token="") == 401
        assert await refused(additional_headers={"host": "evil.example"}) in (400, 421)
        assert await refused(origin="http://evil.example") == 403
        async with page.socket(path, origin=page.url) as client:
            assert client.subprotocol == "audioconv"

    asyncio.run(attack())


@pytest.mark.parametrize("path", ["/", "/api/project"])
def test_other_hosts_and_origins_are_refused(page, path):
    for host in ("evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1@evil.example", ""):
        assert page.ask("GET", path, headers={"host": host}).status_code in (400, 421)
    for origin in ("http://evil.example", "null", "https://127.0.0.1.evil.example", "http://127.0.0.1:1"):
        assert page.ask("GET", path, headers={"origin": origin}).status_code == 403
    for site in ("cross-site", "same-site"):
        assert page.ask("GET", path, headers={"sec-fetch-site": site}).status_code == 403
    assert page.ask("GET", path, headers={"origin": page.url, "host": f"localhost:{page.port}"}).status_code == 403
    assert page.ask("GET", path, headers={"origin": page.url}).status_code == 200


def test_answers_forbid_scripts_and_frames_of_others(page):
    for answer in (page.ask("GET", "/"), page.ask("GET", "/api/project"), page.ask("GET", "/api/nothing"),
                   httpx.get(page.url + "/api/project", trust_env=False)):  # fmt: skip
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    assert page.ask("OPTIONS", "/api/project", headers={"origin": "http://evil.example"}).status_code == 403


# --- names ---

TRAVERSALS = (
    "../secret.wav", "..%2Fsecret.wav", "%2e%2e%2fsecret.wav", "yes/../../secret.wav", "/etc/passwd", "%2Fetc%2Fpasswd",
    "yes%2F..%2F..%2Fsecret.wav", "..%5Csecret.wav", "yes/1.flac%00.wav", ".lab/left-out.txt",
    "%252e%252e%252fsecret.wav", "file:///etc/passwd", "manifest.csv",
)  # fmt: skip


def test_no_name_leads_out_of_the_folder(page):
    secret = page.folder.parent / "secret.wav"
    secret.write_bytes(wav(tone(440)))
    page.upload("yes", "1.wav", wav(tone(440)))
    before = tree(page.folder.parent)
    for name in TRAVERSALS:
        for path in (f"/api/clips/{name}", f"/api/clips/{name}/audio", f"/api/clips/{name}/picture", f"/{name}"):
            for method in ("GET", "PATCH", "DELETE"):
                head = f"{method} {path} HTTP/1.1\nHost: 127.0.0.1:{page.port}\nAuthorization: Bearer {page.token}\n"
                answer = talk(page, head + "Content-Length: 2\nConnection: close\n", b"{}")
                assert re.match(rb"HTTP/1\.1 (400|404|405) ", answer), (method, path, answer[:200])
    for ids in (["../secret.wav"], [str(secret)], ["yes/../../secret.wav"], [7], "yes", [None], {}):
        for path, more in (("move", {"class": "no"}), ("delete", {}), ("speaker", {"speaker": "x"})):
            answer = page.ask("POST", f"/api/clips/{path}", json={"ids": ids, **more})
            assert answer.status_code in (400, 404), answer.text
    assert tree(page.folder.parent) == before


def test_uploads_and_classes_stay_in_the_folder(page):
    outside = tree(page.folder.parent) - {f"project/{name}" for name in tree(page.folder)}
    for name in ("../../evil.wav", "..\\..\\evil.wav", "/tmp/evil.wav", "C:\\evil.wav", "a/../../evil.wav", "..x..wav",
                 "con.wav", "x" * 300 + ".wav", "\u202egnp.wav", "a\x00b.wav", ".htaccess.wav", "-rf.wav"):  # fmt: skip
        (clip,) = page.upload("yes", name, wav(tone(440)))["clips"]
        path = page.folder / clip["id"]
        assert path.parent == page.folder / "yes"
        assert re.fullmatch(r"[\w-]+\.flac", path.name), path.name
        assert path.is_file()
    for label in ("../evil", "..", "a/b", ".lab", "models", "x" * 500, "", "a\x00b"):
        answer = page.ask("POST", "/api/clips", params={"class": label, "name": "1.wav"}, content=wav(tone(440)))
        assert answer.status_code == 400, answer.text
        assert page.ask("POST", "/api/classes", json={"name": label}).status_code == 400
        assert page.ask("PATCH", "/api/classes/yes", json={"name": label}).status_code == 400
        clip = page.clips("yes")[0]["id"]
        assert page.ask("PATCH", f"/api/clips/{segment(clip)}", json={"class": label}).status_code == 400
    assert tree(page.folder.parent) - {f"project/{name}" for name in tree(page.folder)} == outside
    assert {path.name for path in page.folder.iterdir()} == {".lab", "manifest.csv", "yes"}


def test_links_in_the_folder_are_not_followed_by_changes(page):
    outside = page.folder.parent / "outside"
    outside.mkdir()
    (outside / "1.wav").write_bytes(wav(tone(440)))
    try:
        (page.folder / "linked").symlink_to(outside)
    except OSError:
        pytest.skip("symbolic links")
    page.post("/api/classes", name="other")
    page.ask("DELETE", "/api/classes/linked")
    assert (outside / "1.wav").is_file()
    assert page.post("/api/undo") == {"undone": "deleted the class linked"}
    assert (page.folder / "linked").is_symlink()


def test_html_in_names_is_data(page):
    """Names that others gave to folders and files come as JSON, whose media type no browser shows as a page."""
    evil = "<img src=x onerror=alert(1)>"
    (page.folder / evil).mkdir()
    (page.folder / evil / f"{evil}.wav").write_bytes(wav(tone(440)))
    page.post("/api/classes", name="other")
    about = page.ask("GET", "/api/project")
    assert about.headers["content-type"] == "application/json"
    assert [one["name"] for one in about.json()["classes"]] == [evil, "other"]
    assert [clip["id"] for clip in page.clips(evil)] == [f"{evil}/{evil}.wav"]
    assert page.ask("GET", f"/api/clips/{segment(f'{evil}/{evil}.wav')}/picture").headers["content-type"] == "image/png"
    assert page.ask("POST", "/api/classes", json={"name": "<b>"}).status_code == 400
    page.upload("other", "1.wav", wav(tone(440)), speaker=evil)
    assert page.clips("other")[0]["speaker"] == evil


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


# --- two at once, and none ---


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


# --- the command ---


def run(*arguments):
    words = [sys.executable, "-m", "audioconv", "lab", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--certificate and --key, or --insecure"),
        (["--certificate", "c.pem"], "needs its key"),
        (["--certificate", "c.pem", "--key", "k.pem", "--insecure"], "does not"),
        (["--port", "70000"], "--port"),
    ],
)
def test_options_that_would_let_others_in_by_mistake(tmp_path, arguments, message):
    done = run(str(tmp_path / "project"), "--no-browser", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_certificate_that_is_none_is_said(tmp_path):
    (tmp_path / "c.pem").write_text("none")
    done = run(str(tmp_path), "--no-browser", "--port", "0", "--certificate", str(tmp_path / "c.pem"), "--key",
               str(tmp_path / "c.pem"))  # fmt: skip
    assert done.returncode == 1
    assert "is no certificate" in done.stderr
    assert "Traceback" not in done.stderr


def test_https_for_other_machines(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True)
    options = ["--host", "0.0.0.0", "--certificate", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem")]
    with labs.in_process(tmp_path / "project", *options) as page:
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        context.check_hostname = False
        headers = {"authorization": f"Bearer {page.token}"}
        address = f"https://127.0.0.1:{page.port}/api/project"
        answer = httpx.get(address, headers=headers, verify=context, trust_env=False)
        assert answer.json()["microphone_hint"] is None
        with pytest.raises(httpx.TransportError):
            httpx.get(address.replace("https", "http"), headers=headers, trust_env=False)


def test_ctrl_c_ends_it_with_success_and_the_address_is_on_standard_output(tmp_path):
    with labs.in_process(tmp_path / "new" / "project") as page:
        assert page.get("/api/project")["name"] == "project"
        page.process.send_signal(signal.SIGINT)
        assert page.process.wait(labs.SECONDS) == 0
        until(lambda: "stopped" in page.reports)


def test_each_start_has_another_token(tmp_path):
    with labs.in_process(tmp_path / "a") as first, labs.in_process(tmp_path / "b") as second:
        assert first.token != second.token
        assert len(first.token) >= 32


def test_a_folder_that_is_no_project_is_said(tmp_path):
    (tmp_path / "manifest.csv").write_text("nothing\n")
    done = run(str(tmp_path), "--no-browser", "--port", "0")
    assert done.returncode == 1
    assert "has no column path" in done.stderr
