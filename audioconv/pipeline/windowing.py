"""From recordings of any length to windows of one, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence

import numpy as np

from audioconv._types import Samples, StrPath
from audioconv.audio.read import OpenRecording, Segment, blocks, read_window
from audioconv.audio.samples import resample_blocks
from audioconv.audio.windows import Content, Windows, WindowsBuilder, window_begins, word_begins
from audioconv.errors import DataError
from audioconv.io.parallel import Loaded, read_in_parallel

PIECE_SECONDS, MAX_KEPT_SECONDS = 60.0, 1200.0
"""A recording is cut into windows piece by piece; of a longer one than the second, so much is kept, in pieces evenly
spread over it."""


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

    def parts_of(file: tuple[StrPath | Segment, Content]) -> Sequence[Part]:
        return recording_parts(file[0], file[1], sample_rate, length)

    builder, failures = WindowsBuilder(length, len(files)), []
    for place, parts in enumerate(
        read_in_parallel(list(zip(files, contents, strict=True)), parts_of, strict=strict, on_file=on_file)
    ):
        if isinstance(parts, DataError):
            failures.append(parts)
        else:
            builder.add(place, parts)
    windows = builder.build()
    return Loaded(windows, windows.recordings, tuple(failures))


Part = tuple[Samples, Sequence[int], bool]
"""Samples (T,), where windows in them begin, and whether they may be drawn anew; see `WindowsBuilder.add`."""


def recording_parts(file: StrPath | Segment, content: Content, sample_rate: int, length: int) -> Sequence[Part]:
    """Return the parts of a recording that are kept, with their windows; raises `DataError` as `audio.read` does.

    A segment that is no longer than a window comes with what surrounds it.
    """
    seconds = length / sample_rate
    if isinstance(file, Segment) and file.duration <= seconds:
        return [(read_window(file, sample_rate, length), [0], False)]
    kept = [piece for _, piece in pieces(file, sample_rate, limit=MAX_KEPT_SECONDS)]
    if content == "words":
        # A word may be cut at the end of a piece, which is one in a minute.
        found = [(piece, word_begins(piece, sample_rate, length), False) for piece in kept if len(piece) > length]
        words = [part for part in found if part[1]]
        if words:
            return words
        kept = kept[:1]  # no word stands out: the window with the most energy stands for it
    begins = [window_begins(piece, sample_rate, length, content) for piece in kept]
    return [(piece, some, len(some) > 1) for piece, some in zip(kept, begins, strict=True)]


def sample_parts(samples: Samples, content: Content, sample_rate: int, length: int) -> list[Part]:
    """Return the windows of a recording (T,) in memory, like `recording_parts`."""
    begins = window_begins(samples, sample_rate, length, content)
    return [(samples, begins, content == "sounds" and len(begins) > 1)]


def pieces(
    file: StrPath | Segment | OpenRecording, sample_rate: int, *, overlap: int = 0, limit: float = math.inf
) -> Generator[tuple[int, Samples], None, None]:
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

    Yields
    ------
    begin : int
        The place of the piece's first sample.
    samples : array (T,) float32
    """
    with blocks(file) as found:
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
