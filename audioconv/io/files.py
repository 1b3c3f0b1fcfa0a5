"""Atomic writes, locks, and paths that can always be printed."""

from __future__ import annotations

import errno
import io
import itertools
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast, overload

from audioconv.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


MAX_COMPARED = 1000
"""Number of names in a folder that `where_missing` compares at most."""


def display_path(path: str | os.PathLike[str]) -> str:
    r"""Return `path` as text that can be printed: bytes that are not UTF-8 and control characters are escaped.

    Examples
    --------
    >>> display_path("caf\udce9/yes.wav")
    'caf\\xe9/yes.wav'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if text.isprintable():  # it is called for each file that is read
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def where_missing(path: str | os.PathLike[str], remedy: str = "") -> str:
    """Return the similar names beside a path that does not exist; without any, where it ends and what to do.

    The answer is for the end of a message: ``did you mean recordings?``, or ``there is no 'recordings' in /home/anna``,
    then `remedy`.
    """
    told = _where_missing(Path(path).absolute())
    return f"{told}; {remedy}" if remedy and not told.endswith("?") else told


def _where_missing(whole: Path) -> str:
    folder = next((above for above in whole.parents if above.is_dir()), None)
    if folder is None or whole.exists():
        return "it cannot be reached"
    name = whole.parts[len(folder.parts)]
    if (folder / name).exists():
        return f"{display_path(folder / name)} is no folder"
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, MAX_COMPARED)]
    except OSError:  # a folder that may be entered and not listed
        names = []
    meant = did_you_mean(name, names, shown=display_path)
    return meant or f"there is no {display_path(name)!r} in {display_path(folder)}"


def cache_folder(name: str) -> Path:
    """Return a folder in the user's cache, or in that which AUDIOCONV_CACHE_DIR names."""
    import platformdirs

    base = os.environ.get("AUDIOCONV_CACHE_DIR") or platformdirs.user_cache_dir("audioconv", appauthor=False)
    return Path(base, name)


def reason(error: OSError) -> str:
    """Return what went wrong in `error`, without the path: ``No space left on device``."""
    return error.strerror or str(error) or type(error).__name__


def make_folder(path: Path) -> None:
    """Make a folder unless it is there; `DataError` if it cannot be."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(f"{display_path(path)}: the folder cannot be made ({reason(error)})") from None


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
        If the file cannot be written. An OSError of the block that has nothing to do with this file stays what it is.
    """
    shown = display_path(path)
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise DataError(f"{shown}: cannot be written, it is not a regular file; give another name")
    part = target.with_name(f".audioconv-{secrets.token_hex(6)}.part")
    raw: _NewFile | None = None
    is_ours = True  # whether this function works, and not the block
    try:
        raw = _NewFile(part, "xb")
        with _wrapped(raw, mode) as file:
            is_ours = False
            yield file
            is_ours = True
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        if not is_ours and (raw is None or raw.failure is None):
            raise
        raise DataError(
            f"{shown}: could not be written ({reason(error)}); what was there before is unchanged"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


class _NewFile(io.FileIO):
    """A file that records its own write error, as opposed to other errors of the same block.

    Opened exclusively, not by mkstemp(): it gets the permissions of the user's umask.
    """

    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int | None:  # type: ignore[override]
        """Write bytes."""
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


def _wrapped(raw: _NewFile, mode: Literal["wb", "w"]) -> IO[Any]:
    buffered = io.BufferedWriter(raw)
    if mode == "wb":
        return cast(IO[Any], buffered)
    return io.TextIOWrapper(buffered, encoding="utf-8", errors="surrogateescape", newline="")


@contextmanager
def exclusive(path: str | os.PathLike[str], told: str) -> Iterator[None]:
    """Run the block in one process at a time, by a lock on a file that exists meanwhile.

    The lock of a process that is killed is released, and the file that it leaves does no harm. On a file system without
    locks, processes are not kept apart.

    Parameters
    ----------
    path : path-like
        The lock's file; its folder must exist.
    told : str
        Message of the error: the path in use and the remedy.

    Raises
    ------
    DataError
        If another process, or another thread, holds the lock, or the file cannot be made.
    """
    file = _locked(Path(path), told)
    try:
        yield
    finally:
        # Windows keeps a file that is open; elsewhere no process may get the lock on a file that will be removed.
        if os.name != "nt":
            with suppress(OSError):
                os.unlink(path)
        file.close()
        if os.name == "nt":
            with suppress(OSError):
                os.unlink(path)


def _locked(path: Path, told: str) -> IO[str]:
    """Return the open file at `path`, locked, with the number of this process in it."""
    while True:
        try:
            file = open(path, "a+", encoding="ascii", errors="replace")  # noqa: SIM115
        except OSError as error:
            raise DataError(f"{display_path(path)}: could not be made ({reason(error)})") from error
        try:
            is_ours = _try_lock(file)
            is_there = os.path.samestat(os.fstat(file.fileno()), os.stat(path))
        except OSError:  # the process that held the lock has removed the file
            is_ours = is_there = False
            file.close()
            continue
        if is_ours and is_there:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            return file
        holder = _holder(file)
        file.close()
        if not is_ours:
            raise DataError(f"{told}{holder}")


def _try_lock(file: IO[str]) -> bool:
    """Return whether the lock on `file` is ours now; where there are no locks, it is."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_BYTE)  # behind the number of the process, which others must be able to read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _IN_USE
    return True


_LOCKED_BYTE = 1 << 20
_IN_USE = {errno.EAGAIN, errno.EACCES, errno.EDEADLK, errno.EWOULDBLOCK}


def _holder(file: IO[str]) -> str:
    """Return which process has written its number into a lock's file."""
    try:
        file.seek(0)
        number = file.read(20).strip()
    except OSError:
        return ""
    return f" (process {number})" if number.isdecimal() else ""
