"""Processes that share the tests compile a kernel once: the others wait for it, and then find it in the cache."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher
from sharing import LOCKS, locked


def take_turns(config: pytest.Config) -> None:
    """Let the workers of one run compile each kernel one after the other, different kernels at the same time."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is None or not LOCKS:
        return
    run = hashlib.sha256(workerinput["testrunuid"].encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"audioconv-tests-{run}")
    folder.mkdir(exist_ok=True)
    patch = pytest.MonkeyPatch()
    patch.setattr(Dispatcher, "compile", _in_turn(folder, Dispatcher.compile, "py_func"))
    patch.setattr(CFunc, "compile", _in_turn(folder, CFunc.compile, "_pyfunc"))
    config.add_cleanup(patch.undo)
    config.add_cleanup(lambda: _remove(folder))


def _in_turn(folder: Path, compile_: Callable[..., Any], function: str) -> Callable[..., Any]:
    @functools.wraps(compile_)
    def compile_in_turn(self: Any, *args: Any) -> Any:
        if not isinstance(self._cache, FunctionCache):  # what is not kept, as the parts of kernels
            return compile_(self, *args)
        python = getattr(self, function)
        with locked(folder / f"{python.__module__}.{python.__qualname__}"):
            return compile_(self, *args)

    return compile_in_turn


def _remove(folder: Path) -> None:
    """Remove the locks; whoever is at work yet opens new ones."""
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
