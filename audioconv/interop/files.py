"""Files of other programs, read within limits."""

from __future__ import annotations

import os
import stat
import zipfile
from io import BytesIO

from audioconv._types import StrPath
from audioconv.errors import DataError, ModelFileError
from audioconv.io.files import display_path, reason

MAX_BYTES = 2**31
"""Largest file, and largest sum of the arrays of one; protobuf itself stops here."""


def read_limited(path: StrPath, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; `DataError` if it cannot be had."""
    shown = display_path(path)
    try:
        with open(path, "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise DataError(f"{shown}: not a regular file")
            if about.st_size > limit:
                raise DataError(f"{shown}: {about.st_size:,} bytes; at most {limit:,} are read")
            return file.read(limit + 1)[:limit]
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None


def open_archive(path: StrPath) -> zipfile.ZipFile:
    """Return the zip archive at `path`, in memory, whose members have at most `MAX_BYTES` together.

    Raises
    ------
    DataError
        If the file cannot be read.
    ModelFileError
        If it is no zip archive, or its members are larger.
    """
    content = read_limited(path)
    try:
        archive = zipfile.ZipFile(BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise ModelFileError(f"{display_path(path)}: truncated or damaged: not a zip archive") from None
    if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
        raise ModelFileError(f"{display_path(path)}: its members are larger than {MAX_BYTES:,} bytes")
    return archive


def member(archive: zipfile.ZipFile, name: str, shown: str) -> bytes:
    """Return the content of a member of an archive; `ModelFileError` if it is missing or damaged."""
    try:
        with archive.open(name) as file:
            size = archive.getinfo(name).file_size
            content = file.read(size + 1)
    except (KeyError, zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError):
        raise ModelFileError(f"{shown}: truncated or damaged: {name} is missing or cannot be read") from None
    return content
