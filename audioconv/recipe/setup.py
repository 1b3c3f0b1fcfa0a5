"""What a training run learns: examples in their parts, classes, a network to begin with, and the scale it sees."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from audioconv import architectures
from audioconv._types import Array, StrPath
from audioconv.audio.augment import Augmentation
from audioconv.audio.windows import Windows
from audioconv.decision.classes import is_word
from audioconv.errors import DataError
from audioconv.features.front_ends import LogMel, front_end_to_config
from audioconv.features.normalisation import Normalisation
from audioconv.layers.base import Layer, Params
from audioconv.model import Model
from audioconv.pipeline import data as pipeline
from audioconv.pipeline import inputs
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.recipe.examples import MAX_RATIO, Examples
from audioconv.recipe.pretrained import find_base
from audioconv.recipe.rejection import Rejection, describe, shall_reject
from audioconv.recipe.settings import AUTO, Settings
from audioconv.recipe.spoken_words import Spoken, speak
from audioconv.recipe.transfer import begin_from
from audioconv.training.callbacks import Callback, ClipSpoken
from audioconv.training.data import Dataset
from audioconv.training.losses import LogitAdjusted, Loss, SoftmaxCrossEntropy, logit_offsets

LABEL_SMOOTHING = 0.1

SYNTHETIC_SOURCES = ("espeak-ng", "Kokoro")
FOR_SYNTHETIC_VOICES: Mapping[str, Any] = {
    "reverberation_probability": 0.5, "noise_probability": 0.9, "snr_db": (0.0, 30.0),
}  # fmt: skip
"""Synthetic recordings have no room and no noise of their own; people have both."""


@dataclass(frozen=True, eq=False)
class Task:
    """What a training run learns.

    Attributes
    ----------
    examples : Examples
    settings : Settings
    init : path-like or None
        The model that it begins with.
    parts : dict of str to array
        Indices of the ``train``, ``validation`` and ``test`` examples.
    classes : tuple of str
        With ``_unknown_`` where it is to reject.
    codes : array (N,) int64
        The class number of each example.
    rejection : Rejection or None
        The other sounds, where it is to reject.
    spoken : Spoken or None
        What synthetic voices say besides.
    augmentation : Augmentation or None
        Of sounds.
    network : Layer
    params : dict or None
        What the network begins with; None for what is drawn.
    input_shape : tuple of int
        Of one example as the network takes it.
    normalisation : Normalisation
    """

    examples: Examples
    settings: Settings
    init: StrPath | None
    parts: dict[str, Array]
    classes: tuple[str, ...]
    codes: Array
    rejection: Rejection | None
    spoken: Spoken | None
    augmentation: Augmentation | None
    network: Layer
    params: Params | None
    input_shape: tuple[int, ...]
    normalisation: Normalisation

    @classmethod
    def prepare(cls, examples: Examples, settings: Settings, callbacks: Sequence[Callback] = ()) -> Self:
        """Return what `settings`, which `settings.resolve` has gone through, make of the examples.

        Synthetic voices tell the `callbacks` how far they are.

        Raises
        ------
        DataError
            If there are not two classes to train on.
        """
        source = examples.source
        parts = examples.split(settings.validation_fraction, settings.seed)
        classes = tuple(sorted({examples.labels[i] for i in parts["train"]}))
        name = examples.about["name"]
        if len(classes) < 2:
            found = f"only {classes[0]!r}" if classes else "none"
            raise DataError(f"{name}: a classifier needs at least 2 classes to train on, there is {found}")
        init = settings.named_init
        if init is None:
            typical, _ = examples.epoch_of(parts["train"], balanced=False)
            normalisation = inputs.measure(source, typical, settings.normalise_clips)
            # The bases have learned words each of which is its own scale; with many clips they are of no use.
            if settings.init == AUTO and isinstance(source, AudioInput) and normalisation.by_clip and examples.are_few:
                init = find_base(settings.arch, source)
        rejection = spoken = None
        if isinstance(source, AudioInput) and shall_reject(settings, source, examples.have_few_speakers):
            spoken = _speak(classes, source, settings, callbacks)
            rejection = Rejection(settings, source, classes, spoken)
            classes = rejection.classes
        codes = class_codes(name, examples.labels, classes)
        if init is None:
            network, params = architectures.build(settings.arch, len(classes)), None
        else:
            before = Model.load(init)
            network, params = begin_from(before, classes, np.random.default_rng(settings.seed))
            normalisation = _normalisation(before)
        return cls(
            examples=examples,
            settings=settings,
            init=init,
            parts=parts,
            classes=classes,
            codes=codes,
            rejection=rejection,
            spoken=spoken,
            augmentation=_augmentation(examples, settings),
            network=network,
            params=params,
            input_shape=inputs.input_shape(source, settings.arch),
            normalisation=normalisation,
        )

    def data(self, part: Array) -> Dataset:
        """Return some of the examples as they are."""
        x, rows = self.examples.epoch_of(part, balanced=False)
        return pipeline.dataset(self.examples.source, x, self.codes[rows], self.normalisation, self.input_shape)

    def data_to_train(self, part: Array) -> Dataset:
        """Return some of the examples augmented, with what is spoken, and other sounds where it is to reject."""
        source = self.examples.source
        x, rows = self.examples.epoch_of(part)
        codes = self.codes[rows]
        if self.spoken is not None and isinstance(x, Windows):
            of_spoken = class_codes("the spoken words", self.spoken.labels, self.classes)
            x, codes = x.with_clips(self.spoken.samples), np.concatenate([codes, of_spoken])
        if self.rejection is None or not isinstance(source, AudioInput):
            return pipeline.dataset(
                source, x, codes, self.normalisation, self.input_shape, self.augmentation, self.settings.augment
            )
        clips = pipeline.clips(source, x, codes, self.normalisation, self.input_shape, self.augmentation)
        if self.augmentation is not None:
            clips = dataclasses.replace(clips, augmentation=self.rejection.augmentation(self.augmentation, clips))
        return self.rejection.to_train(clips)

    def loss(self, part: Array) -> Loss:
        """Return the loss for training on some of the examples, in which small classes do not go under."""
        loss = SoftmaxCrossEntropy(label_smoothing=LABEL_SMOOTHING)
        _, rows = self.examples.epoch_of(part, balanced=False)
        counts = np.bincount(self.codes[rows], minlength=len(self.classes))
        if self.spoken is not None:
            spoken = class_codes("the spoken words", self.spoken.labels, self.classes)
            counts += np.bincount(spoken, minlength=len(self.classes))
        words = tuple(map(is_word, self.classes))
        offsets = logit_offsets(counts.tolist(), words, MAX_RATIO)
        return LogitAdjusted(loss, offsets) if any(offsets) else loss

    def model(self, network: Layer, params: Params) -> Model:
        """Return the model that a trained network is, which does not reject yet and tells nothing of itself."""
        source = self.examples.source
        return Model(
            network=network,
            params=params,
            labels=self.classes,
            input_shape=self.input_shape,
            front_end=source.front_end if isinstance(source, AudioInput) else None,
            clip_samples=source.clip_samples if isinstance(source, AudioInput) else None,
            normalisation=self.normalisation,
        )

    def describe(self) -> dict[str, Any]:
        """Return what a resumed run must share, beside what `training.fit` itself compares."""
        noise = self.settings.noise
        return {
            "input": _describe(self.examples.source),
            "augment": self.settings.augment,
            "normalise_clips": self.normalisation.by_clip,
            "noise": None if noise is None else os.fspath(noise),
            "classes": self.classes,
            **describe(self.settings, self.rejection),
        }


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


def _normalisation(model: Model) -> Normalisation:
    """Return the model's own: what its layers have learned stands in its unit."""
    if model.normalisation is not None:
        return model.normalisation
    channels = model.feature_shape[-1]
    return Normalisation(np.zeros(channels, np.float32), np.ones(channels, np.float32))


def _speak(
    classes: Sequence[str], source: AudioInput, settings: Settings, callbacks: Sequence[Callback]
) -> Spoken | None:
    """Return what synthetic voices say besides, where they are asked for."""
    if settings.speak is None:
        return None

    def tell(done: int, clips: int) -> None:
        for callback in callbacks:
            callback(ClipSpoken(done, clips))

    return speak(
        [name for name in classes if is_word(name)],
        settings.speak,
        sample_rate=source.front_end.sample_rate,
        clip_samples=source.clip_samples,
        seed=settings.seed,
        progress=tell,
    )


def _augmentation(examples: Examples, settings: Settings) -> Augmentation | None:
    source = examples.source
    if not settings.augment or not isinstance(source, AudioInput):
        return None
    rate = source.front_end.sample_rate
    noises = None if settings.noise is None else inputs.read_noises(settings.noise, rate)
    augmentation = Augmentation.default(rate, noises=noises, seed=settings.seed)
    if str(examples.about.get("source")).startswith(SYNTHETIC_SOURCES):
        augmentation = dataclasses.replace(augmentation, **FOR_SYNTHETIC_VOICES)
    if isinstance(source.front_end, LogMel):
        return augmentation
    return dataclasses.replace(augmentation, stretch_probability=0.0)  # there are no bands to stretch


def _describe(source: AudioInput | ImageInput) -> dict[str, Any]:
    if isinstance(source, AudioInput):
        return {**front_end_to_config(source.front_end), "clip_samples": source.clip_samples}
    return {"shape": source.shape}
