"""Names, nesting and what runs through combinators; the summary of a network."""

from __future__ import annotations

import numpy as np
import pytest

from audioconv import layers as L
from audioconv.errors import ShapeError

NETWORK = L.Chain(
    [
        L.Conv(4, 3, padding=1, bias=False),
        L.BatchNorm(),
        L.Residual(L.Chain([L.Conv(6, 3, stride=2, padding=1), L.ReLU()]), L.Conv(6, 1, stride=2)),
        L.Concat([L.Identity(), L.Chain([L.BatchNorm(), L.Power(2.0)])]),
        L.Dropout(0.1),
        L.Flatten(),
        L.Dense(3),
    ]
)
PATHS = {
    "0.weight": (3, 2, 4),
    "1.weight": (4,),
    "1.bias": (4,),
    "1.running_mean": (4,),
    "1.running_var": (4,),
    "2.body.0.weight": (3, 4, 6),
    "2.body.0.bias": (6,),
    "2.shortcut.weight": (1, 4, 6),
    "2.shortcut.bias": (6,),
    "3.1.0.weight": (6,),
    "3.1.0.bias": (6,),
    "3.1.0.running_mean": (6,),
    "3.1.0.running_var": (6,),
    "6.weight": (60, 3),
    "6.bias": (3,),
}


@pytest.fixture
def params(rng):
    return NETWORK.init((10, 2), rng)


def test_parameters_have_dotted_paths(params):
    assert {path: array.shape for path, array in L.flatten(params).items()} == PATHS


def test_gradients_and_updates_have_the_same_paths(params, rng):
    run = L.Pass(training=True, rng=rng)
    y, saved = NETWORK.forward(params, rng.standard_normal((2, 10, 2), np.float32), run)
    _, grads = NETWORK.backward(params, saved, np.ones_like(y), run)
    updates = NETWORK.updates(params, saved)
    assert set(L.flatten(grads)) == {path for path in PATHS if "running" not in path}
    assert set(L.flatten(updates)) == {path for path in PATHS if "running" in path}


def test_updates_move_the_running_statistics_towards_the_batch(rng):
    layer = L.BatchNorm(momentum=0.25)
    params = layer.init((50, 3), rng)
    x = (rng.standard_normal((4, 50, 3)) * [1, 2, 3] + [5, 6, 7]).astype(np.float32)
    _, saved = layer.forward(params, x, L.Pass(training=True))
    updates = layer.updates(params, saved)
    np.testing.assert_allclose(updates["running_mean"], 0.25 * x.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(updates["running_var"], 0.75 + 0.25 * x.var(axis=(0, 1), ddof=1), rtol=1e-5)
    np.testing.assert_array_equal(params["running_mean"], 0)  # the trainer applies updates, the layer does not


def test_a_network_out_of_training_saves_nothing_and_has_no_updates(params, rng):
    _, saved = NETWORK.forward(params, rng.standard_normal((2, 10, 2), np.float32), L.Pass())
    assert saved is None
    assert L.flatten(NETWORK.updates(params, None)) == {}


def test_flat_parameters_run_the_network_again(params, rng):
    flat = L.flatten(params)
    again = L.unflatten(flat)
    x = rng.standard_normal((2, 10, 2), np.float32)
    np.testing.assert_array_equal(NETWORK.forward(again, x, L.Pass())[0], NETWORK.forward(params, x, L.Pass())[0])
    assert list(L.flatten(again)) == list(flat)
    assert L.flatten({}) == L.unflatten({}) == {}


def test_a_residual_adds_and_a_concat_lines_up(rng):
    x = rng.standard_normal((2, 5, 3), np.float32)
    y, _ = L.Residual(L.Tanh()).forward({}, x, L.Pass())
    np.testing.assert_allclose(y, np.tanh(x) + x, rtol=1e-6)
    y, _ = L.Concat([L.Identity(), L.ReLU(), L.Identity()]).forward({}, x, L.Pass())
    np.testing.assert_array_equal(y, np.concatenate([x, np.maximum(x, 0), x], axis=-1))


def test_branches_that_do_not_meet_are_named():
    network = L.Chain([L.Concat([L.Identity(), L.MaxPool(2)])])
    with pytest.raises(ShapeError) as caught:
        network.out_shape((6, 3))
    assert str(caught.value) == "0 Concat: branches must agree in all axes but the channels, got (6, 3), (3, 3)"


def test_an_error_in_the_body_or_the_shortcut_is_named_so():
    for name, network in (("body", L.Residual(L.Conv(4, 3))), ("shortcut", L.Residual(L.Identity(), L.Conv(4, 3)))):
        with pytest.raises(ShapeError) as caught:
            network.out_shape((2, 4))
        assert str(caught.value).startswith(f"{name} Conv(4, 3): a kernel that spans 3 does not fit")


def test_data_of_the_wrong_shape_is_named_with_the_path_when_it_arrives(params, rng):
    with pytest.raises(ShapeError, match=r"^0: kernels of shape \(3, 2, 4\) take 2 input channels"):
        NETWORK.forward(params, np.zeros((2, 10, 3), np.float32), L.Pass())
    with pytest.raises(ShapeError, match=r"^0: weight of shape \(3, 2, 4\) is not that of a kernel of size \(3, 3\)"):
        NETWORK.forward(params, np.zeros((2, 10, 10, 2), np.float32), L.Pass())
    normalise = L.Chain([L.BatchNorm()])
    with pytest.raises(ShapeError, match=r"^0: needs 3 channels, got input of shape \(5, 4\)"):
        normalise.forward(normalise.init((5, 3), rng), np.zeros((2, 5, 4), np.float32), L.Pass())


def test_an_example_of_the_wrong_length_is_refused_by_the_dense_layer(params):
    with pytest.raises(ShapeError, match=r"^6: kernels of shape"):
        NETWORK.forward(params, np.zeros((2, 12, 2), np.float32), L.Pass())


def test_summary_names_shapes_and_counts():
    found = L.summary(NETWORK, (10, 2))
    rows = {row.path: row for row in found.rows}
    assert list(rows) == ["0", "1", "2.body.0", "2.body.1", "2.shortcut", "3.0", "3.1.0", "3.1.1", "4", "5", "6"]
    assert rows["0"].out_shape == (10, 4)
    assert rows["0"].multiply_adds == 10 * 4 * 3 * 2
    assert rows["2.body.0"].out_shape == (5, 6)
    assert rows["2.body.0"].multiply_adds == 5 * 6 * 3 * 4
    assert rows["5"].out_shape == (60,)
    assert rows["1"].parameters == 8  # running statistics are not trained
    trained = sum(int(np.prod(shape)) for path, shape in PATHS.items() if "running" not in path)
    assert found.parameters == trained == L.count_parameters(NETWORK, (10, 2))
    assert found.multiply_adds == 240 + 360 + 5 * 6 * 4 + 180 == NETWORK.multiply_adds((10, 2))
    *lines, remark = str(found).splitlines()
    assert len(lines) == len(rows) + 5
    assert not any(line != line.rstrip() for line in lines)
    assert f"{trained:,}" in lines[-1]
    assert remark == "runs layer by layer, which is slower than compiled: 3.1.1 is Power, which is not compiled"


def test_summary_of_a_network_that_does_not_fit_says_where():
    network = L.Chain([*NETWORK.layers[:5], L.Identity(), *NETWORK.layers[6:]])
    with pytest.raises(ShapeError, match=r"^6 Dense\(3\): needs one axis of features, got input of shape \(5, 12\)"):
        L.summary(network, (10, 2))
