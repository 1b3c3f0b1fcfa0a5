"""Arrays as users give them: which recordings or pictures an array holds, and samples of any type as mono float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audioconv._types import Array, Samples
from audioconv.audio.read import resample, to_mono
from audioconv.errors import DataError, ShapeError

MAX_CHANNELS = 8
"""Channels of a recording, at most (7.1 surround): a longer axis is not one of channels."""

MIN_CLIP_SAMPLES = 400
"""Least length of the rows of an array (N, T) that are clips: 25 ms at 16 kHz."""

# Full scale and middle of samples, for each type of integer that files and devices have.
_FULL_SCALE = {"int16": (2.0**15, 0), "int32": (2.0**31, 0), "uint8": (2.0**7, 128)}


def split_sound(array: Array, count: int | None = None, row_length: int | None = None) -> list[Array]:
    """Return the recordings in `array`; `ShapeError` where it could be two things.

    Parameters
    ----------
    array : array
        (T,) is one recording and so is (T, channels), as `soundfile.read` gives it; (N, T) are N clips, and
        (N, T, channels) N recordings.
    count : int, optional
        Number of labels that are given for them.
    row_length : int, optional
        Length of the rows of the array (N, T) that the model was trained on: such rows are clips.
    """
    if array.ndim != 2:
        if array.ndim not in (1, 3):
            raise ShapeError(f"X: an array of samples has 1 to 3 axes, got shape {array.shape}")
        return [array] if array.ndim == 1 else list(array)
    N, T = array.shape
    if count is not None:
        if count == 1 and N != 1:
            return [array]
        if N and T < MIN_CLIP_SAMPLES:
            raise ShapeError(
                f"X of shape {array.shape}: rows of {T} samples are too short for clips; "
                "pictures are (N, height, width), and features of sounds are made of samples by the model itself"
            )
        return list(array)
    if N == 0 or row_length == T:
        return list(array)
    if N == 1 or (T <= MAX_CHANNELS and N >= MIN_CLIP_SAMPLES):
        return [array]
    if T >= MIN_CLIP_SAMPLES:
        if N > MAX_CHANNELS:
            return list(array)
        raise ShapeError(
            f"X of shape {array.shape} could be {N} clips or one recording of {N} channels; "
            "write list(X) for the clips, or X.T for the one recording"
        )
    raise ShapeError(
        f"X of shape {array.shape} is neither one recording (time, channels) of up to {MAX_CHANNELS} channels nor "
        f"clips (N, time) of at least {MIN_CLIP_SAMPLES} samples; write [X] for one recording, or list(X) for clips"
    )


def split_pictures(array: Array, shape: Sequence[int], count: int | None = None) -> list[Array]:
    """Return the pictures in `array`: (H, W) or (H, W, C) is one, (N, H, W) and (N, H, W, C) are N of `shape`."""
    several = array.ndim == 3 and (count == len(array) if count is not None else array.shape != tuple(shape))
    if array.ndim == 4 or (several and (*array.shape[1:], 1) == tuple(shape)):
        return list(array)
    return [array]


def names(count: int) -> Callable[[int], str]:
    """Return what errors call the example at a place."""
    return lambda place: "X" if count == 1 else f"X[{place}]"


def samples_of(array: Array, name: str, from_rate: float | None = None, to_rate: float | None = None) -> Samples:
    """Return one recording in an array as mono samples (T,) with full scale 1.

    Parameters
    ----------
    array : array (T,), (T, channels) or (channels, T)
        Floating point with full scale 1, or int16, int32 or uint8 as files hold samples. Of two axes, the one that is
        longer is time.
    name : str
        Its name in errors.
    from_rate, to_rate : float, optional
        In Hz. Default: the samples keep their rate.

    Raises
    ------
    ShapeError
        If it is not clear which axis is time.
    DataError
        If the samples are of another type, none, or not finite.
    """
    if not array.size:
        raise DataError(f"{name}: holds no samples (shape {array.shape})")
    if array.ndim == 2:
        T, channels = array.shape
        if T <= MAX_CHANNELS < channels:
            array = array.T
        elif channels > MAX_CHANNELS or channels >= T:
            raise ShapeError(
                f"{name} of shape {array.shape} is not one recording of up to {MAX_CHANNELS} channels: "
                "a recording is (time,) or (time, channels)"
            )
    elif array.ndim != 1:
        raise ShapeError(f"{name}: a recording is (time,) or (time, channels), got shape {array.shape}")
    kind = array.dtype.name
    if kind in _FULL_SCALE:
        scale, middle = _FULL_SCALE[kind]
        array = (array.astype(np.float64) - middle) / scale
    elif not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{name}: samples must be floating point with full scale 1, or int16, int32 or uint8, got {array.dtype}; "
            "divide them by their full scale, such as x / 32768 for 16 bits"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        samples = to_mono(array)
    if not np.isfinite(samples).all():
        raise DataError(f"{name}: samples hold NaN or infinity")
    return samples if from_rate is None or to_rate is None else resample(samples, from_rate, to_rate)
