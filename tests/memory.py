"""The most memory that a command takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Linux counts what the parent had into a child's ``ru_maxrss``, so there the child's own peak is read from /proc.
PROGRAM = """
import sys
from pathlib import Path
from audioconv.cli import run
code = run(sys.argv[1:])
status = Path("/proc/self/status")
if status.exists():
    peak = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print("megabytes", peak / 1e6)
sys.exit(code)
"""


def megabytes(*command: str | Path, folder: Path, codes: tuple[int, ...] = (0,)) -> float:
    """Return the peak of the physical memory of ``audioconv COMMAND`` run in `folder`, in MB of 10^6 bytes."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode in codes, done.stderr
    return float(done.stdout.rpartition("megabytes")[2])
