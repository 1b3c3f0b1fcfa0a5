"""How kernels are compiled: the one place with Numba's options, threading layer and kernel cache."""

from __future__ import annotations

import functools
import logging
import types as python_types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import types
from numba.core import event
from numba.core.ccallback import CFunc

from audioconv._types import cached_property
from audioconv.kernels import pieces
from audioconv.kernels.cache import KernelCache, cache_folder
from audioconv.kernels.lanes import LANES
from audioconv.kernels.threads import THREADING_LAYER, launching

__all__ = ["FASTMATH", "LANES", "PARTS", "THREADING_LAYER", "Worker", "cache_folder", "helper", "kernel"]

logger = logging.getLogger("audioconv")

PARTS = 16
"""Into how many partial sums a reduction is split. Fixed, so that the bits do not depend on the thread count."""

# NaN and infinity keep their meaning: only the order and contraction of sums is left to the compiler.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}

_settings: Any = numba.config


@contextmanager
def _caching() -> Iterator[None]:
    """Let Numba know our folder while a dispatcher is made: it reads the setting once."""
    previous = _settings.CACHE_DIR
    _settings.CACHE_DIR = str(cache_folder())
    try:
        yield
    finally:
        _settings.CACHE_DIR = previous


def kernel(function: Callable[..., None]) -> Callable[..., None]:
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

    return launch_in_turn if THREADING_LAYER == "workqueue" else launch


def _compiled(function: Callable[..., None], parallel: bool) -> Any:
    with _caching():
        compiled: Any = numba.njit(function, parallel=parallel, nogil=True, fastmath=FASTMATH, error_model="numpy")
        compiled._cache = KernelCache(function)  # as cache=True would, with Numba's own
    return compiled


def _renamed(function: Callable[..., None], ending: str) -> Callable[..., None]:
    """Return a copy of a function with another name: Numba's cache does not tell options apart, but names."""
    assert isinstance(function, python_types.FunctionType)
    name = function.__name__ + ending
    copy = python_types.FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    copy.__module__, copy.__qualname__ = function.__module__, name
    return copy


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` for use inside kernels: Python cannot call it."""
    compiled: Callable[..., Any] = numba.njit(function, fastmath=FASTMATH, error_model="numpy", **pieces.options())
    return compiled


class Worker:
    """A function that is called by its address, from wherever: compiled for itself, on first use, and kept.

    What calls a compiled function directly holds a copy of it, and compiles that again.

    Parameters
    ----------
    function : callable
        Takes a pointer to int64 numbers and an int64, returns nothing.
    """

    def __init__(self, function: Callable[[Any, int], None]) -> None:
        self._function = function

    @cached_property
    def _compiled(self) -> Any:
        options = {"nopython": True, "fastmath": FASTMATH, "error_model": "numpy"}
        kind = ((types.CPointer(types.int64), types.int64), types.void)
        with _caching():
            compiled: Any = CFunc(self._function, kind, locals={}, options=options)
            compiled._cache = KernelCache(self._function)
        compiled.compile()
        return compiled

    @property
    def address(self) -> int:
        """Where its machine code begins."""
        address: int = self._compiled.address
        return address


class _CompileNotice(event.Listener):
    """Says once a process that kernels are being compiled."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith("audioconv."):
            self.said = True
            logger.warning("compiling kernels for this machine; this happens once (kept in %s)", cache_folder())

    def on_end(self, event: Any) -> None:
        """Nothing to do: the next kernel may follow."""


event.register("numba:compile", _CompileNotice())
