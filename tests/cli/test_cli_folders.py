"""Folders as people have them, through the command line: which window, which classes, what is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000
QUICK = ["--epochs", "1", "--arch", "cnn", "--init", "nothing"]


def write_word(path: Path, pitch: float, seconds: float, begin: float, rng) -> None:
    """Write a recording with something like a word in it: a tone that glides, in a quiet room."""
    samples = rng.normal(0, 0.001, round(seconds * RATE))
    count, first = round(0.5 * RATE), round(begin * RATE)
    time = np.arange(count) / RATE
    samples[first : first + count] += 0.3 * np.hanning(count) ** 0.5 * np.sin(2 * np.pi * (pitch + 300 * time) * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


def write_words(folder: Path, rng, count: int = 8, seconds: float = 1.0, **pitches: float) -> Path:
    for label, pitch in pitches.items():
        for n in range(count):
            begin = rng.uniform(0.1, seconds - 0.6)
            write_word(folder / label / f"{n}.wav", pitch * rng.uniform(0.95, 1.05), seconds, begin, rng)
    return folder


def write_talk(path: Path, seconds: float, rng) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    swell = np.repeat(rng.uniform(0, 1, round(seconds * 4)), RATE // 4)
    soundfile.write(path, 0.2 * swell * rng.normal(size=swell.size), RATE)


def trained(call, folder: Path, out: Path, *options: str):
    answer = call("train", folder, "-o", out, *QUICK, *options)
    assert answer.code == 0, answer.err
    info = call("info", out, "--json")
    return answer, json.loads(info.out)


def test_a_word_beside_talk_has_a_window_of_a_second(call, tmp_path, rng):
    folder = write_words(tmp_path / "d", rng, zero=700, one=900)
    for n in range(6):
        write_talk(folder / "other" / f"{n}.wav", rng.uniform(2, 16), rng)
    answer, model = trained(call, folder, tmp_path / "m")
    assert model["clip_samples"] == RATE
    assert model["labels"] == ["_unknown_", "one", "zero"]
    assert "note: class 'other' (6 files) is nothing to listen for: it is trained as _unknown_" in answer.err
    assert "note: window of 1 s: " in answer.err
    assert "longer recordings (_unknown_) give several windows each" in answer.err
    # Nothing in it is ever an event.
    found = call("detect", tmp_path / "m", folder / "other" / "0.wav", "--threshold", "0", "--json")
    assert found.code == 0
    assert {json.loads(line)["label"] for line in found.out.splitlines()} <= {"one", "zero"}
    # The folder itself can be evaluated, its class by whichever name.
    evaluated = call("evaluate", tmp_path / "m", folder, "--json")
    assert evaluated.code == 0, evaluated.err
    assert "--keep-classes" in call("train", "--help").out


@pytest.mark.parametrize("name", ["Others", "_NOISE_", "background", "silence", "Unknown"])
def test_other_names_of_negatives(name, call, tmp_path, rng):
    folder = write_words(tmp_path / "d", rng, zero=700, one=900)
    write_talk(folder / name / "0.wav", 8, rng)
    _, model = trained(call, folder, tmp_path / "m")
    assert set(model["labels"]) - {"one", "zero", "_unknown_"} <= {"_silence_"}
    assert name not in model["labels"]


def test_classes_of_negatives_can_be_kept(call, tmp_path, rng):
    folder = write_words(tmp_path / "d", rng, zero=700, other=900)
    answer, model = trained(call, folder, tmp_path / "m", "--keep-classes")
    assert {"other", "zero"} <= set(model["labels"])
    assert "nothing to listen for" not in answer.err
    evaluated = call("evaluate", tmp_path / "m", folder, "--json")
    assert set(json.loads(evaluated.out)["classes"]) == {"other", "zero"}


@pytest.mark.parametrize("seconds", [2.05, 2.6, 4.0])
def test_words_in_longer_recordings_learn_to_reject(seconds, call, tmp_path, rng):
    folder = write_words(tmp_path / "d", rng, seconds=seconds, zero=700, one=900)
    answer, model = trained(call, folder, tmp_path / "m")
    assert RATE <= model["clip_samples"] <= 1.2 * RATE
    assert "_unknown_" in model["labels"]
    assert "where words stand out in recordings of up to" in answer.err


@pytest.mark.parametrize(("seconds", "window"), [(30, 3), (60, 6), (130, 10)])
def test_one_long_recording_of_each_class_is_enough(seconds, window, call, tmp_path, rng):
    for label, level in (("rain", 0.05), ("machine", 0.3)):
        samples = (
            level
            * rng.normal(size=seconds * RATE)
            * (1 if label == "rain" else np.sin(np.arange(seconds * RATE) * 0.3))
        )
        (tmp_path / "d" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "d" / label / "long.wav", samples, RATE)
    answer, model = trained(call, tmp_path / "d", tmp_path / "m")
    assert model["clip_samples"] == window * RATE
    assert sum(model["provenance"]["data"]["counts"]["validation"].values()) >= 2
    assert "longer recordings (machine, rain) give several windows each" in answer.err


def test_one_long_recording_of_each_word_is_enough(call, tmp_path, rng):
    for label, pitch in (("zero", 700), ("one", 900)):
        parts = []
        for _ in range(20):
            write_word(tmp_path / "part.wav", pitch * rng.uniform(0.95, 1.05), 2.0, 0.7, rng)
            parts.append(soundfile.read(tmp_path / "part.wav")[0])
        (tmp_path / "d" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "d" / label / "long.wav", np.concatenate(parts), RATE)
    _, model = trained(call, tmp_path / "d", tmp_path / "m")
    assert model["clip_samples"] == RATE
    counts = model["provenance"]["data"]["counts"]
    assert sum(counts["train"].values()) >= 30
    assert sum(counts["validation"].values()) >= 2


def test_imbalance_is_told_before_training(call, tmp_path, rng):
    folder = write_words(write_words(tmp_path / "d", rng, count=40, down=700), rng, count=3, go=900)
    answer, _ = trained(call, folder, tmp_path / "m")
    said = answer.err[: answer.err.index("epoch ")]
    assert "class go has fewer than 5 clips to train on" in said
    assert "more than 10 : 1" in said


def test_a_class_whose_files_cannot_be_read_stops_the_run(call, tmp_path, rng):
    folder = write_words(tmp_path / "d", rng, zero=700, one=900)
    for path in (folder / "one").iterdir():
        path.write_bytes(b"\x1aE\xdf\xa3 no WebM")
    answer = call("train", folder, "-o", tmp_path / "m", *QUICK)
    assert answer.code == 1
    assert "class one loses all files because they cannot be read (one 8 of 8), such as" in answer.err
    assert not (tmp_path / "m" / "model.safetensors").exists()


@pytest.mark.parametrize(("first", "second"), [("train", "test"), ("training", "testing"), ("fold1", "fold2")])
def test_folders_of_splits_are_no_classes(first, second, call, tmp_path, rng):
    for split in (first, second, *(["fold3"] if first == "fold1" else [])):
        write_words(tmp_path / "d" / split, rng, zero=700, one=900)
    answer, model = trained(call, tmp_path / "d", tmp_path / "m")
    assert {"one", "zero"} <= set(model["labels"]) <= {"one", "zero", "_unknown_"}
    assert sum(model["provenance"]["data"]["counts"]["test"].values()) == 16
    assert "test        " in answer.out


def test_the_best_windows_of_a_long_recording(call, tmp_path, rng):
    folder = write_words(tmp_path / "d", rng, zero=700, one=900)
    trained(call, folder, tmp_path / "m", "--no-reject")
    parts = []
    for n, pitch in enumerate((700, 900, 700)):
        write_word(tmp_path / f"{n}.wav", pitch, 4.0, 1.5, rng)
        parts.append(soundfile.read(tmp_path / f"{n}.wav")[0])
    soundfile.write(tmp_path / "talk.wav", np.concatenate(parts), RATE)
    answer = call("classify", tmp_path / "m", tmp_path / "talk.wav")
    assert answer.code == 0
    assert "0:0" in answer.out
    assert f"audioconv detect {tmp_path}/m {tmp_path}/talk.wav" in answer.out
    (line,) = call("classify", tmp_path / "m", tmp_path / "talk.wav", "--json").out.splitlines()
    windows = json.loads(line)["windows"]
    assert 1 <= len(windows) <= 3
    assert all(0 <= one["begin"] < one["end"] <= 12 for one in windows)
    assert [one["begin"] for one in windows] == sorted(one["begin"] for one in windows)
    (line,) = call("classify", tmp_path / "m", folder / "one" / "0.wav", "--json").out.splitlines()
    assert json.loads(line)["windows"] == []
