"""What clients of bad will or bad luck send to the services: each attack is a call with a generator and ports."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator

import numpy as np
from fuzzing import VALUES, mutated, recordings
from services import Running

STATUSES = {100, 101, 200, 400, 401, 403, 404, 405, 408, 413, 415, 421, 422, 426, 503}
"""What a request may be answered with: never a mistake of the service (500)."""

EVENTS = {"error", "pong", "info", "detection", "not-detected"}
"""What the Wyoming service sends."""

SECONDS = 20.0


@contextlib.contextmanager
def gone() -> Iterator[None]:
    """Go on where the service has ended the connection; no answer within the time is a failure."""
    try:
        yield
    except OSError as error:
        if not isinstance(error, ConnectionError) and error.errno != errno.ENOTCONN:
            raise


@contextlib.contextmanager
def connected(port: int, seconds: float = SECONDS) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        yield client


def talk(port: int, data: bytes, *, half: bool = True, most: int = 1 << 20) -> bytes:
    """Send bytes, and return what is answered before the connection ends."""
    answer = bytearray()
    with gone(), connected(port) as client:
        with gone():
            client.sendall(data)
            if half:
                client.shutdown(socket.SHUT_WR)
        while len(answer) < most and (part := client.recv(1 << 16)):
            answer += part
    return bytes(answer)


def check_http(answer: bytes) -> None:
    """Hold an answer to what clients may rely on: a known status, and a JSON object that says what is wrong."""
    if not answer:
        return  # the connection was ended
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    assert int(answer[9:12]) in STATUSES, answer[:400]
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"application/json" in head and b"\r\nHTTP/1.1 " not in body and int(answer[9:12]) >= 400 and body:
        (message,) = json.loads(body).values()
        assert 10 < len(message) < 500


def check_wyoming(answer: bytes) -> None:
    """Hold an answer to the form of events."""
    while answer:
        line, _, answer = answer.partition(b"\n")
        if not answer:
            return  # the end of it may have been lost
        header = json.loads(line)
        assert header["type"] in EVENTS
        data, answer = answer[: header.get("data_length", 0)], answer[header.get("data_length", 0) :]
        if header["type"] == "error" and len(data) == header.get("data_length"):
            assert 10 < len(json.loads(data)["text"]) < 500


# --- HTTP ---


def request(path: str, body: bytes = b"", method: str = "POST", *headers: str, length: int | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    if body or length is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


WHOLE = recordings(np.random.default_rng(0))


def mutated_recordings(rng: np.random.Generator, running: Running) -> None:
    body = mutated(WHOLE[int(rng.integers(len(WHOLE)))], rng)
    check_http(talk(running.http, request("/classify", body)))


def mutated_requests(rng: np.random.Generator, running: Running) -> None:
    path = str(
        rng.choice(["/classify", "/classify?top=1", "/models", "/health", "/stream?rate=8000", "/openapi.json", "*"])
    )
    method = str(rng.choice(["GET", "POST", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "X" * 300]))
    header = str(
        rng.choice(["Origin: null", "Expect: 100-continue", "Upgrade: h2c", "Content-Encoding: br", "X: " + "y" * 9000])
    )
    whole = request(path, b"RIFF" * int(rng.integers(50)), method, header)
    check_http(talk(running.http, whole if rng.random() < 0.3 else mutated(whole, rng)))


def noise(rng: np.random.Generator, running: Running) -> None:
    data = rng.bytes(int(rng.integers(1, 100_000)))
    check_http(talk(running.http, data))
    check_wyoming(talk(running.wyoming, data))


def truncated_uploads(rng: np.random.Generator, running: Running) -> None:
    check_http(
        talk(running.http, request("/classify", WHOLE[0][: int(rng.integers(1, 200))], length=int(rng.integers(10**6))))
    )


def large_uploads(rng: np.random.Generator, running: Running) -> None:
    body = bytes(1_000_001) if rng.random() < 0.5 else b"RIFF" + bytes(999_996)
    check_http(talk(running.http, request("/classify", body)))
    check_http(talk(running.http, request("/classify", b"x" * 100, length=10**15)))


def endless_uploads(rng: np.random.Generator, running: Running) -> None:
    part = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    head = request("/classify", b"", "POST", "Transfer-Encoding: chunked")
    with gone(), connected(running.http) as client:
        client.sendall(head)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            client.sendall(part)
        raise AssertionError("an upload without an end goes on")


def slow_clients(rng: np.random.Generator, running: Running) -> None:
    """Send a byte now and then, to both services, and leave."""
    with gone(), connected(running.http) as http, connected(running.wyoming) as wyoming:
        data = request("/classify", bytes(500))
        for number in range(int(rng.integers(1, 12))):
            http.sendall(data[number : number + 1])
            wyoming.sendall(b'{"type": "audio-start"'[number : number + 1])
            time.sleep(0.1)


def streams(rng: np.random.Generator, running: Running) -> None:
    """Send frames of all kinds over a WebSocket, and leave in one way or another."""
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    head = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key]
    with gone(), connected(running.http) as client:
        rate = int(rng.choice([1000, 4000, 16000, 192_000]))
        client.sendall(
            "\r\n".join([f"GET /stream?rate={rate}&channels={rng.integers(1, 9)} HTTP/1.1", *head, "", ""]).encode()
        )
        check_http(client.recv(1 << 16))
        for _ in range(int(rng.integers(1, 30))):
            client.sendall(frame(rng))
        if rng.random() < 0.5:
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass


def frame(rng: np.random.Generator) -> bytes:
    kind = int(rng.choice([0, 1, 2, 2, 2, 2, 3, 8, 9, 10, 15]))
    payload = rng.bytes(int(rng.choice([0, 1, 125, 126, 4001, 70_000, 300_000])))
    if kind == 1:
        payload = json.dumps(VALUES[int(rng.integers(len(VALUES)))]).encode()
    length = len(payload)
    announced = length if rng.random() < 0.95 else int(rng.choice([1 << 21, (1 << 63) - 1]))
    end = 0x80 if rng.random() < 0.8 else 0
    masked = 0x80 if rng.random() < 0.97 else 0
    if announced < 126:
        head = bytes([end | kind, masked | announced])
    elif announced < 1 << 16:
        head = bytes([end | kind, masked | 126]) + struct.pack(">H", announced)
    else:
        head = bytes([end | kind, masked | 127]) + struct.pack(">Q", announced)
    return head + (bytes(4) if masked else b"") + payload  # masked with zeros


# --- Wyoming ---


def events(rng: np.random.Generator, running: Running) -> None:
    """Send a conversation of which one thing is wrong, or nothing."""
    form = {"rate": 16000, "width": 2, "channels": 1}
    said = [("describe", {}, 0), ("detect", {"names": None}, 0), ("audio-start", form, 0)]
    said += [("audio-chunk", form, int(rng.integers(1, 40_000))) for _ in range(4)]
    said += [("audio-stop", {}, 0), ("ping", {"text": "x"}, 0)]
    wrong = int(rng.integers(2 * len(said)))
    data = b""
    for number, (kind, fields, size) in enumerate(said):
        header = {"type": kind, "data": dict(fields), "payload_length": size}
        if number == wrong:
            where = header if rng.random() < 0.5 else header["data"]
            names = [
                "type",
                "data",
                "data_length",
                "payload_length",
                "rate",
                "width",
                "channels",
                "names",
                "context",
                "timestamp",
            ]
            where[str(rng.choice(names))] = VALUES[int(rng.integers(len(VALUES)))]
        data += json.dumps(header).encode() + b"\n" + os.urandom(size)
    check_wyoming(talk(running.wyoming, mutated(data, rng) if rng.random() < 0.3 else data))


def long_lines(rng: np.random.Generator, running: Running) -> None:
    check_wyoming(talk(running.wyoming, b'{"type": "' + b"x" * 3_000_000))


def ping_floods(rng: np.random.Generator, running: Running) -> None:
    """Ask and do not read."""
    with gone(), connected(running.wyoming) as client:
        client.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            for _ in range(200):
                client.sendall(b'{"type": "ping", "data": {"text": "' + b"x" * 10_000 + b'"}}\n')


def many_connections(rng: np.random.Generator, running: Running) -> None:
    """Open 200 connections at once, of which some ask, and look at what they are told."""
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(200):
            port = running.wyoming if number % 2 else running.http
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
            clients.append(client)
            with gone():
                if number % 4 == 0:
                    client.sendall(request("/health", b"", "GET"))
                elif number % 4 == 1:
                    client.sendall(b'{"type": "ping"}\n')
        for number, client in enumerate(clients):
            if number % 4 < 2:
                with gone():
                    answer = client.recv(1 << 16)
                    (check_wyoming if number % 4 else check_http)(answer)


ATTACKS: list[Callable[[np.random.Generator, Running], None]] = [
    *[mutated_recordings] * 6,
    *[mutated_requests] * 4,
    *[events] * 6,
    *[streams] * 6,
    *[
        noise,
        truncated_uploads,
        large_uploads,
        endless_uploads,
        slow_clients,
        long_lines,
        ping_floods,
        many_connections,
    ],
]
