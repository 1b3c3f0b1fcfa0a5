"""How kernels are compiled: the one place with Numba's options, threading layer and kernel cache."""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import importlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import platformdirs
from numba import types
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import AnnotateTypes
from numba.np.ufunc import threading_layer

from audioconv import __version__

logger = logging.getLogger("audioconv")

LANES = 16 if llvm.get_host_cpu_features().get("avx512f", False) else 8
"""float32 numbers in a vector register of this machine (narrower machines split a vector of 8)."""

PARTS = 16
"""Into how many partial sums a reduction is split. Fixed, so that the bits do not depend on the thread count."""

# NaN and infinity keep their meaning: only the order and contraction of sums is left to the compiler.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


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
            return folder
    logger.warning("cannot write to %s: set AUDIOCONV_CACHE_DIR, or kernels are compiled again in each process", folder)
    folder = Path(tempfile.mkdtemp(prefix="audioconv-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class _KernelCache(FunctionCache):
    """Numba's cache, but a full disk or a damaged file costs a compilation instead of ending the program."""

    def load_overload(self, signature, target):
        try:
            return super().load_overload(signature, target)
        except Exception:  # reading half a pickle raises whatever it likes; a file of no length follows a power cut
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, data):
        try:
            super().save_overload(signature, data)
        except Exception as error:
            _say_not_kept(str(error))


@functools.cache
def _say_not_kept(error: str) -> None:
    """Say, once for each reason, that a compiled kernel is not there for the next process."""
    logger.warning("cannot keep compiled kernels in %s: %s", cache_folder(), error)


@contextmanager
def _caching() -> Iterator[None]:
    """Let Numba know our folder while a dispatcher is made: it reads the setting once."""
    previous = _settings.CACHE_DIR
    _settings.CACHE_DIR = str(cache_folder())
    try:
        yield
    finally:
        _settings.CACHE_DIR = previous


# workqueue corrupts its state when two Python threads launch at once, so launches take turns there.
_launching = threading.Lock()


def kernel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile `function` for parallel launch from Python on first use, and keep the result in the cache folder."""
    with _caching():
        compiled: Any = numba.njit(function, parallel=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
        compiled._cache = _KernelCache(function)  # as cache=True would, with Numba's own
    if THREADING_LAYER != "workqueue":
        plain: Callable[..., None] = compiled
        return plain

    @functools.wraps(function)
    def launch(*args: Any) -> None:
        with _launching:
            compiled(*args)

    return launch


class _Piece(JITCodeLibrary):
    """Code that is optimised and translated with that of the kernels it is part of, and not by itself before.

    Numba would do so with every function, and again with whatever calls it: it took half of the time.
    """

    @property
    def codegen(self) -> Any:
        """What would hear of the function's environment, if it were ever called from Python."""
        return _Nobody

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return what runs when Python calls the function: there is no machine code, and this raises a TypeError."""
        self._ensure_finalized()
        address = ctypes.cast(ctypes.pythonapi.PyObject_Call, ctypes.c_void_p).value  # of an object it cannot call
        assert address is not None
        return address


class _Nobody:
    @staticmethod
    def set_env(name: str, environment: object) -> None:
        """Do nothing."""


@register_pass(mutates_CFG=False, analysis_only=False)
class _BecomePiece(LoweringPass):
    _name = "audioconv_become_piece"

    def __init__(self) -> None:
        """Numba makes one for all functions."""

    def run_pass(self, state: Any) -> bool:
        """Let a function be lowered into a piece."""
        state.library = _Piece(state.targetctx.codegen(), state.func_id.func_qualname)
        return True


class _PieceCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        """Return Numba's own, with a library of ours."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_BecomePiece, AnnotateTypes)
        passes.finalize()
        return [passes]


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` for use inside kernels: Python cannot call it."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _PieceCompiler}
    compiled: Callable[..., Any] = numba.njit(function, fastmath=FASTMATH, error_model="numpy", **options)
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

    @functools.cached_property
    def _compiled(self) -> Any:
        options = {"nopython": True, "fastmath": FASTMATH, "error_model": "numpy"}
        kind = ((types.CPointer(types.int64), types.int64), types.void)
        with _caching():
            compiled: Any = CFunc(self._function, kind, locals={}, options=options)
            compiled._cache = _KernelCache(self._function)
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
