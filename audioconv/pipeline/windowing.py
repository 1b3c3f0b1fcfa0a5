"""From recordings of any length to windows of one, in memory or in the clip store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from audioconv._types import StrPath
from audioconv.audio import window_store
from audioconv.audio.read import Segment
from audioconv.audio.window_begins import Content
from audioconv.audio.window_store import StoreWriter, key_of, open_store
from audioconv.audio.windows import Piece, Windows, WindowsBuilder
from audioconv.errors import DataError
from audioconv.io.files import display_path
from audioconv.io.parallel import Loaded
from audioconv.pipeline.reading_processes import read_pieces
from audioconv.pipeline.recording_pieces import pieces

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
    with read_pieces(files, contents, sample_rate, length, strict=strict, on_file=on_file) as found:
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
        return _kept(found, files, key, length)


def _kept(
    found: Iterator[list[Piece] | DataError], files: Sequence[StrPath | Segment], key: str, length: int
) -> Loaded[Windows]:
    """Keep what is found of each file, in memory or in the store `key`."""

    def sink() -> StoreWriter:
        writers.append(StoreWriter(key, _common_folder(files)))
        return writers[0]

    writers, unreadable = list[StoreWriter](), list[DataError]()
    builder = WindowsBuilder(length, len(files), MAX_MEMORY_SAMPLES, sink)
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
