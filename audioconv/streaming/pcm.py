"""Raw samples from a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import ConfigError, DataError

FORMATS = {"s16": "<i2", "f32": "<f4"}
"""Samples in a pipe: 16-bit integers or 32-bit floating point, little-endian."""

MOST_BYTES = 1 << 16


class PcmReader:
    """Blocks of raw samples from a binary file, as soon as they come.

    Parameters
    ----------
    file : binary file with `read1`
        Such as ``sys.stdin.buffer``.
    format : {"s16", "f32"}
    channels : int
        Interleaved.
    name : str
        What errors call the file.

    Raises
    ------
    ConfigError
        If there is no such format, or no channel.
    """

    def __init__(self, file: BinaryIO, format: str = "s16", channels: int = 1, name: str = "standard input") -> None:
        if format not in FORMATS:
            raise ConfigError(f"unknown format {format!r}; known are {', '.join(FORMATS)}")
        if channels < 1:
            raise ConfigError(f"there must be at least one channel, got {channels}")
        self._file, self._dtype, self._channels, self._name = file, np.dtype(FORMATS[format]), channels, name

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield blocks (T, channels) until the pipe ends; `DataError` if it is empty, or holds NaN or infinity."""
        size = self._dtype.itemsize * self._channels
        kept, came = b"", False
        while data := self._file.read1(MOST_BYTES):  # type: ignore[attr-defined]
            kept += data
            whole = len(kept) - len(kept) % size
            if whole:
                came = True
                block = np.frombuffer(kept[:whole], self._dtype).reshape(-1, self._channels)
                if not np.isfinite(block).all():
                    raise DataError(f"{self._name}: holds NaN or infinite samples; is f32 the right format?")
                yield block.astype(self._dtype.newbyteorder("="))
                kept = kept[whole:]
        if not came:
            raise DataError(f"{self._name}: ended before the first sample; pipe raw PCM into it")
