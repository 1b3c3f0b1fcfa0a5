"""``audioconv serve``: its options, its messages, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

from audioconv import Model
from audioconv import layers as L
from audioconv.serving.addresses import Address

TOKEN = "a-token-of-this-test-0123456789"
HTTP, WYOMING = ("--http", "127.0.0.1:0"), ("--wyoming", "tcp://127.0.0.1:0")


@pytest.fixture(autouse=True)
def with_extras(monkeypatch) -> None:
    for module in ("wyoming", "starlette", "uvicorn", "websockets"):
        pytest.importorskip(module, reason="needs the extras: pip install 'audioconv[serve,wyoming]'")
    monkeypatch.delenv("AUDIOCONV_TOKEN", raising=False)


def until_ready(process, count: int) -> dict[str, int]:
    """Return the ports of so many services, once the process has told them."""
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    ports = {}
    while len(ports) < count:
        line = process.stderr.readline().decode()
        assert line, "it has ended"
        if found := re.match(r"(\w+): \w+://127\.0\.0\.1:(\d+)$", line):
            ports[found[1]] = int(found[2])
    watchdog.cancel()
    return ports


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


# --- how it begins and ends ---


@pytest.mark.skipif(sys.platform == "win32", reason="ends by signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_services_with_0(spawn, trained, number):
    process = spawn("serve", trained, *HTTP, *WYOMING)
    ports = until_ready(process, 2)
    with socket.create_connection(("127.0.0.1", ports["wyoming"]), timeout=30) as client:
        client.sendall(b'{"type": "ping"}\n')
        assert b"pong" in client.recv(100)
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['http']}/health") as answer:
            assert answer.status == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.decode().splitlines()[-1]) == (0, b"", "stopped")
    assert b"Traceback" not in err


def test_ctrl_c_before_it_serves(call, trained, monkeypatch):
    def interrupted(_services: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("audioconv.serving.run.Services.warm_up", interrupted)
    answer = call("serve", trained, *HTTP)
    assert (answer.code, answer.out, answer.err) == (0, "", "")


# --- what it refuses ---


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "there is nothing to serve; give --wyoming tcp://127.0.0.1:10400 or --http 127.0.0.1:8080, or both"),
        (
            ["--http", "8080"],
            2,
            "'8080' is no address to listen at; expected a host and a port, such as 127.0.0.1:8080",
        ),
        (
            ["--wyoming", "udp://x:1"],
            2,
            "'udp://x:1' is no address to listen at; expected a host and a port, such as tcp",
        ),
        (["--http", "no-such-host.invalid:1"], 2, "no-such-host.invalid:1: there is no host"),
        (["--http", "192.0.2.1:0"], 2, "192.0.2.1:0: this machine has no such address"),
        ([*HTTP, "--zeroconf"], 2, "it announces the Wyoming service: give --wyoming as well"),
        ([*WYOMING, "--zeroconf"], 2, "--zeroconf: other machines cannot reach this address; listen at 0.0.0.0"),
        ([*HTTP, "--max-clients", "0"], 2, "Invalid value for '--max-clients'"),
        ([*HTTP, "--max-upload", "0"], 2, "Invalid value for '--max-upload'"),
        ([*HTTP, "--threshold", "0.5", "--false-accepts-per-hour", "1"], 2, "exclude each other; give one of them"),
        ([*HTTP, "--false-accepts-per-hour", "1"], 2, "--negatives"),
        ([*HTTP, "--hop", "-1"], 2, "hop"),
        (["--http", "0.0.0.0:0"], 2, "set AUDIOCONV_TOKEN, or give --token-file; 127.0.0.1 is for this machine alone"),
        ([*HTTP, "--token-file", "missing"], 1, "missing: the token cannot be read (No such file or directory)"),
    ],
)
def test_options_that_cannot_work(call, trained, options, code, message):
    answer = call("serve", trained, *options)
    assert message in answer.error
    assert (answer.code, answer.out) == (code, "")


@pytest.mark.parametrize(("option", "prefix"), [("--http", ""), ("--wyoming", "tcp://")])
def test_a_port_in_use(call, trained, option, prefix):
    with Address("127.0.0.1", 0).listen() as listener:
        port = listener.getsockname()[1]
        answer = call("serve", trained, option, f"{prefix}127.0.0.1:{port}")
    expected = f"127.0.0.1:{port}: the port is in use; stop the program that uses it, or choose another port"
    assert (answer.code, answer.error) == (1, expected)


@pytest.mark.parametrize(
    ("options", "module", "extra"),
    [
        (WYOMING, "wyoming", "wyoming"),
        ((*WYOMING, "--zeroconf"), "zeroconf", "wyoming"),
        *((HTTP, module, "serve") for module in ("starlette", "uvicorn", "websockets")),
    ],
)
def test_without_its_extra(call, trained, monkeypatch, options, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    answer = call("serve", trained, *options)
    expected = f"{options[0]} needs an optional part: pip install 'audioconv[{extra}]'"
    assert (answer.code, answer.error) == (1, expected)


def test_a_model_that_cannot_be_served(call, tmp_path):
    network = L.Chain([L.Conv(2, (3, 3)), L.GlobalAvgPool(), L.Dense(2)])
    shape = (8, 8, 1)
    Model(network, network.init(shape, np.random.default_rng(0)), ("a", "b"), shape).save(tmp_path / "p.safetensors")
    answer = call("serve", tmp_path / "p.safetensors", *HTTP)
    assert (answer.code, "the model is of pictures; a service needs words in sound" in answer.error) == (2, True)
    assert call("serve", tmp_path / "missing", *HTTP).code == 1


# --- the token ---


def test_a_short_token_is_refused_and_not_shown(call, trained, monkeypatch):
    monkeypatch.setenv("AUDIOCONV_TOKEN", "too-short-1234")
    answer = call("serve", trained, *HTTP)
    assert answer.code == 2
    assert answer.error.startswith("AUDIOCONV_TOKEN: a token is 16 to 1024 ASCII characters without spaces; make one: ")
    assert "too-short" not in answer.err


@pytest.mark.skipif(sys.platform == "win32", reason="ends by signal")
@pytest.mark.parametrize("by", ["file", "environment"])
def test_a_token_is_asked_for_and_never_written(spawn, trained, tmp_path, by):
    environment, options = dict(os.environ), []
    if by == "file":
        (tmp_path / "token").write_text(TOKEN + "\n")
        (tmp_path / "token").chmod(0o644)
        options = ["--token-file", tmp_path / "token"]
    else:
        environment["AUDIOCONV_TOKEN"] = TOKEN
    process = spawn("serve", trained, *HTTP, *options, env=environment)
    if by == "file":
        assert b"note: other users of this machine may read" in process.stderr.readline()
    url = f"http://127.0.0.1:{until_ready(process, 1)['http']}/models"
    for token, status in ((None, 401), ("x" + TOKEN, 401), (TOKEN, 200)):
        request = urllib.request.Request(url, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        assert status_of(request) == status
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert TOKEN.encode() not in out + err


def test_other_machines_are_told_of(spawn, trained):
    process = spawn("serve", trained, "--wyoming", "tcp://0.0.0.0:0")
    assert (
        process.stderr.readline() == b"note: other machines reach the Wyoming service, and its protocol has no tokens\n"
    )
