"""Wall time and peak memory of a command with all the processes that it starts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
INTERVAL = 0.2  # seconds between two looks at the memory
KIB = 2**10


@dataclass(frozen=True)
class Finished:
    """What a command took.

    Attributes
    ----------
    stdout : str
    seconds : float
        From its start to its end.
    peak_mib : float
        Largest sum of the proportional set sizes (each page is counted once, however many processes share it) of the
        command and its descendants; 0 where the system does not count them (no Linux).
    """

    stdout: str
    seconds: float
    peak_mib: float


def run(command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> Finished:
    """Run a command and measure it.

    Raises
    ------
    CalledProcessError
        If it fails; its message has the end of what the command wrote.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=dict(environment), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peak = 0.0
        while True:
            try:
                out, err = process.communicate(timeout=INTERVAL)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, tree_mib(process.pid))
        seconds = time.perf_counter() - begun
    if process.returncode:
        print(err[-4000:], file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command, out, err)
    return Finished(out, seconds, peak)


def tree_mib(root: int) -> float:
    """Return the memory of a process and its descendants, in MiB; 0 where the system does not say."""
    return sum(map(_proportional_mib, descendants(root)))


def descendants(root: int) -> list[int]:
    """Return a process and all that it started, by their numbers."""
    found = [root]
    for process in found:
        for children in (PROC / str(process) / "task").glob("*/children"):
            with suppress(OSError):  # the thread has ended
                found += map(int, children.read_text().split())
    return found


def _proportional_mib(process: int) -> float:
    try:
        lines = (PROC / str(process) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / KIB
