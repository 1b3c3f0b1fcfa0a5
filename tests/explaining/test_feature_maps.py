"""Feature maps and kernels of all named networks, and receptive fields beside gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv import Model, architectures
from audioconv import layers as L
from audioconv.errors import ShapeError
from audioconv.explaining import feature_maps, kernels, receptive_fields
from audioconv.features.normalisation import Normalisation

IN_SHAPES = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (8000, 1)}


def model_of(network: L.Layer, in_shape: tuple[int, ...], **more) -> Model:
    (classes,) = network.out_shape(in_shape)
    labels = tuple(f"label {i}" for i in range(classes))
    return Model(network, network.init(in_shape, np.random.default_rng(0)), labels, in_shape, **more)


@pytest.mark.parametrize("name", architectures.NAMES)
def test_every_layer_has_its_map(name, rng):
    network = architectures.build(name, 3)
    in_shape = (75, 75, 3) if name == "inception-v3" else IN_SHAPES[architectures.input_kind(name)]
    model = model_of(network, in_shape)
    features = rng.standard_normal(in_shape)
    maps, summary = feature_maps(model, features), L.summary(network, in_shape)
    assert {path: array.shape for path, array in maps.items()} == {row.path: row.out_shape for row in summary.rows}
    logits = model.logits(features[None])[0]
    np.testing.assert_allclose(maps[summary.rows[-1].path], logits, rtol=1e-3, atol=1e-3 * np.abs(logits).max())


def test_maps_are_what_the_layers_give(rng):
    mean, std = np.array([1.0, -1.0], np.float32), np.array([2.0, 0.5], np.float32)
    network = L.Chain([L.Residual(L.Chain([L.Conv(2, 3, padding=1), L.ReLU()])), L.GlobalAvgPool(), L.Dense(2)])
    model = model_of(network, (7, 2), normalisation=Normalisation(mean, std))
    features = rng.standard_normal((7, 2)).astype(np.float32)
    maps = feature_maps(model, features)
    assert list(maps) == ["0.body.0", "0.body.1", "0.shortcut", "1", "2"]
    x = (features - mean) / std
    convolved = network.layers[0].body.layers[0].forward(model.params["0"]["body"]["0"], x[None], L.Pass())[0][0]
    np.testing.assert_allclose(maps["0.body.0"], convolved, rtol=1e-6)
    np.testing.assert_array_equal(maps["0.body.1"], np.maximum(maps["0.body.0"], 0))
    np.testing.assert_array_equal(maps["0.shortcut"], x)
    np.testing.assert_allclose(maps["1"], (maps["0.body.1"] + x).mean(axis=0), rtol=1e-5)


def test_maps_of_features_of_another_shape():
    model = model_of(L.Chain([L.GlobalAvgPool()]), (5, 2))
    with pytest.raises(ShapeError, match=r"one example of shape \(5, 2\), got \(5, 3\)"):
        feature_maps(model, np.ones((5, 3)))


def test_kernels_are_the_convolutions_weights():
    model = model_of(architectures.build("matchboxnet-3x1x64", 3), (101, 40))
    found = kernels(model)
    assert found["0"].shape == (11, 1, 40)  # depthwise
    assert found["1"].shape == (1, 40, 128)
    assert {path: array.shape for path, array in found.items()} == {
        path.removesuffix(".weight"): array.shape
        for path, array in L.flatten(model.params).items()
        if path.endswith(".weight") and array.ndim == 3
    }


# --- receptive fields ---


@st.composite
def windows(draw, axes, most_layers=3):
    """Draw layers that slide a window, some of them side by side."""
    layers = []
    for _ in range(draw(st.integers(1, most_layers))):
        kernel, stride, dilation = (
            tuple(draw(st.integers(1, most)) for _ in range(axes)) for most in (4, 2, 2)
        )  # fmt: skip
        kind = draw(st.sampled_from(["conv", "depthwise", "pool", "residual", "concat"]))
        if kind == "conv":
            padding = draw(st.sampled_from([0, 1, "same"]))
            layers.append(L.Conv(2, kernel, stride=stride, dilation=dilation, padding=padding, bias=False))
        elif kind == "depthwise":
            layers.append(L.DepthwiseConv(kernel, stride=stride, padding="same", bias=False))
        elif kind == "pool":
            layers.append(L.AvgPool(kernel, stride=stride))
        else:
            side = L.Conv(2, kernel, padding="same", dilation=dilation, bias=False)
            beside = L.Chain([L.Concat([side, L.Conv(1, (1,) * axes)]), L.Conv(2, (1,) * axes)])
            layers.append(L.Residual(side) if kind == "residual" else beside)
    # Behind a layer that sees each place alone, the last field stands under a known path.
    layers.append(L.Conv(2, (1,) * axes))
    return L.Chain([L.Conv(2, (1,) * axes), *layers])


def positive(params):
    return {k: positive(v) if isinstance(v, dict) else np.abs(v) + 0.1 for k, v in params.items()}


@given(st.sampled_from([1, 2]).flatmap(lambda axes: st.tuples(st.just(axes), windows(axes))), st.data())
def test_a_field_is_where_the_gradient_is(drawn, data):
    """With weights above zero nothing cancels: the gradient of one number is there in its field alone."""
    axes, network = drawn
    in_shape = (*(60, 55)[:axes], 1)
    params = positive(network.init(in_shape, np.random.default_rng(0)))
    y, saved = network.forward(params, np.ones((1, *in_shape), np.float32), L.Pass(training=True))
    place = tuple(data.draw(st.integers(0, size - 1)) for size in y.shape[1:-1])
    dy = np.zeros_like(y)
    dy[(0, *place, 0)] = 1
    dx, _ = network.backward(params, saved, dy, L.Pass(training=True))
    fields = receptive_fields(network, in_shape)[str(len(network.layers) - 1)]
    ends = [
        (field.begin + number * field.step, field.end + number * field.step)
        for field, number in zip(fields, place, strict=True)
    ]
    if not dx.any():  # there are zeros around the input where a dilated kernel looks, and its gaps over the input
        assert any(begin < 0 or end > size for (begin, end), size in zip(ends, in_shape[:-1], strict=True))
        return
    for axis, ((begin, end), size) in enumerate(zip(ends, in_shape[:-1], strict=True)):
        touched = np.flatnonzero(np.abs(dx[0]).max(axis=tuple(a for a in range(axes + 1) if a != axis)))
        # Of a field that reaches over the border, strides and dilations may leave the inputs at the border out.
        assert touched[0] == begin if begin >= 0 else touched[0] >= 0
        assert touched[-1] == end - 1 if end <= size else touched[-1] < size


def test_a_mean_over_all_bands_sees_all_bands():
    network = L.Chain(
        [L.Residual(L.Chain([L.FrequencyAvgPool(), L.Conv(1, (3, 1), padding=(1, 0))])), L.Conv(1, (3, 3))]
    )
    fields = receptive_fields(network, (20, 10, 1))
    assert [field.size(20) for field in (fields["0.body.1"][0], fields["1"][0])] == [3, 5]
    assert [field.size(10) for field in (fields["0.body.1"][1], fields["1"][1])] == [10, 10]
