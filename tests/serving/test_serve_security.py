"""Who may ask the HTTP service, and at which addresses it listens."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import plain_http
import pytest
from services import in_thread
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from audioconv.errors import ConfigError, DataError
from audioconv.serving.addresses import Address, is_loopback, name_of
from audioconv.serving.http_guard import Guard, host_names, read_token
from audioconv.serving.limits import RefusedError
from audioconv.serving.models import ServedModels

TOKEN = b"a-token-of-this-test-0123456789"
BEARER = f"Bearer {TOKEN.decode()}"


@pytest.fixture(scope="module")
def running(tones):
    with in_thread(tones) as running:
        yield running


@pytest.fixture(scope="module")
def locked(tones):
    with in_thread(tones, TOKEN) as running:
        yield running


def get(running, path: str = "/models", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return plain_http.get(running.url + path, headers=named, timeout=30)


def raw(running, *lines: str) -> bytes:
    """Send a request as it is; return the whole answer."""
    with socket.create_connection(("127.0.0.1", running.http), timeout=30) as client:
        client.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        answer = b""
        while part := client.recv(1 << 16):
            answer += part
    return answer


def stream_status(running, origin: str | None = None, token: str | None = None) -> int:
    """Return the status with which a stream is accepted or refused."""

    async def main() -> int:
        headers = {"Authorization": token} if token else {}
        url = f"ws://127.0.0.1:{running.http}/stream"
        try:
            async with connect(url, origin=origin, additional_headers=headers, proxy=None):
                return 101
        except InvalidStatus as refused:
            (_,) = json.loads(refused.response.body)
            return refused.response.status_code

    return asyncio.run(main())


# --- Host and Origin ---


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:{port}", "LOCALHOST", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80", "10.0.0.7"]
)
def test_names_of_this_machine_and_addresses(running, host):
    assert get(running, host=host.format(port=running.http)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "localhost.example.com", "127.0.0.1.example.com", "localhost@example.com", "x:y@localhost"),
        *("localhost:x", "localhost/example.com", "localhost:99999", "[::1", "", "127.0.0.1 example.com", "%31"),
        *("localhost#", "localhost?", "2130706433", "0x7f.1"),
    ],
)
def test_names_of_others(running, host):
    answer = get(running, host=host)
    assert answer.status_code in (400, 421)
    if answer.status_code == 421:
        assert answer.json()["error"].startswith("the Host header must be the address of this service")


def test_a_host_that_is_missing_or_comes_twice(running):
    assert raw(running, "GET /models HTTP/1.0").startswith(b"HTTP/1.1 421 ")
    assert raw(running, "GET /models HTTP/1.1").startswith(b"HTTP/1.1 400 ")
    twice = raw(running, "GET /models HTTP/1.1", "Host: localhost", "Host: example.com")
    assert twice.startswith(b"HTTP/1.1 400 ")
    # The target of a request to a proxy names no other host.
    assert raw(running, "GET http://localhost/models HTTP/1.1", "Host: example.com").startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "null", "http://localhost:1", "http://127.0.0.1", "http://127.0.0.1:{port}.example.com",
     "file://", "ftp://127.0.0.1:{port}", "http://[", "http://127.0.0.1:{port}/", "http://x@127.0.0.1:{port}"],
)  # fmt: skip
def test_pages_of_other_origins(running, origin):
    origin = origin.format(port=running.http)
    for method, path in (("GET", "/models"), ("POST", "/classify"), ("OPTIONS", "/classify")):
        answer = plain_http.request(method, running.url + path, headers={"origin": origin})
        assert answer.status_code == 403
        assert answer.json() == {"error": "web pages of other origins have no access to this service"}
        assert "access-control-allow-origin" not in answer.headers
    assert stream_status(running, origin) == 403


def test_a_page_of_its_own_origin(running):
    own = f"http://127.0.0.1:{running.http}"
    assert get(running, origin=own).status_code == 200
    assert stream_status(running, own) == 101
    two = raw(running, "GET /models HTTP/1.1", "Host: localhost", "Origin: http://localhost", "Origin: http://x")
    assert two.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_pages_that_send_no_origin(running, site, status):
    assert get(running, sec_fetch_site=site).status_code == status


def test_a_stream_by_a_foreign_name(running):
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    for more in ((), ("Origin: http://example.com",)):
        lines = ("GET /stream HTTP/1.1", "Host: example.com", *more, *upgrade, "Connection: Upgrade")
        with socket.create_connection(("127.0.0.1", running.http), timeout=30) as client:
            client.sendall("\r\n".join([*lines, "", ""]).encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 421 ")


# --- the token ---


@pytest.mark.parametrize(
    "authorization",
    [
        None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN.decode()}", TOKEN.decode(), f"{BEARER}x",
        BEARER[:-1], BEARER.upper(), f"{BEARER}, {BEARER}", f"Bearer {TOKEN.decode()[::-1]}",
    ],
)  # fmt: skip
def test_a_token_that_is_missing_or_wrong(locked, authorization):
    headers = {} if authorization is None else {"authorization": authorization}
    for path in ("/models", "/openapi.json", "/nothing", "/"):
        answer = plain_http.get(locked.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert plain_http.post(f"{locked.url}/classify", content=bytes(100_000), headers=headers).status_code == 401
    assert stream_status(locked, token=authorization) == 401


def test_the_token(locked):
    assert get(locked, authorization=BEARER).status_code == 200
    assert get(locked, authorization=BEARER.replace("Bearer", "bearer")).status_code == 200
    assert stream_status(locked, token=BEARER) == 101
    assert get(locked, authorization=BEARER, origin="http://example.com").status_code == 403
    two = raw(locked, "GET /models HTTP/1.1", "Host: localhost", f"Authorization: {BEARER}", "Authorization: Bearer x")
    assert two.startswith(b"HTTP/1.1 401 ")


def test_health_needs_no_token_and_says_little(locked):
    answer = get(locked, "/health")
    assert answer.status_code == 200
    assert list(answer.json()) == ["status", "version"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/health/../models",
            "/health/..%2fmodels",
            "/health%2f..%2fmodels",
            "//health/../models",
            "/models/",
            "//models",
        ),
        *("/./models", "/models;/health", "/models?/health", "/models%00/health", "/health/models", "/%6dodels"),
        *("/MODELS", "/models#/health", "http://localhost/health/../models", "/..%c0%af../models"),
    ],
)
def test_path_tricks(locked, path):
    answer = raw(locked, f"GET {path} HTTP/1.1", "Host: localhost")
    status = int(answer.split()[1])
    assert status in (400, 401)
    assert b"tones" not in answer


@pytest.mark.parametrize(
    "path", ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%5c..%5cwin.ini", "/classify/../../etc/passwd"]
)
def test_no_file_is_served(running, path):
    answer = raw(running, f"GET {path} HTTP/1.1", "Host: localhost")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"root:" not in answer


def test_the_token_is_shown_nowhere():
    guard = Guard(frozenset({"localhost"}), TOKEN)
    assert TOKEN.decode() not in repr(guard)
    with pytest.raises(RefusedError) as refused:
        guard.check({"headers": [(b"host", b"localhost"), (b"authorization", b"Bearer x")], "path": "/models"})
    assert TOKEN.decode() not in str(refused.value)


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 15, "x" * 1025, "with space in the token", "tökens-of-this-länge", "a\nb" * 10]
)
def test_tokens_that_are_none(token, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(token, "utf-8")
    monkeypatch.setenv("AUDIOCONV_TOKEN", token)
    for file in (None, tmp_path / "token"):
        with pytest.raises(ConfigError, match="a token is 16 to 1024 ASCII characters without spaces") as error:
            read_token(file)
        assert not token or token not in str(error.value)


def test_a_token_from_a_file_or_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("AUDIOCONV_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("AUDIOCONV_TOKEN", TOKEN.decode())
    assert read_token(None) == TOKEN
    (tmp_path / "token").write_bytes(TOKEN[::-1] + b"\r\n")
    assert read_token(tmp_path / "token") == TOKEN[::-1]
    with pytest.raises(DataError, match=r"missing: the token cannot be read \(No such file"):
        read_token(tmp_path / "missing")


# --- addresses and names ---


@pytest.mark.parametrize(
    "text",
    ["", "8080", ":8080", "localhost", "localhost:", "localhost:x", "localhost:65536", "localhost:-1", "localhost:8_0",
     "localhost:²", "http:/localhost:1", "https://localhost:1", "tcp://localhost:1", "http://x@localhost:1", "a b:1",
     "localhost:1/path", "[]:1"],
)  # fmt: skip
def test_no_address(text):
    with pytest.raises(ConfigError, match=r"is no address to listen at; .* such as 127\.0\.0\.1:8080"):
        Address.parse(text, "http")


def test_addresses():
    assert Address.parse("http://localhost:0/", "http") == Address("localhost", 0)
    assert Address.parse("0.0.0.0:65535", "tcp") == Address("0.0.0.0", 65535)
    with pytest.raises(ConfigError, match=r"an IPv6 address needs brackets, such as \[::1\]:80"):
        Address.parse("::1:80", "http")


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("localhost", True), ("127.9.9.9", True), ("0.0.0.0", False)]
)
def test_which_addresses_are_of_this_machine_alone(host, expected):
    with Address(host, 0).listen() as listener:
        assert is_loopback(listener) is expected
        assert int(name_of(listener).rpartition(":")[2]) > 0


def test_addresses_where_nothing_can_listen():
    with Address("127.0.0.1", 0).listen() as first:
        port = first.getsockname()[1]
        with pytest.raises(DataError, match=rf"127\.0\.0\.1:{port}: the port is in use; stop the program"):
            Address("127.0.0.1", port).listen()
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:0: this machine has no such address"):
        Address("192.0.2.1", 0).listen()
    with pytest.raises(ConfigError, match=r"there is no host 'no-such-host\.invalid'"):
        Address("no-such-host.invalid", 0).listen()


def test_names_beyond_loopback():
    names = host_names("0.0.0.0", ["Kitchen.lan."], on_loopback=False)
    assert {"localhost", "kitchen.lan", socket.gethostname().lower()} <= names
    assert socket.gethostname().lower() not in host_names("127.0.0.1", [], on_loopback=True) - {"localhost"}


def test_names_of_models(tones, tmp_path):
    model = tones.served[0].model
    paths = [tmp_path / name for name in ("a-2.safetensors", "a.safetensors", "x/a.safetensors", "b/model.safetensors")]
    models = ServedModels.named([(path, model) for path in paths])
    assert [one.name for one in models.served] == ["a-2", "a", "a-3", "b"]
    assert len(models.words) == 8
    assert set(models.chosen(["a"])[0]) == {"a/high", "a/low"}
    assert models.chosen(["a/high", "c"])[1] == ["c"]
