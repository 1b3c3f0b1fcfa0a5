"""What a classifier hears or sees: chosen from the data, or from the model that it begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.audio.windows import Content
from audioconv.datasets.collection import Collection
from audioconv.errors import ConfigError, DataError
from audioconv.features.front_ends import FrontEnd, LogMel, Mfcc, RawSamples
from audioconv.images.read import read as read_picture
from audioconv.io.parallel import evenly
from audioconv.model import Model
from audioconv.pipeline.inputs import AudioInput, ImageInput, of_model
from audioconv.recipe.settings import AUTO, Settings
from audioconv.recipe.window_plan import WindowPlan, plan_for_files, plan_windows


def for_collection(settings: Settings, collection: Collection) -> tuple[AudioInput | ImageInput, WindowPlan | None]:
    """Return the input for the files of `collection`, and how its recordings become windows; None for pictures."""
    if settings.named_init is None and collection.kind == "images":
        return choose_image_input(collection.paths, settings.image_size), None
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
    return choose_audio_input(
        None if settings.arch == AUTO else settings.arch,
        rates,
        plan.seconds,
        front_end=settings.front_end,
        sample_rate=settings.sample_rate,
        content="words" if plan.holds_words else "sounds",
    )


FRONT_ENDS = ("log-mel", "mfcc", "raw")


# Energy below which bands of a spectrogram count as silent. What is quieter is the recorder's noise, or the zeros that
# fill a clip up, and tells more of who recorded than of what was said.
QUIETEST = 1e-6


LARGEST_PICTURE = 96
"""Pixels of the longer side of pictures, unless asked for otherwise."""


def choose_audio_input(
    arch: str | None,
    rates: Sequence[int],
    seconds: float,
    *,
    front_end: str | None = None,
    sample_rate: int | None = None,
    content: Content | None = None,
) -> AudioInput:
    """Return the input for recordings of these rates (Hz), with windows of so many seconds.

    Parameters
    ----------
    arch : str, optional
        Name of the network: whether it takes spectrograms or samples. None is one that takes what the front end gives.
    rates : sequence of int
        Sample rates of recordings, in Hz.
    seconds : float
        Length of the window.
    front_end : {"log-mel", "mfcc", "raw"}, optional
        Default: what the network takes, log-mel for a network that takes spectrograms.
    sample_rate : int, optional
        In Hz. Default: 16000, or lower if most recordings have less.
    content : {"words", "sounds"}, optional
        What recordings hold; see `AudioInput`.
    """
    kind = None if arch is None else architectures.input_kind(arch)
    name = front_end or ("raw" if kind == "samples" else "log-mel")
    if name not in FRONT_ENDS:
        raise ConfigError(f"unknown front end {name!r}; known are {', '.join(FRONT_ENDS)}")
    if kind is not None and (name == "raw") != (kind == "samples"):
        takes = "raw samples" if kind == "samples" else "spectrograms"
        raise ConfigError(f"network {arch} takes {takes}, so the front end cannot be {name!r}")
    rate = sample_rate or min(16000, Counter(rates).most_common(1)[0][0] if rates else 16000)
    hears: FrontEnd
    if name == "raw":
        hears = RawSamples(rate)
    else:
        hears = (LogMel if name == "log-mel" else Mfcc).for_rate(rate, floor=QUIETEST)
    return AudioInput(hears, max(1, round(seconds * rate)), content)


def choose_image_input(paths: Sequence[StrPath], size: tuple[int, int] | None = None) -> ImageInput:
    """Return the input for the pictures in `paths`.

    Its size is that of most of them, scaled down to a longer side of `LARGEST_PICTURE`; it is grey if all that were
    looked at are.
    """
    shapes = Counter[tuple[int, ...]]()
    for path in evenly(paths, 50):
        try:
            shapes[read_picture(path).shape] += 1
        except DataError:
            continue
    if not shapes:
        raise DataError("none of the pictures can be read")
    height, width, _ = shapes.most_common(1)[0][0]
    scale = min(1.0, LARGEST_PICTURE / max(height, width))
    chosen = size or (max(1, round(height * scale)), max(1, round(width * scale)))
    return ImageInput((*chosen, max(shape[2] for shape in shapes)))
