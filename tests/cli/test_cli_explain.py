"""``audioconv explain``."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
from tones import write_tone

from audioconv import Classifier, Model
from audioconv.decision.decision import Decision
from audioconv.explaining import explain


def test_what_is_said(call, trained, tones):
    answer = call("explain", trained, tones / "high/0.wav")
    assert (answer.code, answer.err) == (0, "")
    first, *others = answer.out.splitlines()
    prediction = Classifier.load(trained / "model.safetensors").predict(tones / "high/0.wav")[0]
    assert first.startswith(f"\u201c{prediction.label}\u201d, ")
    assert others[0] == f"what speaks most for \u201c{prediction.label}\u201d:"
    assert " Hz" in others[1]


def test_json_is_what_explain_says(call, model, tones, tmp_path):
    pytest.importorskip("matplotlib")
    path, picture = tones / "high/0.wav", tmp_path / "out.png"
    found = json.loads(call("explain", model, path, "--json", "-o", picture).out)
    assert found == {"path": str(path), **explain(Model.load(model), path).to_json(), "picture": str(picture)}
    prediction = Classifier.load(model).predict(path)[0]
    assert (found["label"], found["score"], found["accepted"]) == (
        prediction.label,
        prediction.score,
        prediction.accepted,
    )
    assert found["scores"] == prediction.scores
    assert 0 <= found["region"]["begin_seconds"] < found["region"]["end_seconds"] <= 0.25
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_another_label_than_the_answer(call, model, tones):
    path = tones / "high/0.wav"
    both = {
        label: json.loads(call("explain", model, path, "--json", "--label", label).out) for label in ("high", "low")
    }
    assert both["high"]["label"] == both["low"]["label"]
    assert [both[label]["explained"] for label in both] == ["high", "low"]
    assert both["high"]["evidence_bits"] == pytest.approx(-both["low"]["evidence_bits"])


def test_none_of_these(call, model, tones):
    loaded = Model.load(model)
    dataclasses.replace(loaded, decision=Decision(threshold=1.0)).save(model)
    answer = call("explain", model, tones / "high/0.wav")
    found = json.loads(call("explain", model, tones / "high/0.wav", "--json").out)
    assert answer.code == 0
    assert not found["accepted"]
    assert answer.out.startswith(f"none of these (nearest: \u201c{found['nearest']}\u201d, ")


def test_pictures_of_a_picture(call, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    for label, grey in (("dark", 30), ("light", 220)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for n in range(6):
            image.new("L", (12, 10), grey + n).save(tmp_path / "pictures" / label / f"{n}.png")
    assert call("train", tmp_path / "pictures", "-o", tmp_path / "out", "--epochs", 2).code == 0
    shown = tmp_path / "pictures/dark/0.png"
    answer = call("explain", tmp_path / "out", shown, "-o", tmp_path / "sheet.svg", "--layers", 2)
    assert answer.code == 0
    assert (tmp_path / "sheet.svg").read_bytes().startswith(b"<?xml")


# --- what cannot be ---


def test_a_label_that_the_model_does_not_have(call, trained, tones):
    answer = call("explain", trained, tones / "high/0.wav", "--label", "middle")
    assert (answer.code, answer.error) == (2, "the model has no label 'middle'; it has high, low")


def test_a_picture_of_another_kind(call, trained, tones, tmp_path):
    answer = call("explain", trained, tones / "high/0.wav", "-o", tmp_path / "out.jpg")
    assert (answer.code, answer.error) == (2, f"{tmp_path}/out.jpg: a picture's name ends in .png, .svg, .pdf")


def test_without_matplotlib(call, trained, tones, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    answer = call("explain", trained, tones / "high/0.wav", "-o", tmp_path / "out.png")
    assert (answer.code, answer.error) == (1, "drawing needs an optional part: pip install 'audioconv[plots]'")
    assert call("explain", trained, tones / "high/0.wav").code == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.wav", None, "cannot be read (No such file"),
        ("text.wav", b"no sound", "not audio"),
        ("no.wav", b"", "is empty"),
    ],
)
def test_a_bad_file_is_one_line(call, trained, tmp_path, name, content, message):
    pytest.importorskip("matplotlib")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    picture = tmp_path / "out.png"
    answer = call("explain", trained, tmp_path / name, "-o", picture)
    assert (answer.code, answer.out) == (1, "")
    assert answer.error.startswith(f"{tmp_path / name}: ")
    assert message in answer.error
    assert not picture.exists()


def test_a_bad_model_is_one_line(call, model, tones):
    model.write_text("this is no model")
    answer = call("explain", model, tones / "high/0.wav")
    assert (answer.code, answer.error.startswith(f"{model}: not a safetensors file")) == (1, True)


def test_a_picture_that_cannot_be_written(call, trained, tones, tmp_path):
    pytest.importorskip("matplotlib")
    answer = call("explain", trained, tones / "high/0.wav", "-o", tmp_path / "nowhere/out.png")
    assert (answer.code, "could not be written" in answer.error) == (1, True)


def test_names_cannot_move_the_cursor(call, trained, tmp_path):
    path = write_tone(tmp_path / "\x1b[2J.wav", 300)
    assert "\x1b" not in call("explain", trained, path).out
