"""Execution of networks: compiled if the compiler supports every layer, layer by layer otherwise.

Both give the same numbers. A network that runs layer by layer is slower; one log line and its summary report it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import numpy as np

from audioconv._types import Array
from audioconv.compiler.graph import NotCompiledError
from audioconv.compiler.inference import Inference
from audioconv.compiler.trace import trace
from audioconv.compiler.train_step import TrainingPasses
from audioconv.layers.base import Layer, Params, Pass, Shape, flatten, unflatten
from audioconv.layers.summary import remarks
from audioconv.runtime.weights import WeightVector

logger = logging.getLogger("audioconv")


class Passes(Protocol):
    """Forward and backward pass of a training step. The next step may overwrite the arrays that they return."""

    def forward(self, x: Array, rng: np.random.Generator) -> Array:
        """Return the logits (N, classes) of a batch (N, *in_shape)."""
        ...

    def backward(self, dy: Array) -> None:
        """Write the gradient by the weights into their vector, given that by the logits of the last forward pass."""
        ...

    def updates(self) -> Mapping[str, Array]:
        """Return, by path, the running statistics after the last forward pass."""
        ...


def training_passes(
    network: Layer,
    weights: WeightVector,
    arrays: Mapping[str, Array],
    in_shape: Shape,
    examples: int,
    frozen: Collection[str] = (),
    *,
    compiled: bool = True,
) -> Passes:
    """Return the passes of `network`.

    Parameters
    ----------
    network : Layer
    weights : WeightVector
        The trained parameters and their gradients.
    arrays : mapping of str to array
        All parameters by path. Each pass reads the current values of the tracked ones.
    in_shape : tuple of int
        The shape of one example.
    examples : int
        The largest batch.
    frozen : collection of str
        Paths of parameters that do not learn: their gradient is 0, and compiled networks do not compute it. Default:
        none.
    compiled : bool
        Whether the network is compiled if it can be. Default: True.
    """
    if not compiled:
        return _Plain(network, weights, arrays, frozen)
    try:
        return _Compiled(network, weights, arrays, in_shape, examples, frozen)
    except NotCompiledError as error:
        _say_once(network, str(error))
        return _Plain(network, weights, arrays, frozen)


def inference(network: Layer, params: Params, in_shape: Shape) -> Callable[[Array], Array]:
    """Return the function from a batch (N, *in_shape) float32 to its logits (N, classes), of a trained network.

    It may or may not use parameters that change later.
    """
    try:
        return Inference(network, flatten(params), in_shape)
    except NotCompiledError as error:
        _say_once(network, str(error))
        return lambda x: network.forward(params, x, Pass())[0].astype(np.float32, copy=False)


def how_it_runs(network: Layer, in_shape: Shape) -> str:
    """Return a line with the reason why `network` runs layer by layer, or "" if it is compiled.

    Parameters
    ----------
    network : Layer
    in_shape : tuple of int
        The shape of one example.
    """
    for training in (True, False):
        try:
            trace(network, in_shape, training)
        except NotCompiledError as error:
            return _LAYER_BY_LAYER.format(error)
    return ""


_LAYER_BY_LAYER = "layer by layer, which is slower than compiled: {}"

_said: set[int] = set()


def _say_once(network: Layer, reason: str) -> None:
    """Log, once for each network, that it is not compiled."""
    which = hash((repr(network), reason))  # not of the network: a layer's fields may have no hash
    if which not in _said:
        _said.add(which)
        logger.warning("the network runs %s", _LAYER_BY_LAYER.format(reason))


class _Compiled:
    def __init__(
        self,
        network: Layer,
        weights: WeightVector,
        arrays: Mapping[str, Array],
        in_shape: Shape,
        examples: int,
        frozen: Collection[str],
    ) -> None:
        self._weights, self._frozen = weights, frozen
        self._tracked = {path: array for path, array in arrays.items() if path not in weights.views}
        self._passes = TrainingPasses(network, in_shape, examples, weights.offsets, self._tracked, frozen)

    def forward(self, x: Array, rng: np.random.Generator) -> Array:
        x = np.require(x, np.float32, ["C", "A"])
        return self._passes.forward(self._weights.values, x, self._tracked, rng)

    def backward(self, dy: Array) -> None:
        self._passes.backward(dy, self._weights.gradient)
        self._weights.clear_gradients(self._frozen)

    def updates(self) -> Mapping[str, Array]:
        return self._passes.tracked


class _Plain:
    def __init__(
        self, network: Layer, weights: WeightVector, arrays: Mapping[str, Array], frozen: Collection[str]
    ) -> None:
        self._network, self._weights, self._params = network, weights, unflatten(dict(arrays))
        self._frozen = frozen

    def forward(self, x: Array, rng: np.random.Generator) -> Array:
        self._run = Pass(training=True, rng=rng)
        logits, self._saved = self._network.forward(self._params, x, self._run)
        return logits

    def backward(self, dy: Array) -> None:
        self._weights.gather(flatten(self._network.gradients(self._params, self._saved, dy, self._run)))
        self._weights.clear_gradients(self._frozen)

    def updates(self) -> Mapping[str, Array]:
        return flatten(self._network.updates(self._params, self._saved))


@remarks.append
def _remark(network: Layer, in_shape: Shape) -> str:
    """Return the summary's remark on how the network runs; none for a part whose output is not one row of numbers."""
    how = how_it_runs(network, in_shape) if len(network.out_shape(in_shape)) == 1 else ""
    return how and f"runs {how}"
