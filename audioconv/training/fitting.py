"""`fit`: from a network and data to parameters."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audioconv._types import Array
from audioconv.cluster.agreement import check_agreement
from audioconv.cluster.processes import ALONE, Processes
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.io.files import display_path
from audioconv.layers.base import Layer, Params, Shape, flatten, to_config, unflatten
from audioconv.training.callbacks import Callback, EpochEnded, Event, RunEnded, RunStarted
from audioconv.training.checkpoint import Checkpoint, restore
from audioconv.training.data import ArrayData, Dataset, data_sets
from audioconv.training.history import History
from audioconv.training.losses import Loss, SoftmaxCrossEntropy
from audioconv.training.optimizers import AdamW, Optimizer
from audioconv.training.replicas import Purpose, random_stream
from audioconv.training.schedules import OneCycle, Schedule
from audioconv.training.trainer import DivergedError, Trainer, TrainerSettings, evaluate_logits

__all__ = ["ArrayData", "Dataset", "DivergedError", "FitResult", "evaluate_logits", "fit"]


@dataclass(frozen=True)
class FitResult:
    """Result of `fit`.

    Attributes
    ----------
    params : dict
        Parameters after the epoch that was to be kept.
    kept_epoch : int
        Its number.
    final_params : dict
        Parameters after the last epoch.
    history : History
        One row an epoch.
    stopped_early : bool
        Whether `patience` ended the run.
    """

    params: Params
    kept_epoch: int
    final_params: Params
    history: History
    stopped_early: bool

    @property
    def best_epoch(self) -> int:
        """That with the best validation accuracy, then the least loss; without validation the last epoch."""
        return self.history.best_epoch


def fit(
    network: Layer,
    data: Dataset | Sequence[Dataset],
    *,
    validation: Dataset | None = None,
    epochs: int = 30,
    batch_size: int = 64,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    loss: Loss | None = None,
    gradient_clip: float | None = None,
    mixup: float = 0.0,
    patience: int | None = None,
    keep: Literal["best", "last"] = "best",
    seed: int = 0,
    params: Params | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    processes: Processes = ALONE,
) -> FitResult:
    """Train `network` on `data` and return its parameters.

    The same arguments on the same machine give the same bits, also where the run was interrupted in any epoch and
    resumed: every epoch draws its order, augmentation and dropout from generators of its own. The bits
    do not depend on the number of processes, for the same number of replicas; see `training.replicas`.

    Parameters
    ----------
    network : Layer
        Ends in one logit a class.
    data : Dataset, or sequence of Dataset
        Training data; of several replicas, those of each replica that this process computes. Processes of lower rank
        have the replicas before them.
    validation : Dataset, optional
        Data, the same in every process, that choose the best epoch, and stop the run with `patience`.
    epochs : int
        Largest number of passes through the data.
    batch_size : int
        Greatest number of examples of a step, for each replica.
    optimizer, schedule, loss : optional
        From `audioconv.training`'s modules `optimizers`, `schedules` and `losses`. Default: ``AdamW()``,
        ``OneCycle()`` and ``SoftmaxCrossEntropy()``.
    gradient_clip : float, optional
        Greatest Euclidean norm of the gradient.
    mixup : float
        Each example is mixed with another, by a share drawn from Beta(mixup, mixup); 0 does not. The training accuracy
        is then that of the larger part.
    patience : int, optional
        Stop after so many epochs without a better one; needs `validation`.
    keep : {"best", "last"}
        Epoch whose parameters to return: the best one in validation, or the last. Where the learning
        rate falls to nothing at the end, the last is as good as any, and its validation is not biased by a choice.
    seed : int
        Source of the initial parameters, the order, the augmentation and the dropout.
    params : dict, optional
        Initial parameters, which are copied. Default: those of ``network.init``.
    checkpoint : path-like, optional
        File that is written after every epoch, by process 0.
    resume : bool
        Go on from `checkpoint` if that file is there, else begin. Without `resume`, such a file is replaced after the
        first epoch.
    settings : mapping, optional
        Further JSON-compatible settings that a resumed run must share, such as how the data are augmented.
    callbacks : sequence of callables
        Each is called with every `audioconv.training.callbacks.Event`; an exception that one raises ends the run.
    processes : Processes
        Processes that share the replicas, and all of which call this function. Default: this one alone.

    Raises
    ------
    ConfigError
        If an argument cannot work, or the checkpoint was made with other settings.
    ClusterError
        If the processes have different arguments, or one of them fails.
    ShapeError
        If the data do not fit the network.
    DataError
        If there are no data, they hold NaN, or the checkpoint cannot be written.
    ModelFileError
        If the checkpoint cannot be read.
    DivergedError
        If the loss is no longer a number. The checkpoint of the last good epoch stays.
    """
    run_settings = TrainerSettings(
        epochs,
        batch_size,
        optimizer or AdamW(),
        schedule or OneCycle(),
        loss or SoftmaxCrossEntropy(),
        gradient_clip,
        patience,
        seed,
        mixup,
    )
    run_settings.check()
    if patience is not None and validation is None:
        raise ConfigError("patience needs validation data: without them no epoch is better than another")
    if resume and checkpoint is None:
        raise ConfigError("resume=True needs the checkpoint's path")
    own = data_sets(data)
    *_, in_shape = (_check_data(network, one, "training") for one in own)
    if validation is not None:
        _check_data(network, validation, "validation")
    if params is None:
        begin = flatten(network.init(in_shape, random_stream(seed, Purpose.INIT)))
    else:
        shapes: dict[str, Any] = flatten(network.param_shapes(in_shape))
        begin = _fitting(flatten(params), shapes)
    trainer = Trainer(network, own, begin, run_settings, processes)
    described = {
        **run_settings.describe(),
        "network": to_config(network),
        "start": _digest(*begin.values()),
        "data": _describe_replicas(own, processes),
        "validation": None if validation is None else _describe_data(validation),
        **(settings or {}),
    }
    try:
        described = json.loads(json.dumps(described))  # tuples become lists, as they will come back from the file
    except (TypeError, ValueError) as error:
        raise ConfigError(f"settings must be JSON data: {error}") from None

    check_agreement(processes, described)
    history = History()
    best = {path: array.copy() for path, array in trainer.arrays.items()}
    if checkpoint is not None and resume:
        if processes.leads and Path(checkpoint).exists():
            last = Checkpoint.load(checkpoint)
            last.check_settings(described, checkpoint)
            restore(trainer.arrays, last.params, checkpoint)
            restore(trainer.state, last.optimizer, checkpoint)
            restore(best, last.best_params, checkpoint)
            history = last.history
        history = History.from_json(processes.from_leader(history.to_json()))
        processes.copy_from_leader([*trainer.arrays.values(), *trainer.state.values(), *best.values()])

    def tell(event: Event) -> None:
        for callback in callbacks:
            callback(event)

    tell(RunStarted(epochs, len(history), trainer.steps))
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
        check_agreement(processes, {"parameters": _digest(*trainer.arrays.values())}, f" after epoch {len(history)}")
        if checkpoint is not None and processes.leads:
            Checkpoint(described, history, trainer.arrays, best, trainer.state).save(checkpoint)
        tell(EpochEnded(history[-1], is_best))
    final = {path: array.copy() for path, array in trainer.arrays.items()}  # no views of the trainer's long vector
    chosen, epoch = (best, history.best_epoch) if keep == "best" else (final, len(history))
    result = FitResult(unflatten(chosen), epoch, unflatten(final), history, stopped_early=len(history) < epochs)
    tell(RunEnded(result.kept_epoch, result.stopped_early))
    return result


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


def _fitting(given: dict[str, Array], shapes: dict[str, Shape]) -> dict[str, Array]:
    """Return the `given` parameters in the order of `shapes`, if they have those names and shapes."""
    for path in sorted(shapes.keys() | given.keys()):
        found = given[path].shape if path in given else "none"
        wanted = shapes.get(path, "none")
        if found != wanted:
            raise ShapeError(f"params do not fit the network: expected shape {wanted}, got {found}", path=path)
    return {path: given[path].astype(np.float32) for path in shapes}


def _describe_replicas(own: Sequence[Dataset], processes: Processes) -> Any:
    """Return what the training data are: of one replica as it is, of several a list."""
    described = [one for some in processes.gather_json([_describe_data(data) for data in own]) for one in some]
    return described[0] if len(described) == 1 else described


def _describe_data(data: Dataset) -> dict[str, Any]:
    shape = data.batch(np.arange(1), None).shape[1:]
    return {"examples": len(data), "shape": shape, "labels": _digest(data.labels.astype(np.int64))}


def _digest(*arrays: Array) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
