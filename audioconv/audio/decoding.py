"""Decoders of recordings: samples in blocks, and one error for all that the libraries raise."""

from __future__ import annotations

import io
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from audioconv.audio.samples import HIGHEST_RATE, LOWEST_RATE, Samples
from audioconv.errors import AudioconvError, DataError
from audioconv.files import display_path, reason

if TYPE_CHECKING:
    import soundfile

StrPath = str | os.PathLike[str]

# A recording that lacks more of its announced samples than this part was cut off. Less is a slip of the program that
# wrote it: some count the header as data. Encoders of MP3 may count their delay as sound, two of its frames.
TOLERATED_LOSS, TOLERATED_MP3_SAMPLES = 0.1, 2 * 1152

SKIPPED_AT_ONCE = 1 << 18
"""Samples of all channels together that are decoded at a time where a file cannot be entered later."""


class Decoder(ABC):
    """A recording that is decoded from front to back.

    Attributes
    ----------
    shown : str
        What errors call it.
    sample_rate : int
        In Hz.
    channels : int
    frames : int
        Samples of each channel that the header announces, or an estimate.
    size : int
        Bytes of the file.
    """

    def __init__(self, shown: str, sample_rate: int, channels: int, frames: int, size: int) -> None:
        if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
            raise DataError(
                f"{shown}: its header says {sample_rate} Hz, expected {LOWEST_RATE} to {HIGHEST_RATE}; export it again"
            )
        self.shown, self.sample_rate, self.channels, self.frames, self.size = shown, sample_rate, channels, frames, size

    def read(self, frames: int) -> Samples:
        """Return the next samples (T, channels): at most `frames`, none at the end; raises `DataError`."""
        with explained(self.shown):
            samples = self._read(frames)
        if not np.isfinite(samples).all():
            raise DataError(f"{self.shown}: holds NaN or infinite samples; export it again, or remove it")
        return samples

    def skip(self, frames: int) -> int:
        """Leave out the next samples; return how many there were: at most `frames` of each channel."""
        skipped = 0
        while skipped < frames:
            block = self.read(min(frames - skipped, max(1, SKIPPED_AT_ONCE // self.channels)))
            if not len(block):
                break
            skipped += len(block)
        return skipped

    def check_whole(self, came: int) -> None:
        """Raise `DataError` if fewer samples of each channel `came` up to the end than were announced, or none."""
        if not came:
            raise DataError(f"{self.shown}: holds no samples; record it again or remove it")

    @abstractmethod
    def _read(self, frames: int) -> Samples:
        """Return what `read` does, unchecked; any error of a library."""


class SoundFileDecoder(Decoder):
    """A recording that libsndfile decodes."""

    def __init__(self, file: soundfile.SoundFile, shown: str, size: int) -> None:
        super().__init__(shown, file.samplerate, file.channels, file.frames, size)
        self._file = file
        self._can_be_entered = file.format != "MP3" and file.seekable()
        # soundfile would seek to where it is after each block: a decoder of MP3 then loses what it needs of the frames
        # before, and some formats cannot be entered at all. It would also take the announced length for granted.
        file.seekable = lambda: False

    def skip(self, frames: int) -> int:
        """Leave out the next samples; return how many there were."""
        # The announced length of others is only an estimate, or they cannot be entered at any sample.
        if not self._can_be_entered:
            return super().skip(frames)
        with explained(self.shown):
            place: int = self._file.tell()
            reached: int = self._file.seek(min(place + frames, max(self.frames, place)))
        return reached - place

    def check_whole(self, came: int) -> None:
        """Raise `DataError` if there were clearly fewer samples than announced, or none."""
        announced = self._announced_frames()
        delay = TOLERATED_MP3_SAMPLES if self._file.format == "MP3" else 0
        if announced - came > max(TOLERATED_LOSS * announced, delay):
            raise DataError(
                f"{self.shown}: cut off, {came} of the {announced} samples that its header announces are there; "
                "copy or record it again"
            )
        super().check_whole(came)

    def _read(self, frames: int) -> Samples:
        samples: Samples = self._file.read(frames, dtype="float32", always_2d=True)
        return samples

    def _announced_frames(self) -> int:
        """Return the number of frames that the header announces, where libsndfile itself counts what is there."""
        # libsndfile tells the size that the header gives only in its log.
        log = self._file.extra_info
        corrected = re.search(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
        if corrected is None:
            return self.frames
        announced, present = map(int, corrected.groups())
        # Programs that write into a pipe announce the largest number, for want of a better one.
        return self.frames if announced >= 0x7FF00000 or not present else round(self.frames * announced / present)


@contextmanager
def open_file(path: StrPath) -> Iterator[Decoder]:
    """Open the recording in `path`.

    Raises
    ------
    DataError
        If it is missing, not readable, empty or not audio.
    """
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
        with _decoder(content, shown, status.st_size) as decoder:
            yield decoder


@contextmanager
def open_bytes(content: bytes, name: str) -> Iterator[Decoder]:
    """Open the recording whose file has this `content`; `name` is what errors call it."""
    with _in_memory(content) as source, _decoder(source, name, len(content)) as decoder:
        yield decoder


@contextmanager
def explained(shown: str) -> Iterator[None]:
    """Turn what the libraries raise of a damaged recording into `DataError`."""
    try:
        yield
    except AudioconvError:
        raise
    except MemoryError:
        raise DataError(f"{shown}: there is not enough memory to decode it") from None
    # soundfile's errors are RuntimeErrors; those of other libraries are also of the other types.
    except (RuntimeError, ValueError, TypeError, OSError, ArithmeticError, LookupError, EOFError) as error:
        raise DataError(f"{shown}: damaged or cut off ({detail(error)}); copy or record it again") from None


def detail(error: Exception) -> str:
    """Return what a library says of an error, in one line."""
    text = " ".join(str(getattr(error, "error_string", error)).split()) or type(error).__name__
    return text.removeprefix("Error : ").rstrip(".")


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
def _decoder(content: BinaryIO, shown: str, size: int) -> Iterator[Decoder]:
    """Open the file with this content; `shown` is what errors call it."""
    import soundfile

    try:
        file = soundfile.SoundFile(_for_libsndfile(content), closefd=False)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless, by the name .raw
        raise DataError(
            f"{shown}: not audio that can be read ({detail(error)}); expected WAV, FLAC, OGG, Opus or MP3. "
            "Others can be converted: ffmpeg -i INPUT OUTPUT.wav"
        ) from None
    with file:
        yield SoundFileDecoder(file, shown, size)
