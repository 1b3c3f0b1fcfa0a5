"""Where compiled kernels are kept: one folder for each version of the kernels, removed when it is out of use."""

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
from numba.core.caching import FunctionCache

from audioconv._version import __version__
from audioconv.kernels.lanes import LANES

logger = logging.getLogger("audioconv")

DAY = 86400.0
UNUSED_SECONDS = 30 * DAY
"""Kernels of another version are removed when nobody has used them for so long."""

_FOLDER_NAME = re.compile(r"\d[\w.+]*-[0-9a-f]{12}")


@functools.cache
def cache_folder() -> Path:
    """Return the folder of the compiled kernels, keyed by version and by a hash of all kernel sources.

    Numba itself notices a change only in the file of the cached function, not in what that function calls.
    Falls back to a temporary folder, of this process alone, where the user's cache folder cannot be written.
    """
    digest = hashlib.sha256(f"{LANES} {numba.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    key = f"{__version__}-{digest.hexdigest()[:12]}"
    base = os.environ.get("AUDIOCONV_CACHE_DIR") or platformdirs.user_cache_dir("audioconv", appauthor=False)
    folder = Path(base) / "kernels" / key
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            _mark_used(folder)
            remove_unused(folder)
            return folder
    logger.warning("cannot write to %s: set AUDIOCONV_CACHE_DIR, or kernels are compiled again in each process", folder)
    folder = Path(tempfile.mkdtemp(prefix="audioconv-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _mark_used(folder: Path) -> None:
    """Make the folder's time of change say that it is in use; once a day is enough."""
    with suppress(OSError):
        if time.time() - folder.stat().st_mtime > DAY:
            os.utime(folder)


def remove_unused(folder: Path) -> None:
    """Remove the folders beside `folder` that hold kernels of other versions and have long been out of use."""
    oldest = time.time() - UNUSED_SECONDS
    with suppress(OSError):
        for other in list(folder.parent.iterdir()):
            # The folder's own time first: to look into each file would take its time in every process.
            if other == folder or not _FOLDER_NAME.fullmatch(other.name) or _changed(other) >= oldest:
                continue
            if all(_last_used(path) < oldest for path in other.rglob("*")):
                shutil.rmtree(other, ignore_errors=True)


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


class KernelCache(FunctionCache):
    """Numba's cache, but a full disk or a damaged file costs a compilation instead of ending the program."""

    def load_overload(self, signature, target):
        """Return what was compiled for a signature, or None."""
        try:
            return super().load_overload(signature, target)
        except Exception:  # reading half a pickle raises whatever it likes; a file of no length follows a power cut
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, data):
        """Keep what was compiled for a signature."""
        try:
            super().save_overload(signature, data)
        except Exception as error:
            _say_not_kept(str(error))


@functools.cache
def _say_not_kept(error: str) -> None:
    """Say, once for each reason, that a compiled kernel is not there for the next process."""
    logger.warning("cannot keep compiled kernels in %s: %s", cache_folder(), error)
