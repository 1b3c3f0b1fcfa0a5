"""What one example is: recordings or pictures, their size, and how files and arrays become examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

import numpy as np

from audioconv import architectures
from audioconv._types import Array, StrPath
from audioconv.audio.clips import CHUNK, normalisation_of
from audioconv.audio.read import AUDIO_SUFFIXES, Segment, fit_length, probe, read_int16, read_window, to_mono
from audioconv.audio.read import read as read_recording
from audioconv.audio.samples import FULL_SCALE
from audioconv.audio.windows import Content, Windows
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features.front_ends import FrontEnd, RawSamples
from audioconv.features.normalisation import Normalisation
from audioconv.images.read import read as read_picture
from audioconv.io.files import display_path
from audioconv.io.parallel import Loaded, load_many
from audioconv.model import Model

LONGEST_WORD_SECONDS = 2.0
"""Of a window that holds a word. A piece of longer sounds, such as of rain, is still what it was."""


LONG_NOISE_SECONDS = 60.0
"""Longer recordings of noise are held as 16-bit integers."""


class Input(Protocol):
    """What turns files or arrays into examples, and examples into a network's data."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, before the front end."""
        ...

    def read(self, example: StrPath | Segment) -> Array:
        """Return a file, or a part of it, as one example; `DataError` if it cannot be read."""
        ...

    def convert(self, example: Array) -> Array:
        """Return samples or pixels as one example; `ShapeError` if they cannot be."""
        ...


@dataclass(frozen=True)
class AudioInput:
    """Recordings: mono clips of one length at one rate, and the front end that makes features of them.

    Attributes
    ----------
    front_end : LogMel, Mfcc or RawSamples
    clip_samples : int
        Length of a clip.
    expects : {"words", "sounds"}, optional
        What recordings hold, where that is known; see `content`.
    """

    front_end: FrontEnd
    clip_samples: int
    expects: Content | None = None

    @property
    def content(self) -> Content:
        """What recordings hold: words, of which one window says all, or sound, of which all windows say the same.

        By default words, if a clip is at most 2 seconds long.
        """
        return self.expects or ("words" if self.holds_a_word else "sounds")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: ``(samples,)``."""
        return (self.clip_samples,)

    @property
    def holds_a_word(self) -> bool:
        """Whether a clip is so short that it holds a word; a longer one is a piece of a sound such as rain."""
        return self.clip_samples <= LONGEST_WORD_SECONDS * self.front_end.sample_rate

    def read(self, example: StrPath | Segment) -> Array:
        """Return a recording, or the part of it with what surrounds it, (samples,) float32."""
        rate = self.front_end.sample_rate
        if isinstance(example, Segment):
            return read_window(example, rate, self.clip_samples)
        return fit_length(read_recording(example, rate), self.clip_samples)

    def convert(self, example: Array) -> Array:
        """Return `example` (T,) or (T, channels), at the front end's rate, as (samples,) float32."""
        return fit_length(self.check(example), self.clip_samples)

    def check(self, example: Array) -> Array:
        """Return `example` (T,) or (T, channels), at the front end's rate, as mono (T,) float32 of its own length."""
        samples = np.asarray(example)
        if samples.ndim not in (1, 2) or not samples.size:
            raise ShapeError(f"samples must have shape (time,) or (time, channels), got {samples.shape}")
        if not np.issubdtype(samples.dtype, np.floating):
            raise DataError(f"samples must be floating point with full scale 1, got {samples.dtype}")
        if not np.isfinite(samples).all():
            raise DataError("samples hold NaN or infinity")
        return to_mono(samples)


@dataclass(frozen=True)
class ImageInput:
    """Pictures of one size, in grey or RGB, 0 to 1."""

    shape: tuple[int, ...]

    def read(self, example: StrPath | Segment) -> Array:
        """Return the picture in a file, (H, W, C) float32."""
        if isinstance(example, Segment):
            raise DataError(f"{display_path(example.path)}: a picture has no begin and end; leave them out")
        height, width, channels = self.shape
        return read_picture(example, (height, width), channels)

    def convert(self, example: Array) -> Array:
        """Return `example` (H, W, C), or (H, W) where it is grey, as (H, W, C) float32; bytes become 0 to 1."""
        pixels = np.asarray(example)
        scale = 255 if pixels.dtype == np.uint8 else 1
        if (pixels if pixels.ndim == 3 else pixels[..., None]).shape != self.shape:
            raise ShapeError(f"pictures must have shape {self.shape}, got {pixels.shape}")
        return (pixels.reshape(self.shape) / scale).astype(np.float32)


def load_files(
    source: AudioInput | ImageInput,
    files: Sequence[StrPath | Segment],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Loaded:
    """Read files, or parts of them, as examples of `source`; see `loading.load_many`."""
    return load_many(files, source.read, source.shape, strict=strict, on_file=on_file)


def input_shape(source: AudioInput | ImageInput, arch: str) -> tuple[int, ...]:
    """Return the shape of one example as the network `arch` takes it."""
    kind = architectures.input_kind(arch)
    if isinstance(source, ImageInput):
        if kind != "spectrogram-2d":
            raise ConfigError(f"network {arch} takes sound; choose one for pictures, such as cnn")
        return source.shape
    features = source.front_end.out_shape(source.clip_samples)
    return (*features, 1) if kind == "spectrogram-2d" else features


def measure(source: AudioInput | ImageInput, x: Array | Windows, by_clip: bool | None = None) -> Normalisation:
    """Return mean and deviation of each band or channel over the examples `x`.

    Parameters
    ----------
    source : AudioInput or ImageInput
    x : array (N, *source.shape) float32, or Windows
    by_clip : bool, optional
        Whether each clip has its own; by default where it is a spectrogram that changes, and clips differ as well.
    """
    if isinstance(source, AudioInput):
        if isinstance(source.front_end, RawSamples):
            by_clip = bool(by_clip)
        return normalisation_of(x, source.front_end, by_clip)
    assert not isinstance(x, Windows), "pictures have no windows"
    if by_clip:
        raise ConfigError("only sounds are normalised by the clip; these are pictures")
    return Normalisation.measure(x[begin : begin + CHUNK] for begin in range(0, len(x), CHUNK))


def read_noises(path: StrPath, sample_rate: int) -> list[Array]:
    """Return the recording `path`, or all recordings in the folder `path`, at `sample_rate`.

    Returns
    -------
    list of arrays (T,)
        float32 with full scale 1; int16 of recordings over `LONG_NOISE_SECONDS`, which take half the memory. See
        `audio.samples.as_float`.
    """
    files = [Path(path)]
    if files[0].is_dir():
        files = sorted(f for f in files[0].rglob("*") if f.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise DataError(f"{display_path(path)}: holds no recordings to use as noise")
    return [_read_noise(file, sample_rate) for file in files]


def _read_noise(file: Path, sample_rate: int) -> Array:
    if probe(file).duration <= LONG_NOISE_SECONDS:
        return read_recording(file, sample_rate)
    samples, scale = read_int16(file, sample_rate)
    return samples if scale == 1 / FULL_SCALE else samples * np.float32(scale)


def of_model(model: Model) -> AudioInput | ImageInput:
    """Return how files and arrays become the model's examples."""
    if model.front_end is None or model.clip_samples is None:
        return ImageInput(model.input_shape)
    content = model.provenance.get("content")
    return AudioInput(model.front_end, model.clip_samples, content if content in get_args(Content) else None)
