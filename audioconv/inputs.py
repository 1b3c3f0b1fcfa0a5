"""What a classifier hears or sees: chosen from the data, or from the model that it begins with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv import pipeline
from audioconv.datasets.collection import Collection
from audioconv.errors import ConfigError, DataError
from audioconv.loading import StrPath
from audioconv.model import Model
from audioconv.pipeline import AudioInput, ImageInput
from audioconv.settings import AUTO, Settings


def of_model(model: Model) -> AudioInput | ImageInput:
    """Return how files and arrays become the model's examples."""
    if model.front_end is None or model.clip_samples is None:
        return ImageInput(model.input_shape)
    return AudioInput(model.front_end, model.clip_samples)


def for_collection(settings: Settings, collection: Collection) -> AudioInput | ImageInput:
    """Return the input for the files of `collection`."""
    if settings.named_init is not None:
        source = _of_beginning(settings, settings.named_init)
        if isinstance(source, ImageInput) != (collection.kind == "images"):
            hears = "pictures" if isinstance(source, ImageInput) else "sound"
            raise ConfigError(f"{settings.init}: is a model of {hears}, but {collection.name} holds {collection.kind}")
        return source
    if collection.kind == "images":
        return pipeline.choose_image_input(collection.paths, settings.image_size)
    return _for_audio(settings, *pipeline.probe_audio(collection.examples))


def rate_of_arrays(settings: Settings) -> int | None:
    """Return the rate (Hz) of samples in memory: that of the settings, or of the model that training begins with."""
    if settings.named_init is not None:
        source = _of_beginning(settings, settings.named_init)
        return None if isinstance(source, ImageInput) else source.front_end.sample_rate
    return settings.sample_rate


def for_arrays(
    settings: Settings, arrays: Sequence[NDArray[Any]], sample_rate: int | None = None
) -> AudioInput | ImageInput:
    """Return the input for samples (T,) at `sample_rate` (default: 16000 Hz), or pictures (H, W[, C]), in memory."""
    if not arrays:
        raise DataError("there are no examples to train on")
    if settings.named_init is not None:
        return _of_beginning(settings, settings.named_init)
    if arrays[0].ndim == 1:
        rate = sample_rate or settings.sample_rate or 16000
        return _for_audio(settings, [rate], [len(array) / rate for array in arrays])
    first = np.atleast_3d(arrays[0])
    return ImageInput(first.shape)


def _of_beginning(settings: Settings, init: StrPath) -> AudioInput | ImageInput:
    given = [name for name in ("front_end", "sample_rate", "clip_seconds", "image_size") if getattr(settings, name)]
    if given:
        raise ConfigError(f"{given[0]} is what the model has that training begins with; leave it out")
    return of_model(Model.load(init))


def _for_audio(settings: Settings, rates: Sequence[int], seconds: Sequence[float]) -> AudioInput:
    return pipeline.choose_audio_input(
        None if settings.arch == AUTO else settings.arch,
        rates,
        seconds,
        front_end=settings.front_end,
        sample_rate=settings.sample_rate,
        clip_seconds=settings.clip_seconds,
    )
