"""The package librosa, imported when it is needed, by one process at a time.

Importing librosa compiles some of its functions, and Numba keeps them beside its files. Two processes that do so at
the same time may leave files that do not belong together, with which each later call ends in a segmentation fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

from audioconv.kernels.cache import kernels_folder
from audioconv.kernels.locks import FileLock

COMPILED = ("librosa.core.audio", "librosa.core.pitch", "librosa.util.utils", "librosa.beat")
"""The modules with functions that are compiled when they are imported, which librosa itself puts off."""

LOCK_SECONDS = 60.0
"""A process that does not get the lock in this time imports librosa without it."""


@cache
def load() -> ModuleType:
    """Return librosa."""
    with _alone():
        for name in COMPILED:
            import_module(name)
        return import_module("librosa")


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock on librosa's compiled functions during the block, where a file for it can be made."""
    lock = next(filter(None, map(_locked, _folders())), None)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _folders() -> Iterator[Path]:
    """Yield where Numba keeps compiled functions of librosa, and a folder of the user in case that is read-only."""
    found = util.find_spec("librosa")
    if found is not None and found.origin is not None:
        yield Path(found.origin).parent / "__pycache__"
    yield kernels_folder()


def _locked(folder: Path) -> FileLock | None:
    lock = FileLock(folder / "audioconv.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return lock if lock.acquire(LOCK_SECONDS) else None
    except OSError:
        return None
