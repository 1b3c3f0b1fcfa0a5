"""Each tutorial from its first command to its last, on real recordings and pictures."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import documentation
import material
import pytest
import sandbox

from audioconv.recipe import speech_embedding

pytestmark = [pytest.mark.slow, pytest.mark.long]

TUTORIALS = sorted(
    page for page in documentation.PAGES if page.startswith("tutorials/") and page != "tutorials/index.md"
)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Return a folder whose `audioconv` is this package, and let this process work in it."""
    for name, module in (("audioconv", " -m audioconv"), ("python", "")):
        sandbox.add_command(tmp_path / "bin" / name, f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{sandbox.ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def follow(page: str) -> dict[str, str]:
    """Run the blocks of a page in order, the code in one namespace; return what each command wrote."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    written = {}
    for block in documentation.runnable(page, "bash", "python"):
        if block.language == "python":
            exec(compile(block.code, f"{page}:{block.line}", "exec"), namespace)
        elif "audioconv serve" in block.code:
            written[block.code] = sandbox.serve(block.code, "tcp://")
        elif "http.server" in block.code:
            written[block.code] = sandbox.open_pages(f"{block.code.strip()} 0", Path(), os.environ)
        else:
            typed = material.answers(Path()) if "audioconv review" in block.code else ""
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.code], input=typed, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{page}:{block.line}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr
            written[block.code] = done.stdout + done.stderr
    return written


def one(written: dict[str, str], part: str) -> str:
    """Return what the command with this part wrote."""
    (found,) = [text for command, text in written.items() if part in command]
    return found


def test_all_tutorials_are_here():
    tested = {
        re.sub(r"test_|_", lambda sign: "" if sign[0] == "test_" else "-", name)
        for name in globals()
        if "test_" in name
    }
    assert {Path(page).stem for page in TUTORIALS} <= tested


def test_wake_word(reader, test_data, mirror, monkeypatch):
    for module in ("wyoming", "onnxruntime"):
        pytest.importorskip(module)
    if speech_embedding.locate() is None:
        pytest.skip("needs the package pyopen-wakeword, which carries a real network")
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(material.wake_word(reader, test_data, mirror)))
    written = follow("tutorials/wake-word.md")
    detected = len(re.findall(r"\d:\d\d\.\d\d .* computer ", one(written, "audioconv detect model evening.flac")))
    assert detected >= 15  # of 20
    assert "20 labelled words" in one(written, "--long evening.flac")
    assert (reader / "better" / "model.safetensors").is_file()
    assert sorted(path.name for path in (reader / "heads").glob("*.onnx")) == ["computer.onnx"]


def test_three_languages(reader, mirror):
    pytest.importorskip("espeakng_loader")
    written = follow("tutorials/three-languages.md")
    assert "stop" in one(written, "audioconv classify english")
    assert (reader / "data" / "fsdd" / "words.csv").is_file()


def test_long_recordings(reader, test_data):
    material.yard(reader, test_data)
    written = follow("tutorials/long-recordings.md")
    assert "20 labelled words" in one(written, "--long yard/friday.flac")
    with open("found.csv", newline="") as file:
        found = [row["label"] for row in csv.DictReader(file)]
    assert {"rooster", "chainsaw"} <= set(found)


def test_pictures(reader, test_data):
    pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    shutil.copy(test_data / "mnist" / "mnist.npz", "mnist.npz")
    written = follow("tutorials/pictures.md")
    accuracy = re.search(r"accuracy (\d+\.\d)%", one(written, "audioconv evaluate photo-model"))
    assert float(accuracy[1]) > 85
    assert (reader / "digit.png").stat().st_size > 10000


def test_own_layer(reader, mirror):
    follow("tutorials/own-layer.md")


def test_pytorch_to_browser(reader, mirror):
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    written = follow("tutorials/pytorch-to-browser.md")
    assert "0.weight" in one(written, "info digits.pt")
    assert (reader / "page" / "index.html").is_file()
