"""Models as TFLite files, in float32 and 8-bit integers, beside LiteRT and TensorFlow Lite Micro."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("tflite", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("ai_edge_litert", reason="needs the extra: pip install 'audioconv[export]'")

import tflite as schema
from clips import RATE, real_clips
from exported import LABELS, embedding_model, model_of, picture_model, slow_but
from graphs import CHAINS, graph_of
from layer_cases import CASES, name_of, started

from audioconv import architectures
from audioconv import layers as L
from audioconv.architectures.ensemble import join
from audioconv.cli import run as run_command
from audioconv.decision.decision import Decision, Gate
from audioconv.errors import ConfigError, DataError, ExportError
from audioconv.export import check, evaluation, export, tflite
from audioconv.export import operations as O
from audioconv.export.calibration import Calibration, accuracy
from audioconv.export.check import examples_for
from audioconv.export.folding import folded
from audioconv.features.front_ends import LogMel, Mfcc
from audioconv.features.stored import StoredFeatures

MICRO = {
    "ADD", "ARG_MAX", "AVERAGE_POOL_2D", "CAST", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "DIV",
    "EQUAL", "EXP", "FULLY_CONNECTED", "GATHER", "GREATER", "GREATER_EQUAL", "LEAKY_RELU", "LOG", "LOGICAL_AND",
    "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PAD", "QUANTIZE", "REDUCE_MAX", "RELU", "RESHAPE",
    "SELECT_V2", "SOFTMAX", "SQRT", "SQUARE", "SUB", "SUM", "TRANSPOSE",
}  # fmt: skip
"""What is used of the operators of TensorFlow Lite Micro."""

ODDS = Decision(1.4, 0.3, auxiliary=("_unknown_",), gate=Gate(0.9, 0.4, "odds"))

SMALL = [name for name in architectures.NAMES if name != "inception-v3"]


@pytest.fixture(scope="module")
def clips(test_data):
    return real_clips(test_data)


def compare(model, path, examples, **settings):
    """Export, and assert that LiteRT gives the model's probabilities and answers."""
    found = export(model, path, **settings)
    assert (found.format, found.bytes, found.accuracy) == ("tflite", path.stat().st_size, None)
    assert found.check.largest_difference <= 1e-5
    x = model.features(examples) if settings.get("from_features") else examples
    outputs = tflite.Runner(path.read_bytes())(x)
    wanted = model.predict(examples)
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5, rtol=0)
    sure = [not check.is_unsure(model, row, 1e-5) for row in wanted]
    assert np.mean(sure) > 0.8
    np.testing.assert_array_equal(outputs["answer"][sure], check.answers_of(model, wanted)[sure])
    return outputs


@pytest.mark.parametrize("name", slow_but(SMALL, "tc-cnn-l", "ds-cnn-s", "m5-32"))
def test_a_named_network_on_real_clips(name, clips, tmp_path):
    model = embedding_model() if name == "speech-embedding" else model_of(name, by_clip=name == "tc-cnn-l")
    compare(model, tmp_path / "m.tflite", clips)
    if architectures.input_kind(name) != "samples":
        compare(model, tmp_path / "f.tflite", clips, from_features=True)


@pytest.mark.parametrize(("network", "shape"), [("inception-v3", (75, 75, 3)), ("resnet20", (32, 32, 3))])
def test_pictures(network, shape, tmp_path, rng):
    compare(picture_model(network, shape), tmp_path / "m.tflite", rng.random((2, *shape), np.float32))


@pytest.mark.parametrize("front_end", [LogMel(RATE, 401, 401, 163, 40), Mfcc(RATE, coefficients=20)])
def test_front_ends(front_end, clips, tmp_path):
    compare(model_of("cnn", front_end, by_clip=True), tmp_path / "m.tflite", clips)


@pytest.mark.parametrize("decision", [ODDS, Decision(0.7, 0.4, gate=Gate(1.7, -0.6)), Decision(2.0, 1.0)])
@pytest.mark.parametrize("labels", [LABELS, ("yes", "no", "_unknown_")])
def test_decisions(decision, labels, clips, tmp_path):
    compare(model_of("cnn", labels=labels, decision=decision), tmp_path / "m.tflite", clips)


def test_an_ensemble(clips, tmp_path):
    parts = [model_of("tc-cnn", seed=seed) for seed in range(3)]
    together, params = join([part.network for part in parts], [part.params for part in parts])
    compare(model_of(together, params=params), tmp_path / "m.tflite", clips)


def parsed(path):
    return schema.Model.GetRootAsModel(path.read_bytes(), 0)


def operators_of(path):
    names = {getattr(schema.BuiltinOperator, name): name for name in dir(schema.BuiltinOperator) if name[0] != "_"}
    model = parsed(path)
    return {names[model.OperatorCodes(n).BuiltinCode()] for n in range(model.OperatorCodesLength())}


def test_operators_are_those_of_tensorflow_lite_micro(tmp_path):
    for number, model in enumerate(
        [model_of("bc-resnet-1", by_clip=True, decision=ODDS), embedding_model(), model_of("tc-resnet8")]
    ):
        export(model, tmp_path / f"{number}.tflite")
        assert operators_of(tmp_path / f"{number}.tflite") <= MICRO


def test_the_metadata_are_those_of_onnx_files(tmp_path):
    model = model_of("cnn", decision=ODDS)
    export(model, tmp_path / "m.tflite")
    found = parsed(tmp_path / "m.tflite")
    assert found.Version() == 3
    assert schema.Model.ModelBufferHasIdentifier((tmp_path / "m.tflite").read_bytes(), 0)
    told = {
        found.Metadata(n).Name().decode(): found.Buffers(found.Metadata(n).Buffer()).DataAsNumpy().tobytes()
        for n in range(found.MetadataLength())
    }
    about = json.loads(told["audioconv"])
    assert (about["labels"], about["sample_rate"], about["stream"]["hop_seconds"]) == (list(LABELS), RATE, 0.1)


# --- 8-bit integers ---


@pytest.fixture(scope="module")
def words(test_data, tmp_path_factory):
    """Return a folder of 40 clips of each of three words."""
    folder = tmp_path_factory.mktemp("words")
    for word in ("down", "go", "zero"):
        (folder / word).mkdir()
        for file in sorted((test_data / "speech-commands-9" / word).iterdir())[:140]:
            shutil.copy(file, folder / word)
    return folder


@pytest.mark.parametrize("name", slow_but(["cnn", "ds-cnn-s", "tc-resnet8", "matchboxnet-3x1x64"], "tc-resnet8"))
@pytest.mark.parametrize("from_features", [False, True])
def test_integers(name, from_features, words, tmp_path):
    model = model_of(name, labels=("down", "go", "zero"), by_clip=True, decision=Decision(1.2, 0.3))
    path = tmp_path / "m.tflite"
    found = export(model, path, int8=True, calibration=words, from_features=from_features)
    # The scales of 120 of 420 clips are chosen; the others measure.
    assert found.accuracy.examples == 120
    assert found.accuracy.same > 0.85
    assert found.check.examples == 300 + (0 if from_features else len(examples_for(model)))
    if from_features:
        export(model, tmp_path / "f.tflite", from_features=True)
        assert path.stat().st_size < 0.55 * (tmp_path / "f.tflite").stat().st_size
    graph = parsed(path).Subgraphs(0)
    tensors = [graph.Tensors(n) for n in range(graph.TensorsLength())]
    weights = [
        tensor for tensor in tensors
        if tensor.Type() == schema.TensorType.INT8 and parsed(path).Buffers(tensor.Buffer()).DataLength() > 100
    ]  # fmt: skip
    assert weights
    for tensor in weights:
        axis = tensor.Quantization().QuantizedDimension()
        assert tensor.Quantization().ScaleLength() == tensor.Shape(axis) > 1
        assert not tensor.Quantization().ZeroPointAsNumpy().any()


def test_integers_need_recordings_and_tflite(tmp_path, words):
    model = model_of("cnn")
    with pytest.raises(ConfigError, match=r"need examples to choose their ranges by.*--calibration FOLDER"):
        export(model, tmp_path / "m.tflite", int8=True)
    with pytest.raises(ConfigError, match="are for TFLite files"):
        export(model, tmp_path / "m.onnx", int8=True, calibration=words)
    with pytest.raises(ConfigError, match=r"give int8 \(--int8\) as well"):
        export(model, tmp_path / "m.tflite", calibration=words)
    with pytest.raises(DataError):
        export(model, tmp_path / "m.tflite", int8=True, calibration=tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("from_features", [False, True])
def test_stored_features_choose_the_ranges(from_features, words, tmp_path):
    model = model_of("tc-resnet8", labels=("down", "go", "zero"), by_clip=True, decision=Decision(1.2, 0.3))
    calibration = Calibration.read(model, words)
    stored = StoredFeatures.of(model.features(calibration.for_ranges[:100]))
    model = dataclasses.replace(model, stored_features=stored)
    path = tmp_path / "m.tflite"
    found = export(model, path, int8=True, from_features=from_features)
    made = 0 if from_features else len(examples_for(model))
    assert (found.check.examples, found.accuracy) == (100 + made, None)
    runner = tflite.Runner(path.read_bytes())
    assert accuracy(model, runner, calibration.rest, from_features=from_features).same > 0.85


def test_a_network_that_integers_ruin_is_not_written(tmp_path, words):
    """Its logits are the small differences of large numbers."""
    network = L.Chain([L.Flatten(), L.Sum([L.Dense(3, bias=False), L.Dense(3, bias=False)])])
    rng = np.random.default_rng(0)
    small, large = 0.01 * rng.standard_normal((2, 101 * 40, 3), np.float32)
    params = {"1": {"0": {"weight": small + 1000 * large}, "1": {"weight": -1000 * large}}}
    model = model_of(network, labels=("down", "go", "zero"), decision=Decision(), params=params)
    with pytest.raises(ExportError, match=r"in 8-bit integers only \d+% of 300 examples have the model's label"):
        export(model, tmp_path / "m.tflite", int8=True, calibration=words)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_tells_the_accuracy(tmp_path, words, capsys):
    model_of("cnn", labels=("down", "go", "zero"), decision=Decision()).save(tmp_path / "m.safetensors")
    arguments = ["export", str(tmp_path / "m.safetensors"), "-o", str(tmp_path / "m.tflite"), "--int8"]
    assert run_command([*arguments, "--calibration", str(words)]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "of 120 examples that chose no ranges" in told
    assert run_command([*arguments, "--calibration", str(words), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"]["examples"] == 120
    assert run_command(arguments) == 2


# --- what ranges are chosen by ---


def test_every_operation_can_be_evaluated():
    assert set(evaluation.RULES) == set(O.Operation.__subclasses__())


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_layer_evaluated_step_by_step(case, rng):
    params, x = started(case, 3, rng)
    if isinstance(case.layer, L.Power):
        x = np.abs(x)
    wanted, _ = case.layer.forward(params, x, L.Pass())
    for graph in (graph_of(case.layer, params, case.in_shape), folded(graph_of(case.layer, params, case.in_shape))):
        found = dict(evaluation.values(graph.steps, {"x": x}))[graph.outputs["y"].name]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=3e-6)


def test_batch_normalisation_is_folded(rng):
    network = L.Chain([L.Conv(4, 3, bias=False), L.BatchNorm(), L.ReLU(), L.Flatten(), L.Dense(3), L.BatchNorm()])
    graph = folded(graph_of(network, network.init((9, 2), rng), (9, 2)))
    kinds = [type(step.operation).__name__ for step in graph.steps]
    assert kinds == ["Convolution", "Function", "Reshape", "Linear"]


def test_ranges_hold_the_numbers_but_the_outliers(rng):
    parts, in_shape = CHAINS["flattened, then dense"]
    network = L.Chain(parts)
    graph = graph_of(network, network.init(in_shape, rng), in_shape)
    graph = O.Graph(graph.input, graph.steps, graph.input, graph.outputs["y"], graph.outputs)
    x = rng.standard_normal((50, *in_shape), np.float32)
    x[0, 0, 0, 0] = 1000.0
    whole, *without = evaluation.ranges(graph, [x[:25], x[25:]])
    assert whole["x"] == (x.min(), 1000.0)
    assert without[-1]["x"][1] < 10
    assert set(whole) == {"x", *(step.output.name for step in graph.steps)}


# --- on microcontrollers ---


@pytest.mark.parametrize("name", slow_but(["tc-cnn", "ds-cnn-s", "bc-resnet-1", "tc-resnet8"], "tc-cnn"))
@pytest.mark.parametrize("int8", [False, True])
def test_tensorflow_lite_micro_computes_the_same(name, int8, words, clips, tmp_path):
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="needs TensorFlow Lite Micro")
    model = model_of(name, labels=("down", "go", "zero"), decision=Decision(1.2, 0.3))
    settings = {"int8": True, "calibration": words} if int8 else {}
    export(model, tmp_path / "m.tflite", from_features=True, **settings)
    content = (tmp_path / "m.tflite").read_bytes()
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=8_000_000)
    features = model.features(clips)[:6]
    wanted = tflite.Runner(content)(features)
    found, answers = [], []
    for one in features:
        interpreter.set_input(one[None], 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0)[0].copy())
        answers.append(interpreter.get_output(1)[0])
    differences = np.abs(found - wanted["probabilities"])
    if int8:  # the programs round in other places
        assert differences.mean() < 0.03
    else:
        assert differences.max() <= 1e-5
        np.testing.assert_array_equal(answers, wanted["answer"])
