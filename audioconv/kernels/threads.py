"""The threads that kernels run on: which library starts them, how many there are, and none of them after a fork.

The threads of a process do not survive a fork, and GNU OpenMP does not start others: Numba ends a child that tries
to. So the children of a process that has launched threads compute on one, with the same results.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numba

from audioconv.kernels.numba_internals import global_compiler_lock, load_threading_layer

SPIN_COUNT = "3000"  # some tens of microseconds

LAYERS = ("omp", "tbb", "workqueue")
"""Numba's threading layers, the best first; only `workqueue` is always there, and is unsafe from several threads."""

_numba: Any = numba
_settings: Any = numba.config


def _threading_layer() -> str:
    """Return the threading layer of this process: the one that runs, or that the user chose, or the best there is."""
    with suppress(ValueError):
        return str(_numba.threading_layer())  # another library has launched threads: a process has one layer
    chosen = _settings.THREADING_LAYER  # from NUMBA_THREADING_LAYER, or set by another library
    with _sleeping_threads():
        for layer in (chosen,) if chosen in LAYERS else LAYERS:
            if layer == "workqueue" or load_threading_layer(layer):
                return str(layer)
    return "workqueue"


@contextmanager
def _sleeping_threads() -> Iterator[None]:
    """Make OpenMP's threads sleep when they wait, if it is loaded in the block and the environment has no other choice.

    With another program on the same cores, spinning made a training step five to ten times slower. They still spin
    for some microseconds, because calls often follow each other so fast.

    OpenMP takes this from environment variables alone, and reads them once, when it is loaded. So they are set during
    the import only, and child processes do not inherit them.
    """
    if "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    added = {"OMP_WAIT_POLICY": "PASSIVE"}
    if "GOMP_SPINCOUNT" not in os.environ:
        added["GOMP_SPINCOUNT"] = SPIN_COUNT
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


THREADING_LAYER = _threading_layer()
# A process has one layer, whichever library launches first, and Numba reads the setting then. Left at its default, the
# layer could be another one than the one that `jit` takes its precautions for.
_settings.THREADING_LAYER = THREADING_LAYER


class Launching:
    """State of the launches of kernels in this process.

    Attributes
    ----------
    alone : bool
        True if this process was forked from one that had launched threads: it must not launch any.
    turn : lock
        workqueue corrupts its state when two Python threads launch at once, so launches take turns there.
    """

    def __init__(self) -> None:
        self.alone = False
        self.turn = threading.Lock()

    def begin_child(self) -> None:
        """Prepare a forked child: another thread of the parent may have held the lock."""
        self.turn = threading.Lock()
        with suppress(ValueError):
            _numba.threading_layer()  # raises where no threads were launched
            self.alone = True
        global_compiler_lock.release()


launching = Launching()
if hasattr(os, "register_at_fork"):
    # No fork while another thread compiles: the child would wait for ever for that thread's lock.
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=launching.begin_child,
    )


def thread_count() -> int:
    """Return on how many threads kernels may run: as many as Numba has, or one in a forked process."""
    return 1 if launching.alone else numba.get_num_threads()
