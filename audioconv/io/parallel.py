"""Parallel reading of many files; an unreadable one is listed and skipped."""

from __future__ import annotations

import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import DataError

AHEAD, AT_ONCE = 8, 4
"""Files for each thread that are read before they are asked for, and files that a thread takes at a time. To hand over
each clip of a second on its own would wake a thread for each."""

File = TypeVar("File")
Content = TypeVar("Content")


Examples = TypeVar("Examples")


@dataclass(frozen=True, eq=False)
class Loaded(Generic[Examples]):
    """Examples that could be read, and files that could not.

    Attributes
    ----------
    x : array (N, *shape) float32, or what stands for one
        The examples.
    indices : array (N,) int64
        The place of each one's file in the list of files.
    failures : tuple of DataError
        Errors of files that could not be read; each message names its file.
    notes : tuple of str
        Remarks for the user, a line each.
    """

    x: Examples
    indices: NDArray[np.int64]
    failures: tuple[DataError, ...] = ()
    notes: tuple[str, ...] = ()


_limit: int | None = None


def limit_workers(count: int) -> None:
    """Let this process read with at most so many threads from now on; others on this machine have the rest."""
    global _limit
    _limit = count


def worker_count() -> int:
    """Return the number of threads, or of processes, with which this process reads."""
    return min(16, _limit or os.cpu_count() or 1)


def load_many(
    files: Sequence[File],
    read_one: Callable[[File], NDArray[np.float32]],
    shape: tuple[int, ...],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Loaded[NDArray[np.float32]]:
    """Read each file with `read_one`, which returns an array of `shape`.

    Parameters
    ----------
    strict : bool
        Whether the first unreadable file ends it all, instead of being skipped.
    on_file : callable, optional
        Called after each file, for a progress bar.

    Raises
    ------
    DataError
        If `strict` and a file cannot be read.
    """
    x = np.empty((len(files), *shape), np.float32)
    indices: list[int] = []
    failures: list[DataError] = []
    for index, example in enumerate(read_in_parallel(files, read_one, strict=strict, on_file=on_file)):
        if isinstance(example, DataError):
            failures.append(example)
        else:
            x[len(indices)] = example
            indices.append(index)
    return Loaded(x[: len(indices)], np.array(indices, np.int64), tuple(failures))


def read_in_parallel(
    files: Sequence[File],
    read_one: Callable[[File], Content],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Iterator[Content | DataError]:
    """Yield what `read_one` returns of each file, or the error that it raises, in the order of the files.

    Parameters and errors are those of `load_many`.
    """
    is_ended = False

    def attempt(some: Sequence[File]) -> list[Content | DataError]:
        found = list[Content | DataError]()
        for file in some:
            if is_ended:
                break
            try:
                found.append(read_one(file))
            except DataError as error:
                found.append(error)
                if strict:
                    break
        return found

    # The libraries that decode and resample let other Python threads run meanwhile.
    threads = worker_count()
    with ThreadPoolExecutor(threads) as pool:
        try:
            # Those that nobody has taken yet are in memory: files are begun only so far ahead.
            at_once = max(1, min(AT_ONCE, len(files) // (AHEAD * threads)))  # of few files, each thread has some
            coming = (files[begin : begin + at_once] for begin in range(0, len(files), at_once))
            begun = deque(pool.submit(attempt, some) for some in islice(coming, AHEAD // at_once * threads))
            while begun:
                read = begun.popleft().result()[::-1]
                while read:
                    found = read.pop()
                    if strict and isinstance(found, DataError):
                        raise found
                    yield found
                    del found
                    if on_file is not None:
                        on_file()
                begun.extend(pool.submit(attempt, some) for some in islice(coming, 1))
        except BaseException:  # after Ctrl-C, too: otherwise leaving the block would first read all files
            is_ended = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _trim()


def _trim() -> None:
    """Return freed memory to the system: glibc keeps what its arenas had at most, some 30 MB for each thread."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, nor needs it
        if trim is not None:
            trim(0)


def evenly(files: Sequence[File], count: int) -> list[File]:
    """Return up to `count` of `files`, evenly drawn.

    >>> evenly("abcdef", 3)
    ['a', 'c', 'e']
    """
    step = max(1, len(files) / count)
    return [files[int(i * step)] for i in range(min(count, len(files)))]
