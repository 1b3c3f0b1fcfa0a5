"""16-bit samples in files that are mapped into memory, and read through checksums."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

BLOCK = 1 << 17
"""Samples that have a checksum together."""

RELEASED = 1 << 22
"""After so many samples the mapped memory is released: else the process would seem to hold all that it has read."""

SYNCED = 1 << 22
"""After so many samples the system is asked to bring what was written to the disk."""

SAMPLE = np.dtype("<i2")


class MappedSamples:
    """Samples in files, one file behind the other.

    The checksum of a block is compared when the first of its samples is read.

    Parameters
    ----------
    paths : sequence of Path
    checksums : sequence of arrays (blocks,) uint32
        CRC-32 of each `BLOCK` of each file.
    remedy : str
        What to do about a damaged file, for errors.

    Raises
    ------
    DataError
        If a file cannot be opened; when samples are read, if their block is damaged.
    """

    def __init__(self, paths: Sequence[Path], checksums: Sequence[NDArray[np.uint32]], remedy: str) -> None:
        self._paths, self._checksums, self._remedy = paths, checksums, remedy
        self._maps = [_mapped(path, remedy) for path in paths]
        self._samples: list[NDArray[np.int16]] = [np.frombuffer(one, SAMPLE) for one in self._maps]
        self._ends = np.cumsum([len(samples) for samples in self._samples])
        self._are_checked = [np.zeros(len(of_file), bool) for of_file in checksums]
        self._read = 0

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self._ends[-1])

    def __getitem__(self, places: slice, /) -> NDArray[np.int16]:
        """Return samples of one file, not copied."""
        number = int(np.searchsorted(self._ends, places.start, side="right"))
        samples = self._samples[number]
        before = int(self._ends[number]) - len(samples)
        begin, end = places.start - before, places.stop - before
        first, last = begin // BLOCK, -(-end // BLOCK)
        if not self._are_checked[number][first:last].all():
            self._check(number, range(first, last))
        self._release(end - begin)
        return samples[begin:end]

    def _check(self, number: int, blocks: range) -> None:
        samples, checked = self._samples[number], self._are_checked[number]
        for block in blocks:
            if not checked[block]:
                part = samples[block * BLOCK : (block + 1) * BLOCK]
                if zlib.crc32(part.data) != self._checksums[number][block]:
                    raise DataError(
                        f"{display_path(self._paths[number])}: the file is damaged, a checksum differs at byte "
                        f"{block * BLOCK * SAMPLE.itemsize}; {self._remedy}"
                    )
                checked[block] = True
                self._release(len(part))

    def _release(self, count: int) -> None:
        self._read += count
        if self._read > RELEASED and hasattr(mmap, "MADV_DONTNEED"):  # Windows has none
            self._read = 0
            for one in self._maps:
                one.madvise(mmap.MADV_DONTNEED)


def _mapped(path: Path, remedy: str) -> mmap.mmap:
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: it is empty
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise DataError(f"{display_path(path)}: cannot be opened ({why}); {remedy}") from None


class SampleWriter:
    """Writer of the samples of one new file, and of their checksums.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    count : int
        Number of samples so far.
    """

    def __init__(self, path: Path) -> None:
        self._file, self.count = open(path, "xb"), 0  # noqa: SIM115 (`close` does it)
        self._checksums: list[int] = []
        self._block = np.empty(BLOCK, SAMPLE)
        # The disk works while recordings are read: at the end of a file of a gigabyte, all would wait for it.
        self._pool, self._synced, self._begun = ThreadPoolExecutor(1), 0, Future[None]()
        self._begun.set_result(None)

    def write(self, samples: NDArray[np.int16]) -> None:
        """Write the next samples (T,)."""
        while len(samples):
            place = self.count % BLOCK
            part = samples[: BLOCK - place]
            self._block[place : place + len(part)] = part
            self.count += len(part)
            samples = samples[len(part) :]
            if self.count % BLOCK == 0:
                self._write(self._block)

    def close(self) -> None:
        """Close the file when all of it is on the disk."""
        with self._file, self._pool:
            self._begun.result()
            if self.count % BLOCK:
                self._write(self._block[: self.count % BLOCK])
            self._file.flush()
            os.fsync(self._file.fileno())

    def _write(self, block: NDArray[np.int16]) -> None:
        self._checksums.append(zlib.crc32(block.data))
        self._file.write(block.data)
        if self.count - self._synced > SYNCED and self._begun.done():
            self._begun.result()  # raises what went wrong
            self._file.flush()
            self._begun, self._synced = self._pool.submit(os.fsync, self._file.fileno()), self.count

    def checksums(self) -> NDArray[np.uint32]:
        """Return the checksums (blocks,)."""
        return np.array(self._checksums, np.uint32)
