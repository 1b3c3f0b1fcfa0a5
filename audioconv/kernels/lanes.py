"""Vector width of the kernels, and whether they can be compiled."""

from __future__ import annotations

import os
from typing import Any

import llvmlite.binding as llvm
import numba

from audioconv.errors import ConfigError

VARIABLE = "AUDIOCONV_VECTOR_LANES"
"""Environment variable that chooses the width, for tests: any width works on any processor."""

WIDTHS = (8, 16)

_settings: Any = numba.config


def _check_compiler() -> None:
    """Raise `ConfigError` where Numba is told not to compile."""
    if _settings.DISABLE_JIT:
        raise ConfigError(
            "NUMBA_DISABLE_JIT is set, and audioconv computes with kernels that Numba compiles: unset it "
            "(env -u NUMBA_DISABLE_JIT ...)"
        )


def has_avx512() -> bool:
    """Tell whether Numba compiles for AVX-512, as its settings say or this processor has it."""
    given: str | None = _settings.CPU_FEATURES
    if given is not None:
        return "+avx512f" in given.split(",")
    try:
        return bool(_settings.ENABLE_AVX and llvm.get_host_cpu_features().get("avx512f", False))
    except RuntimeError:  # LLVM has no features of this processor
        return False


def _lanes() -> int:
    """Return the width that the environment sets, or else that of the processor's registers."""
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return 16 if has_avx512() else 8
    if wanted not in map(str, WIDTHS):
        raise ConfigError(f"{VARIABLE} must be {' or '.join(map(str, WIDTHS))}; got {wanted!r}: change or unset it")
    return int(wanted)


_check_compiler()
LANES = _lanes()
"""float32 elements in a vector. LLVM splits what is wider than the processor's registers."""
