"""HDF5 files: arrays that lie in the file itself, of limited size."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeVar

import numpy as np

from audioconv._types import Array
from audioconv.errors import AudioconvError, ModelFileError, missing_extra
from audioconv.interop.files import MAX_BYTES

T = TypeVar("T")


def opened(content: bytes, shown: str, use: Callable[[Any], T]) -> T:
    """Return what `use` makes of the HDF5 file `content`, which is named `shown` in errors.

    Raises
    ------
    ModelFileError
        If it is not a whole HDF5 file.
    MissingExtraError
        If the package h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise missing_extra("reading Keras files", "interop") from None
    try:
        with h5py.File(BytesIO(content), "r") as file:
            return use(file)
    except AudioconvError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ModelFileError(f"{shown}: truncated or damaged ({' '.join(str(error).split())[:200]})") from None


def item(group: Any, name: str) -> Any:
    """Return what lies under `name` in a group, followed by no link into another file."""
    import h5py

    found = group
    for part in name.split("/"):
        if not isinstance(found.get(part, getlink=True), h5py.HardLink):
            raise ModelFileError(f"{name} is missing, or a link into another file, which is not followed")
        found = found[part]
    return found


def array(dataset: Any) -> Array:
    """Return a dataset that lies in the file itself, as float32."""
    if getattr(dataset, "external", None) is not None or dataset.is_virtual:
        raise ModelFileError(f"{dataset.name} lies in another file, which is not read")
    if dataset.dtype.kind not in "fiub" or dataset.size * max(dataset.dtype.itemsize, 4) > MAX_BYTES:
        raise ModelFileError(f"{dataset.name} is not an array of numbers, or too large")
    return np.asarray(dataset[()], np.float32)


def texts(values: Any) -> list[str]:
    """Return an attribute that is a list of names."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in np.asarray(values).reshape(-1)]
