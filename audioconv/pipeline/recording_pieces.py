"""The pieces of a recording that are kept, and the windows in them."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples, StrPath
from audioconv.audio.read import OpenRecording, Segment, blocks, read_window
from audioconv.audio.samples import as_float, resample_blocks
from audioconv.audio.window_begins import Content, window_begins, word_begins
from audioconv.audio.windows import Int16, Piece, kept_pieces

PIECE_SECONDS, MAX_KEPT_SECONDS = 60.0, 1200.0
"""A recording is cut into windows piece by piece; of a longer one than the second, so much is kept, in pieces evenly
spread over it."""

Part = tuple[Samples | Int16, Sequence[int], bool]
"""Samples (T,), where windows in them begin, and whether they may be drawn anew; see `windows.Piece`."""


def as_kept(parts: Sequence[Part], length: int) -> list[Piece]:
    """Return the parts of a recording as they are kept, with windows of `length`."""
    return [piece for part in parts for piece in kept_pieces(*part, length)]


def recording_parts(file: StrPath | Segment, content: Content, sample_rate: int, length: int) -> Sequence[Part]:
    """Return the parts of a recording that are kept, with their windows; raises `DataError` as `audio.read` does.

    A segment that is no longer than a window comes with what surrounds it.
    """
    seconds = length / sample_rate
    if isinstance(file, Segment) and file.duration <= seconds:
        return [(read_window(file, sample_rate, length), [0], False)]
    found = (piece for _, piece in pieces(file, sample_rate, limit=MAX_KEPT_SECONDS, as_kept=True))
    # Integers are kept as they are; words are searched, and energies compared, in floating point.
    kept = [piece if len(piece) <= length else as_float(piece) for piece in found]
    if content == "words":
        # A word may be cut at the end of a piece, which is one in a minute.
        cut = [(piece, word_begins(piece, sample_rate, length), False) for piece in kept if len(piece) > length]
        words = [part for part in cut if part[1]]
        if words:
            return words
        kept = kept[:1]  # no word stands out: the window with the most energy stands for it
    begins = [window_begins(piece, sample_rate, length, content) for piece in kept]
    return [(piece, some, len(some) > 1) for piece, some in zip(kept, begins, strict=True)]


def sample_pieces(samples: Samples, content: Content, sample_rate: int, length: int) -> list[Piece]:
    """Return the pieces of a recording (T,) in memory that are kept, like `recording_parts`."""
    begins = window_begins(samples, sample_rate, length, content)
    return kept_pieces(samples, begins, content == "sounds" and len(begins) > 1, length)


def pieces(
    file: StrPath | Segment | OpenRecording,
    sample_rate: int,
    *,
    overlap: int = 0,
    limit: float = math.inf,
    as_kept: bool = False,
) -> Generator[tuple[int, NDArray[Any]], None, None]:
    """Yield a recording at `sample_rate` as a whole, or a long one in pieces of about a minute.

    Parameters
    ----------
    file : path-like, Segment or OpenRecording
    sample_rate : int
        In Hz.
    overlap : int
        Samples at the end of a piece that the next one begins with.
    limit : float
        Seconds that are yielded of a longer recording, in pieces evenly spread over it.
    as_kept : bool
        Whether a short recording of one channel, at this rate, is yielded as the 16-bit integers that the file has.

    Yields
    ------
    begin : int
        The place of the piece's first sample.
    samples : array (T,) float32, or int16
    """
    with blocks(file) as found:
        short = found.short_int16() if as_kept and found.info.sample_rate == sample_rate else None
        if short is not None:
            yield 0, short
            return
        total = file.duration if isinstance(file, Segment) else found.info.duration
        step = round(PIECE_SECONDS * sample_rate)
        every = max(1.0, total / limit)
        number, yielded, waiting = 0, 0, list[Samples]()
        for block in resample_blocks(found.mono(), found.info.sample_rate, sample_rate):
            waiting.append(block)
            while sum(map(len, waiting)) >= 2 * step + overlap:
                joined = np.concatenate(waiting)
                if number >= round(yielded * every):
                    yield number * step, joined[: step + overlap].copy()  # no view, which would keep all of it
                    yielded += 1
                number, waiting = number + 1, [joined[step:]]
        if waiting and number >= round(yielded * every):
            yield number * step, np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
