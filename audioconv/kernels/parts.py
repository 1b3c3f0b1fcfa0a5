"""Compiles the functions that kernels call as parts of these kernels only, and not once more by themselves.

Numba optimises and translates each function that a kernel calls on its own, and again as a part of whatever calls it.
Without that, all kernels take 23 seconds of CPU time instead of 40 (``scripts/bench_first_run --compilation``: Numba
0.68.1, two rounds in turns).
"""

from __future__ import annotations

import ctypes
from typing import Any

from audioconv.kernels import numba_internals
from audioconv.kernels.numba_internals import PLAIN


def options() -> dict[str, Any]:
    """Return Numba's options for a function that kernels call."""
    if PLAIN:
        return {}
    # Nothing calls these functions but kernels: no entry for Python, none for C.
    return {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _PartCompiler}


if not PLAIN:

    class _PartLibrary(numba_internals.JITCodeLibrary):
        """Code that is optimised and translated with the kernels that it is linked into, and not before."""

        @property
        def codegen(self) -> Any:
            """Take the function's environment, which matters to calls from Python alone."""
            return _NoEnvironments

        def _optimize_final_module(self) -> None:
            pass

        def _finalize_final_module(self) -> None:
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            """Return the address that runs if Python calls the function, which has no machine code: a TypeError."""
            self._ensure_finalized()
            address = ctypes.cast(ctypes.pythonapi.PyObject_Call, ctypes.c_void_p).value  # of an object it cannot call
            assert address is not None
            return address

    class _NoEnvironments:
        @staticmethod
        def set_env(name: str, environment: object) -> None:
            """Do nothing."""

    @numba_internals.register_pass(mutates_CFG=False, analysis_only=False)
    class _UsePartLibrary(numba_internals.LoweringPass):
        _name = "audioconv_use_part_library"

        def __init__(self) -> None:
            """Numba makes one for all functions."""

        def run_pass(self, state: Any) -> bool:
            """Choose the library that a function is lowered into."""
            state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
            return True

    class _PartCompiler(numba_internals.CompilerBase):
        def define_pipelines(self) -> list[Any]:
            """Return Numba's passes, with `_UsePartLibrary` before lowering."""
            passes = numba_internals.DefaultPassBuilder.define_nopython_pipeline(self.state)
            passes.add_pass_after(_UsePartLibrary, numba_internals.AnnotateTypes)
            passes.finalize()
            return [passes]
