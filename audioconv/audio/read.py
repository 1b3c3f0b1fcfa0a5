"""Reading recordings: any rate, depth and channel count in; mono float32 at the model's rate out."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.files import display_path, reason

if TYPE_CHECKING:
    import soundfile

Samples = NDArray[np.float32]
StrPath = str | os.PathLike[str]

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64"}
    | {".rf64", ".m4a", ".aac", ".wma"}
)
"""Names that end so (in lower case) are taken for recordings. libsndfile cannot read the last three: `read` says so."""

# Beyond these a header is broken rather than unusual, and resampling would fill the memory.
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000

# A recording that lacks more of its announced samples than this part was cut off. Less is a slip of the program that
# wrote it: some count the header as data. Encoders of MP3 may count their delay as sound, two of its frames.
TOLERATED_LOSS, TOLERATED_MP3_SAMPLES = 0.1, 2 * 1152

_NOTHING = np.zeros((0, 1), np.float32)


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    channels : int
        Number of channels.
    frames : int
        Samples of each channel.
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


def read(path: StrPath, sample_rate: int) -> Samples:
    """Return the recording in `path` as mono at `sample_rate`.

    WAV, FLAC, OGG (Vorbis, Opus), MP3 and whatever else libsndfile reads. Channels are averaged; another rate is
    resampled by soxr in high quality.

    Parameters
    ----------
    path : path-like
        The file; its content tells the format, not its name.
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
    with _open(path) as file:
        return resample(to_mono(_decode(file, display_path(path))), file.samplerate, sample_rate)


@contextmanager
def blocks(path: StrPath, seconds: float = 10.0) -> Iterator[Blocks]:
    """Open the recording in `path` to be read in blocks: a long one is never in memory as a whole.

    Parameters
    ----------
    path : path-like
    seconds : float
        Length of a block.

    Yields
    ------
    Blocks
        To iterate over, once.

    Raises
    ------
    DataError
        As `read` does; for what is damaged or cut off, when that place is reached.
    """
    with _open(path) as file:
        yield Blocks(file, display_path(path), max(1, round(seconds * file.samplerate)))


class Blocks:
    """The samples of a recording in blocks (T, channels) float32, at its own rate.

    Attributes
    ----------
    info : AudioInfo
        What its header says.
    """

    def __init__(self, file: soundfile.SoundFile, shown: str, length: int) -> None:
        self.info = AudioInfo(file.samplerate, file.channels, file.frames)
        self._file, self._shown, self._length = file, shown, length
        if file.format == "MP3":
            # soundfile would seek to where it is after each block, and a decoder of MP3 loses what it needs of the
            # frames before.
            file.seekable = lambda: False

    def __iter__(self) -> Iterator[Samples]:
        """Yield the blocks from the beginning to the end; the last one may be shorter."""
        announced, came = _announced_frames(self._file), 0
        while len(samples := _read(self._file, self._shown, self._length)):
            came += len(samples)
            yield samples
        _check_whole(self._file, self._shown, came, announced)


def read_bytes(content: bytes, name: str, sample_rate: int) -> Samples:
    """Return the recording whose file has this `content`, like `read`; `name` is what errors call it."""
    with _in_memory(content) as source, _decoder(source, name) as file:
        return resample(to_mono(_decode(file, name)), file.samplerate, sample_rate)


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
    shown = display_path(segment.path)
    seconds = length / sample_rate
    around = max(0.0, (seconds - segment.duration) / 2)
    with _open(segment.path) as file:
        rate = file.samplerate
        begin, end = round((segment.begin - around) * rate), round((segment.end + around) * rate)
        # An MP3 file tells its length only roughly, and cannot be entered at any sample.
        if file.format != "MP3" and file.seekable():
            first = min(max(begin, 0), file.frames)
            file.seek(first)
            samples = _decode(file, shown, max(0, min(end, file.frames) - first)) if first < file.frames else _NOTHING
        else:
            first = max(begin, 0)
            samples = _decode(file, shown)[first : max(end, 0)]
    if first + len(samples) <= segment.begin * rate:
        raise DataError(f"{shown}: ends before the part from {segment.begin:g} to {segment.end:g} s begins")
    if around:
        padded = np.zeros((end - begin, samples.shape[1]), np.float32)
        padded[first - begin : first - begin + len(samples)] = samples
        samples = padded
    return fit_length(resample(to_mono(samples), rate, sample_rate), length)


def probe(path: StrPath) -> AudioInfo:
    """Return what the header of the recording in `path` says, without decoding it; raises `DataError` like `read`."""
    with _open(path) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames)


def probe_bytes(content: bytes, name: str) -> AudioInfo:
    """Return what the header of the recording with this `content` says; `name` is what errors call it."""
    with _in_memory(content) as source, _decoder(source, name) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames)


def to_mono(samples: NDArray[np.floating]) -> Samples:
    """Return the average of the channels of `samples`, (T,) or (T, channels), as (T,) float32."""
    if samples.ndim == 1:
        return samples.astype(np.float32, copy=False)
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise ShapeError(f"a recording has shape (time,) or (time, channels), got {samples.shape}")
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0], np.float32)
    mono: Samples = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mono


def resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """Return `samples` (T,) at `to_rate` Hz instead of `from_rate`: (round(T * to_rate / from_rate),), at least one.

    Band-limited (soxr, high quality): what the lower rate cannot hold is filtered out.
    """
    for rate in (from_rate, to_rate):
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise ConfigError(f"sample rates lie between {LOWEST_RATE} and {HIGHEST_RATE} Hz, got {rate}")
    if from_rate == to_rate:
        return samples
    import soxr

    changed: Samples = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    return changed if changed.size else samples[:1]


def fit_length(samples: Samples, length: int) -> Samples:
    """Return `samples` (T,) as exactly `length` samples.

    A shorter clip lies in the middle, between zeros (the odd one behind). Of a longer one, the window with the most
    energy is kept; the earliest of several.

    Examples
    --------
    >>> fit_length(np.array([1, 2], np.float32), 5)
    array([0., 1., 2., 0., 0.], dtype=float32)
    >>> fit_length(np.array([0, 1, 3, 0], np.float32), 2)
    array([1., 3.], dtype=float32)
    """
    begin = fitted_begin(samples, length)
    if len(samples) >= length:
        return samples[begin : begin + length].copy()
    fitted = np.zeros(length, np.float32)
    fitted[-begin : len(samples) - begin] = samples
    return fitted


def fitted_begin(samples: Samples, length: int) -> int:
    """Return which of `samples` (T,) is the first that `fit_length` keeps; below 0, so many zeros come before them.

    Examples
    --------
    >>> fitted_begin(np.array([0, 1, 3, 0], np.float32), 2), fitted_begin(np.array([1, 2], np.float32), 5)
    (1, -1)
    """
    if length < 1:
        raise ConfigError(f"a clip needs at least one sample, got a length of {length}")
    if len(samples) <= length:
        return -((length - len(samples)) // 2)
    sums = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    energy = sums[length:] - sums[:-length]
    # Windows that differ only by the rounding of the running sum count as equal.
    return int(np.argmax(energy >= energy.max() - 1e-12 * sums[-1]))


@contextmanager
def _open(path: StrPath) -> Iterator[soundfile.SoundFile]:
    shown = display_path(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{shown}: is a folder, expected a recording")
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{shown}: is not a regular file, expected a recording")
        content = open(path, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
    except ValueError as error:  # a name that no file can have
        raise DataError(f"{shown}: cannot be read ({error})") from None
    # libsndfile gets the content, not the name: it takes any text named .au for sound, and cannot open names that
    # are not UTF-8.
    with content:
        if status.st_size == 0:
            raise DataError(f"{shown}: is empty (0 bytes), expected a recording")
        with _decoder(content, shown) as file:
            yield file


@contextmanager
def _in_memory(content: bytes) -> Iterator[BinaryIO]:
    """Open a file with this content that has no name."""
    if not hasattr(os, "memfd_create"):
        yield io.BytesIO(content)
        return
    with open(os.memfd_create("recording"), "w+b") as file:
        file.write(content)
        file.seek(0)
        yield file


def _for_libsndfile(content: BinaryIO) -> int | BinaryIO:
    """Return the descriptor of a file, where there is one that libsndfile can use.

    Of a Python object it would ask each block by a callback, for which threads wait on each other: two of them decode
    no faster than one.
    """
    # On Windows, the numbers of one C library's files mean nothing to another's.
    return content if os.name == "nt" or isinstance(content, io.BytesIO) else content.fileno()


@contextmanager
def _decoder(content: BinaryIO, shown: str) -> Iterator[soundfile.SoundFile]:
    """Open the file with this content; `shown` is what errors call it."""
    import soundfile

    try:
        file = soundfile.SoundFile(_for_libsndfile(content), closefd=False)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless, by the name .raw
        raise DataError(
            f"{shown}: not audio that can be read ({_detail(error)}); expected WAV, FLAC, OGG, Opus or MP3. "
            "Others can be converted: ffmpeg -i INPUT OUTPUT.wav"
        ) from None
    with file:
        if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
            raise DataError(
                f"{shown}: its header says {file.samplerate} Hz, expected {LOWEST_RATE} to {HIGHEST_RATE}; "
                "export it again"
            )
        yield file


def _decode(file: soundfile.SoundFile, shown: str, frames: int | None = None) -> Samples:
    """Return the samples (T, channels) from where `file` is: `frames` of them, or all to the end."""
    announced = _announced_frames(file) if frames is None else frames
    samples = _read(file, shown, -1 if frames is None else frames)
    _check_whole(file, shown, len(samples), announced)
    return samples


def _read(file: soundfile.SoundFile, shown: str, frames: int) -> Samples:
    """Return the next samples (T, channels): at most `frames` of them, or all to the end where that is -1."""
    import soundfile

    try:
        samples: Samples = file.read(frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{shown}: damaged or cut off ({_detail(error)}); copy or record it again") from None
    if not np.isfinite(samples).all():
        raise DataError(f"{shown}: holds NaN or infinite samples; export it again, or remove it")
    return samples


def _check_whole(file: soundfile.SoundFile, shown: str, came: int, announced: int) -> None:
    """Raise `DataError` if there were clearly fewer samples than `announced`, or none."""
    delay = TOLERATED_MP3_SAMPLES if file.format == "MP3" else 0
    if announced - came > max(TOLERATED_LOSS * announced, delay):
        raise DataError(
            f"{shown}: cut off, {came} of the {announced} samples that its header announces are there; "
            "copy or record it again"
        )
    if not came:
        raise DataError(f"{shown}: holds no samples; record it again or remove it")


def _announced_frames(file: soundfile.SoundFile) -> int:
    """Return the number of frames that the header announces, where libsndfile itself counts what is there."""
    frames: int = file.frames
    # libsndfile tells the size that the header gives only in its log.
    corrected = re.search(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if corrected is None:
        return frames
    announced, present = map(int, corrected.groups())
    # Programs that write into a pipe announce the largest number, for want of a better one.
    return frames if announced >= 0x7FF00000 or not present else round(frames * announced / present)


def _detail(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(".")
