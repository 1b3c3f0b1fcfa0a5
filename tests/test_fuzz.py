"""Mutated recordings, models and archives: nothing but the package's own errors, in bounded time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import audioconv

HERE = Path(__file__).parent
PACKAGE = Path(audioconv.__file__).parents[1]


def fuzz(kind: str, count: int, folder: Path, seed: int = 0) -> dict[str, int]:
    """Let another process read so many inputs: a crash of a library is then not that of all tests."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(HERE)])}
    done = subprocess.run(
        [sys.executable, HERE / "fuzzing.py", kind, str(count), str(seed), str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120 + 2 * count,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("kind", "count"), [("recordings", 400), ("models", 50), ("archives", 50)])
def test_mutated_files(tmp_path: Path, kind: str, count: int) -> None:
    found = fuzz(kind, count, tmp_path)
    assert found["refused"] + found["read"] == count
    # Neither is everything refused, nor is what was changed never noticed.
    assert found["refused"] > count // 20
    assert found["read"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("recordings", 16_000), ("models", 2_000), ("archives", 2_000)])
def test_many_mutated_files(tmp_path: Path, kind: str, count: int) -> None:
    found = fuzz(kind, count, tmp_path, seed=1)
    assert found["refused"] + found["read"] == count
