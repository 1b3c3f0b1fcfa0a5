"""``audioconv data check``: what it writes, its exit codes and its sheet."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys

import pytest

from audioconv.datasets import Item, open_collection, write_manifest

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="needs the extra: pip install 'audioconv[plots]'"
)


def test_nothing_wrong(call, tones):
    answer = call("data", "check", tones)
    assert (answer.code, answer.err) == (0, "")
    rows = answer.out.splitlines()
    assert rows[1].split() == ["class", "files", "seconds", "dBFS"]
    assert rows[3].split()[:3] == ["high", "10", "0.25"]
    assert "20 recordings, 2 classes" in answer.out
    assert "lengths     0.25 to 0.25 s, half of them at most 0.25 s" in answer.out
    assert "rates       4,000 Hz" in answer.out
    assert rows[-1] == "nothing wrong"


def test_warnings_are_no_failure(call, tones):
    shutil.copy(tones / "high/0.wav", tones / "high/copy.wav")
    answer = call("data", "check", tones)
    assert answer.code == 0
    assert "warning: 1 recording is there more than once in a class" in answer.out
    assert f"  {tones}/high/0.wav, {tones}/high/copy.wav: same file\n" in answer.out
    assert answer.out.endswith("0 errors, 1 warning\n")


def test_errors_are_a_failure(call, tones):
    shutil.copy(tones / "high/0.wav", tones / "low/copy.wav")
    for n in range(12):
        (tones / f"low/bad{n:02}.wav").write_text("no sound")
    answer = call("data", "check", tones)
    assert answer.code == 1
    assert "error: 12 of 33 files cannot be read; mend or remove them\n" in answer.out
    assert "low/bad09.wav: not audio that can be read" in answer.out
    assert "low/bad10.wav" not in answer.out
    assert "  ... and 2 more; --json lists all\n" in answer.out
    assert "error: 1 recording has more than one label; keep each under the right one\n" in answer.out
    assert answer.out.endswith("2 errors, 0 warnings\n")


def test_json(call, tones):
    (tones / "low/bad.wav").write_text("no sound")
    answer = call("data", "check", tones, "--json")
    found = json.loads(answer.out)
    assert answer.code == 1
    assert found["path"] == str(tones)
    assert found["classes"] == {"high": {"none": 10}, "low": {"none": 11}}
    assert [error["kind"] for error in found["errors"]] == ["unreadable"]
    assert found["errors"][0]["files"][0]["path"] == str(tones / "low/bad.wav")
    assert found["warnings"] == []
    assert found["seconds"]["median"] == 0.25


def test_speakers_in_two_splits(call, tones):
    items = [
        Item(item.path, item.label, f"speaker {n % 3}", ("train", "test")[n % 2])
        for n, item in enumerate(open_collection(tones).items)
    ]
    write_manifest(tones / "list.csv", items)
    answer = call("data", "check", tones / "list.csv")
    assert answer.code == 1
    assert answer.out.splitlines()[1].split() == ["class", "files", "train", "test", "seconds", "dBFS"]
    assert "error: 3 of 3 speakers are in more than one split (speaker 0, speaker 1, speaker 2)" in answer.out
    assert "leave the column split empty" in answer.out
    assert "  speaker 0: train, test\n" in answer.out


def test_pictures(call, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs the extra: pip install 'audioconv[images]'")
    for label, level in (("dark", 10), ("light", 200)):
        (tmp_path / label).mkdir()
        for n in range(10):
            picture = image.new("L", (9, 8), level)
            picture.putpixel((n % 9, n % 8), level + n + 1)
            picture.save(tmp_path / f"{label}/{n}.png")
    answer = call("data", "check", tmp_path)
    assert answer.code == 0
    assert "sizes       8 x 9" in answer.out
    assert answer.out.splitlines()[1].split() == ["class", "files", "brightness"]
    assert answer.out.endswith("nothing wrong\n")


@needs_matplotlib
def test_plot(call, tones, tmp_path):
    answer = call("data", "check", tones, "--plot", tmp_path / "sheet.png")
    assert answer.code == 0
    assert f"picture     {tmp_path}/sheet.png\n" in answer.out
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be(call, tones, tmp_path, monkeypatch):
    assert call("data", "check").code == 2
    answer = call("data", "check", tmp_path / "nothing")
    assert (answer.code, "no such folder or manifest" in answer.error) == (1, True)
    answer = call("data", "check", tones, "--plot", tmp_path / "sheet.xls")
    assert (answer.code, "a picture's name ends in .png, .svg, .pdf" in answer.error) == (2, True)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    answer = call("data", "check", tones, "--plot", tmp_path / "sheet.png")
    assert (answer.code, answer.error) == (1, "drawing needs an optional part: pip install 'audioconv[plots]'")
