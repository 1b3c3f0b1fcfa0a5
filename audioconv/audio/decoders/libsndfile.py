"""Recordings that libsndfile decodes."""

from __future__ import annotations

import io
import os
import re
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.decoders.decoder import MAX_UNKNOWN_LENGTH, TOLERATED_LOSS, Decoder, explained
from audioconv.audio.decoders.mpeg import TOLERATED_SAMPLES

if TYPE_CHECKING:
    import soundfile


INTEGERS = ("PCM_", "ULAW", "ALAW")
"""Subtypes of files whose samples are integers; FLAC's are those of PCM."""

ENTERED = (*INTEGERS, "FLOAT", "DOUBLE", "VORBIS", "OPUS")
"""Subtypes of files that can be entered at any sample."""

WITH_INT16 = ("AIFF", "AU", "CAF", "FLAC", "RF64", "W64", "WAV", "WAVEX")
"""Formats whose samples of the subtype PCM_16 are integers of 16 bits; those of SDS have more bits."""

WITHOUT_LENGTH_IN_BYTES = ("FLAC", "OGG")
"""Formats whose header announces no number of bytes, which might be wrong."""

SHORT_BLOCK = 8192

_opening = threading.Lock()
"""Held while a file is opened: libsndfile has one last error for all files."""


class SoundFileDecoder(Decoder):
    """A recording that libsndfile decodes, up to `most_frames` samples of each channel."""

    def __init__(self, file: soundfile.SoundFile, shown: str, size: int, most_frames: int | None = None) -> None:
        frames = file.frames if most_frames is None else min(file.frames, most_frames)
        super().__init__(shown, file.samplerate, file.channels, frames, size)
        self._most, self._place = most_frames, 0
        self._file, self._form = file, file.format
        self._announced: int | None = None
        # libsndfile goes to any sample of MP3 and of some older codecs only roughly, or fails when it should.
        subtype = file.subtype
        self.are_integers = subtype.startswith(INTEGERS)
        self.are_int16 = subtype == "PCM_16" and self._form in WITH_INT16
        self._can_be_entered = subtype.startswith(ENTERED) and self.frames > 0 and file.seekable()
        # Behind it libsndfile gives nothing, and need not be asked.
        self._end = file.frames if self._can_be_entered else MAX_UNKNOWN_LENGTH
        # soundfile would seek to where it is after each block: a decoder of MP3 then loses what it needs of the frames
        # before, and some formats cannot be entered at all. It would also take the announced length for granted.
        file.seekable = _no

    def announce(self, frames: int) -> None:
        """Set how many samples of each channel have to be there, where libsndfile only estimates it."""
        self._announced = self.frames = frames

    def skip(self, frames: int) -> int:
        """Leave out the next samples; return how many there were."""
        if not self._can_be_entered:
            return super().skip(frames)
        with explained(self.shown):
            place: int = self._file.tell()
            reached: int = self._file.seek(min(place + frames, max(self.frames, place)))
        self._place = reached
        return reached - place

    def check_whole(self, came: int) -> None:
        """Raise `DataError` if there were clearly fewer samples than announced, or none."""
        announced = self._announced
        if announced is None:
            announced = self.frames if self._form in WITHOUT_LENGTH_IN_BYTES else self._announced_frames()
        delay = TOLERATED_SAMPLES if self._form == "MP3" else 0
        if announced - came > max(TOLERATED_LOSS * announced, delay):
            raise self.cut_off(came, announced)
        super().check_whole(came)

    def _read(self, frames: int) -> Samples:
        return self._read_as("float32", frames)

    def _read_int16(self, frames: int) -> NDArray[np.int16]:
        return self._read_as("int16", frames)

    def _read_as(self, dtype: str, frames: int) -> NDArray[Any]:
        if self._place >= self._end:
            return np.empty((0, self.channels), dtype)
        left = self.frames - self._place
        # Memory is taken for what is likely to come; behind the announced end there is nothing, or little.
        wanted = min(frames, left if left > 0 else SHORT_BLOCK) if self.frames else frames
        if self._most is not None:
            wanted = min(wanted, self._most - self._place)
        samples: NDArray[Any] = self._file.read(wanted, dtype=dtype, always_2d=True)
        self._place += len(samples)
        return samples

    def _announced_frames(self) -> int:
        """Return the number of frames that the header announces, where libsndfile itself counts what is there."""
        # The size that the header gives is in libsndfile's log alone.
        log = self._file.extra_info
        corrected = re.search(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
        if corrected is None:
            return self.frames
        announced, present = map(int, corrected.groups())
        # Programs that write into a pipe announce the largest number, as they do not know the length.
        return self.frames if announced >= 0x7FF00000 or not present else round(self.frames * announced / present)


def open_sound_file(content: BinaryIO) -> soundfile.SoundFile | Exception:
    """Return the file with this content, opened by libsndfile, or its error."""
    import soundfile

    source = _for_libsndfile(content)
    _to_begin(content)
    try:
        with _opening:
            return soundfile.SoundFile(source, closefd=False)
    # TypeError: headerless, by the name .raw
    except (soundfile.SoundFileError, TypeError, ValueError, OSError, MemoryError) as error:
        return error


def _no() -> bool:
    return False


def _to_begin(content: BinaryIO) -> None:
    # The buffer is dropped, so that the file itself is where libsndfile begins.
    if not isinstance(content, io.FileIO):  # which has none
        content.seek(0, io.SEEK_END)
    content.seek(0)


def _for_libsndfile(content: BinaryIO) -> int | BinaryIO:
    """Return the descriptor of a file, where there is one that libsndfile can use.

    libsndfile reads a Python object block by block through a callback. The callbacks of several threads exclude each
    other, so two threads decode no faster than one.
    """
    # On Windows, the numbers of one C library's files mean nothing to another's.
    return content if os.name == "nt" or not isinstance(content, io.BufferedIOBase | io.FileIO) else _number(content)


def _number(content: BinaryIO) -> int | BinaryIO:
    try:
        return content.fileno()
    except OSError:  # a file in memory
        return content
