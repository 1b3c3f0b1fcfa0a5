"""Saliency of networks of which it is known what they look at."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv import Model, architectures
from audioconv import layers as L
from audioconv.compiler.execution import inference
from audioconv.compiler.inference import Inference
from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError, ShapeError
from audioconv.explaining import evidence, saliency
from audioconv.explaining.explanation import strongest
from audioconv.explaining.occlusion import PARTS, hide
from audioconv.features.normalisation import Normalisation

IN_SHAPES = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (8000, 1)}


def linear(weight: np.ndarray, mean: np.ndarray | None = None, decision: Decision | None = None) -> Model:
    """Return a model whose evidence for "yes" against "no" is the sum of the input times `weight` (its shape)."""
    both = np.stack([weight.ravel(), np.zeros(weight.size)], axis=1).astype(np.float32)
    params = {"0": {}, "1": {"weight": both, "bias": np.zeros(2, np.float32)}}
    scale = None if mean is None else Normalisation(mean, np.ones(len(mean), np.float32))
    network = L.Chain([L.Flatten(), L.Dense(2)])
    return Model(
        network, params, ("yes", "no"), weight.shape, normalisation=scale, decision=decision or Decision()
    )  # fmt: skip


def untrained(name: str, labels: tuple[str, ...] = ("a", "b", "c")) -> Model:
    network, in_shape = architectures.build(name, len(labels)), IN_SHAPES[architectures.input_kind(name)]
    return Model(network, network.init(in_shape, np.random.default_rng(1)), labels, in_shape)


# --- evidence ---


def test_evidence_is_the_logarithm_of_the_odds(rng):
    model = untrained("cs231n")
    features = rng.standard_normal((3, 101, 40, 1))
    probabilities = model.probabilities(features).astype(np.float64)
    for code, label in enumerate(model.labels):
        odds = probabilities[:, code] / (1 - probabilities[:, code])
        np.testing.assert_allclose(evidence(model, features, label), np.log2(odds), rtol=1e-3, atol=1e-5)


def test_evidence_goes_on_where_the_probability_is_one():
    model = linear(np.ones((1, 1)))
    features = np.array([100.0, 200.0, -300.0]).reshape(3, 1, 1)
    assert model.probabilities(features)[:2, 0].tolist() == [1, 1]
    np.testing.assert_allclose(evidence(model, features, "yes"), features.ravel() / math.log(2), rtol=1e-6)


def test_evidence_is_calibrated():
    cool, warm = (linear(np.ones((1, 1)), decision=Decision(temperature=t)) for t in (1.0, 4.0))
    features = np.full((1, 1, 1), 3.0)
    assert evidence(cool, features, "yes") == pytest.approx(4 * evidence(warm, features, "yes"))


# --- saliency ---


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_what_places_say_adds_up(shape, parts, seed):
    """For a network that only adds up, the sum is what all of the example says beyond the training mean."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(shape[1]).astype(np.float32)
    model = linear(rng.standard_normal(shape), mean)
    features = rng.standard_normal(shape).astype(np.float32)
    whole = evidence(model, features[None], "yes")[0] - evidence(model, np.broadcast_to(mean, (1, *shape)), "yes")[0]
    assert saliency(model, features, "yes", parts).sum() == pytest.approx(whole, abs=1e-4)


def test_single_places_of_a_sum_say_what_they_add(rng):
    weight, mean = rng.standard_normal((6, 5)), rng.standard_normal(5).astype(np.float32)
    features = rng.standard_normal((6, 5))
    found = saliency(linear(weight, mean), features, "yes", parts=[6])  # patches of 1 x 1
    np.testing.assert_allclose(found, weight * (features - mean) / math.log(2), atol=1e-5)
    against = saliency(linear(weight, mean), features, "no", parts=[6])
    np.testing.assert_allclose(against, -found, atol=1e-5)


@pytest.mark.parametrize("shape", [(101, 40), (101, 40, 1), (30, 44, 3), (4000, 1), (101,)])
def test_it_finds_the_only_place_that_is_looked_at(shape, rng):
    places = shape[:2]
    box = tuple(slice(int(0.5 * size), max(int(0.6 * size), int(0.5 * size) + 1)) for size in places)
    weight = np.zeros(shape)
    weight[box] = 1
    model = linear(weight, np.zeros(shape[-1], np.float32) if len(shape) > 1 else None)
    if len(shape) == 1:
        model = linear(weight, np.zeros(shape, np.float32))
    features = rng.uniform(1, 2, shape)
    found = saliency(model, features, "yes")
    assert found.shape == places
    found_box = strongest(found)
    for there, here, size in zip(box, found_box, places, strict=True):
        largest = math.ceil(size / PARTS[-1])
        assert abs(here.start - there.start) <= largest
        assert abs(here.stop - there.stop) <= largest
    # Nothing is said of places that no patch joins to the one that matters.
    assert np.all(found[: box[0].start - math.ceil(places[0] / PARTS[0])] == 0)


@pytest.mark.parametrize("name", [name for name in architectures.NAMES if name != "inception-v3"])
def test_it_is_the_same_compiled_and_layer_by_layer(name, rng):
    model = untrained(name)
    features = rng.standard_normal(model.input_shape)
    found = saliency(model, features, "b", parts=[2])
    assert found.shape == model.input_shape[:2]
    plain = untrained(name)
    object.__setattr__(plain, "_forward", lambda x: model.network.forward(model.params, x, L.Pass())[0])
    scale = np.abs(found).max()
    np.testing.assert_allclose(found, saliency(plain, features, "b", parts=[2]), atol=max(5e-3 * scale, 1e-7))


def test_a_network_that_is_not_compiled_is_explained_like_others(rng):
    in_shape = (12, 8, 1)
    network = L.Chain([L.Conv(2, (3, 3), padding="same"), L.Power(2.0), L.GlobalAvgPool(), L.Dense(2)])
    model = Model(network, network.init(in_shape, rng), ("yes", "no"), in_shape)
    assert not isinstance(inference(network, model.params, in_shape), Inference)
    features = rng.standard_normal(in_shape).astype(np.float32)
    found = saliency(model, features, "yes")
    assert found.shape == in_shape[:2]
    assert np.abs(found).max() > 0


def test_hidden_places_hold_the_training_mean(rng):
    mean = np.array([1.0, 2.0, 3.0], np.float32)
    features = rng.standard_normal((4, 3)).astype(np.float32)
    hidden = hide(linear(np.ones((4, 3)), mean), features, (slice(1, 3), slice(0, 2)))
    np.testing.assert_array_equal(hidden[1:3, :2], [[1, 2], [1, 2]])
    hidden[1:3, :2] = features[1:3, :2]
    np.testing.assert_array_equal(hidden, features)


def test_without_a_training_mean_it_is_the_examples(rng):
    features = rng.standard_normal((4, 3)).astype(np.float32)
    hidden = hide(linear(np.ones((4, 3))), features, (slice(0, 4), slice(0, 3)))
    np.testing.assert_allclose(hidden, np.broadcast_to(features.mean(axis=0), (4, 3)))


# --- what cannot be ---


def test_a_label_that_the_model_does_not_have(rng):
    with pytest.raises(ConfigError, match="no label 'maybe'; it has yes, no"):
        saliency(linear(np.ones((2, 2))), np.ones((2, 2)), "maybe")


def test_features_of_another_shape():
    with pytest.raises(ShapeError, match=r"one example of shape \(2, 2\), got \(1, 2, 2\)"):
        saliency(linear(np.ones((2, 2))), np.ones((1, 2, 2)), "yes")


@pytest.mark.parametrize("parts", [[], [4, 0]])
def test_parts_that_cannot_be(parts):
    with pytest.raises(ConfigError, match="parts must be numbers of at least 1"):
        saliency(linear(np.ones((2, 2))), np.ones((2, 2)), "yes", parts)


def test_nothing_is_strongest_where_nothing_speaks_for_it():
    assert strongest(np.array([[-1.0, 0.0]])) is None
