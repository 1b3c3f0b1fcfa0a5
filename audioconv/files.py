"""Files: writing that keeps what was good, and names that can always be printed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal, overload

from audioconv.errors import DataError


def display_path(path: str | os.PathLike[str]) -> str:
    r"""Return `path` as text that can be printed: bytes that are not UTF-8 and control characters are escaped.

    Examples
    --------
    >>> display_path("caf\udce9/yes.wav")
    'caf\\xe9/yes.wav'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def reason(error: OSError) -> str:
    """Return what went wrong in `error`, without the path: ``No space left on device``."""
    return error.strerror or str(error) or type(error).__name__


@overload
def write_atomic(path: str | os.PathLike[str], mode: Literal["wb"] = "wb") -> AbstractContextManager[IO[bytes]]: ...


@overload
def write_atomic(path: str | os.PathLike[str], mode: Literal["w"]) -> AbstractContextManager[IO[str]]: ...


@contextmanager
def write_atomic(path: str | os.PathLike[str], mode: Literal["wb", "w"] = "wb") -> Iterator[IO[Any]]:
    """Open a new file that takes the place of `path` at the end of the block, all of it or not at all.

    The bytes go to a temporary file in the same folder, which replaces `path` once they are on the disk. Where the
    block ends by an exception (Ctrl-C included) or the disk is full, the temporary file is removed and `path` is what
    it was before.

    Parameters
    ----------
    path : path-like
        The file to write; its folder must exist. A symbolic link is followed, so the link stays one.
    mode : {"wb", "w"}
        Bytes, or UTF-8 text without newline translation; file names that are not UTF-8 (surrogate escapes) can be
        written too.

    Yields
    ------
    file object
        Open for writing.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    shown = display_path(path)
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise DataError(f"{shown}: cannot be written, it is not a regular file; give another name")
    part = target.with_name(f".audioconv-{secrets.token_hex(6)}.part")
    text = {} if mode == "wb" else {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    try:
        # Exclusive creation by open(), not mkstemp(): the file gets the permissions that the user's umask asks for.
        with open(part, "xb" if mode == "wb" else "x", **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        raise DataError(
            f"{shown}: could not be written ({reason(error)}); what was there before is unchanged"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
