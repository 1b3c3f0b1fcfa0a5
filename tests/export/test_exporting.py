"""`export` itself: formats, errors, and that nothing is half-written."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

import exported
from exported import model_of, picture_model

from audioconv import interop
from audioconv import layers as L
from audioconv.cli import run
from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError, DataError, ExportError, MissingExtraError
from audioconv.export import check, export, onnx_file
from audioconv.export.c99 import compiler
from audioconv.features.stored import StoredFeatures
from audioconv.layers.base import Layer


def test_it_is_a_name_of_interop_too():
    from audioconv.interop import export as found

    assert found is export
    assert "export" in interop.__all__
    with pytest.raises(AttributeError, match=r"module 'audioconv\.interop' has no attribute 'nothing'"):
        _ = interop.nothing


def test_a_model_file_is_taken_by_its_name(tmp_path):
    model = model_of("cnn")
    model.save(tmp_path / "m.safetensors")
    found = export(tmp_path / "m.safetensors", tmp_path / "m.onnx")
    export(model, tmp_path / "again.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    assert (found.format, found.check.examples) == ("onnx", len(check.examples_for(model)))
    assert found.check.answers == found.check.examples


@pytest.mark.parametrize("kind", ["onnx", "tflite", "c"])
@pytest.mark.parametrize("from_features", [False, True])
def test_stored_features_check_a_file(kind, from_features, tmp_path):
    """They are real ones, made examples come beside them."""
    if kind == "c" and not compiler.find():
        pytest.skip("needs a C compiler")
    model = model_of("tc-resnet8")
    rng = np.random.default_rng(0)
    stored = StoredFeatures.of(rng.normal(-40, 20, (9, *model.feature_shape)).astype(np.float32))
    found = export(
        dataclasses.replace(model, stored_features=stored), tmp_path / f"m.{kind}", from_features=from_features
    )
    assert found.check.examples == len(check.examples_for(model)) + 9
    assert found.check.answers == found.check.examples


def refused(kind, message, model, path, **settings):
    """Assert that exporting fails with this message, and that what was at `path` is unchanged."""
    before = path.read_bytes() if path.exists() else None
    names = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    with pytest.raises(kind) as caught:
        export(model, path, **settings)
    assert str(caught.value) == message
    assert (path.read_bytes() if path.exists() else None) == before
    assert (sorted(path.parent.iterdir()) if path.parent.is_dir() else []) == names


@pytest.fixture
def strange_layer():
    """Return a layer of somebody else's."""

    @dataclass(frozen=True)
    class Doubled(Layer):
        def infer_shape(self, in_shape):
            return in_shape

        def forward(self, params, x, run):
            return 2 * x, None

    yield Doubled()
    del Layer.kinds["Doubled"]


def test_a_layer_that_is_not_known_names_itself(strange_layer, tmp_path):
    network = L.Chain([L.Conv(2, 3), L.Residual(L.Chain([L.ReLU(), strange_layer])), L.GlobalAvgPool(), L.Dense(5)])
    model = model_of(network, kind="spectrogram-1d")
    (tmp_path / "m.onnx").write_bytes(b"what was there")
    refused(
        ExportError,
        "layer 1.body.1 Doubled(): layers of the type Doubled are not one of audioconv's, so nothing is known of what "
        "they compute; only networks of audioconv's layers are exported",
        model, tmp_path / "m.onnx",
    )  # fmt: skip


def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    model = model_of("cnn")
    wrong = dataclasses.replace(model, decision=dataclasses.replace(model.decision, temperature=1.1))
    monkeypatch.setattr("audioconv.export.exporting.describe", lambda _, **settings: describe(wrong, **settings))
    from audioconv.export.description import describe

    with pytest.raises(ExportError, match=r"probabilities differ from the model's by up to 0\.0\d, more than 0\.0001"):
        export(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_another_answer_is_found(tmp_path, monkeypatch):
    model = model_of("cnn", labels=("yes", "no", "stop"), decision=Decision())
    wrong = dataclasses.replace(model, decision=Decision(threshold=1.0))
    monkeypatch.setattr("audioconv.export.exporting.describe", lambda _, **settings: describe(wrong, **settings))
    from audioconv.export.description import describe

    with pytest.raises(ExportError, match=r"another answer than the model for \d of 7 examples"):
        export(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_formats_follow_from_the_ending(tmp_path):
    model = model_of("cnn")
    export(model, tmp_path / "m.ONNX")
    export(model, tmp_path / "m.bin", format="onnx")
    assert (tmp_path / "m.bin").read_bytes() == (tmp_path / "m.ONNX").read_bytes()
    with pytest.raises(ConfigError, match=r"m\.bin: models are exported to \.onnx, \.tflite, \.c; .*give a format"):
        export(model, tmp_path / "m.bin")
    with pytest.raises(ConfigError, match="there is no format 'caffe'; there are c, onnx, tflite, openwakeword, web"):
        export(model, tmp_path / "m.onnx", format="caffe")


def test_pictures_have_no_features(tmp_path):
    model = picture_model("cs231n")
    refused(
        ConfigError, "features are what a front end makes of sound; a model of pictures has none", model,
        tmp_path / "m.onnx", from_features=True,
    )  # fmt: skip


def test_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "nowhere" / "m.onnx"
    message = f"{path}: there is no folder {path.parent}; make it first"
    refused(ConfigError, message, model_of("cnn"), path)


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(DataError, match="is not a regular file"):
        export(model_of("cnn"), tmp_path / "m.onnx")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = "writing ONNX files needs an optional part: pip install 'audioconv[export]'"
    refused(MissingExtraError, message, model_of("cnn"), tmp_path / "m.onnx")


def test_without_onnx_runtime_the_reference_of_onnx_checks(tmp_path, monkeypatch):
    model = picture_model("cs231n", (12, 12, 1))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export(model, tmp_path / "m.onnx").check.program == "the reference of onnx"


def test_a_runner_gives_outputs_by_name(tmp_path):
    model = model_of("cnn")
    export(model, tmp_path / "m.onnx")
    runner = onnx_file.Runner((tmp_path / "m.onnx").read_bytes())
    x = check.examples_for(model)
    np.testing.assert_allclose(runner(x)["probabilities"], model.predict(x), atol=1e-5)


def test_the_command(tmp_path, capsys):
    model = model_of("cnn")
    model.save(tmp_path / "model.safetensors")
    path = tmp_path / "m.onnx"
    assert run(["export", str(tmp_path), "-o", str(path)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"{path}: ")
    assert "7 of 7 answers the same" in " ".join(told.err.split())
    assert run(["export", str(tmp_path), "-o", str(tmp_path / "f.onnx"), "--features", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["bytes"]) == ("onnx", (tmp_path / "f.onnx").stat().st_size)
    assert 0 <= found["largest_difference"] <= 1e-5
    features = model.features(check.examples_for(model))
    assert exported.run(tmp_path / "f.onnx", features)["probabilities"].shape == (7, len(model.labels))
    assert run(["export", str(tmp_path), "-o", str(tmp_path / "m.xyz")]) == 2
    assert "end the name so, or give a format" in capsys.readouterr().err
