"""Decoding by FFmpeg (extra ``media``) of formats that libsndfile does not read, such as WebM, M4A and AMR."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from audioconv._types import Samples
from audioconv.audio.decoders.decoder import TOLERATED_LOSS, Decoder, explained
from audioconv.audio.decoders.pieces import PiecesFile
from audioconv.errors import DataError

FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpc,mpc8,"
    "mpeg,mpegts,ogg,rm,tta,w64,wav,wv"
)
"""FFmpeg may take a recording for one of these. Playlists are none of them: they would have other files opened."""

ESTIMATED = frozenset({"aac", "ac3", "amr", "amrnb", "amrwb", "dts", "eac3", "mpegts", "mpeg"})
"""Formats whose length FFmpeg estimates."""

INSTALL = "pip install 'audioconv[media]'"

_ENDINGS = (
    "3g2 3gp aac ac3 adts amr ape asf avi awb dts eac3 flv m2ts m4a m4b m4v mka mkv mov mp4 mpc mpeg mpg mts ogv ogx "
    "qt ra rm spx tta weba webm wma wmv wv"
)
SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())
"""Endings of files that the extra reads: sound, and videos with a sound track."""

_MAGIC = (
    *(b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"FLV\x01", b"\0\0\x01\xba", b".RMF"),
    *(b"#!AMR", b"\x0bw", b"\x7f\xfe\x80\x01", b"wvpk", b"MAC ", b"TTA1", b"MPCK", b"MP+"),
)


def is_media(head: bytes) -> bool:
    """Tell whether a file that begins with these 200 or more bytes is one that FFmpeg reads and libsndfile does not."""
    if head.startswith(_MAGIC) or head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return True
    # ADTS is recognised by its first 12 bits and a layer of 0; a transport stream by every 188th byte.
    is_adts = head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0
    return is_adts or head[:1] == head[188:189] == b"\x47"


def is_installed() -> bool:
    """Tell whether the extra is installed."""
    try:
        return importlib.util.find_spec("av") is not None
    except ValueError:  # a name that was blocked
        return False


class MediaDecoder(Decoder):
    """The first sound track of a file that FFmpeg decodes."""

    def __init__(self, container: Any, frames: int, is_exact: bool, shown: str, size: int) -> None:
        stream = container.streams.audio[0]
        super().__init__(shown, int(stream.rate or 0), int(stream.channels or 0), frames, size)
        self._is_exact = is_exact
        self._blocks = self._decoded(container, stream)
        self._left: Samples = np.zeros((0, self.channels), np.float32)

    def check_whole(self, came: int) -> None:
        """Raise `DataError` if there were clearly fewer samples than announced, or none."""
        if self._is_exact and self.frames - came > max(TOLERATED_LOSS * self.frames, self.sample_rate / 10):
            raise self.cut_off(came, self.frames)
        super().check_whole(came)

    def _read(self, frames: int) -> Samples:
        parts, missing = [], frames
        while missing:
            if not len(self._left):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._left = block
            parts.append(self._left[:missing])
            missing -= len(parts[-1])
            self._left = self._left[len(parts[-1]) :]
        return np.concatenate(parts) if parts else self._left[:0]

    def _decoded(self, container: Any, stream: Any) -> Iterator[Samples]:
        import av

        resampler = None
        for frame in container.decode(stream):
            if resampler is None:
                resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
                if (frame.sample_rate, len(frame.layout.channels)) != (self.sample_rate, self.channels):
                    raise ValueError("its header says another sample rate or number of channels than its sound")
            frame.pts = None  # gaps in the times are left out
            for one in resampler.resample(frame):
                yield self._array(one)
        for one in resampler.resample(None) if resampler is not None else ():
            yield self._array(one)

    def _array(self, frame: Any) -> Samples:
        samples: Samples = frame.to_ndarray().reshape(-1, self.channels)
        return samples


@contextmanager
def open_media(content: BinaryIO, shown: str, size: int) -> Iterator[Decoder]:
    """Open a recording by FFmpeg.

    Raises
    ------
    DataError
        If it is nothing that FFmpeg reads, or has no sound.
    """
    with explained(shown, "not audio or video that can be read"):
        with _opened(content, size) as container:
            if not container.streams.audio:
                raise DataError(f"{shown}: holds no sound")
            announced = _announced(container)
            frames = announced if announced is not None else _counted(container)
        container = _opened(content, size)
    try:
        with explained(shown):
            decoder = MediaDecoder(
                container, frames, announced is not None and "mp4" in container.format.name, shown, size
            )
        yield decoder
    finally:
        container.close()


def _opened(content: BinaryIO, size: int) -> Any:
    import av

    # A header may send FFmpeg to places that are none of a real file, which PyAV would tell on standard error.
    return av.open(
        PiecesFile(content, [(0, size)]), container_options={"format_whitelist": FORMATS}, metadata_errors="replace"
    )


def _announced(container: Any) -> int | None:
    """Return the number of frames that the header announces, if it is worth anything."""
    stream = container.streams.audio[0]
    rate = int(stream.rate or 0)
    if not ESTIMATED.isdisjoint(container.format.name.split(",")) or not rate:
        return None
    if stream.duration and stream.time_base:
        return max(0, round(float(stream.duration * stream.time_base) * rate))
    return max(0, round(container.duration / 1e6 * rate)) if container.duration else None


def _counted(container: Any) -> int:
    """Return the number of frames by the times of the packets, which are not decoded."""
    stream, begin, end = container.streams.audio[0], None, 0
    rate = int(stream.rate or 0)
    for packet in container.demux(stream):
        if packet.pts is not None:
            begin = packet.pts if begin is None else begin
            end = max(end, packet.pts + (packet.duration or 0))
    return max(0, round(float((end - (begin or 0)) * stream.time_base) * rate))
