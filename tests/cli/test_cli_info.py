"""``audioconv info``: of models and of data sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from bursts_in_noise import words
from tones import write_tone

from audioconv.architectures.speech import embedding_layers
from audioconv.datasets import Item, write_manifest
from audioconv.recipe import published_networks
from audioconv.recipe.pretrained import SpeechEmbedding


def test_a_model(call, trained):
    answer = call("info", trained)
    assert (answer.code, answer.err) == (0, "")
    assert "Conv(24, (3, 3), padding='same', bias=False)" in answer.out
    assert "labels      2: high, low" in answer.out
    assert "input       0.25 s at 4,000 Hz, as 40 mel bands of 25 ms every 10 ms" in answer.out
    assert "12 train, 2 validation, 6 test" in answer.out
    assert "made by     audioconv 0.1.0, network tc-cnn-l" in answer.out


def test_a_model_as_json(call, trained):
    found = json.loads(call("info", trained / "model.safetensors", "--json").out)
    assert found["labels"] == ["high", "low"]
    assert found["parameters"] == sum(row["parameters"] for row in found["layers"])
    assert found["front_end"]["front_end"] == "LogMel"
    assert found["provenance"]["settings"]["arch"] == "tc-cnn-l"


@pytest.mark.parametrize(("arch", "front_end", "shown"), [
    ("m5", "raw", "1 s at 4,000 Hz, the samples themselves"),
    ("tc-resnet8", "mfcc", "1 s at 4,000 Hz, as 13 cepstral coefficients of 40 mel bands"),
])  # fmt: skip
def test_the_input_of_other_models(call, tones, tmp_path, arch, front_end, shown):
    assert (
        call("train", tones, "-o", tmp_path / "out", "--epochs", 1, "--arch", arch, "--front-end", front_end).code == 0
    )
    assert shown in call("info", tmp_path / "out").out


def test_the_licence_of_the_speech_embedding_that_a_model_began_with(call, rng, tmp_path, monkeypatch):
    params = embedding_layers().init((98, 32, 1), rng)
    monkeypatch.setattr(
        published_networks, "find_speech_embedding", lambda: SpeechEmbedding(Path("embedding_model.onnx"), params)
    )
    for number, (clip, label) in enumerate(zip(*words(rng, 12), strict=True)):
        (tmp_path / "words" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "words" / label / f"{number}.wav", clip, 16000)
    quick = ["--epochs", 1, "--batch-size", 8, "--no-augment", "--no-reject"]
    line = "pretrained  speech-embedding (SHA-256 70d164290c1d...), speech_embedding by Google, Apache License 2.0\n"
    assert line in call("train", tmp_path / "words", "-o", tmp_path / "out", *quick).out
    assert line in call("info", tmp_path / "out").out
    found = json.loads(call("info", tmp_path / "out", "--json").out)
    assert found["provenance"]["pretrained"]["licence"] == "speech_embedding by Google, Apache License 2.0"


def test_a_data_set(call, trained_on):
    answer = call("info", trained_on)
    assert (answer.code, answer.err) == (0, "")
    assert "20 recordings, 2 classes" in answer.out
    heads = ["class", "files", "train", "test", "seconds", "range", "speakers", "share"]
    assert answer.out.splitlines()[1].split() == heads
    assert answer.out.splitlines()[3].split() == ["high", "10", "7", "3", "0.25", "0.25", "to", "0.25", "-", "50.0%"]
    assert "lengths     0.25 to 0.25 s, half of them at most 0.25 s; 5.0 s together" in answer.out
    assert "rates       4,000 Hz" in answer.out


def test_a_data_set_as_json(call, tmp_path):
    for speaker in ("anna", "bert"):
        write_tone(tmp_path / "yes" / f"{speaker}_nohash_0.wav", 300, seconds=0.5)
    (tmp_path / "yes" / "text.wav").write_text("no sound")
    items = [
        Item(path, "yes", path.name.split("_")[0], split)
        for path, split in zip(sorted((tmp_path / "yes").iterdir()), ("train", "test", None), strict=True)
    ]
    write_manifest(tmp_path / "list.csv", [replace(item, licence="CC0-1.0", source="made up") for item in items])
    answer = call("info", tmp_path / "list.csv", "--json")
    found = json.loads(answer.out)
    assert answer.code == 0
    assert found["classes"] == {"yes": 3}
    assert found["splits"] == {"train": 1, "validation": 0, "test": 1, "none": 1}
    assert found["seconds"] == {"shortest": 0.5, "median": 0.5, "longest": 0.5, "total": 1.0}
    assert (found["licence"], found["source"], len(found["unreadable"])) == ("CC0-1.0", "made up", 1)
    shown = call("info", tmp_path / "list.csv")
    assert "1 of 3 files could not be read:" in shown.err
    assert "licence     CC0-1.0" in shown.out


def test_lengths_by_class_and_what_was_assumed(call, tmp_path):
    for n, seconds in enumerate((0.5, 0.75, 2.0)):
        write_tone(tmp_path / "train" / "Other" / f"{n}.wav", 300, seconds=seconds)
        write_tone(tmp_path / "val" / "yes" / f"{n}.wav", 300, seconds=0.5)
        write_tone(tmp_path / "train" / "yes" / f"{n}.wav", 300, seconds=0.5)
    (tmp_path / "train" / "yes" / "notes.txt").touch()
    (tmp_path / "train" / "yes" / "talk.vox").touch()
    (tmp_path / "train" / "go").mkdir()
    answer = call("info", tmp_path)
    assert answer.code == 0
    rows = [line.split() for line in answer.out.splitlines()]
    assert rows[3] == ["Other", "3", "3", "0", "0.75", "0.50", "to", "2.00", "-", "33.3%"]
    assert rows[4] == ["yes", "6", "3", "3", "0.50", "0.50", "to", "0.50", "-", "66.7%"]
    notes = [line.removeprefix("note").strip() for line in answer.out.splitlines() if line.startswith("note ")]
    assert notes == [
        "the folders train and val are splits (val: validation)",
        "1 recording or picture is not read, because names with such endings are not: .vox (1); convert it, say to WAV",
        "1 folder has no file that is read, and is no class: train/go",
        "1 file with another ending was left out: .txt (1)",
        "class 'Other' (3 files) is nothing to listen for: it is trained as _unknown_ (--keep-classes turns that off)",
    ]
    found = json.loads(call("info", tmp_path, "--json").out)
    assert found["notes"] == notes
    assert found["negatives"] == {"Other": "_unknown_"}
    assert found["seconds_by_class"]["Other"] == {"shortest": 0.5, "median": 0.75, "longest": 2.0}
    assert found["left_out"] == {
        "unread": [{"label": "yes", "ending": ".vox", "files": 1}],
        "others": {".txt": 1},
        "stray": [],
        "empty_folders": ["train/go"],
    }


def test_parts_of_recordings_have_their_own_lengths(call, tmp_path):
    write_tone(tmp_path / "long.wav", 300, seconds=4.0)
    (tmp_path / "list.tsv").write_text("path\tlabel\tbegin\tend\nlong.wav\tyes\t0\t0.5\nlong.wav\tno\t1\t2.5\n")
    found = json.loads(call("info", tmp_path / "list.tsv", "--json").out)
    assert found["seconds"] == {"shortest": 0.5, "median": 1.0, "longest": 1.5, "total": 2.0}
    assert found["notes"] == ["the fields of the manifest are separated by tabs"]


def test_pictures(call, tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "dark").mkdir()
    image.new("RGB", (9, 8)).save(tmp_path / "dark/1.png")
    assert "sizes       8 x 9" in call("info", tmp_path).out


def test_neither(call, tmp_path):
    answer = call("info", tmp_path / "nothing")
    assert (answer.code, "no such model or data set" in answer.error) == (1, True)
    assert answer.error.endswith("or a folder with one subfolder per class")
    (tmp_path / "yes.wav").touch()
    answer = call("info", tmp_path / "yes.wav")
    assert answer.code == 1
    assert answer.error.endswith(f"is no model and no data set; audioconv classify MODEL {tmp_path}/yes.wav labels it")
