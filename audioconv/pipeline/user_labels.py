"""Labels and groups as users give them, one for each example."""

from __future__ import annotations

from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import DataError

# How Python, NumPy and pandas write a value that is not there.
_MISSING = frozenset({"None", "nan", "NaN", "NaT", "<NA>"})


def labels_of(y: Any, count: int) -> tuple[list[str], Array | None]:
    """Return the label of each of `count` examples, and the classes where they are numbers.

    Parameters
    ----------
    y : sequence, array (N,) or (N, 1), or column of a table
        Text, numbers or truth values. Numbers become text: 3 is the label ``"3"``.
    count : int

    Returns
    -------
    labels : list of str
    classes : array or None
        The distinct values of `y` in ascending order, where they are numbers or truth values; None for text.

    Raises
    ------
    DataError
        If there is not one label for each example.
    """
    values = _column(y, "y", "label", count)
    labels = []
    for place, value in enumerate(values):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        if _is_missing(value) or value == "":
            raise DataError(f"y[{place}]: the label is missing ({value!r}); give one, or leave the example out")
        labels.append(str(value))
    distinct = np.unique(np.asarray(values)) if not any(isinstance(value, str | bytes) for value in values) else None
    return labels, distinct if distinct is not None and distinct.dtype.kind in "biuf" else None


def groups_of(groups: Any, count: int) -> list[str | None]:
    """Return the group (a speaker, a source recording) of each of `count` examples, None where it is not known."""
    if groups is None:
        return [None] * count
    return [
        None if _is_missing(group) or group == "" else str(group) for group in _column(groups, "groups", "group", count)
    ]


def _column(given: Any, name: str, what: str, count: int) -> list[Any]:
    """Return one value for each of `count` examples."""
    values: list[Any]
    if hasattr(given, "__array__"):
        array = np.asarray(given)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(
                f"{name}: needs one {what} for each example, got an array of shape {array.shape}; "
                f"columns that are 0 and 1 become labels by {name}.argmax(axis=1)"
            )
        values = array.tolist()
    elif given is None or isinstance(given, str | bytes):
        raise DataError(f"{name}: needs one {what} for each of the {count} examples, got {given!r}")
    else:
        values = list(given)
    if len(values) != count:
        raise DataError(f"{name}: needs one {what} for each of the {count} examples, got {len(values)}")
    return values


def _is_missing(value: Any) -> bool:
    return not isinstance(value, str) and str(value) in _MISSING
