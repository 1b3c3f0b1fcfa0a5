"""The folder of compiled kernels: one for each version of the kernels, removed when it has long been out of use."""

from __future__ import annotations

import atexit
import functools
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numba
import platformdirs

from audioconv._version import __version__
from audioconv.kernels import numba_internals
from audioconv.kernels.lanes import LANES
from audioconv.kernels.locks import FileLock
from audioconv.kernels.numba_internals import PLAIN

logger = logging.getLogger("audioconv")

DAY = 86400.0
UNUSED_SECONDS = 30 * DAY
"""Seconds without use after which kernels of another version are removed."""

COMPILE_SECONDS = 300.0
"""Longest time in seconds that a process waits for another one that compiles the same kernel."""

IN_USE = "in-use.lock"
"""A file in each folder of kernels, on which each process that uses them holds a shared lock."""

_FOLDER_NAME = re.compile(r"\d[\w.+]*-[0-9a-f]{12}")
_uses: list[FileLock] = []  # of this process, as long as it runs


@functools.cache
def cache_folder() -> Path:
    """Return the folder of the compiled kernels, keyed by version and by a hash of all kernel sources.

    Numba itself notices a change only in the file of the cached function, not in what that function calls.
    Falls back to a temporary folder, of this process alone, where the user's cache folder cannot be written.
    """
    folder = kernels_folder() / _key()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            _use(folder)
            _mark_used(folder)
            remove_unused(folder)
            return folder
    logger.warning("cannot write to %s: set AUDIOCONV_CACHE_DIR, or kernels are compiled again in each process", folder)
    folder = Path(tempfile.mkdtemp(prefix="audioconv-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def kernels_folder() -> Path:
    """Return the folder that holds the folders of all versions."""
    base = os.environ.get("AUDIOCONV_CACHE_DIR") or platformdirs.user_cache_dir("audioconv", appauthor=False)
    return Path(base) / "kernels"


def _key() -> str:
    """Return the name of the folder: what is compiled differently lies in another one."""
    digest = hashlib.sha256(f"{LANES} {numba.__version__} {PLAIN}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return f"{__version__}-{digest.hexdigest()[:12]}"


def _use(folder: Path) -> None:
    """Keep other processes from removing the folder while this one runs, where files can be locked."""
    lock = FileLock(folder / IN_USE, shared=True)
    with suppress(OSError):
        while lock.acquire(COMPILE_SECONDS):
            if lock.is_in_place():
                _uses.append(lock)
                return
            lock.release()  # the folder was removed meanwhile
            folder.mkdir(parents=True, exist_ok=True)


def _mark_used(folder: Path) -> None:
    """Set the folder's time of change to now; once a day is enough."""
    with suppress(OSError):
        if time.time() - folder.stat().st_mtime > DAY:
            os.utime(folder)


def remove_unused(folder: Path) -> None:
    """Remove the folders beside `folder` that hold kernels of other versions and have long been out of use."""
    oldest = time.time() - UNUSED_SECONDS
    for other in _folders(folder.parent):
        # The folder's own time first: to look into each file would take its time in every process.
        if other == folder or _changed(other) >= oldest:
            continue
        with suppress(OSError):
            if all(_last_used(path) < oldest for path in other.rglob("*") if path.name != IN_USE):
                _remove(other, is_unused=True)


def clear() -> tuple[int, list[Path]]:
    """Remove the compiled kernels of all versions; return the bytes that are free again, and the folders left.

    What is left is in use by another process.
    """
    for lock in _uses:
        lock.release()
    _uses.clear()
    freed, left = 0, []
    for folder in _folders(kernels_folder()):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if _remove(folder):
            freed += size
        else:
            left.append(folder)
    cache_folder.cache_clear()
    return freed, left


def _folders(parent: Path) -> list[Path]:
    """Return the folders of kernels, of this and other versions."""
    with suppress(OSError):
        return sorted(path for path in parent.iterdir() if _FOLDER_NAME.fullmatch(path.name) and path.is_dir())
    return []


def _remove(folder: Path, is_unused: bool = False) -> bool:
    """Remove a folder unless a process uses it; return whether it is gone.

    Where files cannot be locked, `is_unused` decides.
    """
    lock = FileLock(folder / IN_USE)
    try:
        if not lock.acquire():
            return False
    except OSError:
        if not is_unused:
            return False
    try:
        if os.name == "nt":  # an open file cannot be removed: the one that its users hold open goes first
            lock.release()
            (folder / IN_USE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return False
    finally:
        lock.release()
    return not folder.exists()


def _changed(path: Path) -> float:
    """Return when a folder was changed; now, where that is not known."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _last_used(path: Path) -> float:
    """Return when a file was written or read, where the system keeps the latter; 0 for folders, which are listed."""
    try:
        found = path.stat()
    except OSError:
        return time.time()
    return max(found.st_mtime, found.st_atime) if path.is_file() else 0.0


@functools.cache
def say_compiling() -> None:
    """Log, once in a process, that kernels are being compiled."""
    logger.warning("compiling kernels for this machine; this happens once (kept in %s)", cache_folder())


@functools.cache
def _say_not_kept(error: str) -> None:
    """Log, once for each reason, that a compiled kernel is not kept for the next process."""
    logger.warning("cannot keep compiled kernels in %s: %s", cache_folder(), error)


if not PLAIN:

    class KernelCache(numba_internals.FunctionCache):
        """Numba's cache, but two processes never compile the same kernel at the same time: one waits for the other.

        A full disk or a damaged file costs a compilation instead of ending the program.
        """

        def __init__(self, function):
            super().__init__(function)
            self._lock = FileLock(cache_folder() / f"{function.__module__}.{function.__qualname__}.lock")

        def load_overload(self, sig, target_context):
            """Return the kernel that was compiled for a signature; None if this process is to compile it now."""
            found = self._load(sig, target_context)
            if found is None:
                self._lock.release()  # held since a compilation that ended with an exception
                with suppress(OSError):
                    if not self._lock.acquire():
                        say_compiling()  # another process does
                        self._lock.acquire(COMPILE_SECONDS)
                found = self._load(sig, target_context)
                if found is None:
                    say_compiling()
                else:
                    self._lock.release()
            return found

        def _load(self, sig, target_context):
            try:
                return super().load_overload(sig, target_context)
            except Exception:  # half a pickle raises all kinds of exceptions; after a power cut files may be empty
                with suppress(OSError):
                    self.flush()
                return None

        def save_overload(self, sig, data):
            """Keep the kernel that was compiled for a signature."""
            try:
                super().save_overload(sig, data)
            except Exception as error:
                _say_not_kept(str(error))
            finally:
                self._lock.release()
