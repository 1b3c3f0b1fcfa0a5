"""docs/convolution.md: its code gives what it says, and its pictures show what is computed today."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "convolution.md"
IMAGES = ROOT / "docs" / "images"


def check(*arguments):
    command = [sys.executable, str(ROOT / "scripts" / "draw_convolution"), "--check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_code_runs():
    failures, tests = doctest.testfile(str(PAGE), module_relative=False)
    assert tests > 10
    assert not failures


def test_every_picture_is_shown_and_small():
    pictures = {
        path.name for path in IMAGES.glob("*.png") if not path.name.startswith(("explain-", "lab-", "report-", "web-"))
    }
    assert set(re.findall(r"\]\(images/([^)]+)\)", PAGE.read_text("utf-8"))) == pictures
    for name in pictures:
        assert (IMAGES / name).stat().st_size < 150_000, name


@pytest.mark.slow
def test_the_pictures_are_those_that_the_script_draws():
    pytest.importorskip("matplotlib")
    done = check()
    assert done.returncode == 0, done.stderr


def test_an_unknown_picture_is_refused():
    pytest.importorskip("matplotlib")
    done = check("stride")
    assert done.returncode == 2
    assert "no picture is called stride" in done.stderr


def test_another_picture_is_noticed(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from drawing import canvas

    numbers = np.linspace(0, 1, 100).reshape(10, 10)
    path = tmp_path / "some.png"
    assert canvas.differences(path, {"numbers": numbers}) == ["some.png: is missing"]
    canvas.Canvas(40, 40).save(path, {"numbers": numbers})
    assert canvas.differences(path, {"numbers": numbers + 1e-6}) == []
    assert canvas.differences(path, {"numbers": numbers.T}) == ["some.png: numbers has changed"]
    assert canvas.differences(path, {"other": numbers}) == ["some.png: shows numbers, not other"]
