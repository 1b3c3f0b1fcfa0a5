"""Samples from a pipe: raw PCM, or a WAV file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.decoders import mpeg
from audioconv.audio.decoders.wav_header import RIFF_KINDS, UNKNOWN_LENGTH, is_wave, read_header, sample_type
from audioconv.audio.samples import HIGHEST_RATE, LOWEST_RATE
from audioconv.errors import ConfigError, DataError

FORMATS = {"s16": "<i2", "f32": "<f4"}
"""Raw samples in a pipe: 16-bit integers or 32-bit floating point, little-endian."""

DEFAULT_RATE, DEFAULT_CHANNELS, DEFAULT_FORMAT = 16000, 1, "s16"

MAX_WAITING_BYTES = 1 << 16

OTHERS = {
    **{b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF", b"caff": "CAF", b"\x1aE\xdf\xa3": "WebM"},
    **{b"RIFX": "a big-endian WAV file", b"RIFF": "a RIFF file, but not WAV", b"riff": "W64"},
}
"""Recordings that are told from raw samples by how they begin."""


class PcmReader:
    """Blocks of samples from a binary file, as soon as they come.

    Parameters
    ----------
    file : binary file with `read1`
        Such as ``sys.stdin.buffer``.
    format : {"s16", "f32"}
        Of raw samples; those behind a WAV header may also be "u8", "s24", "s32" and "f64".
    channels : int
        Interleaved.
    name : str
        What errors call the file.
    sample_rate : int
        In Hz.
    begin : bytes
        What was already read of the file.
    size : int, optional
        Number of bytes after which no more samples come. Default: all to the end.

    Attributes
    ----------
    sample_rate, channels : int
    notes : list of str
        What a user should know of the pipe.

    Raises
    ------
    ConfigError
        If there is no such format, or no channel.
    """

    def __init__(
        self,
        file: BinaryIO,
        format: str = DEFAULT_FORMAT,
        channels: int = DEFAULT_CHANNELS,
        name: str = "standard input",
        sample_rate: int = DEFAULT_RATE,
        begin: bytes = b"",
        size: int | None = None,
    ) -> None:
        _check_format(format, _DECODERS)
        if channels < 1:
            raise ConfigError(f"there must be at least one channel, got {channels}")
        self.sample_rate, self.channels, self.notes = sample_rate, channels, list[str]()
        self._file, self._format, self._name, self._begin, self._left = file, format, name, begin, size

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield blocks (T, channels) until the pipe ends; `DataError` if it is empty, or holds NaN or infinity."""
        width, decode = _DECODERS[self._format]
        size = width * self.channels
        kept, came = b"", False
        while data := self._next():
            kept += data
            whole = len(kept) - len(kept) % size
            if whole:
                came = True
                block = decode(kept[:whole]).reshape(-1, self.channels)
                if not np.isfinite(block).all():
                    raise DataError(f"{self._name}: holds NaN or infinite samples; is {self._format} the right format?")
                yield block
                kept = kept[whole:]
        if not came:
            raise DataError(f"{self._name}: ended before the first sample; pipe raw PCM into it")

    def _next(self) -> bytes:
        data, self._begin = self._begin, b""
        data = data or self._file.read1(MAX_WAITING_BYTES)  # type: ignore[attr-defined]
        if self._left is None:
            return data
        # Behind the samples of a WAV file other chunks may follow, which are no sound.
        data = data[: self._left]
        self._left -= len(data)
        while not data and self._file.read1(MAX_WAITING_BYTES):  # type: ignore[attr-defined]
            pass
        return data


def decode(data: bytes, format: str, channels: int) -> NDArray[Any]:
    """Return whole frames of raw little-endian samples as (T, channels): int16, or float32 whose full scale is 1.

    Parameters
    ----------
    data : bytes
    format : {"u8", "s16", "s24", "s32", "f32", "f64"}
    channels : int
        Interleaved.
    """
    return _DECODERS[format][1](data).reshape(-1, channels)


def read_pipe(
    file: BinaryIO,
    sample_rate: int | None = None,
    format: str | None = None,
    channels: int | None = None,
    name: str = "standard input",
) -> PcmReader:
    """Return a reader of raw samples or of a WAV file, whose header then says what the samples are.

    Parameters
    ----------
    file : binary file with `read1`
        It is read as far as is needed to tell which of them it is.
    sample_rate, channels : int, optional
        Of raw samples. Default: 16000 Hz and 1 channel. If the header of a WAV file says something else, the reader's
        `notes` do so.
    format : {"s16", "f32"}, optional
        Of raw samples. Default: "s16".
    name : str
        What errors call the file.

    Raises
    ------
    ConfigError
        If there is no such format, or no channel.
    DataError
        If it is a compressed recording, or a WAV header that makes no sense.
    """
    _check_format(format or DEFAULT_FORMAT, FORMATS)
    begin = _Beginning(file)
    if begin.take(4) in RIFF_KINDS and is_wave(begin.take(12)):
        return _wave_reader(begin, sample_rate, format, channels, name)
    if (kind := _other_kind(begin)) is not None:
        raise DataError(
            f"{name}: is {kind}, expected raw PCM or WAV; convert it: "
            "ffmpeg -v error -i INPUT -f s16le -ac 1 -ar 16000 - | audioconv listen MODEL -"
        )
    rate = DEFAULT_RATE if sample_rate is None else sample_rate
    channels = DEFAULT_CHANNELS if channels is None else channels
    return PcmReader(file, format or DEFAULT_FORMAT, channels, name, rate, begin.content)


def _wave_reader(
    begin: _Beginning, sample_rate: int | None, format: str | None, channels: int | None, name: str
) -> PcmReader:
    header = read_header(begin.read, begin.skip)
    if header is None:
        raise DataError(f"{name}: a WAV header that ends before the samples; pipe the whole file, or raw PCM, into it")
    found = sample_type(header, name)
    if not LOWEST_RATE <= header.sample_rate <= HIGHEST_RATE:
        raise DataError(
            f"{name}: its WAV header says {header.sample_rate} Hz, expected {LOWEST_RATE} to {HIGHEST_RATE}"
        )
    # A program that writes into a pipe does not know the length when it writes the header.
    size = header.data_size if 0 < header.data_size < UNKNOWN_LENGTH else None
    reader = PcmReader(begin.file, found, header.channels, name, header.sample_rate, begin.rest(), size)
    for option, given, said in (
        ("--rate", sample_rate, header.sample_rate),
        ("--channels", channels, header.channels),
        ("--format", format, found),
    ):
        if given not in (None, said):
            reader.notes.append(f"{name} is a WAV file whose header says {said}; {option} {given} is not used")
    return reader


def _other_kind(begin: _Beginning) -> str | None:
    """Return what begins so, if it is a recording that is not raw samples."""
    first = begin.take(4)
    for magic, kind in OTHERS.items():
        if first.startswith(magic):
            return kind
    if first[:3] == b"\0\0\0" and begin.take(8)[4:] == b"ftyp":
        return "MP4"
    parsed = mpeg.parse(int.from_bytes(first)) if len(first) == 4 else None
    if parsed is None or not parsed[1]:
        return None
    # Four bytes of raw samples may look like the header of an MP3 frame, but not where the next one has to be.
    head = begin.take(parsed[1] + 4)
    following = mpeg.parse(int.from_bytes(head[parsed[1] :])) if len(head) == parsed[1] + 4 else None
    return "MP3" if following is not None and following[0] == parsed[0] else None


class _Beginning:
    """The beginning of a pipe, which can be looked at before it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.content, self._place = file, b"", 0

    def take(self, count: int) -> bytes:
        """Return the first bytes without going on."""
        while len(self.content) < count and (data := self.file.read1(MAX_WAITING_BYTES)):  # type: ignore[attr-defined]
            self.content += data
        return self.content[:count]

    def read(self, count: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        data = self.take(self._place + count)[self._place :]
        self._place += len(data)
        return data

    def skip(self, count: int) -> None:
        """Leave out the next bytes."""
        while count > 0 and (data := self.read(min(count, MAX_WAITING_BYTES))):
            count -= len(data)
            self.content, self._place = self.content[self._place :], 0

    def rest(self) -> bytes:
        """Return what was looked at, but not read."""
        return self.content[self._place :]


def _check_format(format: str, known: dict[str, Any]) -> None:
    if format not in known:
        raise ConfigError(f"unknown format {format!r}; known are {', '.join(known)}")


def _integers24(data: bytes) -> NDArray[Any]:
    # Each sample becomes the upper three bytes of a 32-bit integer.
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return _scaled(wide.tobytes(), "<i4")


def _scaled(data: bytes, dtype: str) -> NDArray[Any]:
    return (np.frombuffer(data, dtype) * 2.0**-31).astype(np.float32)


_DECODERS: dict[str, tuple[int, Callable[[bytes], NDArray[Any]]]] = {
    "s16": (2, lambda data: np.frombuffer(data, "<i2").astype(np.int16)),
    "f32": (4, lambda data: np.frombuffer(data, "<f4").astype(np.float32)),
    "u8": (1, lambda data: (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128),
    "s24": (3, _integers24),
    "s32": (4, lambda data: _scaled(data, "<i4")),
    "f64": (8, lambda data: np.frombuffer(data, "<f8").astype(np.float32)),
}
