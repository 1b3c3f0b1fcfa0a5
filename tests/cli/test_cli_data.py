"""``audioconv data``, ``audioconv demo`` and ``audioconv doctor``."""

from __future__ import annotations

import importlib.util
import json
import sys

import numpy as np
import pytest
import soundfile
from tones import write_tones

import audioconv
from audioconv.cli import demo
from audioconv.cli import diagnostics as examination
from audioconv.datasets.catalogue import SOURCES
from audioconv.model import Model
from audioconv.recipe import bank, speech_embedding

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="needs the extra: pip install 'audioconv[synth]'"
)

# --- data ---


def test_list(call):
    answer = call("data", "list")
    assert answer.code == 0
    assert "fsdd" in answer.out
    assert "CC-BY-SA-4.0" in answer.out
    assert [source["name"] for source in json.loads(call("data", "list", "--json").out)] == list(SOURCES)


@needs_espeak
def test_languages(call):
    assert json.loads(call("data", "list", "--languages", "--json").out)["de"] == "German"
    assert "German" in call("data", "list", "--languages").out


def test_get_what_is_not_there(call, tmp_path):
    answer = call("data", "get", "fsd", "-o", tmp_path / "x")
    assert (answer.code, answer.error) == (2, "no data set is called 'fsd'; did you mean fsdd?")


def test_get_from_the_mirror(call, mirror, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = call("data", "get", "fsdd")
    assert answer.code == 0
    assert answer.out.startswith("data/fsdd: 3,000 clips, 10 classes, 6 speakers\n")
    assert "\nlicence: CC-BY-SA-4.0\n" in answer.out
    assert "audioconv train data/fsdd -o models/fsdd" in answer.out
    assert json.loads(call("data", "get", "fsdd", "--json").out)["count"] == 3000


def test_get_where_the_mirror_is_gone(call, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path / "gone"))
    assert "is not a folder; correct it or unset it" in call("data", "get", "fsdd", "-o", tmp_path / "x").error


@needs_espeak
def test_make(call, tmp_path):
    answer = call("data", "make", "ja,nein", "-o", tmp_path / "new" / "words", "--language", "de", "--clips", 5)
    assert answer.code == 0
    assert "10 clips, 2 classes" in answer.out
    assert f"audioconv train {tmp_path}/new/words -o model" in answer.out
    assert call("data", "make", "ja", "-o", tmp_path / "one", "--language", "xx").code == 2
    assert call("data", "make", "ja,,nein", "-o", tmp_path / "two").code == 2
    answer = call("data", "make", "ja,nein", "-o", tmp_path / "new" / "words", "--language", "de", "--clips", 6)
    assert (answer.code, "was made with other settings" in answer.error) == (1, True)


@pytest.mark.parametrize("command", [["data", "make", "yes,no", "-o", "x"], ["demo"], ["data", "list", "--languages"]])
def test_without_espeak(call, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    answer = call(*command)
    assert answer.code == 1
    assert answer.error == "synthetic speech needs an optional part: pip install 'audioconv[synth]'"


# --- demo ---


@needs_espeak
def test_demo(call, tmp_path, monkeypatch):
    for name, value in {"WORDS": ("yes", "no"), "CLIPS": 10, "EPOCHS": 1}.items():
        monkeypatch.setattr(demo, name, value)
    answer = call("demo", "-o", tmp_path / "demo")
    assert answer.code == 0
    assert Model.load(tmp_path / "demo/model/model.safetensors").words == ("no", "yes")
    for step in ("1. ", "2. ", "3. ", "4. "):
        assert f"\n{step}" in f"\n{answer.err}"
    assert "what to type next:" in answer.out
    assert f"audioconv classify {tmp_path}/demo/model/model.safetensors" in answer.out
    again = call("demo", "-o", tmp_path / "demo")
    assert again.code == 0
    assert "resuming after epoch 1 of 1" in again.err
    assert again.out == answer.out
    monkeypatch.setattr(demo, "EPOCHS", 2)  # as another version may have it
    assert call("demo", "-o", tmp_path / "demo").code == 0


# --- doctor ---


def test_doctor(call, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path))
    answer = call("doctor")
    assert (answer.code, answer.err) == (0, "")
    for word in (
        audioconv.__version__,
        "numba",
        "llvmlite",
        "libsndfile",
        "libsoxr",
        "threads",
        "vectors",
        str(tmp_path),
    ):
        assert word in answer.out
    assert "all is well\n\nwhat to type next:\n  audioconv demo\n" in answer.out
    found = json.loads(call("doctor", "--json").out)
    assert found["processor"]["cores"] >= 1
    assert found["threading_layer"] in ("omp", "tbb", "workqueue")
    assert found["kernel_cache"]["folder"]
    assert found["problems"] == []
    assert set(found["optional"]) == {
        "cluster",
        "commonvoice",
        "export",
        "images",
        "interop",
        "kokoro",
        "lab",
        "live",
        "media",
        "piper",
        "plots",
        "serve",
        "synth",
        "wyoming",
    }


@pytest.mark.usefixtures("no_speech_embedding")
def test_doctor_says_how_to_get_the_speech_embedding(call):
    answer = call("doctor")
    assert answer.code == 0
    assert (
        "not on this machine; for training with words: pip install 'audioconv[speech]', or audioconv train"
        in answer.out
    )
    assert "licence      speech_embedding by Google, Apache License 2.0" in answer.out
    found = json.loads(call("doctor", "--json").out)["speech_embedding"]
    assert (found["path"], found["origin"]) == (None, None)
    assert "--init speech-embedding" in found["install"]
    assert "1.3 MB" in found["install"]


@pytest.mark.parametrize(
    ("origin", "where"),
    [("package", "of an installed package"), ("mirror", "in the mirror"), ("cache", "downloaded into the cache")],
)
def test_doctor_says_where_the_speech_embedding_is(origin, where, call, tmp_path, monkeypatch):
    monkeypatch.setattr(speech_embedding, "locate", lambda: (tmp_path / "embedding_model.onnx", origin))
    assert f"file         {tmp_path}/embedding_model.onnx ({where})" in call("doctor").out
    found = json.loads(call("doctor", "--json").out)["speech_embedding"]
    assert (found["path"], found["origin"]) == (str(tmp_path / "embedding_model.onnx"), origin)


@pytest.mark.parametrize(
    ("named", "is_cached", "origin", "line"),
    [
        (None, False, None, "not on this machine; to reject other words and speech: audioconv data get negatives"),
        (None, True, "cache", "{folder} (downloaded into the cache)"),
        ("none", True, "off", "turned off by AUDIOCONV_NEGATIVES=none"),
        ("{folder}", True, "variable", "{folder} (of AUDIOCONV_NEGATIVES)"),
    ],
)
def test_doctor_says_where_the_bank_of_negatives_is(named, is_cached, origin, line, call, tmp_path, monkeypatch):
    folder = tmp_path / "negatives"
    monkeypatch.setattr(bank, "cache_folder", lambda name: tmp_path / name)
    monkeypatch.delenv("AUDIOCONV_NEGATIVES")
    if named is not None:
        monkeypatch.setenv("AUDIOCONV_NEGATIVES", named.format(folder=folder))
    if is_cached:
        folder.mkdir()
        soundfile.write(folder / "a.wav", np.zeros(100), 8000)
    answer = call("doctor")
    assert (answer.code, f"bank of negatives\n  folder       {line.format(folder=folder)}" in answer.out) == (0, True)
    found = json.loads(call("doctor", "--json").out)["negatives"]
    assert (found["folder"], found["origin"]) == (str(folder) if origin in ("cache", "variable") else None, origin)
    assert found["get"] == "audioconv data get negatives downloads 2.5 GB, or audioconv train --negatives FOLDER ..."


def test_a_bank_of_negatives_that_is_gone_is_a_problem(call, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(tmp_path / "gone"))
    answer = call("doctor")
    assert answer.code == 1
    assert f"AUDIOCONV_NEGATIVES: {tmp_path}/gone: no such folder" in answer.error


def test_a_damaged_speech_embedding_is_a_problem(call, tmp_path, monkeypatch):
    (tmp_path / "embedding_model.onnx").write_bytes(b"something else")
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path))
    monkeypatch.setattr(speech_embedding, "_installed", lambda: ())
    answer = call("doctor")
    assert answer.code == 1
    assert f"{tmp_path}/embedding_model.onnx: is not the file that embedding_model.onnx should be" in answer.error


def test_doctor_says_how_to_get_optional_parts(call, monkeypatch):
    version = examination._version
    monkeypatch.setattr(examination, "_version", lambda name: None if name == "pillow" else version(name))
    answer = call("doctor")
    assert answer.code == 0
    assert "images       not installed; for pictures as data: pip install 'audioconv[images]'" in answer.out


def test_doctor_finds_what_is_broken(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setattr(examination, "_threads", lambda: 1 / 0)
    monkeypatch.setattr(examination, "_version", lambda name: None if name == "numba" else "1.0")
    answer = call("doctor")
    assert answer.code == 1
    assert "numba        missing" in answer.out
    assert "numba is not installed" in answer.err
    assert "kernels do not work: ZeroDivisionError" in answer.err
    assert "recordings cannot be read" in answer.err
    assert answer.out.endswith("something does not work\n")


def test_doctor_without_a_kernel_cache(call, tmp_path, monkeypatch):
    from audioconv.kernels import jit

    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    answer = call("doctor")
    assert (answer.code, "set AUDIOCONV_CACHE_DIR" in answer.error) == (1, True)


def test_doctor_where_portaudio_is_missing(monkeypatch):
    from audioconv.cli import diagnostics

    def import_module(name):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return object()

    monkeypatch.setattr(diagnostics, "EXTRAS", {"live": diagnostics.EXTRAS["live"]})
    monkeypatch.setattr(diagnostics, "_version", lambda _: "0.5")
    monkeypatch.setattr(diagnostics.importlib, "import_module", import_module)
    problems: list[str] = []
    part = diagnostics._optional(problems)["live"]
    assert problems == []
    assert part.version is None
    assert "libportaudio2" in part.install


def test_data_get_of_a_folder_of_splits(call, tmp_path):
    for split in ("training", "testing"):
        write_tones(tmp_path / "mine" / split, count=2)
    answer = call("data", "get", tmp_path / "mine", "-o", tmp_path / "got")
    assert answer.code == 0
    assert "the folders training and testing are splits (training: train, testing: test)" in answer.err
    found = json.loads(call("info", tmp_path / "got", "--json").out)
    direct = json.loads(call("info", tmp_path / "mine", "--json").out)
    assert found["splits"] == direct["splits"] == {"train": 4, "validation": 0, "test": 4, "none": 0}
    assert found["classes"] == direct["classes"] == {"high": 4, "low": 4}
