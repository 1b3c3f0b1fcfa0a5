"""From recordings of any length to windows of one, piece by piece."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples, StrPath
from audioconv.audio import window_store
from audioconv.audio.read import OpenRecording, Segment, blocks, read_window
from audioconv.audio.samples import as_float, resample_blocks
from audioconv.audio.window_begins import Content, window_begins, word_begins
from audioconv.audio.window_store import StoreWriter, key_of, open_store
from audioconv.audio.windows import Int16, Piece, Windows, WindowsBuilder, kept_pieces
from audioconv.errors import DataError
from audioconv.io.files import display_path
from audioconv.io.parallel import Loaded, read_in_parallel

PIECE_SECONDS, MAX_KEPT_SECONDS = 60.0, 1200.0
"""A recording is cut into windows piece by piece; of a longer one than the second, so much is kept, in pieces evenly
spread over it."""

MAX_MEMORY_SAMPLES = 1 << 27
"""Samples of a data set that stay in memory, a quarter of a gigabyte; of a larger one, all go to the clip store."""


def load_windows(
    files: Sequence[StrPath | Segment],
    contents: Sequence[Content],
    sample_rate: int,
    length: int,
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Loaded[Windows]:
    """Read recordings as windows of `length` samples at `sample_rate`, several of them at a time.

    More than `MAX_MEMORY_SAMPLES` are kept in the clip store (`audio.window_store`), and a later call with the same
    files reads them from there.

    Parameters
    ----------
    files : sequence of (path-like or Segment)
    contents : sequence of {"words", "sounds"}
        Content of each; see `audio.windows.window_begins`.
    sample_rate, length : int
        In Hz, and in samples.
    strict : bool
        Whether the first unreadable file ends it all, instead of being skipped.
    on_file : callable, optional
        Called after each file, for a progress bar.

    Raises
    ------
    DataError
        If `strict` and a file cannot be read.
    """
    key = key_of(files, contents, sample_rate, length)
    stored = open_store(key)
    if stored is not None:
        failures = _still_unreadable(files, stored, sample_rate)
        if failures is not None:
            if failures and strict:
                raise failures[0]
            if on_file is not None:
                for _ in files:
                    on_file()
            return Loaded(stored, stored.recordings, failures, (window_store.describe(key),))

    def pieces_of(place: int) -> list[Piece]:
        parts = recording_parts(files[place], contents[place], sample_rate, length)
        return [piece for part in parts for piece in kept_pieces(*part, length)]

    def sink() -> StoreWriter:
        writers.append(StoreWriter(key, _common_folder(files)))
        return writers[0]

    writers, unreadable = list[StoreWriter](), list[DataError]()
    builder = WindowsBuilder(length, len(files), MAX_MEMORY_SAMPLES, sink)
    found = read_in_parallel(range(len(files)), pieces_of, strict=strict, on_file=on_file)
    try:
        for place, kept in enumerate(found):
            if isinstance(kept, DataError):
                unreadable.append(kept)
            else:
                builder.add(place, kept)
        windows = builder.build()
    except BaseException:  # after Ctrl-C, too
        for writer in writers:
            writer.discard()
        raise
    notes = (window_store.describe(key),) if writers else ()
    return Loaded(windows, windows.recordings, tuple(unreadable), notes)


def _still_unreadable(
    files: Sequence[StrPath | Segment], stored: Windows, sample_rate: int
) -> tuple[DataError, ...] | None:
    """Return why the files that are missing in a store cannot be read; None if one can be by now."""
    failures = []
    for place in np.setdiff1d(np.arange(len(files)), stored.recordings).tolist():
        try:
            for _ in pieces(files[place], sample_rate):
                pass
        except DataError as error:
            failures.append(error)
        else:
            return None
    return tuple(failures)


def _common_folder(files: Sequence[StrPath | Segment]) -> str:
    """Return the folder that holds the first and the last file, printable."""
    ends = [file.path if isinstance(file, Segment) else file for file in (files[0], files[-1])]
    folders = [os.path.dirname(os.path.abspath(path)) for path in ends]
    try:
        return display_path(os.path.commonpath(folders))
    except ValueError:  # on two drives
        return display_path(folders[0])


Part = tuple[Samples | Int16, Sequence[int], bool]
"""Samples (T,), where windows in them begin, and whether they may be drawn anew; see `windows.Piece`."""


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
