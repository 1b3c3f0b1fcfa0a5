"""The examples of docs/serve.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
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
