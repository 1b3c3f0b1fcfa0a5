"""The default way of training: what `Classifier` does between labelled examples and a model."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv._version import __version__
from audioconv.architectures.ensemble import check_ends_in_dense, join
from audioconv.audio.windows import Windows
from audioconv.errors import DataError
from audioconv.evaluation import Evaluation, Scored
from audioconv.model import Model
from audioconv.pipeline import predict
from audioconv.pipeline.inputs import ImageInput
from audioconv.pipeline.predict import combine
from audioconv.recipe.examples import Examples, notes_of_parts
from audioconv.recipe.rejection import decide
from audioconv.recipe.settings import MOST_EPOCHS, Settings, recipe_of
from audioconv.recipe.setup import Task
from audioconv.training.budget import epochs_within
from audioconv.training.callbacks import Callback, Noted
from audioconv.training.checkpoint import Checkpoint
from audioconv.training.fitting import FitResult, fit
from audioconv.training.history import History
from audioconv.training.optimizers import AdamW
from audioconv.training.schedules import OneCycle

CHECKPOINT, CHECKPOINTS = "checkpoint.safetensors", "checkpoint*.safetensors"

SEEDS_APART = 1000
"""From one network's seed to that of the next that decides with it: runs with the seeds 0, 1, 2 share none."""

GRADIENT_CLIP = 5.0


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What came of a training run.

    Attributes
    ----------
    history : History
        Epochs of the run that the validation part watched; where several networks decide together, of the first.
    final_history : History or None
        Epochs of the second run, with the validation speakers, where there was one.
    counts : dict
        How many examples of each class each split has.
    failures : tuple of DataError
        Files that could not be read.
    kept_epoch : int
        Of `history`, whose parameters the validation part judged.
    validation_accuracy : float or None
        Over examples (speakers, where they are known) that were not trained on.
    test : Evaluation or None
        Over the rows whose split is ``test``, where there are any.
    """

    history: History
    final_history: History | None
    counts: dict[str, dict[str, int]]
    failures: tuple[DataError, ...]
    kept_epoch: int
    validation_accuracy: float | None
    test: Evaluation | None


def train_model(
    examples: Examples,
    settings: Settings,
    *,
    checkpoints: StrPath | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> tuple[Model, TrainingReport]:
    """Train as `settings` say, which `settings.resolve` has gone through; see `Classifier.train`."""
    task = Task.prepare(examples, settings, callbacks)
    notes = (*examples.notes, *notes_of_parts(examples, task.parts))
    for note in notes:
        for callback in callbacks:
            callback(Noted(note))
    if settings.members > 1:
        check_ends_in_dense(task.network)
    shall_refit = _shall_refit(examples, settings)
    if settings.budget is not None:
        settings = _within_budget(task, 2 if shall_refit else 1, None if not resume else checkpoints)
    run = _Runs(task, settings, checkpoints, resume, callbacks)
    train, validation, test = (task.parts[name] for name in ("train", "validation", "test"))
    results = run(train, validation)
    finals = run(np.concatenate([train, validation]), None) if shall_refit else []

    model = _joined(task, results)
    # What the network of the second run says of the validation clips would be too good: it has learned them.
    watched, rows = examples.epoch_of(validation, balanced=False)
    decision = decide(model, settings, watched, task.codes[rows], task.rejection)
    accuracy = _validation_accuracy(task, model, results)
    counts = {name: _count(examples, part, name) for name, part in task.parts.items() if len(part)}
    model = dataclasses.replace(
        _joined(task, finals or results),
        decision=decision,
        provenance={
            "audioconv": __version__,
            "data": {**examples.about, "counts": counts, "unreadable": len(examples.failures)},
            "settings": _portable(settings),
            "spoken": None if task.spoken is None else task.spoken.about,
            "began_with": None if task.init is None else os.path.basename(os.fspath(task.init)),
            "content": None if isinstance(examples.source, ImageInput) else examples.source.content,
            "validation_accuracy": accuracy,
            "refit_with_validation": bool(finals),
        },
    )
    evaluation = _evaluate(model, examples, test) if len(test) else None
    if evaluation is not None:
        model = dataclasses.replace(model, provenance={**model.provenance, "test_accuracy": evaluation.accuracy})
    return model, TrainingReport(
        history=results[0].history,
        final_history=finals[0].history if finals else None,
        counts=counts,
        failures=examples.failures,
        kept_epoch=results[0].kept_epoch,
        validation_accuracy=accuracy,
        test=evaluation,
    )


@dataclass(frozen=True)
class _Runs:
    """What the trainings of a task share; called, it trains each network that is to decide."""

    task: Task
    settings: Settings
    checkpoints: StrPath | None
    resume: bool
    callbacks: Sequence[Callback]

    def __call__(self, train: Array, validation: Array | None) -> list[FitResult]:
        return [self._fit(member, train, validation) for member in range(self.settings.members)]

    def _fit(self, member: int, train: Array, validation: Array | None) -> FitResult:
        task, recipe, patience = self.task, recipe_of(self.settings), self.settings.patience
        name = checkpoint_name(member, final=validation is None)
        return fit(
            task.network,
            task.data_to_train(train),
            validation=None if validation is None else task.data(validation),
            epochs=recipe.epochs,
            batch_size=self.settings.batch_size,
            optimizer=AdamW(),
            schedule=OneCycle(recipe.learning_rate),
            loss=task.loss(train),
            gradient_clip=GRADIENT_CLIP,
            mixup=recipe.mixup,
            patience=None if validation is None else patience,
            # The learning rate ends at nothing, so no epoch before the last is better but by chance; cut short it does.
            keep="last" if patience is None else "best",
            seed=self.settings.seed + SEEDS_APART * member,
            params=task.params,
            checkpoint=None if self.checkpoints is None else Path(self.checkpoints) / name,
            resume=self.resume,
            settings=task.describe(),
            callbacks=self.callbacks,
        )


def checkpoint_name(member: int, final: bool) -> str:
    """Return the name of the file from which the training of a network, or its second one, goes on.

    >>> checkpoint_name(0, final=False), checkpoint_name(1, final=True)
    ('checkpoint.safetensors', 'checkpoint-final-2.safetensors')
    """
    stem, suffix = CHECKPOINT.split(".")
    return f"{stem}{'-final' if final else ''}{f'-{member + 1}' if member else ''}.{suffix}"


def _within_budget(task: Task, runs: int, begun: StrPath | None) -> Settings:
    """Return the task's settings with as many epochs as fit into its budget, for so many runs of each network.

    The model's file shall say what to repeat, not its time. In the folder `begun` there may be a run to go on with.
    """
    settings, parts = task.settings, task.parts
    assert settings.budget is not None
    if begun is not None and (checkpoint := Path(begun) / CHECKPOINT).exists():
        # It goes on with the number it began with: another measurement would give another one.
        epochs = int(Checkpoint.load(checkpoint).settings["epochs"])
    else:
        seconds = settings.budget / settings.members / runs
        data, watch = task.data_to_train(parts["train"]), task.data(parts["validation"])
        fitting = epochs_within(seconds, task.network, data, watch, task.params, settings.batch_size)
        epochs = min(fitting, MOST_EPOCHS)
    return Settings(**{**settings.get_params(), "epochs": epochs, "budget": None})


def _shall_refit(examples: Examples, settings: Settings) -> bool:
    if settings.refit is not None:
        return settings.refit
    # Rows that the data set itself keeps for validation are not trained on unasked.
    return "validation" not in examples.splits and examples.have_few_speakers


def _joined(task: Task, results: Sequence[FitResult]) -> Model:
    return task.model(*join([task.network] * len(results), [result.params for result in results]))


def _validation_accuracy(task: Task, model: Model, results: Sequence[FitResult]) -> float | None:
    """Return how much of the validation part the networks get right together."""
    validation = task.parts["validation"]
    if len(results) == 1 or not len(validation):
        return results[0].history[results[0].kept_epoch - 1].validation_accuracy
    x, rows = task.examples.epoch_of(validation, balanced=False)
    codes = predict.logits(model, x).argmax(axis=1)
    return float(np.mean(codes == task.codes[rows]))


def _evaluate(model: Model, examples: Examples, part: Array) -> Evaluation:
    places, probabilities = _by_recording(model, examples, part)
    labels = tuple(examples.labels[i] for i in places)
    return Evaluation.judge(model.labels, model.decision, Scored(labels, probabilities, tuple(places)))


def _by_recording(model: Model, examples: Examples, part: Array) -> tuple[list[int], Array]:
    """Return the first example of each recording, and what `model` makes of it, (recordings, labels) float32."""
    source, x = examples.source, examples.take(part)
    rows = predict.probabilities(model, x)
    if isinstance(source, ImageInput) or not isinstance(x, Windows):
        return part.tolist(), rows
    _, first, of = np.unique(x.recordings, return_index=True, return_inverse=True)
    together = [combine(model, source, rows[of == number]) for number in range(len(first))]
    return part[first].tolist(), np.stack(together)


def _portable(settings: Settings) -> dict[str, Any]:
    """Return the settings for a model file, without the folders of the machine it was trained on."""
    files = {"noise": settings.noise, "init": settings.init, "others": settings.others}
    names = {name: None if path is None else os.path.basename(os.fspath(path)) for name, path in files.items()}
    return {**settings.get_params(), **names}


def _count(examples: Examples, part: Array, name: str) -> dict[str, int]:
    """Return how many windows of each class an epoch trains on or validates with, or how many recordings test."""
    if name == "test":
        _, first = np.unique(examples.recordings[part], return_index=True)
        rows = part[first]
    else:
        _, rows = examples.epoch_of(part, balanced=False)
    return dict(sorted(Counter(examples.labels[i] for i in rows.tolist()).items()))
