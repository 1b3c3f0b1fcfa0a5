"""The default way of training, from labelled data to a model: resolve, load, prepare, fit, decide."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from audioconv._types import Array, StrPath
from audioconv._version import __version__
from audioconv.architectures.ensemble import check_ends_in_dense, join
from audioconv.cluster.processes import ALONE, Processes
from audioconv.errors import DataError
from audioconv.evaluation import Evaluation, Scored
from audioconv.features.stored import StoredFeatures, stored_count
from audioconv.model import Model
from audioconv.pipeline import sharing
from audioconv.pipeline.predict import combine
from audioconv.recipe.examples import Examples, load, notes_of_parts, shared_files
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.plan import MAX_EPOCHS, resolve
from audioconv.recipe.pretrained import Pretrained
from audioconv.recipe.rejection import decide
from audioconv.recipe.replicas import check_processes, one_cycle
from audioconv.recipe.reviewed import read_reviewed
from audioconv.recipe.settings import Settings, check
from audioconv.recipe.setup import TrainingSetup, prepare
from audioconv.training.budget import epochs_within
from audioconv.training.callbacks import Callback, Noted
from audioconv.training.checkpoint import Checkpoint
from audioconv.training.data import Dataset
from audioconv.training.fitting import FitResult, fit
from audioconv.training.history import History
from audioconv.training.optimizers import AdamW

CHECKPOINT, CHECKPOINTS = "checkpoint.safetensors", "checkpoint*.safetensors"

SEED_STEP = 1000
"""Difference of the seeds of two networks of an ensemble: ensembles with the seeds 0, 1, 2 share none."""

GRADIENT_CLIP = 5.0


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
    """

    history: History
    final_history: History | None
    counts: dict[str, dict[str, int]]
    failures: tuple[DataError, ...]
    negative_failures: tuple[DataError, ...]
    kept_epoch: int
    validation_accuracy: float | None
    test: Evaluation | None


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
    plan = resolve(settings, data, pretrained, has_refused=reviewed is not None and bool(reviewed.refused))
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
    data, watch = setup.data_to_train(parts["train"]), setup.data(parts["validation"])
    epochs = setup.epochs
    if plan.settings.budget is not None:
        epochs = _epochs_within_budget(setup, plan.settings.budget, data, watch, checkpoints if resume else None)
    fit_all = partial(_fit_all, setup, epochs, checkpoints=checkpoints, resume=resume, callbacks=callbacks)
    results = fit_all(parts["train"], data, watch)
    del data, watch  # they may have copies of all samples
    finals = []
    if plan.refits:
        both = np.concatenate([parts["train"], parts["validation"]])
        finals = fit_all(both, setup.data_to_train(both), None)

    model = _joined(setup, results)
    # The second network's predictions for the validation clips would be too good: it has learned them.
    watched, rows = examples.epoch_of(parts["validation"], balanced=False)
    decision = decide(model, watched, setup.codes[rows], setup.rejection, plan.settings, setup.processes)
    accuracy = _validation_accuracy(setup, model, results)
    counts = {name: _count(examples, part, name) for name, part in parts.items() if len(part)}
    model = dataclasses.replace(
        _joined(setup, finals or results),
        decision=decision,
        provenance={
            "audioconv": __version__,
            "data": {**examples.about, "counts": counts, "unreadable": len(examples.failures)},
            "settings": setup.stored_settings(epochs),
            "negatives": None if setup.bank is None else setup.bank.about,
            **({} if setup.reviewed is None else {"reviewed": setup.reviewed.about}),
            "spoken": None if setup.spoken is None else setup.spoken.about,
            "began_with": None if setup.pretrained is None else setup.pretrained.name,
            "pretrained": None if setup.pretrained is None else setup.pretrained.about,
            "content": plan.spec.content,
            "validation_accuracy": accuracy,
            "refit_with_validation": bool(finals),
        },
        stored_features=_stored_features(setup, model),
    )
    evaluation = _evaluate(model, setup) if len(parts["test"]) else None
    if evaluation is not None:
        model = dataclasses.replace(model, provenance={**model.provenance, "test_accuracy": evaluation.accuracy})
    return model, TrainingReport(
        history=results[0].history,
        final_history=finals[0].history if finals else None,
        counts=counts,
        failures=examples.failures,
        negative_failures=() if setup.bank is None else setup.bank.failures,
        kept_epoch=results[0].kept_epoch,
        validation_accuracy=accuracy,
        test=evaluation,
    )


def _fit_all(
    setup: TrainingSetup,
    epochs: int,
    part: Array,
    data: Sequence[Dataset],
    watch: Dataset | None,
    *,
    checkpoints: StrPath | None,
    resume: bool,
    callbacks: Sequence[Callback],
) -> list[FitResult]:
    """Train each network of the ensemble on the examples `part`, of which the `data` of our replicas are made."""
    plan, patience, loss = setup.plan, setup.plan.settings.patience, setup.loss(part)
    results = []
    for member in range(plan.ensemble_size):
        name = checkpoint_name(member, final=watch is None)
        results.append(
            fit(
                setup.network,
                list(data),
                validation=watch,
                epochs=epochs,
                batch_size=plan.batch_size,
                optimizer=AdamW(rates=() if setup.pretrained is None else setup.pretrained.rates),
                schedule=one_cycle(plan.learning_rate, plan.settings.replicas, epochs),
                loss=loss,
                gradient_clip=GRADIENT_CLIP,
                mixup=plan.mixup,
                patience=None if watch is None else patience,
                # The learning rate falls to zero: an earlier epoch is better by chance only, unless patience ends it.
                keep="last" if patience is None else "best",
                seed=plan.settings.seed + SEED_STEP * member,
                params=setup.params,
                checkpoint=None if checkpoints is None else Path(checkpoints) / name,
                resume=resume,
                settings=setup.describe(),
                callbacks=callbacks,
                processes=setup.processes,
            )
        )
    return results


def checkpoint_name(member: int, final: bool) -> str:
    """Return the name of the file from which the training of a network, or its second one, goes on.

    >>> checkpoint_name(0, final=False), checkpoint_name(1, final=True)
    ('checkpoint.safetensors', 'checkpoint-final-2.safetensors')
    """
    stem, suffix = CHECKPOINT.split(".")
    return f"{stem}{'-final' if final else ''}{f'-{member + 1}' if member else ''}.{suffix}"


def _epochs_within_budget(
    setup: TrainingSetup, budget: float, data: Sequence[Dataset], watch: Dataset, begun: StrPath | None
) -> int:
    """Return the number of epochs that fit into `budget` seconds; in the folder `begun` may be a run to resume."""
    if begun is not None and (checkpoint := Path(begun) / CHECKPOINT).exists():
        # The run goes on with its first number of epochs: another measurement would give another one.
        return int(Checkpoint.load(checkpoint).settings["epochs"])
    plan = setup.plan
    seconds = budget / plan.ensemble_size / (2 if plan.refits else 1) / len(data)
    together = setup.processes.size > 1  # validation is shared, and each process has some of the clips
    fitting = epochs_within(seconds, setup.network, data[0], None if together else watch, setup.params, plan.batch_size)
    return min(MAX_EPOCHS, *map(int, setup.processes.gather_json(fitting)))


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


def _validation_accuracy(setup: TrainingSetup, model: Model, results: Sequence[FitResult]) -> float | None:
    """Return the accuracy of all networks together on the validation part."""
    validation = setup.parts["validation"]
    if len(results) == 1 or not len(validation):
        return results[0].history[results[0].kept_epoch - 1].validation_accuracy
    x, rows = setup.examples.epoch_of(validation, balanced=False)
    return float(np.mean(sharing.logits(model, x, setup.processes).argmax(axis=1) == setup.codes[rows]))


def _evaluate(model: Model, setup: TrainingSetup) -> Evaluation:
    """Evaluate the model on each recording of the test part, of which the windows are combined, or on each picture."""
    spec, examples, part = setup.plan.spec, setup.examples, setup.parts["test"]
    rows = sharing.probabilities(model, examples.take(part), setup.processes)
    _, first, of = np.unique(examples.recordings[part], return_index=True, return_inverse=True)
    together = np.stack([combine(model, spec, rows[of == number]) for number in range(len(first))])
    places = part[first].tolist()
    labels = tuple(examples.labels[i] for i in places)
    return Evaluation.judge(model.labels, model.decision, Scored(labels, together, tuple(places)))


def _count(examples: Examples, part: Array, name: str) -> dict[str, int]:
    """Return how many windows of each class an epoch trains on or validates with, or how many recordings test."""
    if name == "test":
        _, first = np.unique(examples.recordings[part], return_index=True)
        rows = part[first]
    else:
        _, rows = examples.epoch_of(part, balanced=False)
    return dict(sorted(Counter(examples.labels[i] for i in rows.tolist()).items()))
