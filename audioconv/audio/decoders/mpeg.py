"""MPEG audio (MP3): where its frames are, so that all of them are decoded.

libsndfile stops at the length that the first frame announces or, without such a frame, at an estimate from the first
bitrate. Files of variable bitrate without a Xing header, and files that were joined, are longer than that.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from audioconv.audio.decoders.pieces import Piece

MAX_CANDIDATES = 20_000
"""Number of places that are tried for a frame before the rest counts as other content."""

CHUNK = 1 << 18

TOLERATED_SAMPLES = 2 * 1152
"""Encoders may count their delay as sound, two frames."""

# A header's first 12 bits and its bitrate and rate are in places that few other bytes have.
CANDIDATE = re.compile(rb"\xff[\xe2-\xff][\x00-\xef]", re.DOTALL)

# By layer, in kbit/s: MPEG 1, then MPEG 2 and 2.5. An index of 0 is a bitrate of its own.
BITRATES = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)

FREE = 0
"""Length of a frame whose bitrate is not in the table: it follows from the place of the next frame."""


@dataclass(frozen=True)
class Format:
    """Properties that all frames of a recording share."""

    version: int
    layer: int
    sample_rate: int
    channels: int

    @property
    def samples(self) -> int:
        """Samples of each channel in a frame."""
        if self.layer == 1:
            return 384
        return 576 if self.layer == 3 and self.version == 2 else 1152

    @property
    def info_offset(self) -> int:
        """Bytes before the count of frames in a frame that holds one (layer III)."""
        if self.version == 1:
            return 36 if self.channels == 2 else 21
        return 21 if self.channels == 2 else 13


@dataclass
class Scan:
    """The frames of an MPEG audio file.

    Attributes
    ----------
    format : Format
        Format of the first frame.
    header : bytes
        Header of the first frame.
    announced : int
        Number of frames that the file itself announces; 0 if it does not.
    frames : int
        Number of frames that are there, without the one that announces them.
    pieces : list of (int, int)
        Begin and end of each run of frames that follow each other.
    changes_after : int or None
        After so many frames, others of another format begin.
    is_right : bool
        True if the file announces the frames that it holds, so that it can be decoded as it is.
    """

    format: Format
    header: bytes
    announced: int = 0
    frames: int = 0
    pieces: list[tuple[int, int]] = field(default_factory=list)
    changes_after: int | None = None
    is_right: bool = False

    @property
    def samples(self) -> int:
        """Samples of each channel that are there."""
        return self.frames * self.format.samples

    def stream(self) -> list[Piece]:
        """Return the file that a decoder reads to the end: the frames alone, and before them one that counts them."""
        frames: list[Piece] = list(self.pieces)
        return [_info_frame(self.format, self.header, self.frames), *frames] if self.format.layer == 3 else frames


def may_begin_with(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes may hold MPEG audio."""
    return head.startswith((b"ID3", b"APETAGEX")) or (len(head) >= 4 and parse(int.from_bytes(head[:4])) is not None)


def scan(file: BinaryIO, begin: int, end: int) -> Scan | None:
    """Return where the frames of MPEG audio between two places of a file are; None if there are none.

    Tags (ID3, APE) and whatever else lies before, between and behind the frames are left out.
    """
    window, candidates = _Window(file, end), [MAX_CANDIDATES]
    begin = _behind_tags(window, begin)
    if window.bytes(begin, 4) in (b"fLaC", b"OggS", b"RIFF"):
        return None
    first = _next_frame(window, begin, None, candidates)
    if first is None:
        return None
    place = first
    parsed = parse(window.header(place))
    assert parsed is not None
    form, length = parsed
    found = Scan(form, window.bytes(place, 4))
    if length == FREE:
        found.is_right = True
        return found
    counted = _announced(window.bytes(place, length), form)
    if counted is not None:
        found.announced, size = counted
        # Without room for another file, which would have been joined; a tag is shorter.
        if size and found.announced and end - place - size <= 512:
            found.frames, found.is_right = found.announced, True
            return found
        place += length
    run = place
    while True:
        parsed = parse(window.header(place)) if place + 4 <= end else None
        if parsed is not None and parsed[0] == form and 0 < parsed[1] <= end - place:
            found.frames += 1
            place += parsed[1]
            continue
        if place > run:
            found.pieces.append((run, place))
        following = _next_frame(window, _behind_tags(window, place), form, candidates)
        if following is None:
            break
        parsed = parse(window.header(following))
        assert parsed is not None
        if parsed[0] != form:
            found.changes_after = found.frames
            break
        place = run = following
        if _announced(window.bytes(place, parsed[1]), form) is not None:  # of another file that was joined to this one
            place = run = place + parsed[1]
    found.is_right = counted is not None and found.announced >= found.frames
    return found


def parse(header: int) -> tuple[Format, int] | None:
    """Return the format of the frame with this header of 32 bits, and its length in bytes; None if it is none."""
    return _parse(header & 0xFFFEFEC0) if header >> 21 == 0x7FF else None


_PARSED: dict[int, tuple[Format, int] | None] = {}


def _parse(header: int) -> tuple[Format, int] | None:
    if header not in _PARSED:
        _PARSED[header] = _computed(header)
    return _PARSED[header]


def _computed(header: int) -> tuple[Format, int] | None:
    version_bits, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    bitrate_index, rate_index, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if version_bits == 1 or layer == 4 or bitrate_index == 15 or rate_index == 3:
        return None
    version = 1 if version_bits == 3 else 2
    rate = RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version_bits]
    form = Format(version, layer, rate, 1 if header >> 6 & 3 == 3 else 2)
    bitrate = 1000 * BITRATES[version, layer][bitrate_index]
    if not bitrate:
        return form, FREE
    if layer == 1:
        return form, 4 * (12 * bitrate // rate + padding)
    return form, form.samples // 8 * bitrate // rate + padding


def _next_frame(window: _Window, place: int, form: Format | None, candidates: list[int]) -> int | None:
    """Return where the next frame begins that others follow; `candidates` counts down how many may still be tried."""
    while place + 4 <= window.end:
        chunk = window.bytes(place, CHUNK)
        for match in CANDIDATE.finditer(chunk):
            candidates[0] -= 1
            if candidates[0] < 0:
                return None
            begin = place + match.start()
            parsed = parse(window.header(begin)) if begin + 4 <= window.end else None
            # Bytes of something else look like a header now and then, and rarely like the same format.
            if parsed is not None and _follow(window, begin, *parsed, 1 if parsed[0] == form else 3):
                return begin
        place += max(1, len(chunk) - 2)
    return None


def _follow(window: _Window, begin: int, form: Format, length: int, count: int) -> bool:
    """Tell whether `count` frames of the same format follow the one at `begin`, or the end of the file."""
    if length == FREE:
        return begin == 0
    for _ in range(count):
        begin += length
        if begin == window.end:
            return True
        parsed = parse(window.header(begin)) if begin + 4 <= window.end else None
        if parsed is None or parsed[0] != form or parsed[1] == FREE:
            return window.is_tag(begin)
        length = parsed[1]
    return True


def _behind_tags(window: _Window, place: int) -> int:
    """Return the first place at or after `place` where no ID3v2 tag begins."""
    while (head := window.bytes(place, 10))[:3] == b"ID3" and len(head) == 10 and max(head[6:]) < 128:
        footer = 10 if head[5] & 0x10 else 0
        place += 10 + footer + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    return place


def _announced(frame: bytes, form: Format) -> tuple[int, int] | None:
    """Return the numbers of frames and bytes that a frame announces, each 0 if it does not; None if it is a sound."""
    if form.layer != 3:
        return None
    place = form.info_offset
    if frame[place : place + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(frame[place + 4 : place + 8])
        numbers = [int.from_bytes(frame[n : n + 4]) for n in (place + 8, place + 12)]
        frames = numbers[0] if flags & 1 else 0
        size = numbers[1 if flags & 1 else 0] if flags & 2 else 0
        return frames, size
    return (0, 0) if frame[36:40] == b"VBRI" else None


def _info_frame(form: Format, header: bytes, frames: int) -> bytes:
    """Return a frame without sound that announces how many follow (as Xing's encoder did it first)."""
    content = b"Xing" + struct.pack(">II", 1, frames)
    for bitrate_index in range(1, 15):
        # Without a checksum and padding; rate, channels and the like are those of the others.
        head = bytes([header[0], header[1] | 1, header[2] & 0x0D | bitrate_index << 4, header[3]])
        parsed = parse(int.from_bytes(head))
        assert parsed is not None
        if parsed[1] >= form.info_offset + len(content) + 32:
            frame = head.ljust(form.info_offset, b"\0") + content
            return frame.ljust(parsed[1], b"\0")
    raise AssertionError("the highest bitrate has room for it")


class _Window:
    """Bytes of a file by their place, of which one chunk is in memory."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self.end = end
        self._file, self._begin, self._chunk = file, 0, b""

    def bytes(self, place: int, length: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        begin = place - self._begin
        if begin < 0 or begin + length > len(self._chunk):
            self._file.seek(place)
            self._begin, begin = place, 0
            self._chunk = self._file.read(max(0, min(2 * CHUNK, self.end - place)))
        return self._chunk[begin : begin + length]

    def header(self, place: int) -> int:
        """Return the 32 bits of a header."""
        begin = place - self._begin
        if begin < 0 or begin + 4 > len(self._chunk):
            return int.from_bytes(self.bytes(place, 4))
        return int.from_bytes(self._chunk[begin : begin + 4])

    def is_tag(self, place: int) -> bool:
        """Tell whether a tag, such as stands between or behind frames, begins there."""
        return self.bytes(place, 3) in (b"TAG", b"ID3", b"APE", b"LYR")
