"""The interface of decoders, and one error for all errors of the libraries below."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.samples import HIGHEST_RATE, LOWEST_RATE
from audioconv.errors import AudioconvError, DataError

TOLERATED_LOSS = 0.1
"""A recording that lacks more of its announced samples than this part was cut off.

Less is a slip of the program that wrote it: some count the header as data.
"""

MAX_UNKNOWN_LENGTH = 1 << 62
"""Libraries that do not know the length give at least so many samples."""

MAX_ABSOLUTE = 2.0**32
"""Samples beyond it are none, even where a program did not scale 32-bit integers; resampling could overflow."""

SKIPPED_AT_ONCE = 1 << 18
"""Samples of all channels together that are decoded at a time where a file cannot be entered later."""


class Decoder(ABC):
    """A recording that is decoded from front to back.

    Attributes
    ----------
    shown : str
        Its name in errors.
    sample_rate : int
        In Hz.
    channels : int
    frames : int
        Samples of each channel that the header announces, or an estimate; 0 if there is none.
    size : int
        Bytes of the file.
    are_integers, are_int16 : bool
        Whether the samples are integers in the file, which cannot be NaN, infinite or too large, and integers of 16
        bits, which `read_int16` returns. Default: False.
    """

    are_integers = are_int16 = False

    def __init__(self, shown: str, sample_rate: int, channels: int, frames: int, size: int) -> None:
        if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
            raise DataError(
                f"{shown}: its header says {sample_rate} Hz, expected {LOWEST_RATE} to {HIGHEST_RATE}; export it again"
            )
        if channels < 1:
            raise DataError(f"{shown}: its header says {channels} channels; export it again")
        self.shown, self.sample_rate, self.channels, self.size = shown, sample_rate, channels, size
        self.frames = frames if 0 <= frames < MAX_UNKNOWN_LENGTH else 0

    def read(self, frames: int) -> Samples:
        """Return the next samples (T, channels): at most `frames`, none at the end; raises `DataError`."""
        with explained(self.shown):
            samples = self._read(frames)
        if self.are_integers:
            return samples
        # The largest magnitude is NaN where one sample is.
        largest = max(float(samples.max()), -float(samples.min())) if samples.size else 0.0
        if not math.isfinite(largest):
            raise DataError(f"{self.shown}: holds NaN or infinite samples; export it again, or remove it")
        if largest > MAX_ABSOLUTE:
            raise DataError(
                f"{self.shown}: holds samples of {largest:g}, where full scale is 1; export it again, or remove it"
            )
        return samples

    def read_int16(self, frames: int) -> NDArray[np.int16]:
        """Return the next samples (T, channels) like `read`, as the integers that they are in the file."""
        with explained(self.shown):
            return self._read_int16(frames)

    def skip(self, frames: int) -> int:
        """Leave out the next samples; return how many there were: at most `frames` of each channel."""
        skipped = 0
        while skipped < frames:
            block = self.read(min(frames - skipped, max(1, SKIPPED_AT_ONCE // self.channels)))
            if not len(block):
                break
            skipped += len(block)
        return skipped

    def check_whole(self, came: int) -> None:
        """Raise `DataError` if fewer samples of each channel `came` up to the end than were announced, or none."""
        if not came:
            raise DataError(f"{self.shown}: holds no samples; record it again or remove it")

    def cut_off(self, came: int, announced: int) -> DataError:
        """Return the error for a recording of which only a part is there."""
        return DataError(
            f"{self.shown}: cut off, {came} of the {announced} samples that its header announces are there; "
            "copy or record it again"
        )

    @abstractmethod
    def _read(self, frames: int) -> Samples:
        """Return what `read` does, unchecked; any error of a library."""

    def _read_int16(self, frames: int) -> NDArray[np.int16]:
        """Return what `read_int16` does; any error of a library."""
        raise NotImplementedError


class explained:  # noqa: N801 (it is called like a function)
    """Turns what the libraries raise of a recording into `DataError`; a generator would take three times as long."""

    __slots__ = ("_fault", "_shown")

    def __init__(self, shown: str, fault: str = "damaged or cut off") -> None:
        self._shown, self._fault = shown, fault

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise a `DataError` for an error of a library."""
        if error is None or isinstance(error, AudioconvError):
            return
        if isinstance(error, MemoryError):
            raise DataError(f"{self._shown}: there is not enough memory to decode it") from None
        # Of a damaged file the libraries raise errors of nearly any type, and FFmpeg's share no other one.
        if isinstance(error, Exception):
            raise DataError(f"{self._shown}: {self._fault} ({detail(error)}); copy or record it again") from None


def detail(error: Exception) -> str:
    """Return a library's message of an error, in one line."""
    text = " ".join(str(getattr(error, "error_string", error)).split()) or type(error).__name__
    return text.removeprefix("Error : ").rstrip(".")
