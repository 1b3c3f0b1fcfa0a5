"""The processor of this machine: its name, its cores and what it can compute with."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Processor:
    """A processor.

    Attributes
    ----------
    name, architecture : str
        Its names, as the system and LLVM give them.
    cores, usable_cores : int
        Number of cores of the machine, and of those that this process may use.
    vector_bits : int
        Width of the widest vector register that kernels use.
    """

    name: str
    architecture: str
    cores: int
    usable_cores: int
    vector_bits: int


def find_processor() -> Processor:
    """Return the processor of this machine."""
    import llvmlite.binding as llvm

    from audioconv.kernels.lanes import LANES, has_avx512

    widest = 512 if has_avx512() else 256 if llvm.get_host_cpu_features().get("avx", False) else 128
    return Processor(
        name=_processor_name() or llvm.get_host_cpu_name(),
        architecture=f"{platform.machine()}, {llvm.get_host_cpu_name()}",
        cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        vector_bits=min(widest, 32 * LANES),
    )


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor_name() -> str:
    """Return the name that the maker gave the processor; empty if the system does not give it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    with suppress(OSError, subprocess.SubprocessError):
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    return platform.processor()
