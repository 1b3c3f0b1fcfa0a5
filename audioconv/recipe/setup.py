"""A training run that is ready to start: examples in their parts, classes, first parameters, scale and negatives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv import architectures
from audioconv._types import Array
from audioconv.audio.shared_windows import hold
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.decision.classes import UNKNOWN, class_codes, is_word
from audioconv.errors import ConfigError, DataError
from audioconv.features.front_ends import front_end_to_config
from audioconv.features.normalisation import Normalisation
from audioconv.layers.base import Layer, Params
from audioconv.model import Model
from audioconv.recipe import pretrained as pretrained_models
from audioconv.recipe.backgrounds import Backgrounds
from audioconv.recipe.bank import NegativeBank
from audioconv.recipe.examples import MAX_RATIO, Examples
from audioconv.recipe.other_sounds import read_backgrounds, read_negatives, read_refused, speak_words
from audioconv.recipe.plan import Plan
from audioconv.recipe.pretrained import Pretrained
from audioconv.recipe.rejection import Rejection, describe
from audioconv.recipe.replicas import deal_examples
from audioconv.recipe.reviewed import Reviewed
from audioconv.recipe.settings import AUTO
from audioconv.recipe.spoken_words import Spoken
from audioconv.training.callbacks import Callback, Noted
from audioconv.training.data import Dataset
from audioconv.training.losses import LogitAdjusted, Loss, SoftmaxCrossEntropy, logit_offsets

LABEL_SMOOTHING = 0.1
"""Label smoothing. A network that begins with the speech embedding and has a bank of negatives has none;
docs/experiments/speech-embedding.md has the effect in streams."""

SYNTHETIC_SOURCES = ("espeak-ng", "Kokoro", "Piper")
"""Beginnings of the names of data sets by synthetic voices."""


@dataclass(frozen=True, eq=False)
class TrainingSetup:
    """A training run that is ready to start.

    Attributes
    ----------
    plan : Plan
    examples : Examples
    epochs : int
        Epochs of each run.
    pretrained : Pretrained or None
        The model that it begins with.
    parts : dict of str to array
        Indices of the ``train``, ``validation`` and ``test`` examples.
    folds : sequence of arrays
        Indices of the examples of each fold, all of them among those to train on; empty without cross-validation.
    by_speaker : bool
        Whether no speaker is in two parts, or in two folds.
    classes : tuple of str
        With ``_unknown_`` if the model learns to reject.
    codes : array (N,) int64
        The class number of each example.
    rejection : Rejection or None
        The source of negatives, if the model learns to reject.
    spoken : Spoken or None
        Words by synthetic voices.
    reviewed : Reviewed or None
        Clips that a person has reviewed.
    backgrounds : Backgrounds or None
        Recordings of noise without words.
    augmentation : Augmentation, callable or None
        What `InputSpec.dataset` takes.
    network : Layer
    params : dict or None
        Parameters to begin with; None if they are drawn.
    normalisation : Normalisation
    processes : Processes
        Processes that train together.
    """

    plan: Plan
    examples: Examples
    epochs: int
    pretrained: Pretrained | None
    parts: dict[str, Array]
    folds: Sequence[Array]
    by_speaker: bool
    classes: tuple[str, ...]
    codes: Array
    rejection: Rejection | None
    spoken: Spoken | None
    reviewed: Reviewed | None
    backgrounds: Backgrounds | None
    augmentation: Any
    network: Layer
    params: Params | None
    normalisation: Normalisation
    processes: Processes = ALONE

    @property
    def bank(self) -> NegativeBank | None:
        """The negative recordings that are learned from."""
        return None if self.rejection is None else self.rejection.bank

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        """Factors of the learning rate of pretrained layers; see `training.optimizers.AdamW`."""
        return () if self.pretrained is None else self.pretrained.rates_for(are_few=self.examples.are_few)

    def data(self, part: Array) -> Dataset:
        """Return some of the examples as they are."""
        x, rows = self.examples.epoch_of(part, balanced=False)
        plan = self.plan
        own = self.processes.share(-(-len(x) // plan.batch_size))  # the batches of `evaluate_logits`
        first, end = own.start * plan.batch_size, min(len(x), own.stop * plan.batch_size)
        hold(x, sorted({*range(min(1, len(x))), *range(first, end)}))
        return plan.spec.dataset(x, self.codes[rows], self.normalisation, plan.input_shape)

    def data_to_train(self, part: Array) -> list[Dataset]:
        """Return some of the examples augmented, with the spoken words, and with negatives if the model is to reject.

        They are dealt to the replicas; those of the replicas of this process are returned.

        The negatives are generated from these examples, so the sampler is built here: once for all networks of an
        ensemble, and again for the second training, which has the validation examples as well.
        """
        x, rows = self.examples.epoch_of(part)
        codes, settings = self.codes[rows], self.plan.settings
        if self.spoken is not None and isinstance(x, Windows):
            x, codes = x.with_clips(self.spoken.samples), np.concatenate([codes, self._spoken_codes()])
        if settings.replicas == 1:
            return [self._data_of_replica(x, codes)]
        dealt = deal_examples(self.examples.about["name"], codes, settings.replicas, settings.seed)
        share = self.processes.share(settings.replicas)
        hold(x, np.concatenate(dealt[share.start : share.stop]))
        return [
            self._data_of_replica(x.select(some) if isinstance(x, Windows) else x[some], codes[some])
            for some in dealt[share.start : share.stop]
        ]

    def _data_of_replica(self, x: Windows | Array, codes: Array) -> Dataset:
        augmentation, negatives = self.augmentation, None
        if self.rejection is not None:
            negatives = self.rejection.for_training(x, codes)
            if augmentation is not None:
                augmentation = self.rejection.augmentation(augmentation, negatives.sampler, len(x))
        plan = self.plan
        return plan.spec.dataset(x, codes, self.normalisation, plan.input_shape, augmentation, negatives)

    def loss(self, part: Array) -> Loss:
        """Return the loss for training on some of the examples, with larger margins for small classes."""
        _, rows = self.examples.epoch_of(part, balanced=False)
        counts = np.bincount(self.codes[rows], minlength=len(self.classes))
        if self.spoken is not None:
            counts += np.bincount(self._spoken_codes(), minlength=len(self.classes))
        # Smoothed targets bound the odds of a word, and with them what an average over windows can reach. Thresholds
        # that are high enough for running speech then miss more words, most of all with few clips.
        is_sharp = self.bank is not None and self.plan.begins_with_embedding
        loss = SoftmaxCrossEntropy(label_smoothing=0.0 if is_sharp else LABEL_SMOOTHING)
        words = tuple(map(is_word, self.classes))
        offsets = logit_offsets(counts.tolist(), words, MAX_RATIO)
        return LogitAdjusted(loss, offsets) if any(offsets) else loss

    def model(self, network: Layer, params: Params) -> Model:
        """Return the model of a trained network, without a decision and without its provenance."""
        return Model(
            network=network,
            params=params,
            labels=self.classes,
            input_shape=self.plan.input_shape,
            normalisation=self.normalisation,
            **self.plan.spec.model_fields(),
        )

    def describe(self) -> dict[str, Any]:
        """Return what a resumed run must share, besides what `training.fit` itself compares."""
        settings = self.plan.settings
        return {
            "input": self.plan.spec.describe(),
            "augment": settings.augment,
            "normalise_clips": self.normalisation.by_clip,
            "noise": None if settings.noise is None else os.fspath(settings.noise),
            "classes": self.classes,
            **describe(settings, self.rejection),
            # Checkpoints of versions that had no such settings are resumed without them.
            **({} if self.reviewed is None else {"reviewed": self.reviewed.about}),
            **({} if settings.replicas == 1 else {"replicas": settings.replicas}),
            **({} if self.backgrounds is None else {"backgrounds": self.backgrounds.about}),
        }

    def stored_settings(self, epochs: int) -> dict[str, Any]:
        """Return the settings for a model file: nothing left to choose, and no folders of this machine."""
        settings = self.plan.settings
        files = {"noise": settings.noise, "init": settings.init, "negatives": settings.named_negatives}
        files["reviewed"] = settings.reviewed
        return {
            **settings.get_params(),
            **{name: os.path.basename(os.fspath(path)) for name, path in files.items() if path is not None},
            "arch": self.plan.arch,
            "front_end": settings.front_end
            if settings.front_end is None or isinstance(settings.front_end, str)
            else front_end_to_config(settings.front_end),
            "epochs": epochs,
            "budget": None,  # the file says how to repeat the training, which does not depend on the machine
            "batch_size": self.plan.batch_size,
            "learning_rate": self.plan.learning_rate,
            "mixup": self.plan.mixup,
        }

    def _spoken_codes(self) -> Array:
        assert self.spoken is not None
        return class_codes("the spoken words", self.spoken.labels, self.classes)


def prepare(
    plan: Plan,
    examples: Examples,
    callbacks: Sequence[Callback] = (),
    reviewed: Reviewed | None = None,
    *,
    strict: bool = False,
    processes: Processes = ALONE,
) -> TrainingSetup:
    """Return the training run on `examples`.

    Parameters
    ----------
    plan : Plan
    examples : Examples
    callbacks : sequence of callables
        Each gets the progress of the synthetic voices, and of the reading of negative recordings.
    reviewed : Reviewed, optional
        Clips that a person has reviewed; those of words are among the examples.
    strict : bool
        Whether an unreadable negative recording ends it all, instead of being skipped.
    processes : Processes
        Processes that train together. Default: this one alone.

    Raises
    ------
    DataError
        If there are not two classes to train on, or the negative recordings cannot be used.
    """
    settings, spec, pretrained = plan.settings, plan.spec, plan.pretrained
    folds, by_speaker = _folds(plan, examples)
    parts = examples.split(settings.validation_fraction, settings.seed) if not folds else examples.without_validation()
    few = few_unknown(examples, parts) if plan.rejects and not settings.keep_classes else None
    if few is not None:
        parts = {name: part if name == "test" else np.setdiff1d(part, few) for name, part in parts.items()}
        folds = [np.setdiff1d(fold, few) for fold in folds]
        note = f"{UNKNOWN} has fewer than half as many clips as a word: they are negatives, and no class of their own"
        for callback in callbacks:
            callback(Noted(note))
    classes = tuple(sorted(examples.labels.take(parts["train"]).counts()))
    name = examples.about["name"]
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise DataError(f"{name}: a classifier needs at least 2 classes to train on, there is {found}")
    normalisation = None
    if pretrained is None or pretrained.normalisation is None:
        typical, _ = examples.epoch_of(parts["train"], balanced=False)
        normalisation = spec.measure(typical, settings.normalise_clips, processes)
        # The package's models have learned words that were normalised one by one; with many clips they are of no use.
        if pretrained is None and settings.init == AUTO and normalisation.by_clip and examples.are_few:
            pretrained = pretrained_models.find(plan.arch, spec)
    rejection = spoken = None
    backgrounds = read_backgrounds(plan, examples, callbacks, strict)
    if plan.rejects:
        assert spec.sample_rate is not None, "only sounds have negatives"
        spoken = speak_words(plan, classes, callbacks)
        bank = read_negatives(plan, classes, examples, callbacks, strict)
        refused = read_refused(reviewed, spec.sample_rate, callbacks)
        if few is not None:
            refused += list(examples.take(few)[:])
        rejection = Rejection(
            settings,
            spec.sample_rate,
            classes,
            spoken,
            bank,
            spec.content,
            plan.begins_with_embedding,
            refused,
            () if backgrounds is None else backgrounds.recordings,
        )
        classes = rejection.classes
    codes = class_codes(name, examples.labels, classes)
    if pretrained is None:
        network, params = architectures.build(plan.arch, len(classes)), None
    else:
        network, params = pretrained.begin(classes, plan.input_shape, np.random.default_rng(settings.seed))
        normalisation = pretrained.normalisation or normalisation
    augmentation = None
    if settings.augment:
        synthetic = str(examples.about.get("source")).startswith(SYNTHETIC_SOURCES)
        augmentation = spec.augmentation(settings.noise, settings.seed, synthetic=synthetic)
        if backgrounds is not None:
            augmentation = backgrounds.mixed_into(augmentation)
    assert normalisation is not None
    if params is None and plan.averaged_runs > 1:
        raise ConfigError(
            "runs that begin with random parameters cannot be averaged; name a network to begin with (init), or leave "
            "averaged_runs out"
        )
    return TrainingSetup(
        plan=plan,
        examples=examples,
        epochs=plan.epoch_count(examples.epoch_count(settings.tts_language)),
        pretrained=pretrained,
        parts=parts,
        folds=folds,
        by_speaker=by_speaker,
        classes=classes,
        codes=codes,
        rejection=rejection,
        spoken=spoken,
        reviewed=reviewed,
        backgrounds=backgrounds,
        augmentation=augmentation,
        network=network,
        params=params,
        normalisation=normalisation,
        processes=processes,
    )


def few_unknown(examples: Examples, parts: Mapping[str, Array]) -> Array | None:
    """Return the examples of ``_unknown_`` to train on if they are too few for a class beside words; None if not.

    One or two clips do not show what other words are like. As a class they would be an answer as likely as a word.
    """
    counts = examples.labels.take(parts["train"]).counts()
    words = [count for label, count in counts.items() if is_word(label)]
    if UNKNOWN not in counts or len(words) < 2 or 2 * counts[UNKNOWN] >= np.median(words):
        return None
    rows = np.concatenate([parts["train"], parts["validation"]])
    return rows[examples.labels.take(rows).equals(UNKNOWN)]


def _folds(plan: Plan, examples: Examples) -> tuple[Sequence[Array], bool]:
    """Return the folds of a cross-validation, none without one, and whether they or the parts keep speakers apart."""
    if plan.settings.folds is None or "validation" in examples.splits:
        return (), any(examples.speakers)
    folds, by_speaker = examples.folds(plan.settings.folds, plan.settings.seed)
    if len(folds) < 2:
        raise DataError(
            f"{examples.about['name']}: cross-validation needs two clips of each class that can be held out; "
            "add clips, or leave folds out"
        )
    return folds, by_speaker
