"""The command: addresses, certificates, its end."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
import sys

import httpx
import labs
import pytest
from labs import until

from audioconv.cli import lab as command
from audioconv.errors import DataError
from audioconv.serving.addresses import Address


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


def test_the_next_free_port_is_taken_unless_one_is_asked_for(monkeypatch):
    with Address("127.0.0.1", 0).listen() as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(command, "PORT", port)
        with command._listen("127.0.0.1", None) as listener:
            assert port < listener.getsockname()[1] < port + command.TRIED_PORTS
        with pytest.raises(DataError, match="the port is in use"):
            command._listen("127.0.0.1", port)


def test_the_browser_opens_the_address(monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    command._open("http://127.0.0.1:1/#token=x")
    until(lambda: opened == ["http://127.0.0.1:1/#token=x"])


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    done = run(str(tmp_path / "file"), "--no-browser", "--port", "0")
    assert done.returncode == 1
    assert "the folder cannot be made" in done.stderr
