"""A network that was read from a file of another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioconv._types import Array
from audioconv.errors import ShapeError
from audioconv.layers import Chain, Flatten, Layer, Params, Softmax

Axes = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Imported:
    """A network and its parameters, channels last, and where they were in the file.

    Attributes
    ----------
    network : Layer
        Parts that are not recognised as residuals, branches or gates do not occur: the file is refused instead.
    params : dict
        Parameters of the network, float32.
    in_shape : tuple of int
        Shape of one example, channels last, of the size for which the file was written. A network without layers of
        fixed size (`Flatten` with `Dense`) takes longer inputs as well.
    names : mapping of str to str
        Name in the file of each layer, by the layer's path, such as ``{"3.body.0": "/layer1/conv1/Conv"}``.
    input_axes : tuple of (int or None)
        For each axis of an example, the axis of the file's input that it is (0 is the batch); None for an axis of
        size 1 that the file does not have.
    output_axes : tuple of (int or None)
        For each axis of the file's output behind the batch, the axis of this network's output that it is; None for an
        axis of size 1 that this one does not have.
    open_axes : tuple of int
        Axes of `in_shape` whose size the file leaves open; the size there is the one that was given.
    """

    network: Layer
    params: Params
    in_shape: tuple[int, ...]
    names: Mapping[str, str]
    input_axes: Axes = ()
    output_axes: Axes = ()
    open_axes: tuple[int, ...] = ()

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the output for an example of `in_shape`, channels last."""
        return self.network.out_shape(self.in_shape)

    def from_file_order(self, x: Array) -> Array:
        """Return a batch as the file's network takes it, such as (N, C, H, W), with the axes of this one."""
        return _reordered(x, self.input_axes)

    def to_file_order(self, y: Array) -> Array:
        """Return an output (N, ...) of this network with the axes of the file's output."""
        return _reordered(y, self.output_axes)

    def logits(self) -> Imported:
        """Return the network up to one row of scores: without a softmax at its end, and flattened.

        This is what `audioconv.Model` takes: ``Model(found.network, found.params, labels, found.in_shape)``.
        """
        layers = list(self.network.layers) if isinstance(self.network, Chain) else [self.network]
        names = dict(self.names)
        while layers and isinstance(layers[-1], Softmax):
            names.pop(str(len(layers) - 1), None)
            layers.pop()
        params = {str(number): self.params[str(number)] for number in range(len(layers)) if str(number) in self.params}
        network = Chain(layers)
        if len(network.out_shape(self.in_shape)) > 1:
            network = Chain([*layers, Flatten()])
        return replace(self, network=network, params=params, names=names, output_axes=(1,))


def _reordered(x: Array, axes: Sequence[int | None]) -> Array:
    """Return x (N, ...) with `axes` of it behind the batch; None adds an axis, and those left out must have size 1."""
    order = [0, *(axis for axis in axes if axis is not None)]
    rest = [axis for axis in range(x.ndim) if axis not in order]
    if max(order) >= x.ndim or any(x.shape[axis] != 1 for axis in rest):
        raise ShapeError(f"needs axes {sorted(order)}, and others only of size 1, got an array of shape {x.shape}")
    sizes = [len(x), *(1 if axis is None else x.shape[axis] for axis in axes)]
    return np.ascontiguousarray(x.transpose([*order, *rest])).reshape(sizes)
