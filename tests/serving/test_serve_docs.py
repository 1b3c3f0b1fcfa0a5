"""The examples of docs/serve.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sandbox
import soundfile
from services import in_thread
from streams import RATE, recording

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the scripts are not beside the tests")

SAID = [("high", 0.5), ("low", 1.6)]


@pytest.fixture(autouse=True)
def interview(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("interview.wav", "clip.wav"):
        soundfile.write(name, recording(SAID, 2.5), RATE, subtype="PCM_16")
    soundfile.write("interview.mp3", recording(SAID, 2.5, 16000), 16000)


def test_the_python_example(tones, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    with in_thread(tones) as running:
        assert "127.0.0.1:8080" in code
        exec(compile(code.replace("127.0.0.1:8080", f"127.0.0.1:{running.http}"), PAGE.name, "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [label for label, _ in SAID]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the scripts are for bash on Unix")
def test_the_examples_with_curl(tones):
    commands = re.findall(r"^curl --data-binary @\w+\.\w+ .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(commands) == 2
    with in_thread(tones) as running:
        for command in commands:
            line = command.replace("127.0.0.1:8080", f"127.0.0.1:{running.http}").replace(
                "model=kitchen", "model=tones"
            )
            done = subprocess.run(
                ["bash", "-c", f"{line} --silent --fail --noproxy '*'"], capture_output=True, check=True
            )
            assert b'"detections":[{"label":"high"' in done.stdout


@pytest.fixture
def commands(tones_file, tmp_path) -> dict[str, str]:
    """Lay out the models of the page, and programs; return the variables of a process that finds them."""
    for name in ("model", "lights", "kitchen"):
        (tmp_path / name).mkdir()
        shutil.copy(tones_file, tmp_path / name / "model.safetensors")
    for name, module in (("audioconv", " -m audioconv"), ("python", "")):
        sandbox.add_command(tmp_path / "bin" / name, f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
    return sandbox.environment(tmp_path)


def with_free_ports(line: str) -> str:
    return re.sub(r":(10400|8080)\b", ":0", line)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for bash on Unix")
def test_the_services_start_and_stop(commands, tmp_path):
    (block,) = [code for _, _, code in sandbox.FENCE.findall(PAGE.read_text("utf-8")) if "--zeroconf" in code]
    lines = block.splitlines()
    assert len(lines) == 3
    for line in lines:
        count = len(re.findall(r"--(?:wyoming|http) ", line))
        told = sandbox.serve(
            with_free_ports(line), r"\w+://[\d.]+:\d+$", count=count, folder=tmp_path, environment=commands
        )
        assert "stopped" in told


@pytest.mark.skipif(shutil.which("curl") is None, reason="the scripts are for bash on Unix")
def test_a_request_with_a_token(commands, tmp_path):
    (block,) = [code for _, _, code in sandbox.FENCE.findall(PAGE.read_text("utf-8")) if "--token-file" in code]
    make, serve, ask = block.splitlines()
    subprocess.run(["bash", "-c", make], env=commands, check=True)
    assert os.stat("token").st_mode & 0o077 == 0

    def meet(address: re.Match[str]) -> None:
        line = ask.replace("192.168.1.20:8080", f"127.0.0.1:{address[1]}")
        done = subprocess.run(["bash", "-c", f"{line} --silent --fail --noproxy '*'"], capture_output=True, check=True)
        assert b'"detections":[{"label":"high"' in done.stdout

    sandbox.serve(with_free_ports(serve), r"http://[\d.]+:(\d+)", meet, folder=tmp_path, environment=commands)
