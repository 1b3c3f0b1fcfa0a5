"""`Trainer`: the state of a run between epochs."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.cluster.pace import Pace
from audioconv.cluster.processes import ALONE, Processes
from audioconv.compiler.execution import inference, training_passes
from audioconv.errors import AudioconvError, ConfigError, DataError
from audioconv.layers import is_trained
from audioconv.layers.base import Layer, Params, unflatten
from audioconv.runtime.weights import WeightVector
from audioconv.training.callbacks import BatchEnded, Event
from audioconv.training.data import BatchMaker, Dataset
from audioconv.training.history import EpochRow
from audioconv.training.losses import Loss
from audioconv.training.optimizers import Optimizer, clip_gradients, frozen_paths
from audioconv.training.replicas import Purpose, Replicas, StepMean
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

    Parameters
    ----------
    network : Layer
    data : Dataset, or sequence of Dataset
        Training data, of each replica that this process computes.
    begin : mapping of str to array
        The first parameters, which are copied.
    settings : TrainerSettings
    processes : Processes
        Processes that share the replicas. Default: this one alone.

    Attributes
    ----------
    arrays : dict of str to array
        All parameters by path, trained and tracked; the trained ones are views of one `WeightVector`.
    state : dict of str to array
        The optimiser's.
    replicas : Replicas
    """

    def __init__(
        self,
        network: Layer,
        data: Dataset | Sequence[Dataset],
        begin: Mapping[str, Array],
        settings: TrainerSettings,
        processes: Processes = ALONE,
    ) -> None:
        self._network, self._settings = network, settings
        self.replicas = Replicas.of(data, processes)
        self._weights = WeightVector({path: array for path, array in begin.items() if is_trained(path)})
        self.arrays = {path: self._weights.views.get(path, array.copy()) for path, array in begin.items()}
        self.state = settings.optimizer.init(self._weights)
        self._maker = BatchMaker()
        first = self.replicas.own[0]
        in_shape = first.batch(np.arange(min(1, len(first))), None).shape[1:]
        (self._classes,) = network.out_shape(in_shape)
        largest = self.replicas.largest_batch(settings.batch_size)
        frozen = frozen_paths(settings.optimizer, self._weights.views)
        self._passes = training_passes(network, self._weights, self.arrays, in_shape, largest, frozen)
        tracked = {path: array for path, array in self.arrays.items() if not is_trained(path)}
        self._pace = Pace(processes)
        self._mean = StepMean(self.replicas, self._weights.gradient, tracked)

    @property
    def steps(self) -> int:
        """Number of steps of an epoch."""
        return self.replicas.steps(self._settings.batch_size)

    def run_epoch(self, epoch: int, validation: Dataset | None, tell: Callable[[Event], None]) -> EpochRow:
        """Go through the data once, then through the validation data; return what came of it."""
        begun, waited = time.perf_counter(), self.replicas.processes.waited
        settings, replicas, steps = self._settings, self.replicas, self.steps
        batches = replicas.draw_epoch(settings.batch_size, settings.seed, epoch)
        augment, dropout, mix = (
            replicas.streams(settings.seed, purpose, epoch)
            for purpose in (Purpose.AUGMENT, Purpose.DROPOUT, Purpose.MIXUP)
        )
        inputs = self._maker.made(
            [job for of_step in batches for job in zip(replicas.own, of_step, augment, strict=True)]
        )
        measured = np.zeros((steps, len(replicas.own), 3))  # loss, number of right answers, and of examples
        rate = 0.0
        for number, of_step in enumerate(batches, start=1):
            step = (epoch - 1) * steps + number - 1
            rate = settings.schedule.learning_rate(step, settings.epochs * steps)
            for place, (data, indices) in enumerate(zip(replicas.own, of_step, strict=True)):
                x = next(inputs)
                try:
                    found = self.gradient(x, data.labels[indices], dropout[place], mix[place])
                    measured[number - 1, place] = *found, len(indices)
                    if place + 1 == len(replicas.own):
                        self._update(rate)
                except DivergedError as error:
                    raise _explain(error, f"epoch {epoch}, batch {number}", x) from None
            tell(BatchEnded(epoch, number, *_means(measured[:number])))
        self._pace.note(
            time.perf_counter() - begun - (replicas.processes.waited - waited), f"the steps of epoch {epoch}"
        )
        loss, accuracy = _means(np.concatenate(replicas.processes.gather_arrays(measured), axis=1))
        validation_loss, validation_accuracy = self._validate(validation, epoch)
        tracked = (array for path, array in self.arrays.items() if not is_trained(path))
        if not all(np.isfinite(array).all() for array in (self._weights.values, *tracked)):
            raise DivergedError(f"epoch {epoch}: the parameters hold NaN or infinity; {_ADVICE}")
        seconds = time.perf_counter() - begun
        return EpochRow(epoch, loss, accuracy, validation_loss, validation_accuracy, rate, seconds)

    def step(
        self, x: Array, labels: Array, rate: float, dropout: np.random.Generator, mix: np.random.Generator
    ) -> tuple[float, int]:
        """Train on one batch, of the only replica.

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
        found = self.gradient(x, labels, dropout, mix)
        self._update(rate)
        return found

    def gradient(
        self, x: Array, labels: Array, dropout: np.random.Generator, mix: np.random.Generator
    ) -> tuple[float, int]:
        """Compute the gradient of the next replica's batch; parameters and results are those of `step`."""
        targets = labels
        if self._settings.mixup:
            x, targets = mixed(x, labels, self._classes, self._settings.mixup, mix)
        logits = self._passes.forward(x, dropout)
        loss, gradient = self._settings.loss(logits, targets)
        correct = int(np.count_nonzero(logits.argmax(axis=1) == labels))
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss}")
        self._passes.backward(gradient)
        if self.replicas.count > 1:
            self._mean.add(self._passes.updates())
        return loss, correct

    def _update(self, rate: float) -> None:
        """Change the parameters by the gradients of all replicas."""
        updates = self._mean.take() if self.replicas.count > 1 else self._passes.updates()
        if not math.isfinite(clip_gradients(self._weights, self._settings.gradient_clip)):
            raise DivergedError("the gradient is not finite")
        self._settings.optimizer.step(self._weights, self.state, rate)
        for path, value in updates.items():
            np.copyto(self.arrays[path], value)

    def _validate(self, validation: Dataset | None, epoch: int) -> tuple[float | None, float | None]:
        """Return the loss and the accuracy over the validation data, if there are any."""
        if validation is None:
            return None, None
        logits = evaluate_logits(
            self._network, unflatten(self.arrays), validation, self._settings.batch_size, self.replicas.processes
        )
        loss, _ = self._settings.loss(logits, validation.labels)
        if not math.isfinite(loss):
            raise DivergedError(f"epoch {epoch}: the validation loss is {loss}; {_ADVICE}")
        return loss, float(np.mean(logits.argmax(axis=1) == validation.labels))


def evaluate_logits(
    network: Layer, params: Params, data: Dataset, batch_size: int = 64, processes: Processes = ALONE
) -> Array:
    """Return the logits (N, classes) float32 of all examples of `data`, in order, without augmentation or dropout.

    Each of the `processes` computes some; all return the same bits.

    Raises
    ------
    DataError
        If there are no examples.
    """
    if not len(data):
        raise DataError("there are no examples to evaluate")

    def logits_of(part: slice) -> Array:
        parts: list[Array] = []
        forward = None
        for start in range(part.start, part.stop, batch_size):
            indices = np.arange(start, min(start + batch_size, part.stop))
            x = np.require(data.batch(indices, None), np.float32, ["C", "A"])
            forward = forward or inference(network, params, x.shape[1:])
            parts.append(forward(x))
        return np.concatenate(parts)

    return processes.rows(len(data), batch_size, logits_of)


def _means(measured: Array) -> tuple[float, float]:
    """Return the mean loss and the accuracy; `measured` is (steps, replicas, 3), and summed up in this order."""
    total = seen = correct = 0.0
    for loss, right, examples in measured.reshape(-1, 3).tolist():
        seen += examples
        total += loss * examples
        correct += right
    return total / seen, correct / seen


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
