"""Input specifications: recordings or pictures, their size, and the way from files and arrays to a network's data.

``file -> samples -> the model's length -> front end -> normalised -> network``, the same in training and in use; and
the same for pictures, with pixels for samples and no front end.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast, get_args

import numpy as np

from audioconv import architectures
from audioconv._types import Array, Samples, StrPath
from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import CHUNK, AudioClips, ClipsWithNegatives, normalisation_of
from audioconv.audio.negatives import NegativeClips
from audioconv.audio.read import (
    AUDIO_SUFFIXES,
    Segment,
    fit_length,
    fitted_begin,
    probe,
    read_bytes,
    read_int16,
    read_window,
    to_mono,
)
from audioconv.audio.read import read as read_recording
from audioconv.audio.samples import FULL_SCALE
from audioconv.audio.windows import (
    Content,
    Windows,
    WindowsBuilder,
    covering_begins,
    window_at,
    window_begins,
    word_begins,
)
from audioconv.datasets.collection import Kind
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features.front_ends import FrontEnd, LogMel, RawSamples, front_end_to_config
from audioconv.features.normalisation import Normalisation, normalised_input
from audioconv.images import augment as image_augment
from audioconv.images.read import read as read_picture
from audioconv.io.files import display_path
from audioconv.io.parallel import Loaded, load_many
from audioconv.layers.base import Shape
from audioconv.model import Model
from audioconv.pipeline.user_arrays import samples_of, split_pictures, split_sound
from audioconv.pipeline.windowing import load_windows, pieces, sample_parts
from audioconv.training.data import ArrayData, Dataset

MAX_WORD_SECONDS = 2.0
"""Longest window that holds a word. A piece of a longer sound, such as rain, is the same sound."""

File = StrPath | Segment
OnFile = Callable[[], object] | None

LONG_NOISE_SECONDS = 60.0
"""Longer recordings of noise are held as 16-bit integers."""

LONG = 2.0
"""A recording longer than this number of windows is searched, and its best windows are reported."""

HOPS = 4
"""Windows that begin within the length of one, where a long recording is searched for words."""

MIN_REST = 0.5
"""The end of a negative recording is a clip of its own if at least this part of a clip is left."""

FOR_SYNTHETIC_VOICES: dict[str, Any] = {
    "reverberation_probability": 0.5, "noise_probability": 0.9, "snr_db": (0.0, 30.0),
}  # fmt: skip
"""Synthetic recordings have neither a room nor noise of their own; those of people have both."""


class InputSpec(ABC):
    """What one example of a data set or a model is: an `AudioInput` or an `ImageInput`.

    The methods that are not abstract are those of examples that are not cut into windows.
    """

    kind: ClassVar[Kind]

    if TYPE_CHECKING:  # they are fields of subclasses, which properties of a base class would not let be set

        @property
        def shape(self) -> Shape:
            """Shape of one example, before the front end."""

        @property
        def front_end(self) -> FrontEnd | None:
            """What makes features of samples; None for pictures."""

    @property
    def sample_rate(self) -> int | None:
        """In Hz; None for pictures."""
        return None if self.front_end is None else self.front_end.sample_rate

    @property
    def content(self) -> Content | None:
        """What recordings hold; None for pictures."""
        return None

    @property
    def holds_a_word(self) -> bool:
        """Whether a clip is so short that it holds a word; a longer one is a piece of a sound such as rain."""
        return False

    # --- from files and arrays to examples ---

    @abstractmethod
    def read(self, example: File) -> Array:
        """Return a file, or a part of it, as one example, float32; `DataError` if it cannot be read."""

    @abstractmethod
    def convert(self, example: Array) -> Array:
        """Return samples or pixels as one example, float32; `ShapeError` or `DataError` if they are something else."""

    def check(self, example: Array) -> Array:
        """Return samples or pixels as `convert` does, but samples of their own length."""
        return self.convert(example)

    @abstractmethod
    def split(self, array: Array, count: int | None = None, row_length: int | None = None) -> list[Array]:
        """Return the examples in an array; see `split_sound` and `split_pictures`."""

    @abstractmethod
    def from_array(self, array: Array, name: str, sample_rate: float | None) -> Array:
        """Return a user's array as `check` does; `name` is what errors call it."""

    @abstractmethod
    def from_bytes(self, content: bytes, name: str) -> Array:
        """Return a file in memory as `check` does."""

    @abstractmethod
    def load(
        self, files: Sequence[File], contents: Sequence[Content], strict: bool, on_file: OnFile
    ) -> Loaded[Windows] | Loaded[Array]:
        """Read files, or parts of them, as examples to learn from; see `io.parallel.load_many`."""

    @abstractmethod
    def collect(self, arrays: Sequence[Array], contents: Sequence[Content]) -> Loaded[Windows] | Loaded[Array]:
        """Return arrays in memory as examples to learn from."""

    # --- from examples to a network's data ---

    @abstractmethod
    def input_shape(self, arch: str) -> Shape:
        """Return the shape of one example as the network `arch` takes it; `ConfigError` if it takes something else."""

    @abstractmethod
    def measure(self, x: Array | Windows, by_clip: bool | None = None) -> Normalisation:
        """Return mean and deviation of each band or channel over examples (N, *shape).

        If `by_clip`, each clip is normalised by its own. Default: see `features.normalisation.WITHIN`.
        """

    @abstractmethod
    def augmentation(self, noise: StrPath | None, seed: int, *, synthetic: bool) -> Any:
        """Return the augmentation that `dataset` takes, with `noise` to mix in; `synthetic` voices get more of it."""

    @abstractmethod
    def dataset(
        self, x: Array | Windows, labels: Array, scale: Normalisation, input_shape: Shape, augmentation: Any = None,
        negatives: NegativeClips | None = None,
    ) -> Dataset:  # fmt: skip
        """Return examples with their class numbers, followed by negatives if there are any, as data for `fit`."""

    def model_fields(self) -> dict[str, Any]:
        """Return the fields of a `Model` that lead from an example to features."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what a resumed run must share, JSON-compatible."""
        return {"shape": self.shape}

    # --- in use ---

    def whole(self, example: File) -> Array | None:
        """Return a picture or a recording of its own length; None for one of more than a minute or two."""
        return self.read(example)

    def begins(self, example: Array) -> list[int]:
        """Return the first samples of the windows of a recording (T,) that are classified; ``[0]`` for a picture."""
        return [0]

    def window(self, example: Array, begin: int) -> Array:
        """Return the window of an example that begins at a sample."""
        return example

    def cut(self, path: Path) -> Iterator[tuple[Array, list[Any]]]:
        """Yield the clips (N, *shape) that a file is cut into, with their places (paths or `Segment`), part by part."""
        yield self.read(path)[np.newaxis], [path]


@dataclass(frozen=True)
class AudioInput(InputSpec):
    """Recordings: mono clips of one length at one rate, and the front end that makes features of them.

    Attributes
    ----------
    front_end : LogMel, Mfcc or RawSamples
    clip_samples : int
        Length of a clip.
    expects : {"words", "sounds"}, optional
        What recordings hold, if that is known; see `content`.
    """

    front_end: FrontEnd
    clip_samples: int
    expects: Content | None = None
    kind: ClassVar[Kind] = "audio"

    @property
    def content(self) -> Content:
        """Words, of which one window says all, or sounds, of which all windows say the same. Default: by the length."""
        return self.expects or ("words" if self.holds_a_word else "sounds")

    @property
    def shape(self) -> Shape:
        return (self.clip_samples,)

    @property
    def sample_rate(self) -> int:
        return self.front_end.sample_rate

    @property
    def holds_a_word(self) -> bool:
        return self.expects == "words" or self.clip_samples <= MAX_WORD_SECONDS * self.sample_rate

    def read(self, example: File) -> Array:
        """Return a recording, or the part of it with the samples around it, (clip_samples,) float32."""
        if isinstance(example, Segment):
            return read_window(example, self.sample_rate, self.clip_samples)
        return fit_length(read_recording(example, self.sample_rate), self.clip_samples)

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

    def convert(self, example: Array) -> Array:
        """Return `example` (T,) or (T, channels), at the front end's rate, as (samples,) float32."""
        return fit_length(self.check(example), self.clip_samples)

    def split(self, array: Array, count: int | None = None, row_length: int | None = None) -> list[Array]:
        return split_sound(array, count, row_length)

    def from_array(self, array: Array, name: str, sample_rate: float | None) -> Array:
        return samples_of(array, name, sample_rate, self.sample_rate)

    def from_bytes(self, content: bytes, name: str) -> Array:
        return read_bytes(content, name, self.sample_rate)

    def load(
        self, files: Sequence[File], contents: Sequence[Content], strict: bool, on_file: OnFile
    ) -> Loaded[Windows]:
        return load_windows(files, contents, self.sample_rate, self.clip_samples, strict=strict, on_file=on_file)

    def collect(self, arrays: Sequence[Array], contents: Sequence[Content]) -> Loaded[Windows]:
        builder = WindowsBuilder(self.clip_samples, len(arrays))
        for place, (array, content) in enumerate(zip(arrays, contents, strict=True)):
            builder.add(place, sample_parts(self.check(array), content, self.sample_rate, self.clip_samples))
        windows = builder.build()
        return Loaded(windows, windows.recordings)

    def input_shape(self, arch: str) -> Shape:
        features = self.front_end.out_shape(self.clip_samples)
        return (*features, 1) if architectures.input_kind(arch) == "spectrogram-2d" else features

    def measure(self, x: Array | Windows, by_clip: bool | None = None) -> Normalisation:
        if isinstance(self.front_end, RawSamples):
            by_clip = bool(by_clip)
        return normalisation_of(x, self.front_end, by_clip)

    def augmentation(self, noise: StrPath | None, seed: int, *, synthetic: bool) -> Augmentation:
        noises = None if noise is None else read_noises(noise, self.sample_rate)
        augmentation = Augmentation.default(self.sample_rate, noises=noises, seed=seed)
        if synthetic:
            augmentation = replace(augmentation, **FOR_SYNTHETIC_VOICES)
        if isinstance(self.front_end, LogMel):
            return augmentation
        return replace(augmentation, stretch_probability=0.0)  # there are no bands to stretch

    def dataset(
        self, x: Array | Windows, labels: Array, scale: Normalisation, input_shape: Shape,
        augmentation: Augmentation | None = None, negatives: NegativeClips | None = None,
    ) -> Dataset:  # fmt: skip
        clips = AudioClips(x, labels, self.front_end, scale, augmentation, input_shape)
        return cast(Dataset, clips if negatives is None else ClipsWithNegatives(clips, negatives))

    def model_fields(self) -> dict[str, Any]:
        return {"front_end": self.front_end, "clip_samples": self.clip_samples}

    def describe(self) -> dict[str, Any]:
        return {**front_end_to_config(self.front_end), "clip_samples": self.clip_samples}

    def whole(self, example: File) -> Array | None:
        if isinstance(example, Segment) and example.duration <= self.clip_samples / self.sample_rate:
            return read_window(example, self.sample_rate, self.clip_samples)
        found = pieces(example, self.sample_rate)
        _, first = next(found)
        return first if next(found, None) is None else None

    def begins(self, example: Samples) -> list[int]:
        rate, length = self.sample_rate, self.clip_samples
        if self.content == "sounds" or len(example) <= length:
            return window_begins(example, rate, length, self.content)
        words = word_begins(example, rate, length)
        if len(words) == 1 or (words and len(example) <= LONG * length):
            return words
        if len(example) <= LONG * length:
            return [fitted_begin(example, length)]
        return sorted({*words, *covering_begins(len(example), length, max(1, length // HOPS))})

    def window(self, example: Array, begin: int) -> Array:
        return window_at(example, begin, self.clip_samples)

    def cut(self, path: Path) -> Iterator[tuple[Array, list[Any]]]:
        rate, length = self.sample_rate, self.clip_samples
        for place, samples in pieces(path, rate):
            if len(samples) < (1 + MIN_REST) * length:
                # The rest of a long recording is named by its place.
                where = Segment(path, place / rate, (place + length) / rate) if place else path
                yield self.convert(samples)[None], [where]
                continue
            begins = list(range(0, len(samples) - length + 1, length))
            if len(samples) - begins[-1] - length >= MIN_REST * length:
                begins.append(len(samples) - length)
            clips = np.stack([samples[begin : begin + length] for begin in begins])
            yield clips, [Segment(path, (place + begin) / rate, (place + begin + length) / rate) for begin in begins]


@dataclass(frozen=True)
class ImageInput(InputSpec):
    """Pictures of one size, in grey or RGB, 0 to 1."""

    shape: Shape
    kind: ClassVar[Kind] = "images"

    @property
    def front_end(self) -> None:
        return None

    def read(self, example: File) -> Array:
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

    def split(self, array: Array, count: int | None = None, row_length: int | None = None) -> list[Array]:
        return split_pictures(array, self.shape, count)

    def from_array(self, array: Array, name: str, sample_rate: float | None) -> Array:
        try:
            return self.convert(array)
        except ShapeError as error:
            raise ShapeError(f"{name}: {error.message}") from None

    def from_bytes(self, content: bytes, name: str) -> Array:
        height, width, channels = self.shape
        return read_picture(io.BytesIO(content), (height, width), channels, name=name)

    def load(self, files: Sequence[File], contents: Sequence[Content], strict: bool, on_file: OnFile) -> Loaded[Array]:
        return load_many(files, self.read, self.shape, strict=strict, on_file=on_file)

    def collect(self, arrays: Sequence[Array], contents: Sequence[Content]) -> Loaded[Array]:
        return Loaded(np.stack([self.convert(array) for array in arrays]), np.arange(len(arrays)))

    def input_shape(self, arch: str) -> Shape:
        if architectures.input_kind(arch) != "spectrogram-2d":
            raise ConfigError(f"network {arch} takes sound; choose one for pictures, such as cnn")
        return self.shape

    def measure(self, x: Array | Windows, by_clip: bool | None = None) -> Normalisation:
        if by_clip:
            raise ConfigError("only sounds are normalised by the clip; these are pictures")
        return Normalisation.measure(x[begin : begin + CHUNK] for begin in range(0, len(x), CHUNK))

    def augmentation(self, noise: StrPath | None, seed: int, *, synthetic: bool) -> Any:
        return image_augment.augment

    def dataset(
        self, x: Array | Windows, labels: Array, scale: Normalisation, input_shape: Shape, augmentation: Any = None,
        negatives: NegativeClips | None = None,
    ) -> Dataset:  # fmt: skip
        assert negatives is None, "negatives are generated for sounds only"
        return ArrayData(normalised_input(x[:], scale, input_shape), labels, augmentation)


def of_model(model: Model) -> InputSpec:
    """Return how files and arrays become the model's examples."""
    if model.front_end is None or model.clip_samples is None:
        return ImageInput(model.input_shape)
    content = model.provenance.get("content")
    return AudioInput(model.front_end, model.clip_samples, content if content in get_args(Content) else None)


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
