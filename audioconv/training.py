"""Training: from a network and data to parameters. Knows nothing of audio."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.batches import ArrayData, Dataset, batch_count, draw_batches
from audioconv.checkpoint import Checkpoint, restore
from audioconv.errors import AudioconvError, ConfigError, DataError, ShapeError
from audioconv.events import BatchEnded, Callback, EpochEnded, Event, RunEnded, RunStarted
from audioconv.files import display_path
from audioconv.history import EpochRow, History
from audioconv.layers.base import Layer, Params, Pass, Shape, flatten, to_config, unflatten
from audioconv.losses import Loss, SoftmaxCrossEntropy
from audioconv.optim import AdamW, Optimizer, WeightVector, clip_gradients
from audioconv.schedules import OneCycle, Schedule

__all__ = ["ArrayData", "Dataset", "DivergedError", "FitResult", "evaluate_logits", "fit"]

Array = NDArray[Any]


class DivergedError(AudioconvError):
    """The loss or its gradient is infinite or not a number."""


@dataclass(frozen=True)
class FitResult:
    """What `fit` returns.

    Attributes
    ----------
    params : dict
        Parameters after the best epoch, nested as the network's `init` nests them.
    final_params : dict
        Parameters after the last epoch.
    history : History
        One row an epoch.
    stopped_early : bool
        Whether `patience` ended the run.
    """

    params: Params
    final_params: Params
    history: History
    stopped_early: bool

    @property
    def best_epoch(self) -> int:
        """Where `params` come from: best validation accuracy, then least loss; without validation the last epoch."""
        return self.history.best_epoch


@dataclass(frozen=True)
class _Recipe:
    """How to train: the settings of `fit` that a step needs."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    schedule: Schedule
    loss: Loss
    gradient_clip: float | None
    patience: int | None
    seed: int

    def check(self) -> None:
        for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size), ("patience", self.patience)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1; got {value}")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ConfigError(f"gradient_clip must be above 0, or None; got {self.gradient_clip}")
        if self.seed < 0:
            raise ConfigError(f"seed must be an integer of at least 0; got {self.seed}")

    def describe(self) -> dict[str, Any]:
        """Return all settings as data, to compare with those of a checkpoint."""

        def plain(value: Any) -> Any:
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                return {"kind": type(value).__name__, **dataclasses.asdict(value)}
            return value if value is None or isinstance(value, int | float) else type(value).__name__

        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


def fit(
    network: Layer,
    data: Dataset,
    *,
    validation: Dataset | None = None,
    epochs: int = 30,
    batch_size: int = 64,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    loss: Loss | None = None,
    gradient_clip: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    params: Params | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train `network` on `data` and return its parameters.

    The same arguments on the same machine give the same bits, also where the run was interrupted in any epoch and
    resumed: every epoch draws its order, augmentation and dropout from generators of its own.

    Parameters
    ----------
    network : Layer
        Ends in one logit a class.
    data : Dataset
        What to train on.
    validation : Dataset, optional
        What chooses the best epoch, and stops the run with `patience`.
    epochs : int
        How often to go through the data, at most.
    batch_size : int
        Greatest number of examples a step.
    optimizer, schedule, loss : optional
        From `audioconv.optim`, `audioconv.schedules` and `audioconv.losses`; without them ``AdamW()``, ``OneCycle()``
        and ``SoftmaxCrossEntropy()``.
    gradient_clip : float, optional
        Greatest Euclidean norm of the gradient.
    patience : int, optional
        Stop after so many epochs without a better one; needs `validation`.
    seed : int
        Source of the initial parameters, the order, the augmentation and the dropout.
    params : dict, optional
        Where to start from; without it, from ``network.init``. They are copied.
    checkpoint : path-like, optional
        File that is written after every epoch.
    resume : bool
        Go on from `checkpoint` if that file is there, else begin. Without `resume`, such a file is replaced after the
        first epoch.
    settings : mapping, optional
        Further JSON-compatible settings that a resumed run must share, such as how the data are augmented.
    callbacks : sequence of callables
        Each is called with every `audioconv.events.Event`; an exception that one raises ends the run.

    Raises
    ------
    ConfigError
        If an argument cannot work, or the checkpoint was made with other settings.
    ShapeError
        If the data do not fit the network.
    DataError
        If there are no data, they hold NaN, or the checkpoint cannot be written.
    ModelFileError
        If the checkpoint cannot be read.
    DivergedError
        If the loss is no longer a number. The checkpoint of the last good epoch stays.
    """
    recipe = _Recipe(
        epochs,
        batch_size,
        optimizer or AdamW(),
        schedule or OneCycle(),
        loss or SoftmaxCrossEntropy(),
        gradient_clip,
        patience,
        seed,
    )
    recipe.check()
    if patience is not None and validation is None:
        raise ConfigError("patience needs validation data: without them no epoch is better than another")
    if resume and checkpoint is None:
        raise ConfigError("resume=True needs the checkpoint's path")
    in_shape = _check_data(network, data, "training")
    if validation is not None:
        _check_data(network, validation, "validation")
    begin = flatten(network.init(in_shape, _stream(seed, _Purpose.INIT)) if params is None else params)
    trainer = _Trainer(network, data, begin, recipe)
    described = {
        **recipe.describe(),
        "network": to_config(network),
        "start": _digest(*begin.values()),
        "data": _describe_data(data),
        "validation": None if validation is None else _describe_data(validation),
        **(settings or {}),
    }
    described = json.loads(json.dumps(described))  # tuples become lists, as they will come back from the file

    history = History()
    best = {path: array.copy() for path, array in trainer.arrays.items()}
    if checkpoint is not None and resume and Path(checkpoint).exists():
        last = Checkpoint.load(checkpoint)
        last.check_settings(described, checkpoint)
        restore(trainer.arrays, last.params, checkpoint)
        restore(trainer.state, last.optimizer, checkpoint)
        restore(best, last.best_params, checkpoint)
        history = last.history

    def tell(event: Event) -> None:
        for callback in callbacks:
            callback(event)

    tell(RunStarted(epochs, len(history), batch_count(len(data), batch_size)))
    while len(history) < epochs and not history.is_stale(patience):
        try:
            history = history.add(trainer.run_epoch(len(history) + 1, validation, tell))
        except DivergedError as error:
            if checkpoint is None or not history:
                raise
            kept = f"{display_path(checkpoint)} still holds epoch {len(history)}"
            raise DivergedError(f"{error}; {kept}") from None
        is_best = history.best_epoch == len(history)
        if is_best:
            best = {path: array.copy() for path, array in trainer.arrays.items()}
        if checkpoint is not None:
            Checkpoint(described, history, trainer.arrays, best, trainer.state).save(checkpoint)
        tell(EpochEnded(history[-1], is_best))
    result = FitResult(unflatten(best), unflatten(trainer.arrays), history, stopped_early=len(history) < epochs)
    tell(RunEnded(result.best_epoch, result.stopped_early))
    return result


def evaluate_logits(network: Layer, params: Params, data: Dataset, batch_size: int = 64) -> Array:
    """Return the logits (N, classes) float32 of all examples of `data`, in order, without augmentation or dropout.

    Raises
    ------
    DataError
        If there are no examples.
    """
    if not len(data):
        raise DataError("there are no examples to evaluate")
    parts = []
    for start in range(0, len(data), batch_size):
        x = data.batch(np.arange(start, min(start + batch_size, len(data))), None)
        logits, _ = network.forward(params, x, Pass())
        parts.append(logits.astype(np.float32))  # a copy: the network may use its memory again
    return np.concatenate(parts)


class _Trainer:
    """Parameters on their way: what changes from step to step.

    Attributes
    ----------
    arrays : dict of str to array
        All parameters by path, trained and tracked; the trained ones are views of one `WeightVector`.
    state : dict of str to array
        The optimiser's.
    """

    def __init__(self, network: Layer, data: Dataset, begin: Mapping[str, Array], recipe: _Recipe) -> None:
        self._network, self._data, self._recipe = network, data, recipe
        trained = _trained_paths(network, begin, data)
        self._weights = WeightVector({path: begin[path] for path in begin if path in trained})
        self.arrays = {path: self._weights.views.get(path, np.array(array)) for path, array in begin.items()}
        self.state = recipe.optimizer.init(self._weights)
        self._params = unflatten(self.arrays)

    def run_epoch(self, epoch: int, validation: Dataset | None, tell: Callable[[Event], None]) -> EpochRow:
        """Go through the data once, then through the validation data; return what came of it."""
        begun = time.perf_counter()
        recipe, examples = self._recipe, len(self._data)
        order, augment, dropout = (_stream(recipe.seed, purpose, epoch) for purpose in _Purpose.of_epoch())
        batches = draw_batches(examples, recipe.batch_size, order)
        total_loss = rate = 0.0
        seen = correct = 0
        for number, indices in enumerate(batches, start=1):
            x, labels = self._data.batch(indices, augment), self._data.labels[indices]
            step = (epoch - 1) * len(batches) + number - 1
            rate = recipe.schedule.learning_rate(step, recipe.epochs * len(batches))
            try:
                loss, right = self._step(x, labels, dropout, rate)
            except DivergedError as error:
                raise _explain(error, f"epoch {epoch}, batch {number}", x) from None
            seen += len(indices)
            total_loss += loss * len(indices)
            correct += right
            tell(BatchEnded(epoch, number, total_loss / seen, correct / seen))
        validation_loss, validation_accuracy = self._validate(validation, epoch)
        if not all(np.isfinite(array).all() for array in self.arrays.values()):
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

    def _step(self, x: Array, labels: Array, rng: np.random.Generator, rate: float) -> tuple[float, int]:
        """Learn from one batch; return its loss and how many of its examples were classified correctly."""
        run = Pass(training=True, rng=rng)
        logits, saved = self._network.forward(self._params, x, run)
        loss, gradient = self._recipe.loss(logits, labels)
        correct = int(np.count_nonzero(logits.argmax(axis=1) == labels))
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss}")
        _, gradients = self._network.backward(self._params, saved, gradient, run)
        self._weights.gather(flatten(gradients))
        if not math.isfinite(clip_gradients(self._weights, self._recipe.gradient_clip)):
            raise DivergedError("the gradient is not finite")
        tracked = flatten(self._network.updates(self._params, saved))
        self._recipe.optimizer.step(self._weights, self.state, rate)
        for path, value in tracked.items():
            np.copyto(self.arrays[path], value)
        return loss, correct

    def _validate(self, validation: Dataset | None, epoch: int) -> tuple[float | None, float | None]:
        """Return the loss and the accuracy over the validation data, if there are any."""
        if validation is None:
            return None, None
        logits = evaluate_logits(self._network, self._params, validation, self._recipe.batch_size)
        loss, _ = self._recipe.loss(logits, validation.labels)
        if not math.isfinite(loss):
            raise DivergedError(f"epoch {epoch}: the validation loss is {loss}; {_ADVICE}")
        return loss, float(np.mean(logits.argmax(axis=1) == validation.labels))


_ADVICE = "lower the learning rate, or clip the gradient (gradient_clip=1.0)"


def _explain(error: DivergedError, place: str, x: Array) -> AudioconvError:
    """Return the error with its place, and with what to do: the fault may lie in the data."""
    if np.isfinite(x).all():
        return DivergedError(f"{place}: {error}; {_ADVICE}")
    return DataError(f"{place}: {error}, because the examples hold NaN or infinity; look at what makes them")


class _Purpose(IntEnum):
    """What a random stream is for."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    DROPOUT = 3
    PROBE = 4

    @classmethod
    def of_epoch(cls) -> tuple[_Purpose, _Purpose, _Purpose]:
        return cls.ORDER, cls.AUGMENT, cls.DROPOUT


def _stream(seed: int, purpose: _Purpose, epoch: int = 0) -> np.random.Generator:
    """Return the generator for one purpose in one epoch: independent of all others, and needing none before it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, purpose)))


def _check_data(network: Layer, data: Dataset, name: str) -> Shape:
    """Return the shape of one example; raise where the data do not fit the network."""
    if not len(data):
        raise DataError(f"there are no {name} examples")
    x = data.batch(np.arange(1), None)
    out_shape = network.out_shape(x.shape[1:])
    least, greatest = int(data.labels.min()), int(data.labels.max())
    if len(out_shape) != 1 or least < 0 or greatest >= out_shape[0]:
        raise ShapeError(
            f"the network's output has shape {out_shape}, but the {name} labels go from {least} to {greatest}; "
            f"it must end in one logit a class, such as L.Dense({greatest + 1})"
        )
    return tuple(x.shape[1:])


def _trained_paths(network: Layer, begin: Mapping[str, Array], data: Dataset) -> set[str]:
    """Return which parameters have gradients: the others are tracked. Only a pass of two examples can tell."""
    run = Pass(training=True, rng=_stream(0, _Purpose.PROBE))
    params = unflatten(dict(begin))
    logits, saved = network.forward(params, data.batch(np.arange(min(2, len(data))), None), run)
    _, gradients = network.backward(params, saved, np.zeros_like(logits), run)
    paths = set(flatten(gradients))
    if not paths <= begin.keys():
        raise ShapeError(f"gradients without a parameter: {sorted(paths - begin.keys())}")
    return paths


def _describe_data(data: Dataset) -> dict[str, Any]:
    shape = data.batch(np.arange(1), None).shape[1:]
    return {"examples": len(data), "shape": shape, "labels": _digest(data.labels.astype(np.int64))}


def _digest(*arrays: Array) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
