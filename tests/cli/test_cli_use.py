"""``audioconv classify``, and the model files that commands refuse."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tones import write_tone, write_tones

from audioconv import Classifier
from audioconv.cli.classify import AT_ONCE
from audioconv.io import tensor_file


def rows(table: str) -> list[list[str]]:
    """Return the cells of a table's rows, without its head."""
    lines = [line.split() for line in table.splitlines() if line.strip()]
    return lines[2:]


# --- classify ---


def test_a_table(call, trained, tones):
    answer = call("classify", trained, tones / "high/0.wav", tones / "low")
    assert (answer.code, answer.err) == (0, "")
    found = rows(answer.out)
    assert [row[0] for row in found] == [f"{tones}/high/0.wav", *(f"{tones}/low/{n}.wav" for n in range(10))]
    assert {row[1] for row in found} <= {"high", "low"}
    assert all(row[2].endswith("%") for row in found)


def test_a_table_of_several_labels(call, model, tones):
    found = rows(call("classify", model, tones / "high/0.wav", "--top", 2).out)
    assert len(found) == 1
    assert {found[0][1], found[0][3]} == {"high", "low"}
    assert float(found[0][2].rstrip("%")) >= float(found[0][4].rstrip("%"))


def test_json_is_what_predict_says(call, model, tones):
    answer = call("classify", model, tones / "high", "--json")
    found = [json.loads(line) for line in answer.out.splitlines()]
    predictions = Classifier.load(model).predict([tones / "high" / f"{n}.wav" for n in range(10)])
    for line, prediction in zip(found, predictions, strict=True):
        assert set(line) == {"path", "label", "nearest", "score", "scores", "windows"}
        assert line["label"] == line["nearest"]
        assert (line["label"], line["score"], line["scores"]) == (prediction.label, prediction.score, prediction.scores)
        assert list(line["scores"]) == list(prediction.scores)


def test_json_of_the_likeliest(call, model, tones):
    line = json.loads(call("classify", model, tones / "high/0.wav", "--json", "--top", 1).out)
    assert line["scores"] == {line["label"]: line["score"]}


def test_unreadable_files_are_listed_at_the_end(call, model, tones):
    (tones / "high/text.wav").write_text("no sound")
    answer = call("classify", model, tones / "missing.wav", tones / "high", "--json")
    assert answer.code == 1
    assert len(answer.out.splitlines()) == 10
    assert answer.err.splitlines()[0] == "2 of 12 files could not be read:"
    assert answer.err.splitlines()[1] == f"  {tones}/missing.wav: cannot be read (No such file or directory)"
    assert f"  {tones}/high/text.wav: not audio" in answer.err.splitlines()[2]


@pytest.mark.parametrize("command", ["classify", "detect"])
def test_similar_names_of_a_missing_recording_are_shown(call, model, tones, command):
    answer = call(command, model, tones / "high" / "00.wav")
    assert answer.code == 1
    assert answer.err.splitlines()[-1].startswith(f"{tones}/high/00.wav: did you mean 0.wav")


def test_strict_stops(call, model, tones):
    answer = call("classify", model, tones / "missing.wav", tones / "high", "--strict")
    assert (answer.code, answer.out) == (1, "")
    assert answer.error == f"{tones}/missing.wav: cannot be read (No such file or directory)"


def test_a_folder_without_recordings(call, model, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = call("classify", model, tmp_path / "empty")
    assert answer.code == 1
    assert answer.error == f"{tmp_path}/empty: holds no recordings; give recordings, or a folder of them"


def test_more_files_than_are_in_memory_at_once(call, model, tones, tmp_path):
    (tmp_path / "many").mkdir()
    for n in range(AT_ONCE + 5):
        (tmp_path / "many" / f"{n:04}.wav").symlink_to(tones / "high/0.wav")
    answer = call("classify", model, tmp_path / "many", "--json")
    found = [json.loads(line)["path"] for line in answer.out.splitlines()]
    assert found == [f"{tmp_path}/many/{n:04}.wav" for n in range(AT_ONCE + 5)]


@pytest.mark.parametrize("name", ["a b.wav", 'it\'s "it".wav', "[red].wav", "naïve 🎤.wav", "line\nbreak.wav"])
def test_json_has_the_path_as_it_is(call, model, tmp_path, name):
    path = write_tone(tmp_path / name, 300)
    assert json.loads(call("classify", model, path, "--json").out)["path"] == str(path)
    assert call("classify", model, path).code == 0


def test_a_path_that_is_not_utf8(call, model, tmp_path):
    path = write_tone(tmp_path / os.fsdecode(b"caf\xe9.wav"), 300)
    assert json.loads(call("classify", model, path, "--json").out)["path"] == f"{tmp_path}/caf\\xe9.wav"
    assert f"{tmp_path}/caf\\xe9.wav" in call("classify", model, path).out
    path.write_text("no sound")
    assert f"{tmp_path}/caf\\xe9.wav: not audio" in call("classify", model, path).err


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="all files are readable to root")
def test_a_file_without_permission(call, model, tones):
    (tones / "high/0.wav").chmod(0)
    answer = call("classify", model, tones / "high/0.wav")
    assert answer.code == 1
    assert "0.wav: cannot be read (Permission denied)" in answer.err


# --- models that are none ---


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def newer(path: Path) -> None:
    content = path.read_bytes()
    assert b'\\"format_version\\": 1' in content
    path.write_bytes(content.replace(b'\\"format_version\\": 1', b'\\"format_version\\": 9'))


def not_ours(path: Path) -> None:
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")


def text(path: Path) -> None:
    path.write_text("this is no model")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def missing(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, "truncated or damaged"),
        (newer, "format 9, written by audioconv"),
        (not_ours, "a safetensors file, but not one of audioconv's"),
        (text, "not a safetensors file"),
        (nothing, "the file is empty"),
        (missing, "model.safetensors: no such model"),
        (folder, "the folder holds no model.safetensors"),
    ],
)
@pytest.mark.parametrize("command", ["classify", "evaluate", "info"])
def test_a_bad_model_is_one_line(call, model, tones, command, spoil, message):
    spoil(model)
    if command == "info" and spoil is folder:
        pytest.skip("a folder is a data set")
    further = {"classify": [tones / "high/0.wav"], "evaluate": [tones], "info": []}
    answer = call(command, model, *further[command])
    assert (answer.code, answer.out) == (1, "")
    assert answer.error.startswith(f"{model}: ")
    assert message in answer.error


def test_a_checkpoint_is_no_model(call, trained, tones):
    answer = call("classify", trained / "checkpoint.safetensors", tones / "high/0.wav")
    assert (answer.code, "this is audioconv's checkpoint file; expected a model" in answer.error) == (1, True)


def test_labels_of_a_strange_model_cannot_move_the_cursor(call, model, tones):
    arrays, header = tensor_file.read(model, "model")
    header["labels"] = ["\x1b[2Jhigh", "lo\ud83dw"]
    tensor_file.write(model, "model", arrays, header)
    for command in (["classify", model, tones / "high/0.wav", "--top", 2], ["info", model]):
        answer = call(*command)
        assert answer.code == 0
        assert "\x1b" not in answer.out
        assert "\\x1b[2Jhigh" in answer.out
    assert call("classify", model, tones / "high/0.wav", "--json").code == 0


def test_a_model_of_pictures(call, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for label, grey in (("dark", 30), ("light", 220)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for n in range(6):
            image.new("L", (9, 8), grey + n).save(tmp_path / "pictures" / label / f"{n}.png")
    assert call("train", tmp_path / "pictures", "-o", tmp_path / "out", "--epochs", 2).code == 0
    shutil.copytree(write_tones(tmp_path / "tones", 1), tmp_path / "pictures/dark/sounds")
    found = rows(call("classify", tmp_path / "out", tmp_path / "pictures").out)
    assert len(found) == 12
