"""The HTTP service: recordings and streams."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import socket
import threading
import time

import httpx
import numpy as np
import plain_http
import pytest
import soundfile
from services import in_thread, stream
from streams import RATE, recording
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from audioconv import Classifier, Detector
from audioconv.serving.addresses import Address
from audioconv.serving.limits import MAX_MESSAGE_BYTES, Limits
from audioconv.serving.openapi import description
from audioconv.streaming import detect

SAID = [("high", 0.5), ("low", 1.6), ("low", 2.9), ("high", 4.0)]
PCM = np.round(recording(SAID, 5.0) * 32767).astype("<i2")
LIMIT = 1_000_000
UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.fixture(scope="module")
def running(two_models):
    with in_thread(two_models, limits=Limits(upload_bytes=LIMIT)) as running:
        yield running


@pytest.fixture(scope="module")
def client(running):
    with httpx.Client(base_url=running.url, trust_env=False, verify=False, timeout=60) as client:
        yield client


def encoded(samples: np.ndarray, rate: int = RATE, format: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


async def until_closed(socket) -> list[dict]:
    answers = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            answers.append(json.loads(await socket.recv()))
    return answers


def error_of(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert list(answer.json()) == ["error"]
    return answer.json()["error"]


# --- recordings ---


@pytest.mark.parametrize(
    ("format", "subtype", "rate"),
    [
        ("WAV", "PCM_24", 4000),
        ("WAV", "FLOAT", 44100),
        ("FLAC", None, 16000),
        ("OGG", "VORBIS", 16000),
        ("MP3", None, 16000),
    ],
)
@pytest.mark.parametrize("seconds", [0.6, 5.0])
def test_the_answer_of_classify(client, tones, tmp_path, format, subtype, rate, seconds):
    said = SAID if seconds > 1 else [("low", 0.1)]
    content = encoded(recording(said, seconds, rate), rate, format, subtype)
    (tmp_path / "file").write_bytes(content)
    model = tones.served[0].model
    classifier = Classifier()
    classifier._model = model
    expected = classifier.predict_files([tmp_path / "file"])[0][0].to_json()
    assert expected["label"] in ("high", "low")
    answer = client.post("/classify", content=content)
    assert answer.status_code == 200
    found = answer.json()
    assert abs(found.pop("seconds") - seconds) < 0.15
    assert found.pop("model") == "tones"
    detections = found.pop("detections", None)
    assert found == expected
    if seconds < 1:
        assert detections is None
    else:
        assert detections == [one.to_json() for one in detect(model, tmp_path / "file")]
        assert [one["label"] for one in detections] == [label for label, _ in SAID]


def test_a_recording_of_minutes_is_read_in_pieces(tones):
    samples = np.tile(PCM, 40)
    with in_thread(tones) as running:
        answer = plain_http.post(f"{running.url}/classify", content=encoded(samples, format="FLAC"), timeout=60)
    found = answer.json()
    assert found["seconds"] == 200
    assert found["detections"] == [one.to_json() for one in detect(tones.served[0].model, samples)]
    assert len(found["detections"]) == 160


def test_parameters(client):
    content = encoded(PCM)
    answer = client.post("/classify", params={"model": "other", "top": 1, "threshold": 1}, content=content).json()
    assert (answer["model"], len(answer["scores"]), answer["detections"]) == ("other", 1, [])
    assert answer["nearest"] in ("treble", "low")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("model=nobody", "there is no model 'nobody'; there are tones, other"),
        ("top=0", "top must be a whole number of 1 or more, got '0'"),
        ("top=%C2%B2", "top must be a whole number"),
        ("top=" + "9" * 5000, "top must be a whole number"),
        ("threshold=2", "threshold must be a number from 0 to 1, got '2'"),
        ("threshold=nan", "threshold must be a number from 0 to 1"),
        ("threshold=x&threshold=y", "the parameter threshold comes twice"),
        ("speed=7", "unknown parameter 'speed'; known are model, threshold, top"),
    ],
)
def test_wrong_parameters(client, query, message):
    assert message in error_of(client.post(f"/classify?{query}", content=encoded(PCM)), 400)


def whole_wav() -> bytes:
    return encoded(recording(SAID, 5.0), subtype="FLOAT")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the recording: is empty (0 bytes), expected a recording"),
        (b"x", "the recording: not audio that can be read"),
        (b"<html>" * 1000, "the recording: not audio that can be read"),
        (b'{"path": "/etc/passwd"}', "the recording: not audio that can be read"),
        (whole_wav()[:9000], "the recording: cut off"),
        (encoded(PCM, format="FLAC")[:9000], "the recording: "),
        (encoded(np.full(4000, np.nan, np.float32), subtype="FLOAT"), "holds NaN or infinite samples"),
        (encoded(np.zeros(0), subtype="FLOAT"), "holds no samples"),
    ],
    # Not the bytes: WAV files hold the second in which they were written.
    ids=["empty", "byte", "page", "path", "cut WAV", "cut FLAC", "NaN", "no samples"],
)
def test_what_is_no_recording(client, content, message):
    assert message in error_of(client.post("/classify", content=content), 422)


def test_a_form_and_a_compressed_body_are_refused(client):
    assert "curl --data-binary @FILE" in error_of(client.post("/classify", files={"file": encoded(PCM)}), 415)
    answer = client.post("/classify", content=encoded(PCM), headers={"content-encoding": "gzip"})
    assert "without Content-Encoding" in error_of(answer, 415)


def test_an_upload_that_is_too_large(client):
    message = f"the recording is larger than {LIMIT:,} bytes; send a part of it, or compress it"
    assert error_of(client.post("/classify", content=bytes(LIMIT + 1)), 413) == message
    assert error_of(client.post("/classify", content=iter([bytes(1000)] * (LIMIT // 1000 + 1))), 413) == message
    assert error_of(client.post("/classify", content=bytes(LIMIT)), 422) != message
    assert client.post("/classify", content=encoded(PCM)).status_code == 200


def test_an_upload_without_an_end_is_answered(running):
    connection = http.client.HTTPConnection("127.0.0.1", running.http, timeout=30)
    connection.putrequest("POST", "/classify")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    sent, part = 0, b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    try:
        while sent < 1 << 30:
            connection.send(part)
            sent += len(part)
    except ConnectionError:
        pass
    assert sent < 1 << 30
    connection.close()


def test_an_announced_length_is_refused_before_it_is_sent(running):
    with socket.create_connection(("127.0.0.1", running.http), timeout=30) as client:
        head = f"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head.encode())
        answer = client.recv(1000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


def test_an_upload_that_takes_too_long(tones):
    with in_thread(tones, limits=Limits(seconds=0.5)) as running:
        with socket.create_connection(("127.0.0.1", running.http), timeout=30) as client:
            client.sendall(b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nRIFF")
            answer = b""
            while part := client.recv(1000):
                answer += part
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(b'{"error":"the recording has not come within 0.5 s"}')
        # An hour of silence is a small file, and much work.
        silence = encoded(np.zeros(16000 * 3600, np.int16), 16000, "FLAC")
        assert len(silence) < Limits().upload_bytes / 100
        answer = plain_http.post(f"{running.url}/classify", content=silence, timeout=30)
        assert error_of(answer, 503).startswith("it took longer than 0.5 s; ")


def test_a_decoder_that_hangs_keeps_its_file(tones, monkeypatch):
    """Its descriptor would be that of the next connection."""
    monkeypatch.setattr("audioconv.serving.http_app.ADDITIONAL_SECONDS", 0.0)
    go_on, kept = threading.Event(), []

    def hang(_served, upload, _look, **_options) -> dict:
        go_on.wait(30)
        kept.append(not upload.file.closed)
        return {}

    monkeypatch.setattr("audioconv.serving.http_app.answer", hang)
    with in_thread(tones, limits=Limits(seconds=0.3, upload_bytes=100_000)) as running:
        url = f"{running.url}/classify"
        for _ in range(2):
            answer = plain_http.post(url, content=bytes(100_000), timeout=30)
            assert error_of(answer, 503) == "it took longer than 0.3 s; try later"
        assert kept == []
        go_on.set()
        # The memory of both is free again.
        for _ in range(6):
            assert plain_http.post(url, content=bytes(100_000), timeout=30).json() == {}
    assert kept == [True] * 8


def test_an_internal_error_is_reported_and_ends_nothing(tones, monkeypatch):
    def fail(*_arguments, **_options) -> dict:
        raise RuntimeError("a mistake")

    with in_thread(tones) as running:
        url = f"{running.url}/classify"
        with monkeypatch.context() as patch:
            patch.setattr("audioconv.serving.http_app.answer", fail)
            answer = plain_http.post(url, content=encoded(PCM), timeout=30)
            assert error_of(answer, 500).startswith("an internal error of the service")
        until = time.monotonic() + 20
        while not running.reports and time.monotonic() < until:  # it is reported after the answer
            time.sleep(0.01)
        assert running.reports == ["http: RuntimeError: a mistake"]
        running.reports.clear()
        assert plain_http.post(url, content=encoded(PCM), timeout=30).status_code == 200


def test_all_uploads_together_have_their_bound(tones):
    def begin(running, size: int) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", running.http), timeout=30)
        client.sendall(f"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
        client.sendall(bytes(size - 1))
        return client

    content = encoded(PCM)
    with in_thread(tones, limits=Limits(upload_bytes=100_000)) as running:
        waiting = [begin(running, 100_000) for _ in range(4)]
        url = f"{running.url}/classify"
        until = time.monotonic() + 20
        while (answer := plain_http.post(url, content=content)).status_code == 200:
            assert time.monotonic() < until
        assert error_of(answer, 503) == "other recordings are being uploaded; try again later"
        for each in waiting:
            each.close()
        while plain_http.post(url, content=content).status_code != 200:
            assert time.monotonic() < until + 20


def test_others_are_answered_while_a_long_recording_is_read(tones):
    noise = np.random.default_rng(0).integers(-3000, 3000, 4000 * 1800).astype(np.int16)
    done = threading.Event()
    answers = []

    def upload() -> None:
        answers.append(plain_http.post(f"{running.url}/classify", content=encoded(noise), timeout=120))
        done.set()

    with (
        in_thread(tones) as running,
        httpx.Client(base_url=running.url, trust_env=False, verify=False, timeout=60) as client,
    ):
        thread = threading.Thread(target=upload)
        thread.start()
        meanwhile = 0
        while not done.is_set():
            assert client.get("/health").json()["status"] == "ok"
            meanwhile += 1
        thread.join()
    assert answers[0].json()["seconds"] == 1800
    assert meanwhile > 20


def test_other_paths_and_methods(client):
    assert error_of(client.get("/"), 404) == "there is no such path; see /openapi.json"
    assert error_of(client.post("/models", content=bytes(10)), 405) == "this path takes another method"
    assert set(client.post("/models").headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert error_of(client.get("/classify"), 405)
    assert error_of(client.get("/stream"), 426) == "/stream is a WebSocket: connect to ws://, not to http://"
    assert error_of(client.get("/health/"), 404)


def test_a_head_without_an_end_is_bounded(running, monkeypatch):
    with socket.create_connection(("127.0.0.1", running.http), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_clients_that_say_nothing_are_disconnected(tones, monkeypatch):
    monkeypatch.setattr("audioconv.serving.http_server.HEADER_SECONDS", 0.3)
    with in_thread(tones) as running:
        clients = [socket.create_connection(("127.0.0.1", running.http), timeout=30) for _ in range(50)]
        for number, each in enumerate(clients):
            each.sendall(b"GET / HTTP/1.1\r\nX: "[: number % 20])
        for each in clients:
            with contextlib.suppress(ConnectionResetError):
                assert each.recv(100) == b""
            each.close()
        # One that asks now and then is not.
        connection = http.client.HTTPConnection("127.0.0.1", running.http, timeout=30)
        connection.connect()
        connection.auto_open = False
        for _ in range(6):
            connection.request("GET", "/health")
            assert connection.getresponse().read().startswith(b'{"status":"ok"')
            time.sleep(0.2)
        connection.close()


# --- what it says of itself ---


def test_the_models(client, two_models):
    found = client.get("/models").json()["models"]
    assert [one["name"] for one in found] == ["tones", "other"]
    assert found[1]["words"] == ["treble", "low"]
    assert (found[0]["sample_rate"], found[0]["window_seconds"]) == (RATE, 0.5)
    assert found[0]["threshold"] == Detector(two_models.served[0].model).threshold


def check(value: object, schema: dict, schemas: dict, place: str = "answer") -> None:
    """Hold a value to those parts of JSON Schema that the description uses."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].removeprefix("#/components/schemas/")]
    if "const" in schema:
        assert value == schema["const"], place
        return
    kinds = {"number": (int, float), "integer": int, "string": str, "object": dict, "array": list, "null": type(None)}
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, kinds[name]) for name in names), place
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema["required"]) <= set(value) <= set(schema["properties"]), place
    for name, one in value.items() if isinstance(value, dict) else ():
        inner = schema.get("properties", {}).get(name) or schema["additionalProperties"]
        check(one, inner, schemas, f"{place}.{name}")
    for one in value if isinstance(value, list) else ():
        check(one, schema["items"], schemas, f"{place}[]")


def test_the_description_is_true(client, two_models):
    described = client.get("/openapi.json").json()
    assert described == json.loads(json.dumps(description(two_models, Limits(upload_bytes=LIMIT))))
    assert described["openapi"] == "3.1.0"
    schemas = described["components"]["schemas"]

    def schema(path: str, method: str, status: int) -> dict:
        return described["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]

    asked = [
        ("/health", "get", {}),
        ("/models", "get", {}),
        ("/classify", "post", {"content": encoded(PCM)}),
        ("/classify", "post", {"content": encoded(PCM[:2400])}),
        ("/classify", "post", {"content": b"x"}),
        ("/classify", "post", {"content": b"x", "params": {"top": 0}}),
        ("/classify", "post", {"content": bytes(LIMIT + 1)}),
        ("/models", "get", {"headers": {"origin": "https://example.com"}}),
        ("/health", "get", {"headers": {"host": "example.com"}}),
    ]
    for path, method, options in asked:
        answer = client.request(method, path, **options)
        check(answer.json(), schema(path, method, answer.status_code), schemas)
    # Each path of the service is described, and the other way round: what is not there has another answer.
    for path, methods in described["paths"].items():
        (method,) = methods
        assert str(client.request(method, path).status_code) in methods[method]["responses"]
    names = {one["name"] for one in described["paths"]["/classify"]["post"]["parameters"]}
    assert names == {"model", "top", "threshold"}


# --- streams ---


@pytest.mark.parametrize("chunk", [3, 160, 8191, 1 << 20])
def test_the_same_words_whatever_the_messages(running, tones, chunk):
    answers = asyncio.run(stream(running, PCM.tobytes(), chunk))
    expected = [one.to_json() for one in detect(tones.served[0].model, PCM)]
    assert [one["label"] for one in expected] == [label for label, _ in SAID]
    ready = {"type": "ready", "model": "tones", "rate": RATE, "channels": 1, "words": ["high", "low"]}
    assert answers == [ready, *({"type": "detection", **one} for one in expected), {"type": "end", "seconds": 5.0}]


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_real_words(words, spoken_words, rate, channels):
    samples = np.repeat(spoken_words, channels)
    expected = detect(words.served[0].model, samples.reshape(-1, channels), sample_rate=rate)
    with in_thread(words) as running:
        query = f"?rate={rate}&channels={channels}"
        answers = asyncio.run(stream(running, samples.tobytes(), 4001, query))
        uploaded = None
        if channels == 1:
            content = encoded(spoken_words, rate, "FLAC")
            uploaded = plain_http.post(f"{running.url}/classify", content=content, timeout=60).json()
    assert answers[1:-1] == [{"type": "detection", **one.to_json()} for one in expected]
    if uploaded is not None:
        assert len(expected) >= 6
        assert uploaded["detections"] == [one.to_json() for one in expected]


def test_two_clients_have_their_own_streams(running, tones, two_models):
    other = np.round(recording([("low", 0.4), ("high", 2.0)], 3.0, seed=5) * 32767).astype("<i2")

    async def main():
        return await asyncio.gather(
            stream(running, PCM.tobytes(), 401),
            stream(running, other.tobytes(), 400, "?model=other"),
            stream(running, PCM.tobytes(), 1000, "?threshold=1"),
        )

    first, second, third = asyncio.run(main())
    assert [one["label"] for one in first[1:-1]] == [label for label, _ in SAID]
    assert [one["label"] for one in second[1:-1]] == ["low", "treble"]
    assert third[1:-1] == []


def test_a_word_is_told_before_the_stream_ends(running):
    async def main():
        async with connect(f"ws://127.0.0.1:{running.http}/stream", proxy=None) as socket:
            await socket.send(PCM[: round(1.5 * RATE)].tobytes())
            return [json.loads(await socket.recv())["type"] for _ in range(2)]

    assert asyncio.run(asyncio.wait_for(main(), 30)) == ["ready", "detection"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?model=nobody", "there is no model 'nobody'"),
        ("?rate=0", "rate must be a whole number of 1 or more"),
        ("?rate=10", "the sample rate must be"),
        ("?channels=9", "a stream has 1 to 8 channels, got 9"),
        ("?threshold=-1", "threshold must be a number from 0 to 1"),
        ("?format=f32", "unknown parameter 'format'"),
    ],
)
def test_a_stream_that_cannot_be(running, query, message):
    async def main():
        async with connect(f"ws://127.0.0.1:{running.http}/stream{query}", proxy=None):
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(main())
    assert refused.value.response.status_code == 400
    assert message in json.loads(refused.value.response.body)["error"]


@pytest.mark.parametrize("message", ["", "hello", "[" * 50_000, '{"type": "stop"}', "null"])
def test_a_message_that_is_no_sound(running, message):
    async def main():
        async with connect(f"ws://127.0.0.1:{running.http}/stream", proxy=None) as socket:
            await socket.send(PCM[:1000].tobytes())
            await socket.send(message)
            return await until_closed(socket), socket.close_code

    answers, code = asyncio.run(asyncio.wait_for(main(), 30))
    assert code == 1003
    assert answers[-1] == {
        "type": "error",
        "error": 'a message is either binary, 16-bit samples, or the text {"type": "end"}',
    }


def test_a_message_that_is_too_large(running):
    async def main():
        async with connect(f"ws://127.0.0.1:{running.http}/stream", proxy=None) as socket:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(bytes(MAX_MESSAGE_BYTES + 1))
            await until_closed(socket)
            return socket.close_code

    assert asyncio.run(asyncio.wait_for(main(), 30)) == 1009


@pytest.mark.parametrize("frame", [b"\x89\x80abcd", b"\x00\x80abcd"])
def test_frames_without_an_end(running, frame):
    """Pings, and empty parts of a message that never ends."""
    with socket.create_connection(("127.0.0.1", running.http), timeout=30) as client:
        client.sendall(UPGRADE)
        assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
        client.sendall(b"\x02\x80abcd" if frame[:1] == b"\x00" else b"")
        many = frame * (LIMIT // len(frame))

        def send() -> None:
            for _ in range(64):
                client.sendall(many)

        with pytest.raises(ConnectionError):
            send()


def test_a_bad_frame_while_an_answer_waits(tones, monkeypatch):
    """The service ends the stream while its answer waits for a client that does not read: the answer is dropped."""
    listen = Address.listen

    def listen_with_little_memory(address):
        listening = listen(address)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return listening

    monkeypatch.setattr(Address, "listen", listen_with_little_memory)
    ping, message, no_frame = b"\x89\xfd" + bytes(4 + 125), b"\x81\x81\0\0\0\0x", b"\x8f\x80\0\0\0\0"
    with in_thread(tones) as running:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(30)
            client.connect(("127.0.0.1", running.http))
            client.sendall(UPGRADE)
            assert client.recv(129).startswith(b"HTTP/1.1 101 ")
            client.sendall(ping * 2000)
            client.sendall(message)
            time.sleep(0.3)
            client.sendall(no_frame)
            time.sleep(0.3)
            answers = b"".join(iter(lambda: client.recv(1 << 16), b""))
            assert answers.endswith(b"\x03\xeainvalid opcode")
        assert asyncio.run(stream(running, PCM.tobytes(), 4000))


def test_a_text_that_is_no_text_and_the_end_at_once(tones):
    no_text, end = b"\x81\x81\0\0\0\0\xff", b"\x88\x82\0\0\0\0\x03\xe8"
    with in_thread(tones) as running:
        with socket.create_connection(("127.0.0.1", running.http), timeout=30) as client:
            client.sendall(UPGRADE)
            assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
            client.sendall(no_text + end)
            assert b"".join(iter(lambda: client.recv(1000), b"")).endswith(b"\x88\x02\x03\xe8")
        assert asyncio.run(stream(running, PCM.tobytes(), 4000))


def test_a_stream_that_is_silent(tones):
    async def main(running):
        async with connect(f"ws://127.0.0.1:{running.http}/stream", proxy=None) as socket:
            return await until_closed(socket), socket.close_code

    with in_thread(tones, limits=Limits(idle_seconds=0.4)) as running:
        answers, code = asyncio.run(asyncio.wait_for(main(running), 30))
    assert (answers[-1], code) == ({"type": "error", "error": "nothing has come for 0.4 s"}, 1008)


def test_too_many_streams(tones):
    async def main(running):
        url = f"ws://127.0.0.1:{running.http}/stream"
        async with connect(url, proxy=None), connect(url, proxy=None):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, proxy=None)
            assert refused.value.response.status_code == 503
            upload = await asyncio.to_thread(plain_http.post, f"{running.url}/classify", content=b"x")
            assert error_of(upload, 503) == "2 clients are being served; try again later"
            assert (await asyncio.to_thread(plain_http.get, f"{running.url}/health")).status_code == 200
        for _ in range(100):
            try:
                async with connect(url, proxy=None):
                    return
            except InvalidStatus:
                await asyncio.sleep(0.1)
        pytest.fail("the places are not free again")

    with in_thread(tones, limits=Limits(clients=2)) as running:
        asyncio.run(asyncio.wait_for(main(running), 60))


def test_streams_end_with_the_service(tones):
    async def main():
        with in_thread(tones) as running:
            socket = await connect(f"ws://127.0.0.1:{running.http}/stream", proxy=None)
            await socket.send(bytes(100))
            assert json.loads(await socket.recv())["type"] == "ready"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        return closed.value.rcvd.code

    assert asyncio.run(asyncio.wait_for(main(), 60)) == 1012
