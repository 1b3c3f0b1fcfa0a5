"""Examples as users give them (paths, open files, samples, pixels; one or many) as a list."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.audio.read import HIGHEST_RATE, LOWEST_RATE
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.io.files import display_path, reason
from audioconv.pipeline.inputs import InputSpec
from audioconv.pipeline.user_arrays import names, split_sound

Example = StrPath | BinaryIO | Array

INSTEAD_OF_FOLDER = (
    "give predict_files the files in it, such as sorted(Path(folder).rglob('*.wav')), "
    "or evaluate the folder, which compares with its subfolders' names"
)


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


def split_to_learn(array: Array, count: int) -> list[Array]:
    """Return the recordings or pictures in an array for `count` labels, of a kind that is not known yet."""
    if array.ndim < 2:
        raise ShapeError(
            f"X of shape {array.shape} is one recording at most; training takes several: a list of arrays, or (N, time)"
        )
    return split_sound(array, count) if array.ndim == 2 else list(array)


def examples_in_memory(
    given: Sequence[Example], spec: InputSpec, sample_rate: float | None
) -> tuple[dict[int, Array], dict[int, StrPath]]:
    """Return recordings or pictures in arrays or open files, and the paths, each by its place in `given`.

    Parameters
    ----------
    given : sequence of paths, open files and arrays
    spec : InputSpec
    sample_rate : float or None
        Sample rate in Hz of arrays of samples; None for pictures.

    Returns
    -------
    arrays : dict of int to array
        Mono samples (T,) float32 at the rate of `spec`, of their own length; or pixels (H, W, C).
    paths : dict of int to path-like
    """
    name = names(len(given))
    arrays, paths = dict[int, Array](), dict[int, StrPath]()
    for place, example in enumerate(given):
        if isinstance(example, str | os.PathLike):
            check_is_file(example, INSTEAD_OF_FOLDER)
            paths[place] = example
        elif isinstance(example, np.ndarray):
            arrays[place] = spec.from_array(example, name(place), sample_rate)
        else:
            own_name = file_name(example, name(place))
            arrays[place] = spec.from_bytes(content_of(example, own_name), own_name)
    return arrays, paths


def check_rate(sample_rate: float | None, spec: InputSpec) -> float | None:
    """Return the rate of samples in arrays, None for pictures; `ConfigError` for a rate that cannot be."""
    if sample_rate is None:
        return spec.sample_rate
    if spec.sample_rate is None:
        raise ConfigError("sample_rate is of sounds; this is a model of pictures")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | float | np.integer | np.floating):
        raise ConfigError(f"sample_rate must be a number in Hz, got {sample_rate!r}")
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise ConfigError(f"sample_rate lies between {LOWEST_RATE} and {HIGHEST_RATE} Hz, got {sample_rate}")
    return float(sample_rate)


def paths_in(given: Sequence[Example]) -> list[Path] | None:
    """Return the examples as paths where they are, and None where they are arrays or open files."""
    paths = [Path(example) for example in given if isinstance(example, str | os.PathLike)]
    if paths and len(paths) < len(given):
        raise DataError(
            f"X: {len(paths)} of the {len(given)} examples are paths, the others arrays or open files; "
            "training takes one of the two"
        )
    for path in paths:
        check_is_file(path, "Classifier.train takes folders")
    return paths or None


def content_of(file: Any, name: str) -> bytes:
    """Return the content of an open file from its beginning, whose position stays; `DataError` if there is none."""
    name = file_name(file, name)
    try:
        if file.seekable():
            position = file.tell()
            file.seek(0)
            content = file.read()
            file.seek(position)
        else:
            content = file.read()
    except OSError as error:
        raise DataError(f"{name}: the open file cannot be read ({reason(error)})") from None
    except (AttributeError, ValueError) as error:  # ValueError: it is closed
        raise DataError(f"{name}: the open file cannot be read ({error})") from None
    if not isinstance(content, bytes | bytearray):
        raise DataError(f"{name}: the file is open as text; open it with mode 'rb'")
    if not content:
        raise DataError(f"{name}: is empty (0 bytes), expected a recording or a picture")
    return bytes(content)


def file_name(file: Any, name: str) -> str:
    """Return what errors call an open file: its own name where it has one."""
    own = getattr(file, "name", None)
    return display_path(own) if isinstance(own, str | os.PathLike) and os.fspath(own) else name


def check_is_file(path: StrPath, instead: str) -> None:
    """Raise `DataError` if `path` is a folder; `instead` is the remedy."""
    if os.path.isdir(path):
        raise DataError(f"{display_path(path)}: is a folder, expected a file; {instead}")


def is_path(example: Any) -> bool:
    """Tell whether an example is the name of a file."""
    return isinstance(example, str | os.PathLike)


def is_file(example: Any) -> bool:
    """Tell whether an example is an open file, or a buffer that is used as one."""
    return hasattr(example, "read") and not is_path(example)


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
