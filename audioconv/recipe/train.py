"""The default way of training, from labelled data to a model: resolve, load, prepare, fit, decide."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from audioconv._types import Array, StrPath
from audioconv._version import __version__
from audioconv.architectures.ensemble import check_ends_in_dense, join
from audioconv.cluster.processes import ALONE, Processes
from audioconv.decision.curve import Curve
from audioconv.decision.decision import Decision
from audioconv.errors import DataError
from audioconv.evaluation import Evaluation, Scored
from audioconv.features.stored import StoredFeatures, stored_count
from audioconv.io.columns import View
from audioconv.io.parallel import evenly
from audioconv.model import Model
from audioconv.pipeline import sharing
from audioconv.pipeline.predict import combine
from audioconv.recipe.deciding import Watched, decide, too_few
from audioconv.recipe.examples import Examples, load, notes_of_parts, shared_files
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.plan import MAX_EPOCHS, resolve
from audioconv.recipe.pretrained import Pretrained
from audioconv.recipe.rejection import CALIBRATION_CLIPS
from audioconv.recipe.replicas import check_processes
from audioconv.recipe.reviewed import read_reviewed
from audioconv.recipe.runs import CHECKPOINT, Runs, Stage
from audioconv.recipe.settings import Settings, check
from audioconv.recipe.setup import TrainingSetup, prepare
from audioconv.training.budget import epochs_within
from audioconv.training.callbacks import Callback, Noted
from audioconv.training.checkpoint import Checkpoint
from audioconv.training.data import Dataset
from audioconv.training.fitting import FitResult
from audioconv.training.history import History

REFIT_SHARE = 0.15
"""Share of the clips that validate from which on a network that begins with the speech embedding is trained again with
them. Each of five clips is a fifth of the word's clips. docs/experiments/speech-embedding.md has figures."""


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """The result of a training run, besides the model.

    Attributes
    ----------
    history : History
        Epochs of the training with validation; of an ensemble, those of the first network.
    final_history : History or None
        Epochs of the second training, with the validation examples, if there was one.
    counts : dict
        Number of examples by split and class.
    failures : tuple of DataError
        Files that could not be read.
    negative_failures : tuple of DataError
        Negative recordings that could not be read.
    kept_epoch : int
        Epoch of `history` whose parameters `validation_accuracy` belongs to.
    validation_accuracy : float or None
        Accuracy on examples (speakers, if they are known) that were not trained on.
    test : Evaluation or None
        Evaluation on the rows whose split is ``test``, if there are any.
    held_out : Evaluation or None
        Evaluation of the recordings, or pictures, that validated, each by networks that had not learned it; its
        examples are the files. None where nothing validated.
    folds : int
        Number of networks of a cross-validation; 0 without one.
    by_speaker : bool
        Whether speakers are known and none of them was both trained on and validated with.
    curve : Curve or None
        What each threshold accepts, if there is a bank of negatives or a cross-validation; without a bank its `hours`
        are 0, and its false accepts an hour mean nothing.
    """

    history: History
    final_history: History | None
    counts: dict[str, dict[str, int]]
    failures: tuple[DataError, ...]
    negative_failures: tuple[DataError, ...]
    kept_epoch: int
    validation_accuracy: float | None
    test: Evaluation | None
    held_out: Evaluation | None = None
    folds: int = 0
    by_speaker: bool = False
    curve: Curve | None = None


def train_model(
    settings: Settings,
    data: Labelled,
    pretrained: Pretrained | None = None,
    *,
    checkpoints: StrPath | None = None,
    resume: bool = False,
    strict: bool = False,
    callbacks: Sequence[Callback] = (),
    on_file: Callable[[int], object] | None = None,
    processes: Processes = ALONE,
) -> tuple[Model, TrainingReport]:
    """Train on labelled data; `pretrained` is what `pretrained.load_named` returns. See `Classifier.train`."""
    data = data if settings.keep_classes else data.with_negatives()
    check(settings, data.kind)
    check_processes(settings, data, processes)
    reviewed = None if settings.reviewed is None else read_reviewed(settings.reviewed, data.labels)
    if reviewed is not None:
        data = data.with_reviewed(reviewed.positives)
    has_refused = bool(data.backgrounds) or (reviewed is not None and bool(reviewed.refused))
    plan = resolve(settings, data, pretrained, has_refused=has_refused)
    _tell(callbacks, *data.notes, *([plan.windows.describe()] if plan.windows else []), *plan.notes)
    if reviewed is not None:
        _tell(callbacks, *reviewed.notes(rejects=plan.rejects))
    step = None if on_file is None else partial(on_file, len(shared_files(plan, data, processes)))
    examples = load(plan, data, strict=strict, on_file=step, processes=processes)
    del data  # the examples have copies of arrays in memory
    setup = prepare(plan, examples, callbacks, reviewed, strict=strict, processes=processes)
    _tell(callbacks, *examples.notes, *notes_of_parts(examples, setup.parts))
    return _train(setup, checkpoints, resume, callbacks)


def _tell(callbacks: Sequence[Callback], *notes: str) -> None:
    for note in notes:
        for callback in callbacks:
            callback(Noted(note))


def _train(
    setup: TrainingSetup, checkpoints: StrPath | None, resume: bool, callbacks: Sequence[Callback]
) -> tuple[Model, TrainingReport]:
    """Train the networks, choose the decision, and evaluate the model on the test part."""
    plan, examples, parts = setup.plan, setup.examples, setup.parts
    if plan.ensemble_size > 1:
        check_ends_in_dense(setup.network)
    everything = np.concatenate([parts["train"], parts["validation"]])
    epochs, data, watch = setup.epochs, None, None
    if not setup.folds:
        data, watch = setup.data_to_train(parts["train"]), setup.data(parts["validation"])
    if plan.settings.budget is not None:
        trial = data or setup.data_to_train(everything)
        epochs = _epochs_within_budget(setup, plan.settings.budget, trial, watch, checkpoints if resume else None)
        del trial
    stages = _stages(setup, epochs, everything)
    runs = Runs(setup, stages, checkpoints, resume, callbacks)
    trained = []
    for place, held in enumerate(setup.folds or [parts["validation"]]):
        if setup.folds:
            results = runs.train(place, setup.data_to_train(stages[place].part), setup.data(held))
        else:
            assert data is not None
            results = runs.train(place, data, watch)
        trained.append(_Trained(results, _joined(setup, results), held))
    del data, watch  # they may have copies of all samples
    finals = runs.train(len(stages) - 1, setup.data_to_train(everything), None) if stages[-1].is_final else []

    # The last network's predictions for these clips would be too good: it has learned them.
    watched, learned = [one.watched(setup) for one in trained], None
    if too_few(watched, setup.rejection):
        rest = np.setdiff1d(everything, trained[0].held)
        some = np.array(evenly(range(len(rest)), CALIBRATION_CLIPS), np.int64)
        learned = dataclasses.replace(trained[0], held=rest[some]).watched(setup)
    decision, curve = decide(watched, setup.rejection, plan.settings, setup.processes, learned=learned)
    del watched, learned
    held_out = _evaluate_together(setup, trained, decision)
    accuracy = held_out.accuracy if setup.folds and held_out else _validation_accuracy(setup, trained[0])
    counts = {name: _count(examples, part, name) for name, part in parts.items() if len(part)}
    model = dataclasses.replace(
        _joined(setup, finals) if finals else trained[0].model,
        decision=decision,
        provenance={
            "audioconv": __version__,
            "data": {**examples.about, "counts": counts, "unreadable": len(examples.failures)},
            "settings": setup.stored_settings(epochs),
            "negatives": None if setup.bank is None else setup.bank.about,
            **({} if setup.reviewed is None else {"reviewed": setup.reviewed.about}),
            **({} if setup.backgrounds is None else {"backgrounds": setup.backgrounds.about}),
            "spoken": None if setup.spoken is None else setup.spoken.about,
            "began_with": None if setup.pretrained is None else setup.pretrained.name,
            "pretrained": None if setup.pretrained is None else setup.pretrained.about,
            "content": plan.spec.content,
            "validation_accuracy": accuracy,
            "refit_with_validation": bool(finals),
        },
        stored_features=_stored_features(setup, trained[0].model),
    )
    evaluation = _evaluate(model, setup, parts["test"]) if len(parts["test"]) else None
    if evaluation is not None:
        model = dataclasses.replace(model, provenance={**model.provenance, "test_accuracy": evaluation.accuracy})
    first = trained[0].results[0]
    return model, TrainingReport(
        history=first.history,
        final_history=finals[0].history if finals else None,
        counts=counts,
        failures=examples.failures,
        negative_failures=() if setup.bank is None else setup.bank.failures,
        kept_epoch=first.kept_epoch,
        validation_accuracy=accuracy,
        test=evaluation,
        held_out=held_out,
        folds=len(setup.folds),
        by_speaker=setup.by_speaker,
        curve=curve,
    )


def _stages(setup: TrainingSetup, epochs: int, everything: Array) -> list[Stage]:
    """Return what is trained, one stage after the other."""
    count = len(setup.folds)
    if count:
        rests = [np.setdiff1d(everything, held) for held in setup.folds]
        stages = [
            Stage(rest, fold_epochs(epochs), f"without part {fold + 1} of {count}", fold)
            for fold, rest in enumerate(rests)
        ]
        return [*stages, Stage(everything, epochs, "the model, of all clips", is_final=True)]
    first = Stage(setup.parts["train"], epochs)
    if not shall_refit(setup):
        return [first]
    return [first, Stage(everything, epochs, "once more, with the clips that validated", is_final=True)]


def shall_refit(setup: TrainingSetup) -> bool:
    """Return whether the network is trained a second time, with the validation examples.

    It is so where the plan says so, and by default where the speech embedding has so few clips that those which
    validate are `REFIT_SHARE` or more.
    """
    plan, parts = setup.plan, setup.parts
    if plan.refits or plan.settings.refit is not None or not plan.begins_with_embedding:
        return plan.refits
    held, rest = len(parts["validation"]), len(parts["train"])
    return held >= REFIT_SHARE * (held + rest) and "validation" not in setup.examples.splits


@dataclass(frozen=True, eq=False)
class _Trained:
    """The networks of one training, the model of them, and the examples that they have not learned."""

    results: Sequence[FitResult]
    model: Model
    held: Array

    def watched(self, setup: TrainingSetup) -> Watched:
        x, rows = setup.examples.epoch_of(self.held, balanced=False)
        return Watched(self.model, x, setup.codes[rows])


def fold_epochs(epochs: int) -> int:
    """Return the number of epochs of a network of a cross-validation: half of those of the model."""
    return max(1, epochs // 2)


def _epochs_within_budget(
    setup: TrainingSetup, budget: float, data: Sequence[Dataset], watch: Dataset | None, begun: StrPath | None
) -> int:
    """Return the number of epochs that fit into `budget` seconds; in the folder `begun` may be a run to resume."""
    folds = len(setup.folds)
    first = None
    if begun is not None and setup.processes.leads and (checkpoint := Path(begun) / CHECKPOINT).exists():
        first = int(Checkpoint.load(checkpoint).settings["epochs"])
    first = setup.processes.from_leader(first)
    if first is not None:
        # The run goes on with its first number of epochs: another measurement would give another one.
        return int(first) * (2 if folds else 1)
    plan = setup.plan
    # Each of the folds' networks is trained on all folds but one, in half the epochs.
    runs = 1 + (folds - 1) / 2 if folds else 2 if shall_refit(setup) else 1
    seconds = budget / plan.ensemble_size / plan.averaged_runs / runs / len(data)
    together = setup.processes.size > 1  # validation is shared, and each process has some of the clips
    fitting = epochs_within(seconds, setup.network, data[0], None if together else watch, setup.params, plan.batch_size)
    epochs = min(MAX_EPOCHS, *map(int, setup.processes.gather_json(fitting)))
    return max(2, epochs - epochs % 2) if folds else epochs


def _joined(setup: TrainingSetup, results: Sequence[FitResult]) -> Model:
    return setup.model(*join([setup.network] * len(results), [result.params for result in results]))


def _stored_features(setup: TrainingSetup, model: Model) -> StoredFeatures | None:
    """Return features of training examples evenly drawn from all of them, for the model file."""
    part = setup.parts["train"]
    count = min(len(part), stored_count(math.prod(model.feature_shape), setup.plan.settings.stored_features))
    if not count:
        return None
    examples = setup.examples.take(part[np.linspace(0, len(part) - 1, count).astype(int)])
    return StoredFeatures.of(sharing.rows(examples, lambda some: model.features(some[:]), setup.processes))


def _validation_accuracy(setup: TrainingSetup, trained: _Trained) -> float | None:
    """Return the accuracy of the model on the validation part."""
    results = trained.results
    if (len(results) == 1 and setup.plan.averaged_runs == 1) or not len(trained.held):
        return results[0].history[results[0].kept_epoch - 1].validation_accuracy
    watched = trained.watched(setup)
    return float(np.mean(sharing.logits(trained.model, watched.x, setup.processes).argmax(axis=1) == watched.codes))


def _evaluate_together(setup: TrainingSetup, trained: Sequence[_Trained], decision: Decision) -> Evaluation | None:
    """Return the evaluation of examples by models that have not learned them; None without any."""
    parts = [
        _scored(dataclasses.replace(one.model, decision=decision), setup, one.held) for one in trained if len(one.held)
    ]
    if not parts:
        return None
    return Evaluation.judge(trained[0].model.labels, decision, Scored.join(*parts))


def _evaluate(model: Model, setup: TrainingSetup, part: Array) -> Evaluation:
    """Evaluate the model on each recording of `part`, of which the windows are combined, or on each picture."""
    return Evaluation.judge(model.labels, model.decision, _scored(model, setup, part))


def _scored(model: Model, setup: TrainingSetup, part: Array) -> Scored:
    """Return each recording of `part` with the model's scores."""
    examples = setup.examples
    rows = sharing.probabilities(model, examples.take(part), setup.processes)
    _, first, of, counts = np.unique(
        examples.recordings[part], return_index=True, return_inverse=True, return_counts=True
    )
    order, ends = np.argsort(of, kind="stable"), np.cumsum(counts)
    together = np.empty((len(first), len(model.labels)), np.float32)
    for number, (end, count) in enumerate(zip(ends.tolist(), counts.tolist(), strict=True)):
        together[number] = combine(model, setup.plan.spec, rows[order[end - count : end]])
    places, sources = part[first], examples.sources
    shown = View(len(places), lambda i: sources[places[i]]) if sources else places
    return Scored(examples.labels.take(places), together, shown)


def _count(examples: Examples, part: Array, name: str) -> dict[str, int]:
    """Return how many windows of each class an epoch trains on or validates with, or how many recordings test."""
    if name == "test":
        _, first = np.unique(examples.recordings[part], return_index=True)
        rows = part[first]
    else:
        _, rows = examples.epoch_of(part, balanced=False)
    return dict(sorted(examples.labels.take(rows).counts().items()))
