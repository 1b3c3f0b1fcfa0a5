"""Input of a stream: blocks of any size are checked, averaged to mono and resampled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv._types import Samples
from audioconv.audio.read import HIGHEST_RATE, LOWEST_RATE, to_mono
from audioconv.errors import ConfigError, DataError, ShapeError

MAX_LEVEL = 100.0
"""Samples beyond it are taken for integers that were converted, and not scaled: full scale is 1."""


class StreamInput:
    """Mono samples at the model's rate, of blocks at another rate and with several channels.

    What it gives, put together, does not depend on how the stream was cut into blocks, to the bit.

    Parameters
    ----------
    from_rate, to_rate : int
        In Hz.

    Attributes
    ----------
    sample_count : int
        Samples of each channel that came.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if not isinstance(from_rate, int | np.integer) or not LOWEST_RATE <= from_rate <= HIGHEST_RATE:
            raise ConfigError(
                f"the sample rate must be an integer from {LOWEST_RATE} to {HIGHEST_RATE} Hz, got {from_rate!r}"
            )
        self.from_rate, self.to_rate = int(from_rate), to_rate
        self._resampler = _resampler(self.from_rate, to_rate)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream, of any number of channels."""
        self.sample_count = 0
        self._channels: int | None = None
        if self._resampler is not None:
            self._resampler.clear()

    def check(self, samples: ArrayLike) -> NDArray[Any]:
        """Return a block as floating-point samples (T, channels), full scale being 1; changes nothing.

        Raises
        ------
        ShapeError
            If it is not (T,) or (T, channels), or has another number of channels than the blocks before.
        DataError
            If it is neither floating point nor 16-bit integers, or holds NaN, infinity, or numbers out of scale.
        """
        block = np.asarray(samples)
        if block.ndim not in (1, 2) or (block.ndim == 2 and not block.shape[1]):
            raise ShapeError(f"a block has shape (time,) or (time, channels), got {block.shape}")
        if not block.size:
            return np.zeros((0, 1), np.float32)
        block = block.reshape(len(block), -1)
        if self._channels not in (None, block.shape[1]):
            raise ShapeError(
                f"the blocks before had {_counted(self._channels)}, this one has {block.shape[1]}; "
                "reset() begins a new stream"
            )
        if block.dtype == np.int16:
            return block.astype(np.float32) / np.float32(32768)
        if not np.issubdtype(block.dtype, np.floating):
            raise DataError(f"samples must be floating point with full scale 1, or int16, got {block.dtype}")
        # The largest magnitude is NaN where one sample is.
        largest = float(max(block.max(), -block.min()))
        if not np.isfinite(largest):
            raise DataError("the block holds NaN or infinite samples; leave it out, or send zeros in its place")
        if largest > MAX_LEVEL:
            raise DataError(
                f"the block has samples of {largest:g}, where full scale is 1; divide 16-bit integers by 32768, "
                "for example"
            )
        return block

    def push(self, block: NDArray[Any]) -> Samples:
        """Take a block from `check`; return the samples (T,) at the model's rate that are known now."""
        if not len(block):
            return np.zeros(0, np.float32)
        self._channels = block.shape[1]
        self.sample_count += len(block)
        mono = to_mono(block)
        if self._resampler is None:
            return mono
        resampled: Samples = self._resampler.resample_chunk(mono)
        return resampled

    def flush(self) -> Samples:
        """End the stream; return the last samples."""
        if self._resampler is None or not self.sample_count:
            return np.zeros(0, np.float32)
        last: Samples = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return last


def _resampler(from_rate: int, to_rate: int) -> Any:
    if from_rate == to_rate:
        return None
    import soxr

    return soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")


def _counted(channels: int | None) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
