"""Models as ONNX files: named networks, front ends, decisions, ensembles and pictures, beside ONNX Runtime."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

import exported
import onnx
from clips import real_clips
from exported import LABELS, RATE, embedding_model, model_of, picture_model

from audioconv import architectures, interop
from audioconv import layers as L
from audioconv.architectures.ensemble import join
from audioconv.decision.curve import Curve
from audioconv.decision.decision import Decision, Gate
from audioconv.export import check, export
from audioconv.features.front_ends import LogMel, Mfcc

PLAIN = {
    "Add", "And", "ArgMax", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "Div", "Equal", "Exp",
    "Flatten", "Gather", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "GreaterOrEqual", "LeakyRelu", "Log", "MaxPool",
    "Mul", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Sigmoid", "Softmax", "Sqrt", "Sub", "Sum",
    "Transpose", "Where",
}  # fmt: skip
"""What is used of the operators that ONNX Runtime has everywhere."""

SPECTRAL = {"STFT", "DFT", "MelWeightMatrix", "HannWindow"}

SMALL = [name for name in architectures.NAMES if name != "inception-v3"]


@pytest.fixture(scope="session")
def clips(test_data):
    """Return real clips of words, (N, 16000) float32."""
    return real_clips(test_data)


def compare(model, path, examples, **settings):
    """Export, and assert that ONNX Runtime gives the model's probabilities and answers; return the outputs."""
    found = export(model, path, **settings)
    assert found.bytes == path.stat().st_size
    assert found.check.largest_difference <= 1e-5
    features = model.features(examples)
    outputs = exported.run(path, features if settings.get("from_features") else examples)
    wanted = model.predict(examples)
    assert outputs["probabilities"].dtype == np.float32
    assert outputs["answer"].dtype == np.int64
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5, rtol=0)
    sure = [not check.is_unsure(model, row, 1e-5) for row in wanted]
    assert np.mean(sure) > 0.8
    np.testing.assert_array_equal(outputs["answer"][sure], check.answers_of(model, wanted)[sure])
    return outputs


def network_of(model, examples):
    """Return the network's input and the logits for examples."""
    x = model.network_input(model.features(examples))
    return x, model.network.forward(model.params, x, L.Pass())[0]


def read_back(model, path, examples):
    """Assert that a file's network is read as the model's layers, with the same predictions."""
    found = interop.read(path)
    shape = model.input_shape
    assert exported.plain(found.network, shape) == exported.plain(model.network, shape)
    assert found.in_shape == model.input_shape
    x, wanted = network_of(model, examples)
    logits, _ = found.network.forward(found.params, x, L.Pass())
    np.testing.assert_allclose(logits, wanted, atol=1e-6 * max(1, np.abs(wanted).max()), rtol=0)
    return found


@pytest.mark.parametrize("name", SMALL)
def test_a_named_network_on_real_clips_and_back(name, clips, tmp_path):
    model = embedding_model() if name == "speech-embedding" else model_of(name, by_clip=name == "tc-cnn-l")
    compare(model, tmp_path / "m.onnx", clips)
    if architectures.input_kind(name) != "samples":
        compare(model, tmp_path / "f.onnx", clips, from_features=True)
        if not name.startswith("bc-resnet"):  # its sub-spectral norm is a scale in the file
            read_back(model, tmp_path / "f.onnx", clips[:4])


@pytest.mark.slow
def test_inception_on_pictures_and_back(tmp_path, rng):
    model = picture_model("inception-v3", (75, 75, 3))
    pictures = rng.random((2, 75, 75, 3), np.float32)
    compare(model, tmp_path / "m.onnx", pictures)
    read_back(model, tmp_path / "m.onnx", pictures)


@pytest.mark.parametrize("network", ["resnet20", "cs231n"])
def test_pictures_and_back(network, tmp_path, rng):
    model = picture_model(network)
    pictures = rng.random((5, 32, 32, 3), np.float32)
    compare(model, tmp_path / "m.onnx", pictures)
    read_back(model, tmp_path / "m.onnx", pictures)


FRONT_ENDS = {
    "8 kHz": LogMel.for_rate(8000),
    "another window": LogMel(RATE, 400, 320, 100, 40, 20.0, 7600.0, 1e-7),
    "odd transform": LogMel(RATE, 401, 401, 163, 40),
    "mfcc": Mfcc(RATE, coefficients=20),
}


@pytest.mark.parametrize("by_clip", [False, True])
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_front_ends(name, by_clip, clips, tmp_path):
    samples = 9000
    model = model_of("cnn", FRONT_ENDS[name], by_clip=by_clip, samples=samples)
    compare(model, tmp_path / "m.onnx", np.ascontiguousarray(clips[:, 3000 : 3000 + samples]))


def test_features_that_are_not_normalised(clips, tmp_path):
    model = model_of("tc-resnet8", normalisation=None)
    compare(model, tmp_path / "m.onnx", clips)
    compare(model, tmp_path / "f.onnx", clips, from_features=True)
    read_back(model, tmp_path / "f.onnx", clips)


def test_the_published_embedding_on_real_clips(mirror, clips, tmp_path):
    from audioconv.recipe import speech_embedding

    file = mirror / "embedding_model.onnx"
    if not file.is_file():
        pytest.skip("AUDIOCONV_MIRROR has no embedding_model.onnx")
    model = embedding_model(speech_embedding.read(file))
    compare(model, tmp_path / "m.onnx", clips)
    read_back(model, tmp_path / "m.onnx", clips[:2])


DECISIONS = {
    "temperature": Decision(temperature=2.5),
    "gate of the largest logit": Decision(0.7, 0.4, auxiliary=("_unknown_",), gate=Gate(1.7, -0.6)),
    "gate of the odds": Decision(1.4, 0.3, auxiliary=("_unknown_",), gate=Gate(0.9, 0.4, "odds")),
    "a sure gate": Decision(1.0, 0.9, gate=Gate(80.0, 5.0, "odds")),
    "nothing accepted": Decision(threshold=1.0),
}


@pytest.mark.parametrize("name", DECISIONS)
@pytest.mark.parametrize("labels", [LABELS, ("yes", "no", "stop"), ("_a_", "_b_", "c")])
def test_decisions(name, labels, clips, tmp_path):
    decision = DECISIONS[name]
    if not set(decision.auxiliary) <= set(labels):
        decision = Decision(decision.temperature, decision.threshold, gate=decision.gate)
    model = model_of("cnn", labels=labels, decision=decision)
    outputs = compare(model, tmp_path / "m.onnx", clips)
    if name == "nothing accepted":
        assert set(outputs["answer"].tolist()) == {-1}


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("network", ["tc-cnn", "cs231n"])
def test_an_ensemble_and_back(network, count, clips, tmp_path):
    parts = [model_of(network, seed=seed) for seed in range(count)]
    together, params = join([part.network for part in parts], [part.params for part in parts])
    model = model_of(together, params=params)
    compare(model, tmp_path / "m.onnx", clips)
    read_back(model, tmp_path / "m.onnx", clips[:3])


def test_operators_are_plain_and_old(clips, tmp_path):
    export(model_of("bc-resnet-1", by_clip=True, decision=DECISIONS["gate of the odds"]), tmp_path / "m.onnx")
    export(embedding_model(), tmp_path / "e.onnx")
    for name in ("m.onnx", "e.onnx"):
        made = onnx.load(tmp_path / name)
        assert next(entry.version for entry in made.opset_import if entry.domain == "") <= 17
        used = {node.op_type for node in made.graph.node}
        assert used <= PLAIN
        assert not used & SPECTRAL
        assert {node.domain for node in made.graph.node} == {""}
    # Log-mel: two convolutions for the spectrum, one for the mel bands.
    fronts = [node.name for node in onnx.load(tmp_path / "m.onnx").graph.node if node.name.startswith("front_end/Conv")]
    assert len(fronts) == 3


def test_the_batch_is_dynamic_and_may_be_empty(tmp_path, clips):
    export(model_of("cnn"), tmp_path / "m.onnx")
    for count in (1, 2, 7):
        assert exported.run(tmp_path / "m.onnx", clips[:count])["probabilities"].shape == (count, len(LABELS))
    opened = exported.session(tmp_path / "m.onnx")
    assert [one.shape for one in opened.get_inputs()] == [["N", RATE]]
    assert {one.name: one.shape for one in opened.get_outputs()} == {
        "probabilities": ["N", len(LABELS)], "answer": ["N"],
    }  # fmt: skip


def test_the_metadata_tell_what_a_detector_needs(tmp_path):
    curve = Curve((0.1, 0.5), (1.0, 0.9), (0.2, 0.1), (1.0, 0.9), (3.0, 0.5), 20, 30, 0.5)
    decision = Decision(
        1.2, 0.6, auxiliary=("_unknown_",), gate=Gate(1.0, 0.5), stream_threshold=0.8, curve=curve,
    )  # fmt: skip
    model = model_of("cnn", decision=decision)
    licence = "Apache License 2.0"
    model.provenance["pretrained"] = {"name": "speech-embedding", "licence": licence}
    model.provenance["data"] = {"origins": [{"source": "words", "licence": "CC BY 4.0", "clips": 3}]}
    export(model, tmp_path / "m.onnx")
    props = exported.session(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    told = {key: json.loads(value) for key, value in props.items()}
    assert told["labels"] == list(LABELS)
    assert told["answer_labels"] == [label for label in LABELS if label != "_unknown_"]
    assert (told["sample_rate"], told["clip_samples"], told["window_seconds"]) == (RATE, RATE, 1.0)
    assert (told["threshold"], told["temperature"]) == (0.6, 1.2)
    assert told["gate"] == {"scale": 1.0, "offset": 0.5, "score": "logit"}
    assert told["curve"]["false_accepts_per_hour"] == [3.0, 0.5]
    from audioconv.streaming import Detector

    detector = Detector(model)
    stream = told["stream"]
    assert (stream["threshold"], stream["hop_seconds"]) == (detector.threshold, detector.hop_seconds) == (0.8, 0.1)
    assert math.isclose(stream["smoothing_seconds"], 0.6)
    assert math.isclose(stream["refractory_seconds"], 0.505)
    assert told["front_end"]["front_end"] == "LogMel"
    assert told["licences"] == [{"of": "words", "licence": "CC BY 4.0"}, {"of": "speech-embedding", "licence": licence}]
    assert told["provenance"] == json.loads(json.dumps(dict(model.provenance)))


def test_a_file_of_ours_is_cut_like_others(tmp_path, clips):
    model = model_of("tc-cnn")
    export(model, tmp_path / "m.onnx")
    found = interop.read(tmp_path / "m.onnx", until="network/3")
    x, _ = network_of(model, clips[:2])
    begun = L.Chain(model.network.layers[:4])
    np.testing.assert_allclose(
        found.network.forward(found.params, x, L.Pass())[0], begun.forward(model.params, x, L.Pass())[0], atol=1e-5
    )


def test_sub_spectral_norm_comes_back_as_a_scale(tmp_path, clips):
    model = model_of("bc-resnet-1")
    export(model, tmp_path / "m.onnx")
    found = interop.read(tmp_path / "m.onnx")
    x, wanted = network_of(model, clips[:3])
    logits, _ = found.network.forward(found.params, x, L.Pass())
    np.testing.assert_allclose(logits, wanted, atol=1e-6 * max(1, np.abs(wanted).max()))
