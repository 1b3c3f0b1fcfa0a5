"""``audioconv evaluate``: tables for a person, JSON for a program, a page to look at."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tones import RATE, TONES, TRAINING, write_tone

from audioconv import Classifier, Model
from audioconv.decision.decision import Decision
from audioconv.streaming import read_labels, score_recordings


@pytest.fixture
def careful(model):
    """Return the model's file with a threshold."""
    loaded = Model.load(model)
    dataclasses.replace(loaded, decision=Decision(1.0, 0.6, 0.05)).save(model)
    return model


@pytest.fixture
def strangers(tmp_path):
    """Return a folder with recordings of another tone, one of them three clips long."""
    for n in range(3):
        write_tone(tmp_path / f"strangers/{n}.wav", 700, phase=n)
    write_tone(tmp_path / "strangers/long.wav", 700, seconds=0.75)
    return tmp_path / "strangers"


def test_evaluate_json(call, model, trained_on):
    found = json.loads(call("evaluate", model, trained_on, "--split", "test", "--json").out)
    assert set(found["per_class"]["high"]) == {"count", "precision", "recall", "f1"}
    assert found["count"] == 6
    assert found["classes"] == ["high", "low"]
    assert set(found.pop("speed")) == {"milliseconds", "slow_milliseconds", "per_second", "batch", "processor", "cores"}
    assert found == Classifier.load(model).evaluate(trained_on, split="test").to_json()


def test_evaluate_tables(call, model, trained_on):
    answer = call("evaluate", model, trained_on, "--split", "test")
    assert (answer.code, answer.err) == (0, "")
    assert "precision" in answer.out
    assert "is / taken for   high   low" in answer.out
    assert " of 6 right\n" in answer.out


def test_evaluate_says_that_rows_were_trained_on(call, model, trained_on):
    assert call("evaluate", model, trained_on).err.startswith("note: these are all rows")


def test_evaluate_takes_folders_called_like_splits_for_splits(call, model, tones, tmp_path):
    for split in ("train", "Testing"):
        shutil.copytree(tones, tmp_path / "data" / split)
    answer = call("evaluate", model, tmp_path / "data", "--split", "test")
    assert answer.code == 0
    assert answer.err == "note: the folders train and Testing are splits (Testing: test)\n"
    assert " of 20 right\n" in answer.out
    (tmp_path / "data" / "extra").mkdir()
    shutil.copy(tones / "low/1.wav", tmp_path / "data/extra/1.wav")
    answer = call("evaluate", model, tmp_path / "data", "--split", "test")
    assert answer.code == 1
    assert "but the folder extra beside it is no split" in answer.error


def test_evaluate_lists_unreadable_files(call, model, tones):
    (tones / "high/text.wav").write_text("no sound")
    answer = call("evaluate", model, tones, "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["count"] == 20
    assert answer.err.startswith("1 of 21 files could not be read:")
    assert call("evaluate", model, tones, "--strict").code == 1


def test_a_split_that_is_none(call, model, trained_on):
    answer = call("evaluate", model, trained_on, "--split", "exam")
    assert (answer.code, "'exam' is not one of train, validation, test" in answer.error) == (2, True)
    assert call("evaluate", model, trained_on, "--split", "validation").code == 1


def test_labels_that_the_model_does_not_know(call, model, tmp_path):
    write_tone(tmp_path / "data/middle/1.wav", 700)
    answer = call("evaluate", model, tmp_path / "data")
    assert answer.code == 1
    assert "labels that the model does not know: 'middle'; it knows high, low" in answer.error


def test_a_wide_confusion_matrix(call, tmp_path, monkeypatch):
    """Where heads do not fit, numbers stand for them; where these do not fit either, mistakes are listed."""
    for n in range(30):
        for clip in range(3):
            write_tone(tmp_path / f"data/a rather long label {n:02}/{clip}.wav", 100 + 50 * n, phase=clip)
    assert call("train", tmp_path / "data", "-o", tmp_path / "out", *TRAINING).code == 0
    monkeypatch.setenv("COLUMNS", "1000")
    wide = call("evaluate", tmp_path / "out", tmp_path / "data").out
    assert wide.count("a rather long label 07") == 3
    monkeypatch.setenv("COLUMNS", "240")
    assert "\n 8 a rather long label 07" in call("evaluate", tmp_path / "out", tmp_path / "data").out
    monkeypatch.setenv("COLUMNS", "80")
    narrow = call("evaluate", tmp_path / "out", tmp_path / "data").out
    assert "is" in narrow
    assert "taken for" in narrow
    tables = narrow.partition("accuracy")[0]
    assert max(map(len, tables.splitlines())) <= 80


def test_the_threshold_on_negatives(call, careful, trained_on, strangers):
    answer = call("evaluate", careful, trained_on, "--split", "test", "--negatives", strangers)
    assert (answer.code, answer.err) == (0, "")
    assert "at the threshold of 60.0%:" in answer.out
    assert re.search(r"of 6 strangers\b", answer.out), "the long one is three clips"
    assert "words against negatives, at other thresholds:" in answer.out
    for line in ("interval", "curve", "calibration", "speed"):
        assert re.search(rf"^{line} +\S", answer.out, re.MULTILINE)


def test_json_has_everything(call, careful, trained_on, strangers):
    command = ["evaluate", careful, trained_on, "--split", "test", "--negatives", strangers, "--json"]
    found = json.loads(call(*command).out)
    assert found["decision"]["threshold"] == 0.6
    assert found["false_accepts"]["whole"] == 6
    assert found["false_accepts_by_name"]["strangers"] == found["false_accepts"]
    assert sum(found["at_threshold"][name] for name in ("right", "wrong", "rejected")) == 6
    assert found["detection"]["against"] == "negatives"
    assert found["detection"]["chosen"]["false_accepts"] == found["false_accepts"]
    assert sum(bin["right"]["whole"] for bin in found["calibration"]["bins"]) == 6
    assert found["data"]["negatives"] == {"strangers": 4}
    assert found["data"]["outsiders"] == found["data"]["negatives"]  # its former key


def test_without_negatives_words_are_compared_with_each_other(call, model, trained_on):
    answer = call("evaluate", model, trained_on, "--split", "test")
    assert "the model has no threshold:" in answer.out
    assert "words against other words" in answer.out


def test_negatives_several_times_and_unreadable_ones(call, careful, trained_on, strangers):
    (strangers / "text.wav").write_text("no sound")
    options = ["--negatives", strangers, "--negatives", strangers / "0.wav"]
    answer = call("evaluate", careful, trained_on, "--split", "test", *options, "--json")
    found = json.loads(answer.out)
    assert {name: share["whole"] for name, share in found["false_accepts_by_name"].items()} == {
        "strangers": 6, "0.wav": 1,
    }  # fmt: skip
    assert answer.err.startswith("1 of 14 files could not be read:")
    assert len(found["unreadable"]) == 1


def test_a_class_that_is_no_word_is_outside(call, careful, tones):
    write_tone(tones / "_silence_/0.wav", 5000, phase=1)
    found = json.loads(call("evaluate", careful, tones, "--json").out)
    assert found["count"] == 20
    assert found["false_accepts_by_name"]["_silence_"]["whole"] == 1


def test_a_report(call, careful, trained_on, strangers, tmp_path):
    page = tmp_path / "report.html"
    command = ["evaluate", careful, trained_on, "--split", "test", "--negatives", strangers, "--report", page]
    answer = call(*command)
    assert answer.code == 0
    assert re.search(r"^report +\S+report.html \(\d+ kB\)$", answer.out, re.MULTILINE)
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert json.loads(call(*command, "--json").out)["count"] == 6, "with JSON too"


def test_a_report_where_no_folder_is(call, careful, trained_on, tmp_path):
    answer = call("evaluate", careful, trained_on, "--report", tmp_path / "missing" / "report.html")
    assert (answer.code, answer.out) == (2, "")
    assert answer.error == f"{tmp_path}/missing/report.html: there is no folder {tmp_path}/missing"


def test_negatives_that_are_none(call, careful, trained_on, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = call("evaluate", careful, trained_on, "--negatives", tmp_path / "empty")
    assert (answer.code, answer.error) == (
        1,
        f"{tmp_path}/empty: holds no recordings; give recordings, or a folder of them",
    )
    answer = call("evaluate", careful, trained_on, "--negatives", tmp_path / "missing.wav")
    assert answer.code == 1
    assert "missing.wav: cannot be read" in answer.error


# --- long recordings ---


@pytest.fixture
def evening(tmp_path):
    """Return a recording in which two tones are heard, and the track of where."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.002, 12 * RATE).astype(np.float32)
    lines = []
    for begin, (label, frequency) in zip((2, 7), TONES.items(), strict=True):
        time = np.arange(RATE // 4) / RATE
        samples[begin * RATE : begin * RATE + len(time)] += 0.4 * np.sin(2 * np.pi * frequency * time)
        lines.append(f"{begin}\t{begin + 0.25}\t{label}\n")
    soundfile.write(tmp_path / "evening.wav", samples, RATE)
    (tmp_path / "words.txt").write_text("".join(lines))
    return tmp_path / "evening.wav", tmp_path / "words.txt"


def test_listening(call, careful, trained_on, evening):
    recording, track = evening
    answer = call("evaluate", careful, trained_on, "--split", "test", "--long", recording, "--labels", track)
    assert (answer.code, answer.err) == (0, "")
    assert re.search(r"^listening to \S+evening.wav: 12 seconds, 2 labelled words$", answer.out, re.MULTILINE)
    assert re.search(r"^ *60\.0% +\d+ +\S+ +\S+% +in use", answer.out, re.MULTILINE)
    assert "in 12 seconds, at most 0.5 an hour means none:" in answer.out or "no threshold gives" in answer.out


def test_listening_as_json(call, careful, trained_on, evening):
    recording, track = evening
    command = ["evaluate", careful, trained_on, "--split", "test", "--long", recording, "--json"]
    labelled = json.loads(call(*command, "--labels", track).out)["long"]
    expected = score_recordings(Model.load(careful), [recording], [read_labels(track)])
    assert labelled == json.loads(json.dumps(expected.to_json()))
    assert (labelled["words"], labelled["in_use"]["threshold"]) == (2, 0.6)
    assert labelled["detected"][0] > 0
    without = json.loads(call(*command).out)["long"]
    assert (without["words"], without["miss_rate"]) == (0, None)
    assert without["false_accepts"][0] == labelled["false_accepts"][0] + labelled["detected"][0]


def test_listening_to_folders(call, careful, trained_on, evening, strangers):
    recording, track = evening
    options = ["--long", recording, "--long", strangers, "--split", "test", "--json"]
    found = json.loads(call("evaluate", careful, trained_on, *options).out)["long"]
    assert [Path(name).name for name in found["recordings"]] == ["evening.wav", "0.wav", "1.wav", "2.wav", "long.wav"]
    assert found["hours"] == pytest.approx((12 + 3 * 0.25 + 0.75) / 3600)
    answer = call("evaluate", careful, trained_on, *options, "--labels", track)
    assert (answer.code, "got 1 for 5" in answer.error) == (2, True)


def test_listening_is_in_the_report(call, careful, trained_on, evening, tmp_path):
    page = tmp_path / "report.html"
    options = ["--split", "test", "--long", evening[0], "--labels", evening[1], "--report", page]
    assert call("evaluate", careful, trained_on, *options).code == 0
    assert "minutes of recordings with 2 words to find" in page.read_text("utf-8")


def test_labels_that_are_no_words_are_told(call, careful, trained_on, evening):
    evening[1].write_text("2\t2.25\tHigh\n7\t7.25\tlow\n")
    options = ["--split", "test", "--long", evening[0], "--labels", evening[1]]
    answer = call("evaluate", careful, trained_on, *options)
    assert answer.code == 0
    assert answer.err == "note: labels that the model does not have are ignored: High\n"


def test_what_cannot_be_listened_to(call, careful, trained_on, evening, tmp_path):
    """Before anything is computed."""
    command = ["evaluate", careful, trained_on, "--split", "test"]
    answer = call(*command, "--labels", evening[1])
    assert (answer.code, answer.out, "name them with --long" in answer.error) == (2, "", True)
    answer = call(*command, "--long", tmp_path / "none.wav")
    assert (answer.code, answer.out, "none.wav: cannot be read" in answer.error) == (1, "", True)
    evening[1].write_text("two seconds: high")
    answer = call(*command, "--long", evening[0], "--labels", evening[1])
    assert (answer.code, answer.out, "words.txt, line 1" in answer.error) == (1, "", True)
