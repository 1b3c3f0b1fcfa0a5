"""The way of the data: from files, samples or pictures to what a network takes, the same in training and in use.

``file -> samples -> fitted to the model's length -> front end -> normalised -> network``, and the same for pictures
with pixels for samples and no front end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from audioconv import architectures
from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import CHUNK, AudioClips, normalisation_of
from audioconv.audio.features import FrontEnd, LogMel, Mfcc, RawSamples
from audioconv.audio.read import AUDIO_SUFFIXES, Segment, fit_length, probe, read_int16, read_window, to_mono
from audioconv.audio.read import read as read_recording
from audioconv.audio.samples import FULL_SCALE
from audioconv.audio.windows import Content, Windows
from audioconv.batches import ArrayData, Dataset
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.files import display_path
from audioconv.images import augment as image_augment
from audioconv.images.read import read as read_picture
from audioconv.loading import Loaded, StrPath, evenly, load_many
from audioconv.model import Model
from audioconv.normalisation import Normalisation

Array = NDArray[Any]

FRONT_ENDS = ("log-mel", "mfcc", "raw")

# Energy below which bands of a spectrogram count as silent. What is quieter is the recorder's noise, or the zeros that
# fill a clip up, and tells more of who recorded than of what was said.
QUIETEST = 1e-6

LONGEST_WORD_SECONDS = 2.0
"""Of a window that holds a word. A piece of longer sounds, such as of rain, is still what it was."""

LONG_NOISE_SECONDS = 60.0
"""Longer recordings of noise are held as 16-bit integers."""

LARGEST_PICTURE = 96
"""Pixels of the longer side of pictures, unless asked for otherwise."""


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


def clips(
    source: AudioInput,
    x: Array | Windows,
    labels: Array,
    normalisation: Normalisation,
    shape: tuple[int, ...],
    augmentation: Augmentation | None = None,
) -> AudioClips:
    """Return the clips `x` (N, samples) as data for `training.fit`."""
    return AudioClips(x, labels, source.front_end, normalisation, augmentation, input_shape=shape)


def dataset(
    source: AudioInput | ImageInput,
    x: Array | Windows,
    labels: Array,
    normalisation: Normalisation,
    shape: tuple[int, ...],
    augmentation: Augmentation | None = None,
    augmented: bool = False,
) -> Dataset:
    """Return the examples `x` as data for `training.fit`; pictures are augmented by `images.augment`."""
    if isinstance(source, AudioInput):
        return cast(Dataset, clips(source, x, labels, normalisation, shape, augmentation if augmented else None))
    assert not isinstance(x, Windows), "pictures have no windows"
    return ArrayData(normalisation(x), labels, image_augment.augment if augmented else None)


def logits(model: Model, x: Array | Windows, batch_size: int = 256) -> Array:
    """Return the logits of examples in memory, (N, classes) float32."""
    return _in_parts(model, x, model.logits, batch_size)


def probabilities(model: Model, x: Array | Windows, batch_size: int = 256) -> Array:
    """Return what `model` makes of examples in memory, (N, classes) float32."""
    return _in_parts(model, x, model.probabilities, batch_size)


def _in_parts(model: Model, x: Array | Windows, pass_: Callable[[Array], Array], batch_size: int) -> Array:
    """Return what a pass of the model makes of all examples; their features are in memory part by part."""
    return np.concatenate([
        pass_(part if model.front_end is None else model.front_end(part))
        for part in (x[start : start + batch_size] for start in range(0, len(x), batch_size))
    ])  # fmt: skip


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
