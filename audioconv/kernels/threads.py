"""The threads that kernels run on: which library starts them, how many there are, and none of them after a fork.

The threads of a process do not survive a fork, and GNU OpenMP does not start others: Numba ends a child that asks it
to. So the children of a process that has launched threads compute on one, with the same results.
"""

from __future__ import annotations

import importlib
import os
import threading
from contextlib import suppress
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import threading_layer

SPIN_COUNT = "3000"  # some tens of microseconds


def _threading_layer() -> str:
    """Return the best threading layer that is installed; only `workqueue` is always there."""
    with suppress(ValueError):
        return str(threading_layer())  # another library has launched threads: there is one layer a process
    # OpenMP reads its settings once, when it is loaded. Waiting threads shall sleep, not spin: with another program on
    # the same cores, spinning made a training step five to ten times slower.
    # But not at once: calls often follow each other within microseconds, and GNU OpenMP may spin for that long.
    previous = {name: os.environ.get(name) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    if previous["OMP_WAIT_POLICY"] is None:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ["GOMP_SPINCOUNT"] = previous["GOMP_SPINCOUNT"] or SPIN_COUNT
    try:
        for layer, module in (("omp", "omppool"), ("tbb", "tbbpool")):
            with suppress(ImportError):
                importlib.import_module(f"numba.np.ufunc.{module}")
                return layer
    finally:
        for name, value in previous.items():
            if value is None:
                os.environ.pop(name, None)
    return "workqueue"


THREADING_LAYER = _threading_layer()
_settings: Any = numba.config
_settings.THREADING_LAYER = THREADING_LAYER


class Launching:
    """What decides how kernels are launched in this process.

    Attributes
    ----------
    alone : bool
        Whether this process was forked from one that had launched threads: it must not launch any.
    turn : lock
        workqueue corrupts its state when two Python threads launch at once, so launches take turns there.
    """

    def __init__(self) -> None:
        self.alone = False
        self.turn = threading.Lock()

    def begin_child(self) -> None:
        """Be a child that was forked: another thread of the parent may have held the lock."""
        self.turn = threading.Lock()
        with suppress(ValueError):
            threading_layer()  # raises where no threads were launched
            self.alone = True
        global_compiler_lock.release()


launching = Launching()
if hasattr(os, "register_at_fork"):
    # Nobody forks while another thread compiles: the child would wait for ever for that thread to be done.
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=launching.begin_child,
    )


def thread_count() -> int:
    """Return on how many threads kernels may run: as many as Numba has, or one in a forked process."""
    return 1 if launching.alone else numba.get_num_threads()
