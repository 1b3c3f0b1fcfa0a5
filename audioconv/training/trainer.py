"""`Trainer`: the state of a run between epochs."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.compiler.execution import inference, training_passes
from audioconv.errors import AudioconvError, ConfigError, DataError
from audioconv.layers import is_trained
from audioconv.layers.base import Layer, Params, unflatten
from audioconv.runtime.weights import WeightVector
from audioconv.training.callbacks import BatchEnded, Event
from audioconv.training.data import BatchMaker, Dataset, batch_count, draw_batches
from audioconv.training.history import EpochRow
from audioconv.training.losses import Loss
from audioconv.training.optimizers import Optimizer, clip_gradients
from audioconv.training.schedules import Schedule


class DivergedError(AudioconvError):
    """The loss or its gradient is infinite or not a number."""


@dataclass(frozen=True)
class TrainerSettings:
    """The settings of `fit` that a training step needs."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    schedule: Schedule
    loss: Loss
    gradient_clip: float | None
    patience: int | None
    seed: int
    mixup: float = 0.0

    def check(self) -> None:
        """Raise `ConfigError` for a setting that cannot work."""
        for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size), ("patience", self.patience)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1; got {value}")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ConfigError(f"gradient_clip must be above 0, or None; got {self.gradient_clip}")
        if not 0 <= self.mixup < math.inf:
            raise ConfigError(f"mixup must be 0 (none) or a positive number; got {self.mixup}")
        if self.seed < 0:
            raise ConfigError(f"seed must be an integer of at least 0; got {self.seed}")

    def describe(self) -> dict[str, Any]:
        """Return all settings as data, to compare with those of a checkpoint."""

        def plain(value: Any) -> Any:
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                return {"kind": type(value).__name__, **dataclasses.asdict(value)}
            return value if value is None or isinstance(value, int | float) else type(value).__name__

        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


class Trainer:
    """Parameters on their way: what changes from step to step.

    Attributes
    ----------
    arrays : dict of str to array
        All parameters by path, trained and tracked; the trained ones are views of one `WeightVector`.
    state : dict of str to array
        The optimiser's.
    """

    def __init__(self, network: Layer, data: Dataset, begin: Mapping[str, Array], settings: TrainerSettings) -> None:
        self._network, self._data, self._settings = network, data, settings
        self._weights = WeightVector({path: array for path, array in begin.items() if is_trained(path)})
        self.arrays = {path: self._weights.views.get(path, array.copy()) for path, array in begin.items()}
        self.state = settings.optimizer.init(self._weights)
        self._maker = BatchMaker()
        largest = -(-len(data) // batch_count(len(data), settings.batch_size))
        in_shape = data.batch(np.arange(min(1, len(data))), None).shape[1:]
        (self._classes,) = network.out_shape(in_shape)
        self._passes = training_passes(network, self._weights, self.arrays, in_shape, largest)

    def run_epoch(self, epoch: int, validation: Dataset | None, tell: Callable[[Event], None]) -> EpochRow:
        """Go through the data once, then through the validation data; return what came of it."""
        begun = time.perf_counter()
        settings, examples = self._settings, len(self._data)
        batches = draw_batches(examples, settings.batch_size, random_stream(settings.seed, Purpose.ORDER, epoch))
        augment = random_stream(settings.seed, Purpose.AUGMENT, epoch)
        dropout = random_stream(settings.seed, Purpose.DROPOUT, epoch)
        mix = random_stream(settings.seed, Purpose.MIXUP, epoch)
        total_loss = rate = 0.0
        seen = correct = 0
        inputs = self._maker.batches(self._data, batches, augment)
        for number, (indices, x) in enumerate(zip(batches, inputs, strict=True), start=1):
            labels = self._data.labels[indices]
            step = (epoch - 1) * len(batches) + number - 1
            rate = settings.schedule.learning_rate(step, settings.epochs * len(batches))
            try:
                loss, right = self.step(x, labels, rate, dropout, mix)
            except DivergedError as error:
                raise _explain(error, f"epoch {epoch}, batch {number}", x) from None
            seen += len(indices)
            total_loss += loss * len(indices)
            correct += right
            tell(BatchEnded(epoch, number, total_loss / seen, correct / seen))
        validation_loss, validation_accuracy = self._validate(validation, epoch)
        tracked = (array for path, array in self.arrays.items() if not is_trained(path))
        if not all(np.isfinite(array).all() for array in (self._weights.values, *tracked)):
            raise DivergedError(f"epoch {epoch}: the parameters hold NaN or infinity; {_ADVICE}")
        return EpochRow(
            epoch,
            total_loss / seen,
            correct / seen,
            validation_loss,
            validation_accuracy,
            rate,
            time.perf_counter() - begun,
        )

    def step(
        self, x: Array, labels: Array, rate: float, dropout: np.random.Generator, mix: np.random.Generator
    ) -> tuple[float, int]:
        """Train on one batch.

        Parameters
        ----------
        x, labels : arrays (N, *in_shape) and (N,)
        rate : float
            The learning rate.
        dropout, mix : numpy.random.Generator
            Draw what is dropped, and what examples are mixed with.

        Returns
        -------
        loss : float
        correct : int
            Number of the examples that were classified correctly.

        Raises
        ------
        DivergedError
        """
        targets = labels
        if self._settings.mixup:
            x, targets = mixed(x, labels, self._classes, self._settings.mixup, mix)
        logits = self._passes.forward(x, dropout)
        loss, gradient = self._settings.loss(logits, targets)
        correct = int(np.count_nonzero(logits.argmax(axis=1) == labels))
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss}")
        self._passes.backward(gradient)
        if not math.isfinite(clip_gradients(self._weights, self._settings.gradient_clip)):
            raise DivergedError("the gradient is not finite")
        self._settings.optimizer.step(self._weights, self.state, rate)
        for path, value in self._passes.updates().items():
            np.copyto(self.arrays[path], value)
        return loss, correct

    def _validate(self, validation: Dataset | None, epoch: int) -> tuple[float | None, float | None]:
        """Return the loss and the accuracy over the validation data, if there are any."""
        if validation is None:
            return None, None
        logits = evaluate_logits(self._network, unflatten(self.arrays), validation, self._settings.batch_size)
        loss, _ = self._settings.loss(logits, validation.labels)
        if not math.isfinite(loss):
            raise DivergedError(f"epoch {epoch}: the validation loss is {loss}; {_ADVICE}")
        return loss, float(np.mean(logits.argmax(axis=1) == validation.labels))


def evaluate_logits(network: Layer, params: Params, data: Dataset, batch_size: int = 64) -> Array:
    """Return the logits (N, classes) float32 of all examples of `data`, in order, without augmentation or dropout.

    Raises
    ------
    DataError
        If there are no examples.
    """
    if not len(data):
        raise DataError("there are no examples to evaluate")
    parts: list[Array] = []
    forward = None
    for start in range(0, len(data), batch_size):
        x = np.require(data.batch(np.arange(start, min(start + batch_size, len(data))), None), np.float32, ["C", "A"])
        forward = forward or inference(network, params, x.shape[1:])
        parts.append(forward(x))
    return np.concatenate(parts)


def mixed(
    x: Array, labels: Array, classes: int, alpha: float, rng: np.random.Generator
) -> tuple[Array, NDArray[np.float64]]:
    """Return each example mixed with another of the batch, and its probability of each class (N, classes).

    The share of the other is drawn for each example, from 0 to a half (Zhang et al., 2018, arXiv 1710.09412: their
    share is Beta(alpha, alpha), which is the same for the pair in the other order).
    """
    own = np.eye(classes)[labels]
    share = rng.beta(alpha, alpha, len(x))
    share = np.minimum(share, 1 - share)
    other = rng.permutation(len(x))
    weight = share.astype(np.float32).reshape(-1, *(1,) * (x.ndim - 1))
    return x + weight * (x[other] - x), own + share[:, None] * (own[other] - own)


_ADVICE = "lower the learning rate, or clip the gradient (gradient_clip=1.0)"


def _explain(error: DivergedError, place: str, x: Array) -> AudioconvError:
    """Return the error with its place, and with what to do: the fault may lie in the data."""
    if np.isfinite(x).all():
        return DivergedError(f"{place}: {error}; {_ADVICE}")
    return DataError(f"{place}: {error}, because the examples hold NaN or infinity; look at what makes them")


class Purpose(IntEnum):
    """Purpose of a random stream."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    DROPOUT = 3
    MIXUP = 4


def random_stream(seed: int, purpose: Purpose, epoch: int = 0) -> np.random.Generator:
    """Return the generator for one purpose in one epoch: independent of all others, and needing none before it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, purpose)))
