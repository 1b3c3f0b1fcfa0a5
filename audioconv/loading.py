"""Reading many files into one array, several at a time, without one bad file spoiling the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import DataError

StrPath = str | os.PathLike[str]
File = TypeVar("File")


@dataclass(frozen=True, eq=False)
class Loaded:
    """What `load_many` could read, and what it could not.

    Attributes
    ----------
    x : array (N, *shape) float32
        The examples that could be read.
    indices : array (N,) int64
        Their places in the list of files.
    failures : tuple of DataError
        Why the others could not; each message names its file.
    """

    x: NDArray[np.float32]
    indices: NDArray[np.int64]
    failures: tuple[DataError, ...]


def load_many(
    files: Sequence[File],
    read_one: Callable[[File], NDArray[np.float32]],
    shape: tuple[int, ...],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Loaded:
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

    def attempt(file: File) -> NDArray[np.float32] | DataError:
        try:
            return read_one(file)
        except DataError as error:
            return error

    x = np.empty((len(files), *shape), np.float32)
    indices: list[int] = []
    failures: list[DataError] = []
    # The libraries that decode and resample let other Python threads run meanwhile.
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        try:
            for index, example in enumerate(pool.map(attempt, files)):
                if not isinstance(example, DataError):
                    x[len(indices)] = example
                    indices.append(index)
                elif strict:
                    raise example
                else:
                    failures.append(example)
                if on_file is not None:
                    on_file()
        except BaseException:  # Ctrl-C too: leaving the block would wait for all files to be read
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Loaded(x[: len(indices)], np.array(indices, np.int64), tuple(failures))
