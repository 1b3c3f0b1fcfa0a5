"""What the processes that share the tests of one run make once: whoever comes first makes it, the others wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

try:
    import fcntl
except ImportError:  # Windows: each process makes it for itself
    fcntl = None

LOCKS = fcntl is not None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time into the block; `path` names the lock's file."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # a child that was forked meanwhile has the file open, too


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name` of this run; `make` is called to fill it where it is not there. Do not change it."""
    if not LOCKS or "PYTEST_XDIST_WORKER" not in os.environ:
        folder = factory.mktemp(name)
        make(folder)
        return folder
    base = factory.getbasetemp().parent  # of all workers
    folder, unfinished = base / name, base / f"{name} (unfinished)"
    with locked(base / f"{name}.lock"):
        if not folder.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder
