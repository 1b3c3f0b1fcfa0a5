"""Downloads from a real server on loopback that behaves, and from ones that do not."""

from __future__ import annotations

import email.utils
import errno
import hashlib
import re
import socket
import time
from types import SimpleNamespace

import numpy as np
import pytest

from audioconv.datasets.download import http, transfer
from audioconv.datasets.download.http import Patience, download
from audioconv.datasets.download.transfer import display_url
from audioconv.errors import ConfigError, DataError

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(attempts=3, first_wait=0.01, longest_wait=0.02, timeout=5)
ETAG = '"v1"'


def answer(*, ranges=True, etag=ETAG, body=CONTENT, cut=None, length=True, chunked=False):
    """Return an answer with `body`, which obeys range requests, ends after `cut` bytes, or hides its length."""

    def respond(handler):
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        condition = handler.headers.get("If-Range")
        start = int(wanted[1]) if ranges and wanted and condition in (None, etag) else None
        if start is not None and start >= len(body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(body)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        part = body[start or 0 :]
        handler.send_response(200 if start is None else 206)
        if start is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if etag:
            handler.send_header("ETag", etag)
        if chunked:
            handler.protocol_version = "HTTP/1.1"
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            part = part[:cut]
            handler.wfile.write(b"%x\r\n" % len(part) + part + b"\r\n" + (b"" if cut else b"0\r\n\r\n"))
            handler.close_connection = True
            return
        if length:
            handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.wfile.write(part[:cut])

    return respond


def refuse(code, **headers):
    def respond(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return respond


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_plain(tmp_path, serve):
    server = serve(CONTENT, answer())
    steps = []
    download(server.url, tmp_path / "a", progress=lambda done, total: steps.append((done, total)))
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert left(tmp_path) == ["a"]
    assert steps[0] == (0, len(CONTENT))
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert server.requests[0]["User-Agent"].startswith("audioconv/")


@pytest.mark.parametrize("options", [{"length": False}, {"chunked": True}, {"etag": None}])
def test_a_server_that_tells_less(tmp_path, serve, options):
    download(serve(CONTENT, answer(**options)).url, tmp_path / "a", size=len(CONTENT), sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_body_cut_off_is_continued(tmp_path, serve):
    server = serve(CONTENT, answer(cut=300_000), answer(cut=200_000), answer())
    download(server.url, tmp_path / "a", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [request["Range"] for request in server.requests] == [None, "bytes=300000-", "bytes=500000-"]
    assert server.requests[1]["If-Range"] == ETAG


def test_a_chunked_body_cut_off_is_noticed(tmp_path, serve):
    server = serve(CONTENT, answer(chunked=True, cut=300_000), answer())
    download(server.url, tmp_path / "a", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_always_cut_off_gives_up_and_the_next_call_goes_on(tmp_path, serve):
    broken = serve(CONTENT, answer(cut=300_000), answer(cut=0))
    with pytest.raises(DataError, match=r"ended after 300000 of 700000 bytes, in 3 attempts; .* the 300000 bytes"):
        download(broken.url, tmp_path / "a", patience=QUICK)
    assert left(tmp_path) == ["a.part", "a.part.json"]
    server = serve(CONTENT, answer())
    download(server.url, tmp_path / "a", sha256=SHA256)
    assert [request["Range"] for request in server.requests] == ["bytes=300000-"]
    assert left(tmp_path) == ["a"]


def test_a_server_that_ignores_ranges(tmp_path, serve):
    server = serve(CONTENT, answer(cut=300_000), answer(ranges=False))
    download(server.url, tmp_path / "a", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_and_cuts_off_does_not_go_on_forever(tmp_path, serve):
    server = serve(CONTENT, answer(cut=300_000, ranges=False))
    with pytest.raises(DataError, match="in 3 attempts"):
        download(server.url, tmp_path / "a", patience=QUICK)
    assert len(server.requests) == 4


def test_other_content_since_starts_over(tmp_path, serve):
    new = CONTENT[::-1]
    server = serve(CONTENT, answer(cut=300_000), answer(body=new, etag='"v2"'))
    download(server.url, tmp_path / "a", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == new


@pytest.mark.parametrize("fault", ["etag", "total", "start"])
def test_the_rest_of_something_else_is_thrown_away(tmp_path, serve, fault):
    def wrong_rest(handler):
        handler.send_response(206)
        start = 300_000 if fault != "start" else 1000
        rest = b"x" * (400_000 if fault != "total" else 500_000)
        handler.send_header("Content-Range", f"bytes {start}-{start + len(rest) - 1}/{start + len(rest)}")
        handler.send_header("ETag", ETAG if fault != "etag" else '"v2"')
        handler.send_header("Content-Length", str(len(rest)))
        handler.end_headers()
        handler.wfile.write(rest)

    server = serve(CONTENT, answer(cut=300_000), wrong_rest, answer())
    download(server.url, tmp_path / "a", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.requests[2]["Range"] is None


def test_without_etag_only_a_checksum_allows_to_go_on(tmp_path, serve):
    server = serve(CONTENT, answer(etag=None, cut=300_000), answer(etag=None))
    download(server.url, tmp_path / "a", patience=QUICK)
    assert server.requests[1]["Range"] is None

    server = serve(CONTENT, answer(etag=None, cut=300_000), answer(etag=None))
    download(server.url, tmp_path / "b", sha256=SHA256, patience=QUICK)
    assert server.requests[1]["Range"] == "bytes=300000-"
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_a_bad_beginning_is_fetched_again(tmp_path, serve):
    (tmp_path / "a.part").write_bytes(b"x" * 1000)
    server = serve(CONTENT, answer())
    download(server.url, tmp_path / "a", sha256=SHA256)
    assert [request["Range"] for request in server.requests] == ["bytes=1000-", None]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_that_is_complete_already(tmp_path, serve):
    (tmp_path / "a.part").write_bytes(CONTENT)
    download(serve(CONTENT, answer()).url, tmp_path / "a", sha256=SHA256)
    assert left(tmp_path) == ["a"]


def test_a_part_that_is_too_long(tmp_path, serve):
    (tmp_path / "a.part").write_bytes(CONTENT + b"x")
    download(serve(CONTENT, answer()).url, tmp_path / "a", sha256=SHA256, patience=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"sha256": "0" * 64}, f"the content is not what was expected .*{SHA256}, not 0000"),
        ({"size": 5}, "has 700000 bytes where 5 were expected"),
        ({"size": 700_001}, "has 700000 bytes where 700001 were expected"),
    ],
)
def test_wrong_content(tmp_path, serve, expected, message):
    (tmp_path / "a").write_bytes(b"good")
    server = serve(CONTENT, answer())
    with pytest.raises(DataError, match=message):
        download(server.url, tmp_path / "a", patience=QUICK, **expected)
    assert (tmp_path / "a").read_bytes() == b"good"
    assert left(tmp_path) == ["a"]
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [5, 700_001])
def test_wrong_length_that_the_server_does_not_tell(tmp_path, serve, size):
    with pytest.raises(DataError, match=f"bytes came where {size} were expected"):
        download(serve(CONTENT, answer(length=False)).url, tmp_path / "a", size=size)
    assert left(tmp_path) == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_busy_servers_are_asked_again(tmp_path, serve, code, caplog):
    server = serve(CONTENT, refuse(code), refuse(code), answer())
    download(server.url + "?signature=secret", tmp_path / "a", patience=QUICK)
    assert len(server.requests) == 3
    assert caplog.text.count(f"/files/data.bin: the server answers {code} (") == 2
    assert "; trying again in 0 s" in caplog.text
    assert "secret" not in caplog.text


def test_waiting_doubles_and_obeys_the_server(tmp_path, serve, monkeypatch):
    waits = []
    monkeypatch.setattr(http.time, "sleep", waits.append)
    later = email.utils.formatdate(time.time() + 30, usegmt=True)
    server = serve(
        CONTENT, refuse(503), refuse(503), refuse(429, Retry_After="7"), refuse(503, Retry_After=later),
        refuse(503, Retry_After="3600"), refuse(503, Retry_After="soon"), answer(),
    )  # fmt: skip
    download(server.url, tmp_path / "a", patience=Patience(attempts=7, first_wait=1, longest_wait=60))
    assert waits[:3] == [1, 2, 7]
    assert 25 < waits[3] <= 30
    assert waits[4:] == [60, 32]


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_refusal_is_final(tmp_path, serve, code):
    server = serve(CONTENT, refuse(code))
    with pytest.raises(DataError, match=rf"data\.bin: the server answers {code} \("):
        download(server.url, tmp_path / "a", patience=QUICK)
    assert len(server.requests) == 1
    assert left(tmp_path) == []


def test_nobody_there(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        url = f"http://127.0.0.1:{closed_again.getsockname()[1]}/data.bin"
    with pytest.raises(DataError, match=r"the connection failed \(.*\), in 3 attempts"):
        download(url, tmp_path / "a", patience=QUICK)


def test_a_server_that_falls_silent(tmp_path, serve):
    def stall(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.5)

    server = serve(CONTENT, stall, answer())
    download(server.url, tmp_path / "a", patience=Patience(attempts=2, first_wait=0.01, timeout=0.2))
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_slow_trickle_is_waited_for(tmp_path, serve):
    """A server may take longer than the patience with silence, as long as something comes."""

    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        step = len(CONTENT) // 20 + 1
        for begin in range(0, len(CONTENT), step):
            handler.wfile.write(CONTENT[begin : begin + step])
            handler.wfile.flush()
            time.sleep(0.03)

    server = serve(CONTENT, trickle)
    shown = []
    download(
        server.url, tmp_path / "a", progress=lambda done, _total: shown.append(done),
        patience=Patience(attempts=1, first_wait=0.01, timeout=0.4),
    )  # fmt: skip
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_redirects_are_followed_but_not_away_from_https(tmp_path, serve):
    target = serve(CONTENT, answer())
    server = serve(CONTENT, refuse(302, Location=target.url))
    download(server.url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT

    request = transfer.urllib.request.Request("https://example.org/a?key=secret")
    with pytest.raises(DataError, match=r"^https://example.org/a: refused"):
        transfer._SafeRedirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/b")


def test_certificates_are_checked(tmp_path, serve, monkeypatch):
    error = transfer.ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"

    def fail(*_args, **_options):
        raise transfer.urllib.error.URLError(error)

    monkeypatch.setattr(transfer.urllib.request.OpenerDirector, "open", fail)
    with pytest.raises(DataError, match=r"certificate cannot be verified \(self-signed certificate\)"):
        download("https://example.org/a", tmp_path / "a")


def test_room_is_looked_for_before_anything_is_written(tmp_path, serve, monkeypatch):
    free = transfer.RESERVE + len(CONTENT)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free - 1))
    server = serve(CONTENT, answer())
    with pytest.raises(
        DataError, match=r"has 0\.2 GB free, and http.*data\.bin needs 0\.0 GB more; make room, or choose"
    ):
        download(server.url, tmp_path / "a", size=len(CONTENT))
    assert left(tmp_path) == []
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free))
    download(server.url, tmp_path / "a", size=len(CONTENT))
    assert left(tmp_path) == ["a"]


def test_only_what_is_missing_needs_room(tmp_path, serve, monkeypatch):
    free = [transfer.RESERVE + len(CONTENT), transfer.RESERVE + len(CONTENT) - 600_000]
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free.pop(0)))
    download(serve(CONTENT, answer(cut=600_000), answer()).url, tmp_path / "a", patience=QUICK)
    assert free == []
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_disk_full(tmp_path, serve, monkeypatch):
    (tmp_path / "a").write_bytes(b"good")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer.os, "fsync", full)
    with pytest.raises(DataError, match=r"a\.part: could not be written \(No space left on device\)"):
        download(serve(CONTENT, answer()).url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"good"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "data.bin"])
def test_only_http(tmp_path, url):
    with pytest.raises(ConfigError, match="https or http"):
        download(url, tmp_path / "a")


def test_shown_addresses_have_no_secrets():
    assert display_url("https://me:pw@example.org:8/a/b?X-Signature=123#x") == "https://example.org:8/a/b"
