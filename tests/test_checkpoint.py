import errno
import json
import os

import numpy as np
import pytest
import safetensors.numpy

from audioconv._version import __version__
from audioconv.errors import ConfigError, DataError, ModelFileError
from audioconv.io import tensor_file
from audioconv.training.checkpoint import Checkpoint, restore
from audioconv.training.history import EpochRow, History

ROWS = History((EpochRow(1, 0.5, 0.75, None, None, 1e-3, 1.0), EpochRow(2, 1 / 3, 0.8, 0.3, 0.9, 1e-4, 1.5)))


def checkpoint(value=1.0, **settings):
    params = {"0.weight": np.full((2, 3), value, np.float32), "0.bias": np.zeros(3, np.float32)}
    optimizer = {"steps": np.array(7), "mean": np.arange(5, dtype=np.float32)}
    return Checkpoint({"seed": 1, **settings}, ROWS, params, {**params, "0.bias": np.ones(3, np.float32)}, optimizer)


def same(one, other):
    groups = [(one.params, other.params), (one.best_params, other.best_params), (one.optimizer, other.optimizer)]
    return (one.settings, one.history) == (other.settings, other.history) and all(
        a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() and a[k].shape == b[k].shape for k in a)
        for a, b in groups
    )


def test_what_is_saved_is_loaded(tmp_path):
    checkpoint().save(tmp_path / "run")
    assert same(Checkpoint.load(tmp_path / "run"), checkpoint())


def test_equal_checkpoints_are_equal_bytes(tmp_path):
    for name in "ab":
        checkpoint().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_names_that_are_not_utf8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9 '\"")
    try:
        checkpoint().save(os.fsdecode(path))
    except DataError:
        pytest.skip("this file system takes UTF-8 names only")
    assert same(Checkpoint.load(os.fsdecode(path)), checkpoint())


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=str)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_last_one(tmp_path, monkeypatch, failure, call):
    checkpoint().save(tmp_path / "run")

    def fail(*_):
        raise failure

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DataError if isinstance(failure, OSError) else KeyboardInterrupt):
        checkpoint(2.0).save(tmp_path / "run")
    monkeypatch.undo()
    assert same(Checkpoint.load(tmp_path / "run"), checkpoint())
    assert os.listdir(tmp_path) == ["run"]


def test_a_full_disk_is_one_line(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with pytest.raises(DataError, match="cannot be written, it is not a regular file"):
        checkpoint().save("/dev/full")


def header(**changes):
    return {"audioconv": json.dumps({"kind": "checkpoint", "format_version": 1, **changes})}


def good(path):
    checkpoint().save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda whole: b"", "the file is empty"),
        (lambda whole: b"x", "not a safetensors file"),
        (lambda whole: b"RIFF\0\0\0\0WAVEfmt ", "not a safetensors file; expected a checkpoint that audioconv wrote"),
        (lambda whole: whole[:40], "truncated or damaged"),
        (lambda whole: whole[:-1], "truncated or damaged"),
        (lambda whole: whole + b"more", "truncated or damaged"),
        (lambda whole: whole.replace(b'"F32"', b'"X32"'), "truncated or damaged"),
        (lambda whole: whole[:8] + b"{" * (len(whole) - 8), "truncated or damaged"),
        (lambda whole: safetensors.numpy.save({"x": np.zeros(2)}), "but not one of audioconv's"),
        (lambda whole: safetensors.numpy.save({}, {"audioconv": "no json"}), "but not one of audioconv's"),
        (lambda whole: safetensors.numpy.save({}, {"audioconv": "[]"}), "but not one of audioconv's"),
        (lambda whole: safetensors.numpy.save({}, header(format_version="x")), "but not one of audioconv's"),
        (lambda whole: safetensors.numpy.save({}, header(kind="model")), "audioconv's model file; expected a checkp"),
        (lambda whole: safetensors.numpy.save({}, header()), r"damaged checkpoint \('settings'\)"),
        (lambda whole: safetensors.numpy.save({"x": np.zeros(2)}, header(settings={}, history=[])), "damaged"),
        (lambda whole: safetensors.numpy.save({}, header(settings={}, history=[{"epoch": 1}])), "damaged checkpoint"),
        (
            lambda whole: safetensors.numpy.save({}, header(format_version=2, audioconv_version="9.1")),
            rf"format 2, written by audioconv 9\.1; this is audioconv {__version__}, .*--upgrade 'audioconv>=9\.1'",
        ),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, make, message):
    path = tmp_path / "a file.safetensors"
    path.write_bytes(make(good(path)))
    with pytest.raises(ModelFileError, match=message) as caught:
        Checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_cannot_be_read(tmp_path):
    with pytest.raises(ModelFileError, match=r"none: cannot be read \(No such file or directory\); expected a check"):
        Checkpoint.load(tmp_path / "none")
    with pytest.raises(ModelFileError, match=r"cannot be read \(Is a directory\)"):
        Checkpoint.load(tmp_path)


def test_settings_that_differ_are_named():
    saved = checkpoint(network={"layer": "Dense", "units": [1, 2]}, a=1, b=2, c=3, d=4)
    same_settings = {"seed": 1, "network": {"layer": "Dense", "units": [1, 2]}, "a": 1, "b": 2, "c": 3, "d": 4}
    saved.check_settings(same_settings, "run")
    other = {**same_settings, "network": {"layer": "Dense", "units": [1, 3]}}
    with pytest.raises(ConfigError, match=r"^run: this run was begun with network\.units\.1 2 \(now 3\); resume"):
        saved.check_settings(other, "run")
    with pytest.raises(ConfigError, match=r"seed 1 \(now not set\), .*, a 1 \(now None\), b 2 .* and 2 more; res"):
        saved.check_settings(
            {**{k: v for k, v in other.items() if k != "seed"}, "a": None, "b": 0, "c": 0, "d": 0}, "run"
        )


def test_arrays_that_do_not_fit_are_refused():
    mine = {"0.weight": np.zeros((2, 3), np.float32)}
    restore(mine, {"0.weight": np.ones((2, 3), np.float32)}, "run")
    assert mine["0.weight"].all()
    for saved in ({}, {"0.weight": np.ones((3, 2), np.float32)}, {"0.weight": np.ones((2, 3))}):
        with pytest.raises(ModelFileError, match="run: the checkpoint's arrays are not those of this network"):
            restore(mine, saved, "run")


def test_what_is_not_json_is_refused(tmp_path):
    for bad in (object(), float("nan")):
        with pytest.raises(ConfigError, match="must be JSON data without NaN"):
            tensor_file.write(tmp_path / "x", "model", {}, {"bad": bad})
    assert not os.listdir(tmp_path)
