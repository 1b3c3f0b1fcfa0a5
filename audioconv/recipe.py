"""The default way of training: what `Classifier` does between labelled examples and a model."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv import __version__, architectures, pipeline
from audioconv.audio.augment import Augmentation
from audioconv.audio.features import LogMel, front_end_to_config
from audioconv.batches import Dataset
from audioconv.checkpoint import Checkpoint
from audioconv.datasets.splits import split_validation
from audioconv.ensemble import check_ends_in_dense, join
from audioconv.errors import DataError
from audioconv.evaluation import Evaluation, Scored
from audioconv.events import Callback
from audioconv.history import History
from audioconv.loading import StrPath
from audioconv.losses import SoftmaxCrossEntropy
from audioconv.model import Model
from audioconv.normalisation import Normalisation
from audioconv.optim import AdamW
from audioconv.pipeline import AudioInput, ImageInput
from audioconv.rejection import Rejection, decide, describe, shall_reject
from audioconv.schedules import OneCycle
from audioconv.settings import MOST_EPOCHS, Settings, recipe_of
from audioconv.timing import epochs_within
from audioconv.training import FitResult, fit
from audioconv.transfer import begin_from

Array = NDArray[Any]

FEW_SPEAKERS = 20
"""With fewer speakers, those that validate are missed: once they have, the network is trained again with them. And it
does not learn to reject unasked: of FSDD's speakers, who are six, those that it had not heard were rejected."""

SYNTHETIC_SOURCE = "espeak-ng"
FOR_SYNTHETIC_VOICES: Mapping[str, Any] = {
    "reverberation_probability": 0.5, "noise_probability": 0.9, "snr_db": (0.0, 30.0),
}  # fmt: skip
"""Synthetic recordings have no room and no noise of their own; people have both."""

CHECKPOINT, CHECKPOINTS = "checkpoint.safetensors", "checkpoint*.safetensors"

SEEDS_APART = 1000
"""From one network's seed to that of the next that decides with it: runs with the seeds 0, 1, 2 share none."""


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


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples in memory.

    Attributes
    ----------
    source : AudioInput or ImageInput
        How they were made from files or arrays.
    x : array (N, *source.shape) float32
    labels : sequence of str
    speakers, splits : sequence of (str or None)
        As in `datasets.Item`.
    about : mapping
        Name, source and licence of the data, for the model's provenance.
    failures : tuple of DataError
        Files that could not be read.
    """

    source: AudioInput | ImageInput
    x: Array
    labels: Sequence[str]
    speakers: Sequence[str | None]
    splits: Sequence[str | None]
    about: Mapping[str, Any]
    failures: tuple[DataError, ...] = ()


def train_model(
    examples: Examples,
    settings: Settings,
    *,
    checkpoints: StrPath | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> tuple[Model, TrainingReport]:
    """Train a network as `settings` say, which `settings.resolve` has gone through; see `Classifier.train`."""
    source, x = examples.source, examples.x
    parts = _split(examples, settings)
    classes = tuple(sorted({examples.labels[i] for i in parts["train"]}))
    name = examples.about["name"]
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise DataError(f"{name}: a classifier needs at least 2 classes to train on, there is {found}")
    rejection = None
    if isinstance(source, AudioInput) and shall_reject(settings, source, _has_few_speakers(examples)):
        rejection = Rejection(settings, source, classes)
        classes = rejection.classes
    codes = class_codes(name, examples.labels, classes)
    shape = pipeline.input_shape(source, settings.arch)
    augmentation = _augmentation(examples, settings)
    if settings.init is None:
        network, params = architectures.build(settings.arch, len(classes)), None
        normalisation = pipeline.measure(source, x[parts["train"]], settings.normalise_clips)
    else:
        before = Model.load(settings.init)
        network, params = begin_from(before, classes, np.random.default_rng(settings.seed))
        normalisation = _normalisation(before)
    if settings.members > 1:
        check_ends_in_dense(network)
    shall_refit = _shall_refit(examples, settings)

    def data_of(part: Array) -> Dataset:
        return pipeline.dataset(source, x[part], codes[part], normalisation, shape)

    def data_to_train(part: Array) -> Dataset:
        if rejection is None or not isinstance(source, AudioInput):
            return pipeline.dataset(source, x[part], codes[part], normalisation, shape, augmentation, settings.augment)
        clips = pipeline.clips(source, x[part], codes[part], normalisation, shape, augmentation)
        if augmentation is not None:
            clips = dataclasses.replace(clips, augmentation=rejection.augmentation(augmentation, clips))
        return rejection.to_train(clips)

    begun = None if checkpoints is None or not resume else Path(checkpoints) / CHECKPOINT
    if settings.budget is not None and begun is not None and begun.exists():
        # An interrupted run goes on with the number it began with: another measurement would give another one.
        settings = _within_budget(settings, int(Checkpoint.load(begun).settings["epochs"]))
    elif settings.budget is not None:
        watch = data_of(parts["validation"])
        seconds = settings.budget / settings.members / (2 if shall_refit else 1)
        fitting = epochs_within(seconds, network, data_to_train(parts["train"]), watch, params, settings.batch_size)
        settings = _within_budget(settings, min(fitting, MOST_EPOCHS))
    recipe = recipe_of(settings)
    # What a resumed run must share, beside what `fit` itself compares.
    shared = {
        "input": _describe(source),
        "augment": settings.augment,
        "normalise_clips": normalisation.by_clip,
        "noise": None if settings.noise is None else os.fspath(settings.noise),
        "classes": classes,
        **describe(settings, rejection),
    }

    def run(member: int, train: Array, validation: Array | None) -> FitResult:
        data = data_to_train(train)
        watch = None if validation is None else data_of(validation)
        return fit(
            network,
            data,
            validation=watch,
            epochs=recipe.epochs,
            batch_size=settings.batch_size,
            optimizer=AdamW(),
            schedule=OneCycle(recipe.learning_rate),
            loss=SoftmaxCrossEntropy(label_smoothing=0.1),
            gradient_clip=5.0,
            mixup=recipe.mixup,
            patience=None if validation is None else settings.patience,
            # The learning rate ends at nothing, so no epoch before the last is better but by chance; cut short it does.
            keep="last" if settings.patience is None else "best",
            seed=settings.seed + SEEDS_APART * member,
            params=params,
            checkpoint=None if checkpoints is None else Path(checkpoints) / _checkpoint(member, validation is None),
            resume=resume,
            settings=shared,
            callbacks=callbacks,
        )

    members = range(settings.members)
    results = [run(member, parts["train"], parts["validation"]) for member in members]
    both = np.concatenate([parts["train"], parts["validation"]])
    finals = [run(member, both, None) for member in members] if shall_refit else []
    result = results[0]
    voting, voting_params = join([network] * len(results), [one.params for one in results])
    counts = {name: _count(examples.labels[i] for i in part) for name, part in parts.items() if len(part)}
    model = Model(
        network=voting,
        params=voting_params,
        labels=classes,
        input_shape=shape,
        front_end=source.front_end if isinstance(source, AudioInput) else None,
        clip_samples=source.clip_samples if isinstance(source, AudioInput) else None,
        normalisation=normalisation,
    )
    # What the network of the second run says of the validation clips would be too good: it has learned them.
    watching = parts["validation"]
    decision = decide(model, settings, x[watching], codes[watching], rejection)
    validation_accuracy = result.history[result.kept_epoch - 1].validation_accuracy
    if settings.members > 1 and len(watching):
        validation_accuracy = float(np.mean(pipeline.logits(model, x[watching]).argmax(axis=1) == codes[watching]))
    if finals:
        _, voting_params = join([network] * len(finals), [one.params for one in finals])
    model = dataclasses.replace(
        model,
        params=voting_params,
        decision=decision,
        provenance={
            "audioconv": __version__,
            "data": {**examples.about, "counts": counts, "unreadable": len(examples.failures)},
            "settings": _portable(settings),
            "validation_accuracy": validation_accuracy,
            "refit_with_validation": bool(finals),
        },
    )
    test = None
    if len(parts["test"]):
        places = parts["test"].tolist()
        scored = Scored(
            tuple(examples.labels[i] for i in places), pipeline.probabilities(model, x[places]), tuple(places)
        )
        test = Evaluation.judge(classes, model.decision, scored)
        model = dataclasses.replace(model, provenance={**model.provenance, "test_accuracy": test.accuracy})
    return model, TrainingReport(
        history=result.history,
        final_history=finals[0].history if finals else None,
        counts=counts,
        failures=examples.failures,
        kept_epoch=result.kept_epoch,
        validation_accuracy=validation_accuracy,
        test=test,
    )


def _checkpoint(member: int, final: bool) -> str:
    """Return the name of the file from which a network's run goes on."""
    stem, suffix = CHECKPOINT.split(".")
    return f"{stem}{'-final' if final else ''}{f'-{member + 1}' if member else ''}.{suffix}"


def _within_budget(settings: Settings, epochs: int) -> Settings:
    """Return the settings with the number of epochs: the model's file shall say what to repeat, not its time."""
    return Settings(**{**settings.get_params(), "epochs": epochs, "budget": None})


def _normalisation(model: Model) -> Normalisation:
    """Return the model's own: what its layers have learned stands in its unit."""
    if model.normalisation is not None:
        return model.normalisation
    channels = model.feature_shape[-1]
    return Normalisation(np.zeros(channels, np.float32), np.ones(channels, np.float32))


def class_codes(name: str, labels: Sequence[str], classes: Sequence[str]) -> Array:
    """Return the class number of each label, (N,) int64; `DataError` if the data `name` have others."""
    strange = sorted(set(labels) - set(classes))
    if strange:
        raise DataError(
            f"{name}: has labels that the model does not know: {', '.join(map(repr, strange[:5]))}; "
            f"it knows {', '.join(classes)}"
        )
    codes = {label: code for code, label in enumerate(classes)}
    return np.array([codes[label] for label in labels], np.int64)


def _split(examples: Examples, settings: Settings) -> dict[str, Array]:
    """Return the indices of the training, validation and test examples.

    What the data set itself says holds; where it names no validation examples, a part of the training examples is
    taken, whole speakers where they are known.
    """
    splits = examples.splits
    unknown = set(splits) - {"train", "validation", "test", None}
    if unknown:
        raise DataError(f"split must be train, validation or test, got {sorted(map(str, unknown))}")
    named = {name: np.flatnonzero([split == name for split in splits]) for name in ("validation", "test")}
    train = np.flatnonzero([split in ("train", None) for split in splits])
    if not len(named["validation"]):
        known = [examples.speakers[int(i)] for i in train]
        groups = None if all(speaker is None for speaker in known) else known
        labels = [examples.labels[int(i)] for i in train]
        rest, validation = split_validation(labels, groups, settings.validation_fraction, settings.seed)
        named["validation"], train = train[validation], train[rest]
    return {"train": train, **named}


def _shall_refit(examples: Examples, settings: Settings) -> bool:
    if settings.refit is not None:
        return settings.refit
    # Rows that the data set itself keeps for validation are not trained on unasked.
    return "validation" not in examples.splits and _has_few_speakers(examples)


def _has_few_speakers(examples: Examples) -> bool:
    """Return whether all speakers that may be learned from are known, and fewer than `FEW_SPEAKERS`."""
    rest = {speaker for speaker, split in zip(examples.speakers, examples.splits, strict=True) if split != "test"}
    return None not in rest and len(rest) < FEW_SPEAKERS


def _augmentation(examples: Examples, settings: Settings) -> Augmentation | None:
    source = examples.source
    if not settings.augment or not isinstance(source, AudioInput):
        return None
    rate = source.front_end.sample_rate
    noises = None if settings.noise is None else pipeline.read_noises(settings.noise, rate)
    augmentation = Augmentation.default(rate, noises=noises, seed=settings.seed)
    if str(examples.about.get("source")).startswith(SYNTHETIC_SOURCE):
        augmentation = dataclasses.replace(augmentation, **FOR_SYNTHETIC_VOICES)
    if isinstance(source.front_end, LogMel):
        return augmentation
    return dataclasses.replace(augmentation, stretch_probability=0.0)  # there are no bands to stretch


def _portable(settings: Settings) -> dict[str, Any]:
    """Return the settings for a model file, without the folders of the machine it was trained on."""
    files = {"noise": settings.noise, "init": settings.init, "others": settings.others}
    names = {name: None if path is None else os.path.basename(os.fspath(path)) for name, path in files.items()}
    return {**settings.get_params(), **names}


def _describe(source: AudioInput | ImageInput) -> dict[str, Any]:
    if isinstance(source, AudioInput):
        return {**front_end_to_config(source.front_end), "clip_samples": source.clip_samples}
    return {"shape": source.shape}


def _count(labels: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))
