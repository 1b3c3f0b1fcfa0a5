"""Compilation of kernels in separate processes, while the command that will need them still reads its input.

On a first run, the kernels of a default network take about 18 seconds of one core. `start` begins that beside the
command: one or two processes, which put compiled kernels into the cache folder. Locks on files (see `cache`) keep two
processes from compiling the same kernel: a command that needs one before it is done waits for it, and compiles it
itself if the process has died.

Only the command line starts them. A library that starts processes unasked would surprise programs that fork, that count
their children, or that have no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import atexit
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from audioconv.kernels import parent

VARIABLE = "AUDIOCONV_BACKGROUND_COMPILATION"
"""Environment variable; 0 lets each command compile its kernels itself, when it needs them."""

_CODE = "from audioconv.kernels import precompile; precompile.main({groups!r})"


def _interpreter() -> None:
    from audioconv.kernels import interpreter

    assert interpreter.worker.address


def _routine(name: str) -> Callable[[], None]:
    def compile_it() -> None:
        from audioconv.kernels import routines

        assert routines.ROUTINES[name][0].address

    return compile_it


def _features() -> None:
    from numba import types

    from audioconv.kernels import spectral
    from audioconv.kernels.launch import launch

    assert spectral.worker.address
    launch.compile(types.int64, types.int64, types.int64)


def _optimizer() -> None:
    from numba import types

    from audioconv.kernels import optimizers

    values, float32 = types.float32[::1], types.float32
    optimizers.squares.compile(values, types.float64[::1])
    optimizers.adamw.compile(
        values, values, values, values, types.int64, float32, types.UniTuple(float32, 4), float32, float32, float32
    )


GROUPS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "interpreter": (_interpreter, ("interpreter._work",)),
    "winograd": (_routine("winograd"), ("routines._run_winograd",)),
    "images": (_routine("images"), ("routines._run_on_images",)),
    "few_channels": (_routine("few_channels"), ("routines._run_few_channels",)),
    "winograd_1d": (_routine("winograd_1d"), ("routines._run_winograd_1d",)),
    "depthwise": (_routine("depthwise"), ("routines._run_depthwise",)),
    "features": (_features, ("spectral._work", "launch.launch")),
    "optimizer": (_optimizer, ("optimizers.squares", "optimizers.adamw")),
}
"""The function that compiles a group, and the begin of the names of its kernels' files in the cache folder."""

# The groups of each process, those first that are needed first. The routines are those of the default networks.
USE = (("images",), ("interpreter", "winograd"))
"""Beside a command that uses a model. The command itself compiles the features, at once."""

TRAIN_ON_SOUNDS = (("features", "images"), ("interpreter", "winograd", "optimizer"))
"""Beside a command that trains one."""

TRAIN_ON_IMAGES = (("images", "optimizer"), ("interpreter", "winograd"))


def start(processes: tuple[tuple[str, ...], ...]) -> list[subprocess.Popen[bytes]]:
    """Start each process whose kernels are not in the cache folder; return those that were started.

    They end with this process, however it ends, and write nothing to its streams. None is started on a machine with one
    core, where nothing would be gained; where kernels cannot be kept; and in an application that is frozen into one
    file, whose ``sys.executable`` is no Python.
    """
    from audioconv.kernels.cache import cache_folder, kernels_folder
    from audioconv.kernels.numba_internals import PLAIN
    from audioconv.kernels.processor import usable_cores

    if os.environ.get(VARIABLE) == "0" or PLAIN or not parent.can_start():
        return []
    if usable_cores() < 2 or cache_folder().parent != kernels_folder():
        return []
    started = []
    for groups in processes:
        if not all(_is_kept(kernel) for group in groups for kernel in GROUPS[group][1]):
            with suppress(OSError):  # too many processes, too little memory: the command compiles itself
                started.append(_start(groups))
    return started


def _is_kept(kernel: str) -> bool:
    """Tell whether a kernel is in the cache folder, for this version of Python."""
    from audioconv.kernels.cache import cache_folder

    return any(cache_folder().glob(f"*/{kernel}-*.py{sys.version_info[0]}{sys.version_info[1]}*.nbi"))


def _start(groups: tuple[str, ...]) -> subprocess.Popen[bytes]:
    process = parent.start(_CODE.format(groups=groups), subprocess.DEVNULL)
    # Waiting for a process takes its exit status: without that it would stay a zombie.
    threading.Thread(target=process.wait, name="waits for compilation", daemon=True).start()
    atexit.register(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        process.kill()  # Numba writes each file under another name first, so that nothing is left half written
    process.wait()
    if process.stdin:
        with suppress(OSError):
            process.stdin.close()


def main(groups: tuple[str, ...]) -> None:
    """Compile groups of kernels and end the process, at once if the one that started it ends before."""
    parent.ignore_interrupts()
    parent.end_with_parent(1)
    gc.disable()  # compilation makes millions of objects that stay: looking through them takes a tenth of the time
    try:
        for group in groups:
            GROUPS[group][0]()
    finally:
        os._exit(0)
