"""Features of training clips that a model keeps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import audioconv as ac
from audioconv.errors import ConfigError, ModelFileError, ShapeError
from audioconv.features.stored import MAX_BYTES, StoredFeatures


def test_the_error_is_half_a_step(rng):
    features = rng.normal(-40, [1, 10, 30, 0], (7, 50, 4)).astype(np.float32)
    stored = StoredFeatures.of(features)
    step = np.ptp(features, axis=(0, 1)) / 255
    assert stored.codes.dtype == np.uint8
    assert (np.abs(stored.features() - features).max(axis=(0, 1)) <= 0.5 * step + 1e-5).all()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"codes": np.zeros((2, 3, 4), np.float32)}, "must be .* uint8, got .* float32"),
        ({"codes": np.zeros((0, 3, 4), np.uint8)}, r"got \(0, 3, 4\) uint8"),
        ({"low": np.zeros(3, np.float32)}, r"low of stored features must be \(4,\)"),
        ({"step": np.full(4, np.nan, np.float32)}, "step of stored features must be .* finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, what):
    fields = {"codes": np.zeros((2, 3, 4), np.uint8), "low": np.zeros(4, np.float32), "step": np.ones(4, np.float32)}
    with pytest.raises(ConfigError, match=what):
        StoredFeatures(**{**fields, **change})


def clips(rng, count=40):
    time = np.arange(8000) / 8000
    pitches = np.where(np.arange(count) % 2, 400, 1500)
    x = 0.3 * np.sin(2 * np.pi * pitches[:, None] * time) + rng.normal(0, 0.01, (count, 8000))
    return x.astype(np.float32), ["low" if pitch == 400 else "high" for pitch in pitches]


SETTINGS = {"arch": "tc-resnet8", "init": None, "epochs": 1, "sample_rate": 8000, "reject": False}


def test_a_model_keeps_features_of_training_clips(rng, tmp_path):
    x, y = clips(rng)
    x = np.round(np.asarray(x) * 32768).astype(np.float32) / np.float32(32768)  # training keeps 16 bits
    model = ac.Classifier(**SETTINGS, stored_features=10).fit(x, y).model_
    stored = model.stored_features
    assert stored.codes.shape == (10, *model.feature_shape)
    features = model.features(x)
    step = stored.step.max()
    for own in stored.features():
        assert np.abs(features - own).max(axis=(1, 2)).min() <= 0.5 * step + 1e-4
    model.save(tmp_path / "m.safetensors")
    loaded = ac.Model.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.stored_features.features(), stored.features())
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()


def test_the_setting_does_not_change_the_network(rng):
    x, y = clips(rng)
    kept, none = (ac.Classifier(**SETTINGS, stored_features=count).fit(x, y).model_ for count in (200, 0))
    assert none.stored_features is None
    assert kept.stored_features.codes.nbytes <= MAX_BYTES
    assert kept.predict(x).tobytes() == none.predict(x).tobytes()


def test_a_damaged_file_is_refused(rng, tmp_path):
    x, y = clips(rng)
    model = ac.Classifier(**SETTINGS, stored_features=2).fit(x, y).model_
    wrong = StoredFeatures(np.zeros((2, 3, 4), np.uint8), np.zeros(4, np.float32), np.ones(4, np.float32))
    with pytest.raises(ShapeError, match=r"the stored ones are \(3, 4\)"):
        dataclasses.replace(model, stored_features=wrong)
    object.__setattr__(model, "stored_features", wrong)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="the stored ones are"):
        ac.Model.load(tmp_path / "m.safetensors")


def test_a_negative_number_is_refused(rng):
    with pytest.raises(ConfigError, match="stored_features must be 0 or more"):
        ac.Classifier(**{**SETTINGS, "stored_features": -1}).fit(*clips(rng))
