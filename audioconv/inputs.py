"""What a classifier hears or sees: chosen from the data, or from the model that it begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from audioconv import pipeline
from audioconv.audio.windows import Content
from audioconv.datasets.collection import Collection
from audioconv.errors import ConfigError, DataError
from audioconv.loading import StrPath
from audioconv.model import Model
from audioconv.pipeline import AudioInput, ImageInput
from audioconv.settings import AUTO, Settings
from audioconv.window_plan import WindowPlan, plan_for_files, plan_windows


def of_model(model: Model) -> AudioInput | ImageInput:
    """Return how files and arrays become the model's examples."""
    if model.front_end is None or model.clip_samples is None:
        return ImageInput(model.input_shape)
    content = model.provenance.get("content")
    return AudioInput(model.front_end, model.clip_samples, content if content in get_args(Content) else None)


def for_collection(settings: Settings, collection: Collection) -> tuple[AudioInput | ImageInput, WindowPlan | None]:
    """Return the input for the files of `collection`, and how its recordings become windows; None for pictures."""
    if settings.named_init is None and collection.kind == "images":
        return pipeline.choose_image_input(collection.paths, settings.image_size), None
    if settings.named_init is None:
        rates, plan = plan_for_files(collection.labels, collection.examples, settings.clip_seconds)
        return _for_audio(settings, rates, plan), plan
    source = _of_beginning(settings, settings.named_init)
    if isinstance(source, ImageInput) != (collection.kind == "images"):
        hears = "pictures" if isinstance(source, ImageInput) else "sound"
        raise ConfigError(f"{settings.init}: is a model of {hears}, but {collection.name} holds {collection.kind}")
    if isinstance(source, ImageInput):
        return source, None
    seconds = source.clip_samples / source.front_end.sample_rate
    _, plan = plan_for_files(collection.labels, collection.examples, seconds)
    return replace(source, expects="words" if plan.holds_words else "sounds"), plan


def for_arrays(
    settings: Settings, arrays: Sequence[NDArray[Any]], labels: Sequence[str], sample_rate: int | None = None
) -> tuple[AudioInput | ImageInput, WindowPlan | None]:
    """Return the input for samples (T,) at `sample_rate` Hz (default 16000), or for pictures (H, W[, C]), in memory.

    With it comes how the samples become windows; None for pictures.
    """
    if not arrays:
        raise DataError("there are no examples to train on")
    source = None if settings.named_init is None else _of_beginning(settings, settings.named_init)
    if isinstance(source, ImageInput) or (source is None and arrays[0].ndim != 1):
        return source or ImageInput(np.atleast_3d(arrays[0]).shape), None
    rate = source.front_end.sample_rate if source else sample_rate or 16000
    plan = plan_windows(
        labels,
        lambda place: len(arrays[place]) / rate,
        lambda place, seconds: (arrays[place][: round(seconds * rate)].astype(np.float32), rate),
        source.clip_samples / rate if source else settings.clip_seconds,
    )
    if source is None:
        return _for_audio(settings, [rate], plan), plan
    return replace(source, expects="words" if plan.holds_words else "sounds"), plan


def rate_of_arrays(settings: Settings) -> int | None:
    """Return the rate (Hz) of samples in memory: that of the settings, or of the model that training begins with."""
    if settings.named_init is not None:
        source = _of_beginning(settings, settings.named_init)
        return None if isinstance(source, ImageInput) else source.front_end.sample_rate
    return settings.sample_rate


def _of_beginning(settings: Settings, init: StrPath) -> AudioInput | ImageInput:
    given = [name for name in ("front_end", "sample_rate", "clip_seconds", "image_size") if getattr(settings, name)]
    if given:
        raise ConfigError(f"{given[0]} is what the model has that training begins with; leave it out")
    return of_model(Model.load(init))


def _for_audio(settings: Settings, rates: Sequence[int], plan: WindowPlan) -> AudioInput:
    return pipeline.choose_audio_input(
        None if settings.arch == AUTO else settings.arch,
        rates,
        plan.seconds,
        front_end=settings.front_end,
        sample_rate=settings.sample_rate,
        content="words" if plan.holds_words else "sounds",
    )
