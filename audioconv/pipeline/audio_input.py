"""Recordings as input: clips of one length, windows of longer recordings, and noise to mix in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from audioconv import architectures
from audioconv._types import Array, Samples, StrPath
from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import AudioClips, ClipsWithNegatives, normalisation_of
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
from audioconv.audio.window_begins import Content, covering_begins, window_at, window_begins, word_begins
from audioconv.audio.windows import Windows, WindowsBuilder
from audioconv.cluster.processes import ALONE, Processes
from audioconv.datasets.collection import Kind
from audioconv.errors import DataError, ShapeError
from audioconv.features.front_ends import FrontEnd, LogMel, RawSamples, front_end_to_config
from audioconv.features.librosa_front_end import Librosa
from audioconv.features.normalisation import Normalisation
from audioconv.io.files import display_path
from audioconv.io.parallel import Loaded
from audioconv.layers.base import Shape
from audioconv.pipeline.input_spec import File, InputSpec, OnFile
from audioconv.pipeline.recording_pieces import pieces, sample_pieces
from audioconv.pipeline.user_arrays import samples_of, split_sound
from audioconv.pipeline.windowing import load_windows
from audioconv.training.data import Dataset

MAX_WORD_SECONDS = 2.0
"""Longest window that holds a word. A piece of a longer sound, such as rain, is the same sound."""

LONG_NOISE_SECONDS, MAX_NOISE_SECONDS = 60.0, 1800.0
"""Noise longer than the first is held as 16-bit integers. The second is the length that is read of longer noise."""

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


@dataclass(frozen=True)
class AudioInput(InputSpec):
    """Recordings: mono clips of one length at one rate, and the front end that makes features of them.

    Attributes
    ----------
    front_end : LogMel, Mfcc, RawSamples or Librosa
    clip_samples : int
        Length of a clip.
    expects : {"words", "sounds"}, optional
        Content of recordings, if that is known; see `content`.
    """

    front_end: FrontEnd
    clip_samples: int
    expects: Content | None = None
    kind: ClassVar[Kind] = "audio"

    @property
    def content(self) -> Content:
        """Words, of which one window suffices, or sounds, of which all windows are alike. Default: by the length."""
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
            builder.add(place, sample_pieces(self.check(array), content, self.sample_rate, self.clip_samples))
        windows = builder.build()
        return Loaded(windows, windows.recordings)

    def input_shape(self, arch: str) -> Shape:
        features = self.front_end.out_shape(self.clip_samples)
        return (*features, 1) if architectures.input_kind(arch) == "spectrogram-2d" else features

    def measure(self, x: Array | Windows, by_clip: bool | None = None, processes: Processes = ALONE) -> Normalisation:
        if isinstance(self.front_end, RawSamples):
            by_clip = bool(by_clip)
        return normalisation_of(x, self.front_end, by_clip, processes)

    def augmentation(self, noise: StrPath | None, seed: int, *, synthetic: bool) -> Augmentation:
        noises = None if noise is None else read_noises(noise, self.sample_rate)
        augmentation = Augmentation.default(self.sample_rate, noises=noises, seed=seed)
        if synthetic:
            augmentation = replace(augmentation, **FOR_SYNTHETIC_VOICES)
        if isinstance(self.front_end, LogMel):
            return augmentation
        if isinstance(self.front_end, Librosa) and self.front_end.axis in ("notes", "pitch classes"):
            augmentation = replace(augmentation, speed_probability=0.0)  # another speed is another note
        return replace(augmentation, stretch_probability=0.0)  # there are no mel bands to stretch

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


def read_noises(path: StrPath, sample_rate: int) -> list[Array]:
    """Return the recording `path`, or all recordings in the folder `path`, at `sample_rate`.

    Returns
    -------
    list of arrays (T,)
        float32 with full scale 1; int16 of recordings over `LONG_NOISE_SECONDS`, which take half the memory. At most
        the first `MAX_NOISE_SECONDS` of each are read. See `audio.samples.as_float`.
    """
    files = [Path(path)]
    if files[0].is_dir():
        files = sorted(f for f in files[0].rglob("*") if f.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise DataError(f"{display_path(path)}: holds no recordings to use as noise")
    return [_read_noise(file, sample_rate) for file in files]


def _read_noise(file: Path, sample_rate: int) -> Array:
    duration = probe(file).duration
    if duration <= LONG_NOISE_SECONDS:
        return read_recording(file, sample_rate)
    is_longer = duration > MAX_NOISE_SECONDS
    samples, scale = read_int16(Segment(file, 0.0, MAX_NOISE_SECONDS) if is_longer else file, sample_rate)
    return samples if scale == 1 / FULL_SCALE else samples * np.float32(scale)
