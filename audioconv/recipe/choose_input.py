"""The input of a classifier, chosen from the data: the front end, the sample rate and the size of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.audio.window_begins import Content
from audioconv.errors import ConfigError, DataError
from audioconv.features.front_ends import FrontEnd, LogMel, Mfcc, RawSamples
from audioconv.images.read import read as read_picture
from audioconv.io.parallel import evenly
from audioconv.pipeline.inputs import AudioInput, ImageInput

FRONT_ENDS = ("log-mel", "mfcc", "raw")


# Energy below which bands of a spectrogram count as silent: noise of the recorder, or zeros around a short clip, which
# depend on the recording rather than on the word.
MIN_ENERGY = 1e-6


MAX_PICTURE_SIDE = 96
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
    rate = sample_rate or choose_rate(rates)
    chosen: FrontEnd
    if name == "raw":
        chosen = RawSamples(rate)
    else:
        chosen = (LogMel if name == "log-mel" else Mfcc).for_rate(rate, floor=MIN_ENERGY)
    return AudioInput(chosen, max(1, round(seconds * rate)), content)


def choose_rate(rates: Sequence[int]) -> int:
    """Return the rate (Hz) of the model for recordings of these rates: that of most of them, at most 16000."""
    return min(16000, Counter(rates).most_common(1)[0][0] if rates else 16000)


def choose_image_input(paths: Sequence[StrPath], size: tuple[int, int] | None = None) -> ImageInput:
    """Return the input for the pictures in `paths`.

    Its size is that of most of them, scaled down to a longer side of `MAX_PICTURE_SIDE`; it is grey if all that were
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
    scale = min(1.0, MAX_PICTURE_SIDE / max(height, width))
    chosen = size or (max(1, round(height * scale)), max(1, round(width * scale)))
    return ImageInput((*chosen, max(shape[2] for shape in shapes)))
