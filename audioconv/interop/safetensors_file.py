"""``.safetensors`` files of other programs: tensors by name."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.errors import DataError, ModelFileError
from audioconv.interop.files import read_limited
from audioconv.io.files import display_path, reason

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1",
          "BOOL": "?", "BF16": "<u2"}  # fmt: skip


MAX_HEADER_BYTES = 100_000_000
"""The limit of safetensors itself."""


@dataclass(frozen=True)
class TensorHeader:
    """Type of the elements, as the file names it, and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Content of a file without the elements: tensors by name, in the order of the file, and texts by name."""

    tensors: Mapping[str, TensorHeader]
    metadata: Mapping[str, str]


def read_header(path: StrPath) -> Header:
    """Return the header of a file without reading the tensors, which may be gigabytes of any type.

    Raises
    ------
    DataError, ModelFileError
        If the file cannot be read, is none of safetensors, or is shorter or longer than its header says.
    """
    shown = display_path(path)
    try:
        with open(path, "rb") as file:
            size, length = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
            content = file.read(length) if 0 < length <= min(MAX_HEADER_BYTES, size - 8) else b""
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
    try:
        header = json.loads(content)
        if not isinstance(header, dict):
            raise ValueError("no header")
        metadata = {str(name): str(text) for name, text in header.pop("__metadata__", {}).items()}
        entries = sorted(header.items(), key=lambda entry: entry[1]["data_offsets"])
        tensors = {name: TensorHeader(str(about["dtype"]), _shape(about["shape"])) for name, about in entries}
        end = entries[-1][1]["data_offsets"][1] if entries else 0
        if end != size - 8 - length:
            raise ValueError(f"{size - 8 - length:,} bytes of numbers, {end:,} are expected")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelFileError(f"{shown}: truncated or damaged ({' '.join(str(error).split())[:200]})") from None
    return Header(tensors, metadata)


def _shape(sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"{sizes} is no shape")
    return tuple(sizes)


def safetensors_tensors(path: StrPath) -> dict[str, Array]:
    """Return the tensors of a file by name, in the order of the file; floating-point ones as float32.

    Raises
    ------
    DataError, ModelFileError
        If the file cannot be read, is damaged, or has elements of a type that is not read.
    """
    shown = display_path(path)
    content = read_limited(path)
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length]) if 0 < length <= len(content) - 8 else None
        if not isinstance(header, dict):
            raise ValueError("no header")
        header.pop("__metadata__", None)
        entries = sorted(header.items(), key=lambda entry: entry[1]["data_offsets"])
        return {name: _tensor(content[8 + length :], about) for name, about in entries}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{shown}: truncated or damaged ({' '.join(str(error).split())[:200]})") from None


def _tensor(data: bytes, about: dict[str, Any]) -> Array:
    kind, shape = about["dtype"], about["shape"]
    begin, end = about["data_offsets"]
    if kind not in _TYPES:
        raise ValueError(f"elements of type {kind} are not supported")
    dtype = np.dtype(_TYPES[kind])
    if not 0 <= begin <= end <= len(data) or math.prod(shape) * dtype.itemsize != end - begin:
        raise ValueError("a tensor's place and shape do not fit")
    array: Array = np.frombuffer(data[begin:end], dtype).reshape(shape)
    if kind == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if array.dtype.kind == "f" else array
