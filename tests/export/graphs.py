"""Layers as described graphs, and chains of them in which axes move."""

from __future__ import annotations

from audioconv import layers as L
from audioconv.export import layers as export_layers
from audioconv.export import operations as O


def graph_of(layer, params, in_shape):
    builder = O.GraphBuilder()
    start = builder.tensor("x", in_shape)
    y = export_layers.add_layer(builder, layer, params, start, "network")
    if y is start:  # a layer that does nothing
        y = builder.add(O.Arithmetic("add", O.single(0.0)), "network", start)
    return O.Graph(start, builder.steps, start, y, {"y": y})


CHAINS = {
    "flattened, then dense": ([L.Conv(5, (3, 3)), L.ReLU(), L.Flatten(), L.Dropout(), L.Dense(4)], (6, 7, 2)),
    "flattened, normalised, scaled": (
        [L.Flatten(), L.BatchNorm(), L.PReLU(), L.Scale(), L.SiLU(), L.Dense(4)], (3, 4, 2),
    ),
    "flattened, then a softmax": ([L.Conv(3, 2), L.Flatten(), L.Softmax()], (5, 2)),
    "flattened branches": ([L.Concat([L.Flatten(), L.Chain([L.Conv(3, 2), L.Flatten()])]), L.Dense(3)], (5, 2)),
    "frequencies as channels": ([L.Rearrange((0, (2, 1))), L.Conv(4, 3), L.GlobalMaxPool()], (7, 4, 3)),
    "axes exchanged twice": ([L.Rearrange((2, 0, 1)), L.Conv(4, (2, 2)), L.Rearrange((1, (0, 2)))], (5, 4, 3)),
    "flattened after an exchange": ([L.Rearrange((1, 0, 2)), L.Flatten(), L.Dense(3)], (5, 4, 3)),
    "one frame": ([L.Conv(3, (4, 3)), L.Flatten(), L.Dense(2)], (4, 3, 2)),
    "a gate of features": (
        [L.Multiply([L.Identity(), L.Chain([L.GlobalAvgPool(), L.Dense(3), L.Sigmoid()])])], (4, 5, 3),
    ),
    "softmax over frequencies": ([L.Softmax(-2), L.Mean((-2,)), L.Flatten()], (4, 5, 3)),
}  # fmt: skip
