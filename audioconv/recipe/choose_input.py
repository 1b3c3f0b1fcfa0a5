"""The input of a classifier, chosen from the data: the front end, the sample rate and the size of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.audio.window_begins import Content
from audioconv.errors import ConfigError, DataError, did_you_mean
from audioconv.features.front_ends import FrontEnd, LogMel, Mfcc, RawSamples
from audioconv.features.librosa_front_end import Librosa
from audioconv.features.librosa_functions import FUNCTIONS, SHORT_NAMES
from audioconv.images.read import read as read_picture
from audioconv.io.parallel import evenly
from audioconv.pipeline.inputs import AudioInput, ImageInput

FRONT_ENDS = tuple(dict.fromkeys(["log-mel", "mfcc", "raw", "cqt", "pcen", *SHORT_NAMES, *FUNCTIONS]))
"""Names of front ends. ``mfcc`` is `Mfcc`; what follows ``raw`` is computed by librosa."""


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
    front_end: str | FrontEnd | None = None,
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
    front_end : str or LogMel, Mfcc, RawSamples or Librosa, optional
        One of `FRONT_ENDS`, or a front end with its settings. Default: what the network takes, log-mel for a network
        that takes spectrograms.
    sample_rate : int, optional
        In Hz. Default: that of `front_end` if it has settings, else 16000, or lower if most recordings have less.
    content : {"words", "sounds"}, optional
        What recordings hold; see `AudioInput`.
    """
    kind = None if arch is None else architectures.input_kind(arch)
    given = front_end or ("raw" if kind == "samples" else "log-mel")
    chosen = choose_front_end(given, sample_rate or rate_of(given) or choose_rate(rates))
    if kind is not None and isinstance(chosen, RawSamples) != (kind == "samples"):
        takes = "raw samples" if kind == "samples" else "spectrograms"
        raise ConfigError(f"network {arch} takes {takes}, so the front end cannot be {given!r}")
    return AudioInput(chosen, max(1, round(seconds * chosen.sample_rate)), content)


def choose_front_end(front_end: str | FrontEnd, rate: int) -> FrontEnd:
    """Return the front end of a name at `rate` Hz, or one with settings as it is.

    Raises
    ------
    ConfigError
        If there is no such front end, or its settings have another rate.
    """
    if not isinstance(front_end, str):
        if not isinstance(front_end, FrontEnd):
            raise ConfigError(f"a front end is a name, LogMel, Mfcc, RawSamples or Librosa; got {front_end!r}")
        if front_end.sample_rate != rate:
            raise ConfigError(
                f"sample_rate is {rate}, but the front end has {front_end.sample_rate}; leave sample_rate out"
            )
        return front_end
    if front_end not in FRONT_ENDS:
        meant = did_you_mean(front_end, FRONT_ENDS)
        hint = f"; {meant}" if meant else ""
        raise ConfigError(f"unknown front end {front_end!r}; known are {', '.join(FRONT_ENDS)}{hint}")
    if front_end == "raw":
        return RawSamples(rate)
    if front_end in ("log-mel", "mfcc"):
        return (LogMel if front_end == "log-mel" else Mfcc).for_rate(rate, floor=MIN_ENERGY)
    return Librosa.for_rate(SHORT_NAMES.get(front_end, front_end), rate)


def rate_of(front_end: str | FrontEnd | None) -> int | None:
    """Return the sample rate (Hz) of a front end with settings, or None."""
    return front_end.sample_rate if isinstance(front_end, FrontEnd) else None


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
