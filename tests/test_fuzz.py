"""Mutated recordings, models and archives: nothing but the package's own errors, in bounded time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from model_files import small_models

import audioconv
from audioconv.errors import ModelFileError
from audioconv.model import Model

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
    # What was changed is noticed, and not all of it is refused. Checksums notice nearly every change of an archive.
    assert found["refused"] > count // 20
    assert found["read"] > 0 or kind == "archives"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("kind", "count"), [("recordings", 16_000), ("models", 2_000), ("archives", 2_000)])
def test_many_mutated_files(tmp_path: Path, kind: str, count: int) -> None:
    found = fuzz(kind, count, tmp_path, seed=1)
    assert found["refused"] + found["read"] == count


@pytest.mark.parametrize(("name", "number"), [("filters", 10**9), ("filters", 10**7), ("kernel", [3, 10**9])])
def test_a_model_that_asks_for_gigabytes(tmp_path: Path, name: str, number: object) -> None:
    content = small_models()[0]
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["audioconv"])
    about["network"]["layers"][0][name] = number
    header["__metadata__"]["audioconv"] = json.dumps(about)
    text = json.dumps(header).encode()
    (tmp_path / "m").write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    begun = time.process_time()
    with pytest.raises(ModelFileError, match="damaged model: the network has many times as many weights as the file"):
        Model.load(tmp_path / "m")
    assert time.process_time() - begun < 1
