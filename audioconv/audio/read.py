"""Reading recordings: any rate, depth and channel count in; mono float32 at the model's rate out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples, StrPath
from audioconv.audio.decoders import ffmpeg
from audioconv.audio.decoders.decoder import MAX_UNKNOWN_LENGTH, Decoder
from audioconv.audio.decoders.opening import open_bytes, open_file, open_stream
from audioconv.audio.samples import (
    HIGHEST_RATE,
    LOWEST_RATE,
    fit_length,
    fitted_begin,
    record,
    record_int16,
    resample,
    resample_blocks,
    to_mono,
)
from audioconv.errors import DataError
from audioconv.io.files import display_path

__all__ = [
    "AUDIO_SUFFIXES",
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "AudioInfo",
    "Blocks",
    "OpenRecording",
    "Samples",
    "Segment",
    "blocks",
    "fit_length",
    "fitted_begin",
    "part",
    "probe",
    "probe_bytes",
    "read",
    "read_bytes",
    "read_int16",
    "read_window",
    "resample",
    "to_mono",
]


_BY_LIBSNDFILE = (
    "wav wave flac ogg oga opus mp3 mp2 mpga aif aiff aifc au snd caf w64 rf64 voc sph nist avr 8svx sds paf pvf"
)
_WITHOUT_HEADER = "gsm pcm"
AUDIO_SUFFIXES = ffmpeg.SUFFIXES | {f".{ending}" for ending in f"{_BY_LIBSNDFILE} {_WITHOUT_HEADER}".split()}
"""Suffixes, in lower case, of recordings. For those that `read` cannot read, its error names the remedy."""

MAX_BLOCK = 1 << 20
"""Blocks hold at most so many samples, of all channels together."""

MAX_SAMPLES_PER_BYTE = 4
"""Memory is reserved for so many at most, whatever the header announces."""


@dataclass(frozen=True)
class AudioInfo:
    """Header of a recording.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    channels : int
        Number of channels.
    frames : int
        Samples of each channel; in blocks, 0 if it does not say it.
    """

    sample_rate: int
    channels: int
    frames: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


@dataclass(frozen=True)
class Segment:
    """A part of a recording.

    Attributes
    ----------
    path : path-like
        The recording's file.
    begin, end : float
        In seconds.
    """

    path: StrPath
    begin: float
    end: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.begin


@dataclass(frozen=True, eq=False)
class OpenRecording:
    """A recording in an open file, such as an upload that is kept in memory.

    Attributes
    ----------
    file : binary file
        Seekable; it is read from its beginning and stays open.
    name : str
        What errors call it.
    size : int
        Number of its bytes.
    on_seconds : callable, optional
        Called after each block with the number of seconds that were read; what it raises ends the reading.
    """

    file: BinaryIO
    name: str
    size: int
    on_seconds: Callable[[float], object] | None = None


def read(path: StrPath, sample_rate: int) -> Samples:
    """Return the recording in `path` as mono at `sample_rate`.

    WAV, FLAC, OGG (Vorbis, Opus), MP3 and whatever else libsndfile reads. Channels are averaged; another rate is
    resampled by soxr in high quality.

    Parameters
    ----------
    path : path-like
        The file; its format is recognised by its content, not by its name.
    sample_rate : int
        In Hz.

    Returns
    -------
    array (T,) float32
        Full scale is 1. At least one sample.

    Raises
    ------
    DataError
        If the file is missing, not readable, not audio, empty, cut off, or holds NaN or infinite samples. (An Ogg
        stream does not announce its length: of one that was cut off, what can be decoded is returned.)
    """
    with blocks(path) as found:
        return record(_at(sample_rate, found), found.expected(sample_rate))


def read_int16(source: StrPath | Segment, sample_rate: int) -> tuple[NDArray[np.int16], float]:
    """Return a recording or a part of one like `read`, as 16-bit integers: in half the memory.

    Parameters
    ----------
    source : path-like or Segment
        The file, or a part of it, of which samples before the beginning and behind the end are left out.
    sample_rate : int
        In Hz.

    Returns
    -------
    samples : array (T,) int16
        At least one sample.
    scale : float
        ``samples * np.float32(scale)`` are the samples whose full scale is 1. It is 1 / 32768; or 2, 4, 8 ... times as
        much where the recording exceeds full scale, as those in floating point may.

    Raises
    ------
    DataError
        As `read` does, and if the recording ends before the part begins.
    """
    with blocks(source) as found:
        return record_int16(_at(sample_rate, found), found.expected(sample_rate))


def _at(sample_rate: int, found: Blocks) -> Iterator[Samples]:
    return resample_blocks(found.mono(), found.info.sample_rate, sample_rate)


@contextmanager
def blocks(source: StrPath | Segment | OpenRecording, seconds: float = 10.0) -> Iterator[Blocks]:
    """Open a recording, or a part of one, to be read in blocks: a long one is never in memory as a whole.

    Parameters
    ----------
    source : path-like, Segment or OpenRecording
    seconds : float
        Length of a block; at high rates and of many channels it may be shorter.

    Yields
    ------
    Blocks
        To iterate over, once.

    Raises
    ------
    DataError
        As `read` does; for what is damaged or cut off, when that place is reached; and as `part` does.
    """
    if isinstance(source, Segment):
        with part(source, seconds) as found:
            yield found
        return
    if isinstance(source, OpenRecording):
        with open_stream(source.file, source.name, source.size) as decoder:
            yield Blocks(decoder, seconds=seconds, on_seconds=source.on_seconds)
        return
    with open_file(source) as decoder:
        yield Blocks(decoder, seconds=seconds)


@contextmanager
def part(segment: Segment, seconds: float = 10.0) -> Iterator[Blocks]:
    """Open a part of a recording like `blocks`; samples before the beginning and behind the end are left out.

    Raises
    ------
    DataError
        As `blocks` does, and if the recording ends before the part begins.
    """
    with open_file(segment.path) as decoder:
        begin, end = (max(0, round(second * decoder.sample_rate)) for second in (segment.begin, segment.end))
        yield Blocks(decoder, begin, max(end, begin + 1), seconds, required=segment)


class Blocks:
    """The samples of a recording, or of a part of one, in blocks (T, channels) float32 at its own rate.

    Attributes
    ----------
    info : AudioInfo
        Its header.
    came : int
        Samples of each channel that were yielded.
    """

    def __init__(
        self,
        decoder: Decoder,
        begin: int = 0,
        end: int | None = None,
        seconds: float = 10.0,
        required: Segment | None = None,
        on_seconds: Callable[[float], object] | None = None,
    ) -> None:
        self.info = AudioInfo(decoder.sample_rate, decoder.channels, decoder.frames)
        self.came = 0
        self._decoder, self._begin, self._end, self._required = decoder, begin, end, required
        self._on_seconds = on_seconds
        self._length = max(1, min(round(seconds * decoder.sample_rate), MAX_BLOCK // decoder.channels))

    def __iter__(self) -> Iterator[Samples]:
        """Yield the blocks from the beginning to the end; the last one may be shorter."""
        is_there = not self._begin or self._decoder.skip(self._begin) == self._begin
        while is_there and (self._end is None or self._begin + self.came < self._end):
            left = self._length if self._end is None else self._end - self._begin - self.came
            samples = self._decoder.read(min(self._length, left))
            if not len(samples):
                break
            self.came += len(samples)
            if self._on_seconds is not None:
                self._on_seconds(self.came / self.info.sample_rate)
            yield samples
        if is_there and self._end is None:
            self._decoder.check_whole(self.came)
        if self._required is not None and not self.came:
            raise _ends_before(self._required)

    def mono(self) -> Iterator[Samples]:
        """Yield the same blocks with their channels averaged, (T,) float32."""
        return (to_mono(block) for block in self)

    def short_int16(self) -> NDArray[np.int16] | None:
        """Return a whole recording of one block, one channel and 16-bit integers as (T,) int16.

        It returns None for another recording, and has read nothing then.
        """
        decoder = self._decoder
        is_whole = not self._begin and self._end is None and 0 < decoder.frames <= self._length
        if not (is_whole and decoder.are_int16 and decoder.channels == 1 and self._on_seconds is None):
            return None
        found = [decoder.read_int16(decoder.frames)]
        while len(found[-1]):
            found.append(decoder.read_int16(decoder.frames))
        samples = found[0] if len(found) == 2 else np.concatenate(found)
        self.came = len(samples)
        decoder.check_whole(self.came)
        return samples[:, 0]

    def expected(self, sample_rate: int) -> int:
        """Return how many samples there are at `sample_rate`, roughly: memory may be reserved for so many."""
        end = self.info.frames if self._end is None else min(self._end, self.info.frames)
        # A header may announce anything. Where there are more samples in a byte, memory grows as they come.
        likely = min(max(0, end - self._begin), MAX_SAMPLES_PER_BYTE * self._decoder.size)
        return math.ceil(likely * sample_rate / self.info.sample_rate) + 1


def read_bytes(content: bytes, name: str, sample_rate: int) -> Samples:
    """Return the recording whose file has this `content`, like `read`; `name` is its name in errors."""
    with open_bytes(content, name) as decoder:
        found = Blocks(decoder)
        return record(_at(sample_rate, found), found.expected(sample_rate))


def read_window(segment: Segment, sample_rate: int, length: int) -> Samples:
    """Return `length` samples at `sample_rate` with a part of a recording in their middle.

    Around a part that is shorter lies what the recording has there, and zeros beyond its ends: a word comes with the
    room it was spoken in, as it will when somebody listens. Of a part that is longer, the window with the most energy
    is kept.

    Raises
    ------
    DataError
        As `read` does, and if the recording ends before the part begins.
    """
    seconds = length / sample_rate
    around = max(0.0, (seconds - segment.duration) / 2)
    with open_file(segment.path) as decoder:
        rate = decoder.sample_rate
        begin, end = round((segment.begin - around) * rate), round((segment.end + around) * rate)
        part = Blocks(decoder, max(begin, 0), max(end, 0))
        mono = _padded(part, begin, end) if around else part.mono()
        samples = record(resample_blocks(mono, rate, sample_rate), part.expected(sample_rate))
        if max(begin, 0) + part.came <= segment.begin * rate:
            raise _ends_before(segment)
    return fit_length(samples, length)


def _padded(part: Blocks, begin: int, end: int) -> Iterator[Samples]:
    """Yield the mono blocks of a part from `begin` to `end`, and zeros where the recording has nothing."""
    if begin < 0:
        yield np.zeros(-begin, np.float32)
    yield from part.mono()
    if missing := end - max(begin, 0) - part.came:
        yield np.zeros(missing, np.float32)


def _ends_before(segment: Segment) -> DataError:
    shown = display_path(segment.path)
    return DataError(f"{shown}: ends before the part from {segment.begin:g} to {segment.end:g} s begins")


def probe(path: StrPath) -> AudioInfo:
    """Return the header of the recording in `path`, without decoding it; raises `DataError` like `read`.

    A recording whose header has no length is decoded to find it.
    """
    with open_file(path) as decoder:
        frames = decoder.frames or decoder.skip(MAX_UNKNOWN_LENGTH)
        return AudioInfo(decoder.sample_rate, decoder.channels, frames)


def probe_bytes(content: bytes, name: str) -> AudioInfo:
    """Return the header of the recording with this `content`, like `probe`; `name` is its name in errors."""
    with open_bytes(content, name) as decoder:
        frames = decoder.frames or decoder.skip(MAX_UNKNOWN_LENGTH)
        return AudioInfo(decoder.sample_rate, decoder.channels, frames)
