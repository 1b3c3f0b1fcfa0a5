"""The header of a WAV file, read from a file or from a pipe."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from audioconv.errors import DataError

PCM, FLOAT, GSM, MPEG, MP3, EXTENSIBLE = 0x0001, 0x0003, 0x0031, 0x0050, 0x0055, 0xFFFE

RIFF_KINDS = (b"RIFF", b"RF64", b"BW64")

UNKNOWN_LENGTH = 0x7FF00000
"""Least number of bytes that programs announce if they write into a pipe and do not know the length."""

MAX_FORMAT_BYTES = 1 << 16
MAX_CHUNKS = 1000


@dataclass(frozen=True)
class WaveHeader:
    """Header of a WAV file, up to the samples.

    Attributes
    ----------
    kind : bytes
        ``RIFF``, or ``RF64`` or ``BW64``, whose lengths have 64 bits.
    tag : int
        Format of the samples: `PCM`, `FLOAT`, `MP3` or another.
    channels : int
    sample_rate : int
        In Hz.
    block_size : int
        Bytes of one sample of all channels.
    bits : int
        Bits of one sample of one channel.
    format_offset : int
        Begin of the content of the chunk ``fmt``.
    long_sizes_offset : int
        Begin of the chunk ``ds64``; 0 if there is none.
    data_offset : int
        Begin of the samples.
    data_size : int
        Number of bytes of samples that is announced.
    """

    kind: bytes
    tag: int
    channels: int
    sample_rate: int
    block_size: int
    bits: int
    format_offset: int
    long_sizes_offset: int
    data_offset: int
    data_size: int

    @property
    def container_bytes(self) -> int:
        """Bytes of one sample of one channel; 0 if that is no whole number."""
        return self.block_size // self.channels if self.channels and not self.block_size % self.channels else 0


def is_wave(begin: bytes) -> bool:
    """Tell whether a file that begins with these 12 bytes is a WAV file."""
    return begin[:4] in RIFF_KINDS and begin[8:12] == b"WAVE"


def read_header(read: Callable[[int], bytes], skip: Callable[[int], object]) -> WaveHeader | None:
    """Return the header of a WAV file up to its samples; None if it ends before them.

    Parameters
    ----------
    read : callable
        Returns the next bytes, of which there are at most so many.
    skip : callable
        Leaves out so many bytes.
    """
    start = read(12)
    if not is_wave(start):
        return None
    place, form, long_sizes, long_data = 12, None, 0, 0
    for _ in range(MAX_CHUNKS):
        head = read(8)
        if len(head) < 8:
            return None
        name, size = head[:4], int.from_bytes(head[4:], "little")
        place += 8
        if name == b"data":
            if form is None:
                return None
            announced = long_data if long_sizes and size == 0xFFFFFFFF else size
            return WaveHeader(start[:4], *form[1:], form[0], long_sizes, place, announced)
        content = read(min(size, 40)) if name in (b"fmt ", b"ds64") else b""
        if name == b"fmt " and len(content) >= 16 and size <= MAX_FORMAT_BYTES:
            tag, channels, rate, _, block_size, bits = struct.unpack("<HHIIHH", content[:16])
            if tag == EXTENSIBLE and len(content) >= 26:
                tag = int.from_bytes(content[24:26], "little")
            form = (place, tag, channels, rate, block_size, bits)
        elif name == b"ds64" and len(content) >= 16:
            long_sizes, long_data = place - 8, int.from_bytes(content[8:16], "little")
        skip(size - len(content) + size % 2)
        place += size + size % 2
    return None


def sample_type(header: WaveHeader, name: str) -> Literal["u8", "s16", "s24", "s32", "f32", "f64"]:
    """Return how the samples of a WAV file in a pipe are to be read.

    Raises
    ------
    DataError
        If they are compressed, or the header contradicts itself; `name` is what the message calls the file.
    """
    types = {(PCM, 1): "u8", (PCM, 2): "s16", (PCM, 3): "s24", (PCM, 4): "s32", (FLOAT, 4): "f32", (FLOAT, 8): "f64"}
    found = types.get((header.tag, header.container_bytes))
    if found is None or not 8 * (header.container_bytes - 1) < header.bits <= 8 * header.container_bytes:
        raise DataError(
            f"{name}: a WAV header of {header.bits} bits in blocks of {header.block_size} bytes, format "
            f"{header.tag:#06x}; expected PCM of 8, 16, 24 or 32 bits or floating point. Convert it: "
            "ffmpeg -v error -i INPUT -f s16le -ac 1 -ar 16000 - | audioconv listen MODEL -"
        )
    return found  # type: ignore[return-value]
