"""The five networks and audioconv's own training step and forward pass, with nothing of a peer's."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv import architectures
from audioconv import layers as L
from audioconv.compiler.train_step import TrainingPasses
from audioconv.model import Model
from audioconv.runtime.weights import WeightVector
from audioconv.training.fitting import ArrayData
from audioconv.training.losses import SoftmaxCrossEntropy
from audioconv.training.optimizers import AdamW
from audioconv.training.schedules import Constant
from audioconv.training.trainer import Trainer, TrainerSettings

Array = NDArray[Any]

NETWORKS = ("cnn", "cs231n", "ds-cnn-s", "tc-resnet8", "m5-32")
"""One of each kind, and all small: what differs is how they spend their time."""

BATCH = 64
CLASSES = 12
LEARNING_RATE = 1e-3
CHECKED_STEPS = 3
IN_SHAPES = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (8000, 1)}


@dataclass(frozen=True)
class Case:
    """A network with parameters, and a batch for it.

    Attributes
    ----------
    network : Chain
        Without dropout: its masks are random, so two libraries would have two results.
    params : dict of str to array
        By path. None is zero or one, as some are when training begins: a check would not see them.
    x, labels : arrays (BATCH, *in_shape) and (BATCH,)
    """

    name: str
    network: L.Chain
    in_shape: tuple[int, ...]
    params: dict[str, Array]
    x: Array
    labels: Array

    @property
    def forward_operations(self) -> int:
        """Multiplications and additions of one example's forward pass."""
        return 2 * self.network.multiply_adds(self.in_shape)

    @property
    def step_operations(self) -> int:
        """Those of a training step: two gradients beside the forward pass, but none by the first layer's input."""
        first = 2 * self.network.layers[0].multiply_adds(self.in_shape)
        return BATCH * (3 * self.forward_operations - first)


@functools.cache
def case(name: str) -> Case:
    """Return the network `name`, the same in every process."""
    rng = np.random.default_rng(0)
    whole = architectures.build(name, CLASSES)
    if not isinstance(whole, L.Chain):
        raise TypeError(f"{name} is no Chain")
    network = L.Chain([layer for layer in whole.layers if not isinstance(layer, L.Dropout)])
    in_shape = IN_SHAPES[architectures.input_kind(name)]
    params = L.flatten(network.init(in_shape, rng))
    for path, array in params.items():
        if array.ndim == 1:
            drawn = rng.uniform(0.5, 1.5, array.shape) if array.any() else 0.1 * rng.standard_normal(array.shape)
            params[path] = drawn.astype(np.float32)
    x = rng.standard_normal((BATCH, *in_shape), np.float32)
    return Case(name, network, in_shape, params, x, rng.integers(CLASSES, size=BATCH))


def training_traffic(case: Case) -> int:
    """Return the bytes that a training step has to read and write, as its passes are divided into stages."""
    trained = {path: array for path, array in case.params.items() if L.is_trained(path)}
    tracked = {path: array for path, array in case.params.items() if not L.is_trained(path)}
    passes = TrainingPasses(case.network, case.in_shape, BATCH, WeightVector(trained).offsets, tracked)
    return BATCH * passes.traffic


class Training:
    """Training steps by `trainer.Trainer`: forward, loss, backward, AdamW."""

    def __init__(self, case: Case) -> None:
        settings = TrainerSettings(
            epochs=1,
            batch_size=BATCH,
            optimizer=AdamW(),
            schedule=Constant(LEARNING_RATE),
            loss=SoftmaxCrossEntropy(),
            gradient_clip=None,
            patience=None,
            seed=0,
        )
        self.trainer = Trainer(case.network, ArrayData(case.x, case.labels), case.params, settings)
        self._case = case
        self._rng = np.random.default_rng(0)  # which nothing here draws from

    def step(self) -> float:
        """Make one step and return its loss."""
        loss, _ = self.trainer.step(self._case.x, self._case.labels, LEARNING_RATE, self._rng, self._rng)
        return loss

    def first_gradients(self) -> dict[str, Array]:
        """Return the gradients, by path, of the first step, right after it.

        They are read off AdamW's mean, which began at zero: so they are those that the trainer itself had.
        """
        params = self._case.params
        vector = WeightVector({path: array for path, array in params.items() if L.is_trained(path)})
        vector.values[:] = self.trainer.state["mean"] / (1 - AdamW().beta1)
        return vector.views


def forward(case: Case, batch: int) -> Callable[[], Array]:
    """Return what classifies the first `batch` examples, as a loaded model does."""
    labels = tuple(f"class {number}" for number in range(CLASSES))
    model = Model(case.network, L.unflatten(dict(case.params)), labels, case.in_shape)
    x = case.x[:batch].copy()
    return lambda: model.logits(x, batch_size=BATCH)


def channels_first(case: Case, arrays: dict[str, Array]) -> dict[str, Array]:
    """Return parameters or gradients, by path, with the axes that PyTorch and ONNX have."""
    flattened: tuple[int, ...] | None = None
    changed = {}
    for name, layer, in_shape in case.network.parts(case.in_shape):
        if isinstance(layer, L.Flatten):
            flattened = in_shape
        if isinstance(layer, L.Dense) and flattened:
            weight = arrays[f"{name}.weight"].reshape(*flattened, -1)
            changed[f"{name}.weight"] = np.moveaxis(weight, -2, 0).reshape(math.prod(flattened), -1)
    result = {}
    for path, array in {**arrays, **changed}.items():
        spatial = range(array.ndim - 2)
        result[path] = np.ascontiguousarray(array.transpose(-1, -2, *spatial) if array.ndim > 1 else array)
    return result
