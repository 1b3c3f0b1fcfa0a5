"""Repair of recordings' headers whose length is missing, or whose sample format is incomplete."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from audioconv.audio.decoders.pieces import Piece
from audioconv.audio.decoders.wav_header import GSM, PCM, WaveHeader, read_header
from audioconv.errors import DataError

CHUNK = 1 << 20

GSM_SAMPLES = 320
"""Samples of a block of GSM 6.10 in a WAV file."""


def wave_header(file: BinaryIO) -> WaveHeader | None:
    """Return the header of the WAV file `file`; None if it is none, or ends before its samples."""
    file.seek(0)
    return read_header(file.read, lambda count: file.seek(count, 1))


def whole_blocks(header: WaveHeader, size: int) -> int | None:
    """Return how many samples the blocks of GSM 6.10 hold in a WAV file of `size` bytes; None if it has another codec.

    libsndfile would decode another block of the byte that makes their number even.
    """
    if header.tag != GSM or not header.block_size:
        return None
    return min(header.data_size or size, size - header.data_offset) // header.block_size * GSM_SAMPLES


def repaired(file: BinaryIO, size: int, head: bytes, header: WaveHeader | None, shown: str) -> list[Piece] | None:
    """Return the recording in `file` with a right header; None if its header can stay.

    Parameters
    ----------
    file : binary file
    size : int
        In bytes.
    head : bytes
        Its first bytes, at least four.
    header : WaveHeader or None
        That of a WAV file, from `wave_header`.
    shown : str
        Name of the file in errors.

    Raises
    ------
    DataError
        If the header allows several readings of the samples.
    """
    if header is not None:
        return _repaired_wave(file, size, header, shown)
    if head[:4] in (b".snd", b"dns."):
        return _repaired_au(file, size)
    return _repaired_caf(file, size) if head[:4] == b"caff" else None


def _repaired_wave(file: BinaryIO, size: int, header: WaveHeader, shown: str) -> list[Piece] | None:
    place, rest = header.data_offset, size - header.data_offset
    # An interrupted program has left a zero where the length comes last; there are no samples if other chunks follow.
    no_length = header.data_size == 0 and rest > 0 and not _are_chunks(file, place, size)
    no_long_length = header.kind != b"RIFF" and header.data_size >= 1 << 62
    widened = _has_wide_samples(header) and rest > 0
    if not (no_length or no_long_length or widened):
        return None
    file.seek(0)
    content = bytearray(file.read(place))
    if widened:
        _check_padding(file, header, min(size, place + (header.data_size or size)), shown)
        content[header.format_offset + 14 : header.format_offset + 16] = (8 * header.container_bytes).to_bytes(
            2, "little"
        )
    if no_length or no_long_length:
        # libsndfile takes this for all that is there.
        content[place - 4 : place] = content[4:8] = b"\xff\xff\xff\xff"
        content[:4] = b"RIFF"
        if header.long_sizes_offset:
            content[header.long_sizes_offset : header.long_sizes_offset + 4] = b"JUNK"
    return [bytes(content), (place, size)]


def _are_chunks(file: BinaryIO, place: int, end: int) -> bool:
    """Tell whether only whole chunks lie between two places of a WAV file."""
    while place + 8 <= end:
        file.seek(place)
        head = file.read(8)
        if not all(32 <= byte < 127 for byte in head[:4]):
            return False
        size = int.from_bytes(head[4:], "little")
        place += 8 + size + size % 2
    return place in (end, end + 1)


def _has_wide_samples(header: WaveHeader) -> bool:
    """Tell whether integers have spare bytes, such as 24 bits in 4 bytes, whose position the header leaves open."""
    return header.tag == PCM and 0 < (header.bits + 7) // 8 < header.container_bytes <= 4


def _check_padding(file: BinaryIO, header: WaveHeader, end: int, shown: str) -> None:
    """Raise `DataError` unless the bytes of each sample that are not needed are the lowest, and zero."""
    width, needed = header.container_bytes, (header.bits + 7) // 8
    file.seek(header.data_offset)
    left = (end - header.data_offset) // width * width
    while left > 0 and (content := file.read(min(left, CHUNK // width * width))):
        left -= len(content)
        samples = np.frombuffer(content[: len(content) // width * width], np.uint8).reshape(-1, width)
        if samples[:, : width - needed].any():
            raise DataError(
                f"{shown}: {header.bits} bits in {width} bytes, of which the header does not say which are used; "
                f"export it again with {8 * needed} or {8 * width} bits"
            )


def _repaired_au(file: BinaryIO, size: int) -> list[Piece] | None:
    """Return the repaired file as for WAV, if a program left a length of zero; libsndfile accepts a length of -1."""
    file.seek(0)
    content = bytearray(file.read(24))
    order = "big" if content[:4] == b".snd" else "little"
    if len(content) < 24 or any(content[8:12]) or int.from_bytes(content[4:8], order) >= size:  # type: ignore[arg-type]
        return None
    content[8:12] = b"\xff\xff\xff\xff"
    return [bytes(content), (24, size)]


def _repaired_caf(file: BinaryIO, size: int) -> list[Piece] | None:
    """Do it as for WAV, where a program left a zero or -1, which the last chunk may have."""
    place = 8
    while place + 12 <= size:
        file.seek(place)
        head = file.read(12)
        length = int.from_bytes(head[4:], "big", signed=True)
        if head[:4] == b"data":
            if length not in (-1, 0) or place + 16 >= size:
                return None
            file.seek(0)
            return [file.read(place + 4), (size - place - 12).to_bytes(8, "big"), (place + 12, size)]
        if length < 0:
            return None
        place += 12 + length
    return None
