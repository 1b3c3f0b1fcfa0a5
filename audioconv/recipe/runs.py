"""The training runs of a model: those of each network of an ensemble, and of each part of a cross-validation.

Several runs may begin with the same pretrained parameters, each with other augmentation, dropout and order. The means
of their parameters are one network. docs/experiments/averaged-runs.md has the effect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audioconv._types import Array, StrPath
from audioconv.architectures.ensemble import average
from audioconv.recipe.replicas import one_cycle
from audioconv.recipe.setup import TrainingSetup
from audioconv.training.callbacks import Callback, Event, RunStarted
from audioconv.training.data import Dataset
from audioconv.training.fitting import FitResult, fit
from audioconv.training.optimizers import AdamW

CHECKPOINT, CHECKPOINTS = "checkpoint.safetensors", "checkpoint*.safetensors"

SEED_STEP = 1000
"""Difference of the seeds of two runs on the same examples: models with the seeds 0, 1, 2 share none."""

GRADIENT_CLIP = 5.0


@dataclass(frozen=True, eq=False)
class Stage:
    """Runs on the same examples.

    Attributes
    ----------
    part : array (n,) of int
        The examples that train.
    epochs : int
        Epochs of each run.
    title : str
        Name of the stage for the user, such as "without part 1 of 3"; empty for the only one.
    fold : int
        Number of the part of a cross-validation that is left out, from 0.
    is_final : bool
        Whether these are the runs with the validation examples.
    """

    part: Array
    epochs: int
    title: str = ""
    fold: int = 0
    is_final: bool = False


@dataclass(frozen=True, eq=False)
class Runs:
    """All runs of a model, stage by stage.

    Attributes
    ----------
    setup : TrainingSetup
    stages : sequence of Stage
        In the order in which they are trained.
    checkpoints : path-like or None
        Folder for the checkpoints, one a run.
    resume : bool
        Whether to go on from them.
    callbacks : sequence of callables
        See `training.fit`. A `RunStarted` also has the place of the run among all of them.
    """

    setup: TrainingSetup
    stages: Sequence[Stage]
    checkpoints: StrPath | None
    resume: bool
    callbacks: Sequence[Callback]

    def train(self, place: int, data: Sequence[Dataset], watch: Dataset | None) -> list[FitResult]:
        """Train each network of the ensemble in the stage at a place.

        Parameters
        ----------
        place : int
        data : sequence of Dataset
            Training data of our replicas.
        watch : Dataset or None
            Validation data.

        Returns
        -------
        list of FitResult
            One a network. The history of several runs that are averaged is that of the first.
        """
        size, count = self.setup.plan.ensemble_size, self.setup.plan.averaged_runs
        networks = []
        for member in range(size):
            found = [self._run(place, member * count + number, data, watch) for number in range(count)]
            mean = average([one.params for one in found]) if count > 1 else found[0].params
            networks.append(dataclasses.replace(found[0], params=mean))
        return networks

    def _run(self, place: int, number: int, data: Sequence[Dataset], watch: Dataset | None) -> FitResult:
        setup, plan, stage = self.setup, self.setup.plan, self.stages[place]
        patience = plan.settings.patience
        name = checkpoint_name(number, final=stage.is_final, fold=stage.fold)
        return fit(
            setup.network,
            list(data),
            validation=watch,
            epochs=stage.epochs,
            batch_size=plan.batch_size,
            optimizer=AdamW(rates=setup.rates),
            schedule=one_cycle(plan.learning_rate, plan.settings.replicas, stage.epochs),
            loss=setup.loss(stage.part),
            gradient_clip=GRADIENT_CLIP,
            mixup=plan.mixup,
            patience=None if watch is None else patience,
            # The learning rate falls to zero: an earlier epoch is better by chance only, unless patience ends it.
            keep="last" if patience is None else "best",
            seed=plan.settings.seed + SEED_STEP * number,
            params=setup.params,
            checkpoint=None if self.checkpoints is None else Path(self.checkpoints) / name,
            resume=self.resume,
            settings=setup.describe(),
            callbacks=[lambda event: self._tell(event, place, number)],
            processes=setup.processes,
        )

    def _tell(self, event: Event, place: int, number: int) -> None:
        if isinstance(event, RunStarted):
            event = self._placed(event, place, number)
        for callback in self.callbacks:
            callback(event)

    def _placed(self, event: RunStarted, place: int, number: int) -> RunStarted:
        """Return the event with the run's place among all, and what is left after it."""
        stage, later = self.stages[place], self.stages[place + 1 :]
        size, count = self.setup.plan.ensemble_size, self.setup.plan.averaged_runs
        of_stage = size * count
        rest = of_stage - 1 - number
        batches = rest * stage.epochs * event.batches
        # Later stages have more or fewer examples, and their batches in proportion.
        batches += sum(round(of_stage * one.epochs * event.batches * len(one.part) / len(stage.part)) for one in later)
        titles = [stage.title] if stage.title else []
        if size > 1:
            titles.append(f"network {number // count + 1} of {size}")
        if count > 1:
            titles.append(f"run {number % count + 1} of {count} that are averaged")
        return dataclasses.replace(
            event,
            title=", ".join(titles),
            number=place * of_stage + number + 1,
            runs=len(self.stages) * of_stage,
            averaged_runs=count,
            epochs_left=rest * stage.epochs + sum(of_stage * one.epochs for one in later),
            batches_left=batches,
        )


def checkpoint_name(number: int, final: bool, fold: int = 0) -> str:
    """Return the name of the file from which a run goes on; `number` is that in its stage, from 0.

    >>> checkpoint_name(0, final=False), checkpoint_name(1, final=True)
    ('checkpoint.safetensors', 'checkpoint-final-2.safetensors')
    >>> checkpoint_name(0, final=False, fold=1)
    'checkpoint-fold-2.safetensors'
    """
    stem, suffix = CHECKPOINT.split(".")
    of_fold = f"-fold-{fold + 1}" if fold else ""
    return f"{stem}{of_fold}{'-final' if final else ''}{f'-{number + 1}' if number else ''}.{suffix}"
