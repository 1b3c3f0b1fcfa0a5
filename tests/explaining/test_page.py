"""docs/explaining.md: its code gives what it says, and its pictures are there."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from audioconv import Model, architectures
from audioconv.audio import LogMel

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explaining.md"
IMAGES = ROOT / "docs" / "images"


def test_the_code_runs():
    failures, tests = doctest.testfile(str(PAGE), module_relative=False)
    assert tests > 8
    assert not failures


def test_the_code_for_programs_runs(tmp_path, monkeypatch, rng):
    pytest.importorskip("matplotlib")
    front_end = LogMel()
    network, shape = architectures.build("cnn", 2), (*front_end.out_shape(16000), 1)
    (tmp_path / "model").mkdir()
    model = Model(network, network.init(shape, rng), ("yes", "no"), shape, front_end, 16000)
    model.save(tmp_path / "model/model.safetensors")
    soundfile.write(tmp_path / "clip.wav", rng.uniform(-0.5, 0.5, 16000), 16000)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(PAGE), "exec"), {})
    assert (tmp_path / "clip.svg").exists()


def test_every_picture_is_shown_and_small():
    pictures = {path.name for path in IMAGES.glob("explain-*.png")}
    assert set(re.findall(r"\]\(images/([^)]+)\)", PAGE.read_text("utf-8"))) == pictures
    for name in pictures:
        assert (IMAGES / name).stat().st_size < 300_000, name


def test_the_script_says_what_it_lacks(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.delenv("AUDIOCONV_TEST_DATA", raising=False)
    for arguments, message in ([], "AUDIOCONV_TEST_DATA must name"), (["words"], "no picture is called words"):
        command = [sys.executable, str(ROOT / "scripts" / "draw_explaining"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert message in done.stderr
