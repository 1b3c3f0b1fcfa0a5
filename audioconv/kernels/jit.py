"""Compilation of kernels: all options of Numba, and the kernel cache."""

from __future__ import annotations

import functools
import types as python_types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numba
from numba import types

from audioconv._types import cached_property
from audioconv.kernels import cache, numba_internals, parts
from audioconv.kernels.cache import cache_folder
from audioconv.kernels.lanes import LANES
from audioconv.kernels.numba_internals import PLAIN
from audioconv.kernels.threads import THREADING_LAYER, launching

__all__ = ["FASTMATH", "LANES", "THREADING_LAYER", "Worker", "cache_folder", "helper", "kernel"]

# NaN and infinity keep their meaning: only the order and contraction of sums is left to the compiler.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}

_OPTIONS: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy"}
_WORKER = types.void(types.CPointer(types.int64), types.int64)

_settings: Any = numba.config


class Kernel(Protocol):
    """A compiled function that Python calls."""

    def __call__(self, *args: Any) -> None:
        """Run it."""

    def compile(self, *types: Any) -> None:
        """Compile it for arguments of these types of Numba's, or load it from the cache folder; does not run it."""


def kernel(function: Callable[..., None]) -> Kernel:
    """Compile `function` for parallel launch from Python on first use, and keep the result in the cache folder.

    In a process that must not launch threads (see `threads`), the same function runs without them, compiled for that.
    """
    compiled = _compiled(function, parallel=True)
    serial = functools.cache(lambda: _compiled(_renamed(function, "_on_one_thread"), parallel=False))

    @functools.wraps(function)
    def launch(*args: Any) -> None:
        if launching.alone:
            serial()(*args)
        else:
            compiled(*args)

    @functools.wraps(function)
    def launch_in_turn(*args: Any) -> None:
        if launching.alone:
            serial()(*args)
        else:
            with launching.turn:
                compiled(*args)

    chosen: Any = launch_in_turn if THREADING_LAYER == "workqueue" else launch
    chosen.compile = lambda *types: compiled.compile(types)
    launched: Kernel = chosen
    return launched


@contextmanager
def _cache_folder_of_numba() -> Iterator[None]:
    """Let Numba's caches that are made meanwhile lie in our folder.

    Numba reads the folder from a setting of the whole process, when a cache is made. Threads that compile at the same
    time take turns: one would otherwise restore the setting before another has made its cache, which then would lie in
    the working folder. The lock is the compiler's, which a fork does not leave locked. A cache that another library
    makes in these microseconds lies in our folder, too: it works there.
    """
    with numba_internals.global_compiler_lock:
        previous = _settings.CACHE_DIR
        _settings.CACHE_DIR = str(cache_folder())
        try:
            yield
        finally:
            _settings.CACHE_DIR = previous


def _compiled(function: Callable[..., None], parallel: bool) -> Any:
    compiled: Any = numba.njit(function, parallel=parallel, nogil=True, **_OPTIONS)
    with _cache_folder_of_numba():
        if PLAIN:
            compiled.enable_caching()  # as cache=True does
        else:
            compiled._cache = cache.KernelCache(function)
    return compiled


def _renamed(function: Callable[..., None], ending: str) -> Callable[..., None]:
    """Return a copy of a function with another name: Numba's cache distinguishes names, not options."""
    assert isinstance(function, python_types.FunctionType)
    name = function.__name__ + ending
    copy = python_types.FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    copy.__module__, copy.__qualname__ = function.__module__, name
    return copy


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` for use inside kernels: Python cannot call it."""
    compiled: Callable[..., Any] = numba.njit(function, **_OPTIONS, **parts.options())
    return compiled


class Worker:
    """A function that is called by its address, compiled on its own, on first use, and kept in the cache folder.

    A compiled function that calls another one directly holds a copy of it, and compiles that again.

    Parameters
    ----------
    function : callable
        Takes a pointer to int64 and an int64, returns nothing.
    """

    def __init__(self, function: Callable[[Any, int], None]) -> None:
        self._function = function

    @cached_property
    def _compiled(self) -> Any:
        if PLAIN:
            with _cache_folder_of_numba():
                return numba.cfunc(_WORKER, cache=True, **_OPTIONS)(self._function)
        signature, options = (_WORKER.args, _WORKER.return_type), {"nopython": True, **_OPTIONS}
        compiled: Any = numba_internals.CFunc(self._function, signature, locals={}, options=options)
        with _cache_folder_of_numba():
            compiled._cache = cache.KernelCache(self._function)
        compiled.compile()
        return compiled

    @property
    def address(self) -> int:
        """Address of the machine code."""
        address: int = self._compiled.address
        return address
