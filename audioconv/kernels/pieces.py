"""Functions inside kernels, compiled as pieces of these and not by themselves: by inner parts of Numba.

Where these are not as expected, as in a later Numba, its own way does, which is as right and takes longer.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

_found = True
try:
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import CompilerBase, DefaultPassBuilder
    from numba.core.compiler_machinery import LoweringPass, register_pass
    from numba.core.typed_passes import AnnotateTypes
except ImportError:  # Numba has changed
    _found = False

VARIABLE = "AUDIOCONV_PIECES"
"""Environment variable; 0 leaves all to Numba."""

INNER_PARTS = ("_ensure_finalized", "_finalize_final_module", "_optimize_final_module", "get_pointer_to_function")
"""What of Numba's class of libraries is called or replaced here."""


def as_expected() -> bool:
    """Tell whether Numba has the inner parts that pieces are made with."""
    return _found and all(hasattr(JITCodeLibrary, name) for name in INNER_PARTS)


def options() -> dict[str, Any]:
    """Return Numba's options for a function that kernels call."""
    found: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    if as_expected() and os.environ.get(VARIABLE) != "0":
        found["pipeline_class"] = _PieceCompiler
    return found


if as_expected():

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
            """Return what runs when Python calls the function: there is no machine code; this raises a TypeError."""
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
