"""``audioconv cache``: stored clips are listed, and removed by name, age and size."""

from __future__ import annotations

import json
import os
import time

import pytest

from audioconv.audio import window_store
from audioconv.pipeline import windowing

TRAINING = ["--arch", "tc-resnet8", "--init", "nothing", "--no-reject", "--no-refit", "--epochs", "1"]


@pytest.fixture
def stores(tmp_path, monkeypatch):
    monkeypatch.setattr(window_store, "stores_folder", lambda: tmp_path / "stores")
    monkeypatch.setattr(windowing, "MAX_MEMORY_SAMPLES", 1000)
    return tmp_path / "stores"


def listed(call, *options):
    return json.loads(call("cache", *options, "--json").out)


def test_training_stores_clips_and_trains_with_them_to_the_same_bits(call, tones, tmp_path, stores, monkeypatch):
    for name in ("first", "second"):
        answer = call("train", tones, "-o", tmp_path / name, *TRAINING)
        assert answer.code == 0
        assert "stored for the next training in" in answer.err
    monkeypatch.setattr(windowing, "MAX_MEMORY_SAMPLES", 1 << 30)
    monkeypatch.setattr(windowing, "open_store", lambda key: None)
    assert "stored for" not in call("train", tones, "-o", tmp_path / "memory", *TRAINING).err
    models = {(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second", "memory")}
    assert len(models) == 1
    (one,) = listed(call)["stores"]
    assert one["data"] == str(tones)
    assert one["name"] in call("cache").out


def test_clips_are_removed_by_name_age_and_size(call, stores):
    assert "no clips are stored in" in call("cache").out
    for name, days in (("a", 1), ("b", 9), ("c", 20)):
        (stores / name).mkdir(parents=True)
        (stores / name / "samples-000.pcm").write_bytes(bytes(1000))
        for path in (stores / name / "samples-000.pcm", stores / name):
            os.utime(path, (time.time() - days * 86400,) * 2)
    assert [one["name"] for one in listed(call)["stores"]] == ["a", "b", "c"]
    assert [one["name"] for one in listed(call, "--unused-for", "15d")["removed"]] == ["c"]
    assert [one["name"] for one in listed(call, "--max-size", "1.5kB")["removed"]] == ["b"]
    assert "removed 1, 1 kB" in call("cache", "--drop", "a").out
    assert listed(call) == {"folder": str(stores), "stores": [], "removed": []}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--unused-for", "long"), "'long' is no age; write it as 7d or 12h"),
        (("--max-size", "big"), "'big' is no size; write it as 500MB or 20GB"),
        (("--drop", "nothing"), "there are no stored clips of the name 'nothing'"),
    ],
)
def test_wrong_options(call, stores, options, message):
    answer = call("cache", *options)
    assert answer.code == 2
    assert message in answer.err
