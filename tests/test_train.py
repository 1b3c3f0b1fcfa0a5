"""The one way of training, from files and from arrays: what is read and built once, and what both doors offer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv.audio.negatives import NegativeSampler
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.recipe.examples import load
from audioconv.recipe.labelled import LabelledArrays
from audioconv.recipe.plan import resolve
from audioconv.recipe.pretrained import load_named
from audioconv.recipe.settings import Settings
from audioconv.recipe.setup import LABEL_SMOOTHING, TrainingSetup, prepare
from audioconv.training.callbacks import EpochEnded, Noted, RunStarted

RATE = 4000
QUICK = {"arch": "tc-resnet8", "epochs": 2, "batch_size": 16, "sample_rate": RATE}


def tones(count=12, seed=0):
    rng, time = np.random.default_rng(seed), np.arange(RATE) / RATE
    labels = ["low", "high"] * count
    pitches = {"low": 300, "high": 1200}
    clips = [np.sin(2 * np.pi * pitches[label] * rng.uniform(0.97, 1.03) * time) for label in labels]
    return [(0.3 * clip + 0.01 * rng.standard_normal(RATE)).astype(np.float32) for clip in clips], labels


@pytest.fixture
def folder(tmp_path):
    for n, (clip, label) in enumerate(zip(*tones(), strict=True)):
        (tmp_path / "tones" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "tones" / label / f"{n:02}.wav", clip, RATE, subtype="FLOAT")
    return tmp_path / "tones"


@pytest.fixture
def calls(monkeypatch):
    """Return how often each model file is read and how many clips each negative sampler is built from."""
    found = {"load": [], "sampler": []}
    load_model, build = Model.load.__func__, NegativeSampler.__init__

    def counted_load(cls, path):
        found["load"].append(path)
        return load_model(cls, path)

    def counted_build(self, samples, *args):
        found["sampler"].append(len(samples))
        build(self, samples, *args)

    monkeypatch.setattr(Model, "load", classmethod(counted_load))
    monkeypatch.setattr(NegativeSampler, "__init__", counted_build)
    return found


# --- what is read and built once ---


@pytest.mark.parametrize("files", [True, False], ids=["files", "arrays"])
def test_the_model_that_training_begins_with_is_read_once(files, folder, tmp_path, calls):
    begin = tmp_path / "m.safetensors"
    ac.Classifier(**QUICK, reject=False).fit(*tones()).save(begin)
    assert calls["load"] == []
    settings = {"epochs": 1, "batch_size": 16, "reject": False, "init": begin}
    found = ac.Classifier.train(folder, **settings) if files else ac.Classifier(**settings).fit(*tones())
    assert calls["load"] == [begin]
    assert found.model_.provenance["began_with"] == "m.safetensors"


@pytest.mark.usefixtures("no_speech_embedding")
def test_a_model_of_the_package_is_read_once(calls):
    words = [np.repeat(clip, 4) for clip in tones()[0]]
    begun = ac.Classifier(epochs=1, reject=False, normalise_clips=True).fit(words, tones()[1])
    assert len(calls["load"]) == 1
    assert begun.model_.provenance["began_with"] == calls["load"][0].name
    ac.Classifier(epochs=1, reject=False, init=None, sample_rate=RATE).fit(*tones())
    assert len(calls["load"]) == 1


@pytest.mark.parametrize(("refit", "samplers"), [(False, 2), (True, 3)])
def test_negatives_have_one_sampler_for_all_networks_of_an_ensemble(refit, samplers, calls):
    clips, labels = tones()
    ac.Classifier(**{**QUICK, "epochs": 1}, init=None, reject=True, ensemble_size=3, refit=refit).fit(clips, labels)
    training, *final, calibration = calls["sampler"]
    assert len(calls["sampler"]) == samplers
    assert training + calibration == len(clips)  # those that are trained on, and those that choose the threshold
    assert final == [len(clips)] * (samplers - 2)


# --- two doors, one way ---


def test_arrays_are_trained_on_like_files(folder):
    clips, labels = tones()
    order = np.argsort(np.array(labels), kind="stable")  # as a folder has its files
    settings = {**QUICK, "epochs": 1}
    of_files = ac.Classifier.train(folder, **settings)
    of_arrays = ac.Classifier(**settings).fit([clips[i] for i in order], [labels[i] for i in order])
    assert of_files.model_.labels == of_arrays.model_.labels
    np.testing.assert_array_equal(of_files.predict_proba(clips), of_arrays.predict_proba(clips))


def test_arrays_have_callbacks_and_checkpoints_too(tmp_path):
    clips, labels = tones()
    events = []
    whole = ac.Classifier(**QUICK).fit(clips, labels, callbacks=[events.append])
    assert [type(event) for event in events if isinstance(event, RunStarted)] == [RunStarted]
    assert any("window of 1 s" in event.message for event in events if isinstance(event, Noted))

    def stop(event):
        if isinstance(event, EpochEnded):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ac.Classifier(**QUICK).fit(clips, labels, checkpoints=tmp_path, callbacks=[stop])
    resumed = ac.Classifier(**QUICK).fit(clips, labels, checkpoints=tmp_path, resume=True)
    for name, classifier in (("a", whole), ("b", resumed)):
        classifier.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_network_that_cannot_take_the_examples_is_refused_before_they_are_read(monkeypatch, tmp_path, folder):
    image = pytest.importorskip("PIL.Image")
    for label in "ab":
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for n in range(3):
            image.new("L", (8, 8), 30 * n).save(tmp_path / "pictures" / label / f"{n}.png")
    for kind in (AudioInput, ImageInput):
        for name in ("load", "collect"):
            monkeypatch.setattr(kind, name, None)
    with pytest.raises(ConfigError, match="network m5 takes sound"):
        ac.Classifier.train(tmp_path / "pictures", arch="m5")
    with pytest.raises(ConfigError, match="network m5 takes sound"):
        ac.Classifier(arch="m5").fit(np.zeros((6, 8, 8, 1)), ["a", "b"] * 3)


def test_a_model_of_pictures_does_not_begin_one_of_sounds(tmp_path):
    ac.Classifier(epochs=1, augment=False).fit(np.random.default_rng(0).random((6, 8, 8, 1)), ["a", "b"] * 3).save(
        tmp_path / "m"
    )
    with pytest.raises(ConfigError, match="is a model of pictures, but arrays holds audio"):
        ac.Classifier(init=tmp_path / "m").fit(*tones())


@pytest.mark.parametrize("has_bank", [True, False])
@pytest.mark.parametrize("with_embedding", [True, False])
def test_targets_are_smoothed_unless_the_speech_embedding_has_a_bank(with_embedding, has_bank):
    setup = SimpleNamespace(
        plan=SimpleNamespace(begins_with_embedding=with_embedding),
        bank=object() if has_bank else None,
        examples=SimpleNamespace(epoch_of=lambda part, balanced: (None, part)),
        codes=np.arange(10) % 2,
        classes=("go", "up", "_unknown_"),
        spoken=None,
    )
    loss = TrainingSetup.loss(setup, np.arange(10))
    assert loss.label_smoothing == (0.0 if with_embedding and has_bank else LABEL_SMOOTHING)


# --- one step after the other ---


def test_the_way_of_one_clip():
    """From a clip in memory to a batch of training, and of use."""
    clips, labels = tones()
    clips = [np.round(clip * 32768).astype(np.float32) / np.float32(32768) for clip in clips]  # kept exactly
    nobody = [None] * len(clips)
    data = LabelledArrays(kind="audio", arrays=clips, labels=labels, speakers=nobody, splits=nobody, sample_rate=RATE)
    settings = Settings(**QUICK, augment=False, reject=False)
    plan = resolve(settings, data, load_named(settings))
    assert (plan.arch, plan.input_shape, plan.spec.shape) == ("tc-resnet8", (101, 40), (RATE,))
    assert (plan.rejects, plan.refits, plan.ensemble_size, plan.epoch_count(24)) == (False, False, 1, 2)
    examples = load(plan, data)
    np.testing.assert_array_equal(examples.x[3], clips[3])
    setup = prepare(plan, examples)
    assert setup.classes == ("high", "low")
    part = setup.parts["train"]
    (replica,) = setup.data_to_train(part)
    batch = replica.batch(np.arange(2), np.random.default_rng(0))
    model = setup.model(setup.network, setup.network.init(plan.input_shape, np.random.default_rng(0)))
    some = np.stack([clips[i] for i in part[:2]])
    np.testing.assert_array_equal(batch, model.network_input(model.features(some)))
    np.testing.assert_array_equal(model.predict(some), model.probabilities(plan.spec.front_end(some)))
