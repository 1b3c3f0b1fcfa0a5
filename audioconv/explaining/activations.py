"""Kernels and feature maps of the layers of a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Array
from audioconv.explaining.occlusion import one_example
from audioconv.layers import Conv, DepthwiseConv, Layer, Params, Pass
from audioconv.layers.base import Shape, flatten
from audioconv.layers.summary import summary
from audioconv.model import Model


def feature_maps(model: Model, features: ArrayLike) -> dict[str, Array]:
    """Return what each layer makes of one example, in the order in which the layers are run.

    The network is run layer by layer, not compiled: compiled, activations go into the convolutions, and nothing between
    them is ever in memory.

    Parameters
    ----------
    model : Model
    features : (*feature_shape) array
        One example: as the front end gives it, or a picture; not normalised.

    Returns
    -------
    dict of str to float32 array
        By the layer's path, such as ``2.body.0``; each of the layer's output shape, such as ``(frames, bands,
        channels)``. The last is the logits.

    Raises
    ------
    ShapeError
        If the features are of another shape.
    """
    run = _Recording()
    x = model.network_input(one_example(model, features)[None])
    _recorded(model.network).forward(model.params, x, run)
    return {path: np.asarray(y[0], np.float32) for path, y in run.outputs.items()}


def kernels(model: Model) -> dict[str, Array]:
    """Return the weights of each convolution, in the order of the layers.

    Returns
    -------
    dict of str to float32 array
        By the layer's path; each ``(*kernel, C/groups, filters)``: time first, of a depthwise layer with one channel.
    """
    flat = flatten(model.params)
    return {path: flat[f"{path}.weight" if path else "weight"] for path, _, _ in convolutions(model)}


def convolutions(model: Model) -> list[tuple[str, Layer, Shape]]:
    """Return path, layer and input shape of each convolution."""
    return [leaf for leaf in leaves(model.network, model.input_shape) if isinstance(leaf[1], Conv | DepthwiseConv)]


def leaves(layer: Layer, in_shape: Shape, path: str = "") -> list[tuple[str, Layer, Shape]]:
    """Return path, layer and input shape of each layer that is not made of others, in order."""
    parts = list(layer.parts(in_shape))
    if not parts:
        return [(path, layer, in_shape)]
    return [leaf for name, part, shape in parts for leaf in leaves(part, shape, _below(path, name))]


def output_shapes(model: Model) -> dict[str, Shape]:
    """Return the output shape of each layer that is not made of others, by its path."""
    return {row.path: row.out_shape for row in summary(model.network, model.input_shape).rows}


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@dataclass
class _Recording(Pass):
    """A pass that keeps what the layers return, by their path."""

    outputs: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class _Recorded(Layer):
    """A layer whose output is kept."""

    layer: Layer
    path: str

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        """Return what the layer returns."""
        y, saved = self.layer.forward(params, x, run)
        assert isinstance(run, _Recording)
        run.outputs[self.path] = y
        return y, saved


def _recorded(layer: Layer, path: str = "") -> Layer:
    """Return `layer` with each layer that is not made of others recorded.

    Combinators keep their parts in fields, under the parts' names, or in one field that is a sequence, numbered.
    """
    changed: dict[str, Any] = {}
    for entry in dataclasses.fields(layer):
        value = getattr(layer, entry.name)
        if isinstance(value, Layer):
            changed[entry.name] = _recorded(value, _below(path, entry.name))
        elif isinstance(value, tuple) and value and all(isinstance(part, Layer) for part in value):
            changed[entry.name] = tuple(_recorded(part, _below(path, str(i))) for i, part in enumerate(value))
    return dataclasses.replace(layer, **changed) if changed else _Recorded(layer, path)
