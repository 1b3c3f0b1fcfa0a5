"""Safetensors files of named arrays and a JSON header, written atomically and validated when read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.numpy

from audioconv._types import Array
from audioconv._version import __version__
from audioconv.errors import ConfigError, ModelFileError
from audioconv.io.files import display_path, reason, write_atomic

Kind = Literal["model", "checkpoint", "clips"]

FORMAT_VERSION = 1
"""Raised whenever an older audioconv could not read what is written."""

MAX_HEADER_BYTES = 100_000_000  # bytes: the limit of safetensors itself


def write(path: str | os.PathLike[str], kind: Kind, arrays: Mapping[str, Array], header: Mapping[str, Any]) -> None:
    """Write `arrays` and `header` to `path`; equal content gives equal bytes.

    Parameters
    ----------
    path : path-like
        Replaced only once the whole file is on the disk.
    kind : {"model", "checkpoint", "clips"}
        Kind of the file; `read` checks it.
    arrays : mapping of str to array
        Any shapes; the element types of safetensors.
    header : mapping
        JSON-compatible.

    Raises
    ------
    DataError
        If the file cannot be written.
    ConfigError
        If `header` is not JSON-compatible.
    """
    about = {"kind": kind, "format_version": FORMAT_VERSION, "audioconv_version": __version__, **header}
    # All in one metadata entry, because safetensors writes several in an order that changes from run to run.
    try:
        metadata = {"audioconv": json.dumps(about, ensure_ascii=True, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise ConfigError(f"what describes the {kind} must be JSON data without NaN: {error}") from None
    contiguous = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    content = safetensors.numpy.save(contiguous, metadata)
    with write_atomic(path) as file:
        file.write(content)


def read(path: str | os.PathLike[str], kind: Kind) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the header that `write` wrote.

    Raises
    ------
    ModelFileError
        If the file is missing, unreadable, truncated, of another kind or of a newer format; one line that names it.
    """
    shown = display_path(path)
    content = _content(path, shown, kind)
    try:
        arrays = safetensors.numpy.load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (safetensors.SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{shown}: truncated or damaged ({_first_line(error)}); copy it again from where it was whole"
        ) from None
    try:
        header = json.loads(metadata["audioconv"])
        found, version = header["kind"], int(header["format_version"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelFileError(
            f"{shown}: a safetensors file, but not one of audioconv's; expected a {kind} that audioconv wrote"
        ) from None
    if version > FORMAT_VERSION:
        maker = str(header.get("audioconv_version", "a newer one"))
        raise ModelFileError(
            f"{shown}: format {version}, written by audioconv {maker}; this is audioconv {__version__}, which reads "
            f"up to format {FORMAT_VERSION}: pip install --upgrade 'audioconv>={maker}'"
        )
    if found != kind:
        raise ModelFileError(f"{shown}: this is audioconv's {found} file; expected a {kind}")
    return arrays, header


def _content(path: str | os.PathLike[str], shown: str, kind: Kind) -> bytes:
    """Return the bytes of what at least begins as a safetensors file: no gigabytes of something else are read."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise ModelFileError(f"{shown}: the file is empty; expected a {kind} that audioconv wrote")
            if start[8:] != b"{" or int.from_bytes(start[:8], "little") > MAX_HEADER_BYTES:
                raise ModelFileError(f"{shown}: not a safetensors file; expected a {kind} that audioconv wrote")
            return start + file.read()
    except OSError as error:
        raise ModelFileError(f"{shown}: cannot be read ({reason(error)}); expected a {kind} of audioconv") from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
