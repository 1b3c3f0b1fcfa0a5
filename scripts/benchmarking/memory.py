"""Peak memory of a whole process that trains, ours or PyTorch's: this file is run as one.

    python -m benchmarking.memory ours NETWORK STEPS
    python -m benchmarking.memory torch FILE STEPS      (FILE: `torch_peer.frozen_copy`)

prints the peak in MiB and the losses as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1]


def measure(library: str, what: str, steps: int, threads: int) -> dict[str, Any]:
    """Return ``{"mib": .., "losses": [..]}`` of a fresh process."""
    path = [str(SCRIPTS), str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "NUMBA_NUM_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "benchmarking.memory", library, what, str(steps)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def peak_mib() -> float:
    """Return the most physical memory that this process has had.

    Linux counts what the parent had into a child's ``ru_maxrss``, so there it is read from /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def main(library: str, what: str, steps: int) -> None:
    """Train, and print what it took."""
    training: Any
    if library == "ours":
        from benchmarking import ours

        training = ours.Training(ours.case(what))
    else:
        import torch

        from benchmarking import torch_step

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        parts = torch.load(what, weights_only=False)  # a file that `measure`'s caller has just written
        training = torch_step.Training(**parts)
    losses = [training.step() for _ in range(steps)]
    print(json.dumps({"mib": peak_mib(), "losses": losses}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
