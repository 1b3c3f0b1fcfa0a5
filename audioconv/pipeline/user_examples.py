"""What users give as X: paths, open files, samples or pixels, one of them or many, as a list of examples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.errors import DataError, ShapeError
from audioconv.pipeline.inputs import AudioInput, ImageInput

Example = StrPath | BinaryIO | Array

MAX_CHANNELS = 8
"""Channels that a recording has at most (7.1 surround): an axis that is longer is not one of channels."""

MIN_CLIP_SAMPLES = 400
"""Length of the rows of an array (N, T) that are taken for clips, at least: 25 ms at 16 kHz."""


def listed(X: Any, split: Callable[[Array], list[Array]]) -> list[Example]:
    """Return the examples in `X`.

    Parameters
    ----------
    X : path, open binary file or array, or a sequence, an array or a column of a table of these
    split : callable
        From an array of numbers to the examples in it.

    Raises
    ------
    DataError
        If `X` holds something else.
    ShapeError
        If an array could be two things.
    """
    if is_path(X) or is_file(X):
        return [_checked(X, "X")]
    if isinstance(X, bytes | bytearray | memoryview):
        return [_checked(X, "X")]  # an error that says how to write it
    if hasattr(X, "__array__") or hasattr(X, "__array_interface__"):  # NumPy, pandas, PyTorch; Pillow
        array = np.asarray(X)
        if array.dtype == object and array.ndim > 1 and array.shape[1] > 1:
            with contextlib.suppress(ValueError):  # of arrays of different lengths
                array = np.asarray(array.tolist())  # numbers, unless a table has several columns of text
        if array.dtype.kind not in "OUST":
            return list(split(array))
        given = _one_column(array)
    else:
        try:
            given = list(X)
        except TypeError:
            raise DataError(f"X: expected paths, open binary files or arrays, got {_described(X)}") from None
    name = names(len(given))
    return [_checked(example, name(place)) for place, example in enumerate(given)]


def listed_for(
    X: Any, source: AudioInput | ImageInput, count: int | None = None, row_length: int | None = None
) -> list[Example]:
    """Return the examples in `X` for a model that takes `source`; see `listed` and `split_sound`."""
    if isinstance(source, ImageInput):
        return listed(X, lambda array: split_pictures(array, source.shape, count))
    return listed(X, lambda array: split_sound(array, count, row_length))


def split_sound(array: Array, count: int | None = None, row_length: int | None = None) -> list[Array]:
    """Return the recordings in `array`; `ShapeError` where it could be two things.

    Parameters
    ----------
    array : array
        (T,) is one recording and so is (T, channels), as `soundfile.read` gives it; (N, T) are N clips, and
        (N, T, channels) N recordings.
    count : int, optional
        How many labels are given for them.
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


def split_to_learn(array: Array, count: int) -> list[Array]:
    """Return the recordings or pictures in an array for `count` labels, of a kind that is not known yet."""
    if array.ndim < 2:
        raise ShapeError(
            f"X of shape {array.shape} is one recording at most; training takes several: a list of arrays, or (N, time)"
        )
    return split_sound(array, count) if array.ndim == 2 else list(array)


def is_path(example: Any) -> bool:
    """Tell whether an example is the name of a file."""
    return isinstance(example, str | os.PathLike)


def is_file(example: Any) -> bool:
    """Tell whether an example is an open file, or a buffer that is used as one."""
    return hasattr(example, "read") and not is_path(example)


def names(count: int) -> Callable[[int], str]:
    """Return what errors call the example at a place."""
    return lambda place: "X" if count == 1 else f"X[{place}]"


def _one_column(array: Array) -> list[Any]:
    """Return the elements of an array (N,) or (N, 1) of paths or of arrays."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim > 1:
        raise DataError(
            f"X: has {array.shape[1]} columns, expected one of paths, such as table['path'] (shape {array.shape})"
        )
    return list(np.atleast_1d(array).tolist())


def _checked(example: Any, name: str) -> Example:
    """Return an example as a path, an open file or an array of numbers."""
    if isinstance(example, str | os.PathLike):
        return example
    if is_file(example):
        file: BinaryIO = example
        return file
    if isinstance(example, bytes | bytearray | memoryview):
        raise DataError(
            f"{name}: bytes could be a file's name or its content; write os.fsdecode(x) for a name, "
            "or io.BytesIO(x) for the content"
        )
    try:
        array = np.asarray(example)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    if array.dtype.kind in "OUSTMmV" or array.ndim == 0:
        raise DataError(f"{name}: expected a path, an open binary file or an array, got {_described(example)}")
    return array


def _described(value: Any) -> str:
    if value is None or isinstance(value, int | float):
        return repr(value)
    return f"{type(value).__name__} {str(value)[:40]!r}"
