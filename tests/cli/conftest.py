"""What the tests of the command line share: recordings of two tones, and a model that tells them apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tones import TRAINING, write_manifest, write_tones

from audioconv.cli import run


@dataclass
class Answer:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The last line on standard error, which must be an error."""
        last = self.err.rstrip("\n").rpartition("\n")[2]
        assert last.startswith("audioconv: error: "), self.err
        assert "Traceback" not in self.err
        return last.removeprefix("audioconv: error: ")


@pytest.fixture(autouse=True)
def no_width(monkeypatch) -> None:
    """Forget the width that whoever runs the tests has set: it would be that of tables, in files as well."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def quick_measurement(monkeypatch) -> None:
    """Let `evaluate` time few predictions: the test of `measure_speed` has as many as users."""
    for name, count in (("WARM_UP", 1), ("MIN_RUNS", 2), ("MAX_RUNS", 2)):
        monkeypatch.setattr(f"audioconv.evaluation.speed.{name}", count)


@pytest.fixture
def call(capsys) -> Callable[..., Answer]:
    """Run a command in this process."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = run([os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def spawn() -> Callable[..., subprocess.Popen[bytes]]:
    """Start a command as a process of its own."""
    running = []

    def spawn(*arguments: object, **options) -> subprocess.Popen[bytes]:
        words = [a if isinstance(a, bytes) else os.fsencode(str(a)) for a in arguments]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        running.append(subprocess.Popen([sys.executable, "-m", "audioconv", *words], **options))
        return running[-1]

    yield spawn
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


@pytest.fixture(scope="session")
def trained_on(tmp_path_factory) -> Path:
    return write_manifest(write_tones(tmp_path_factory.mktemp("tones")))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, trained_on) -> Path:
    """Return what `audioconv train` wrote; do not change it."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert run(["train", str(trained_on), "-o", str(folder), *TRAINING]) == 0
    return folder


@pytest.fixture
def model(trained, tmp_path) -> Path:
    """Return a copy of the trained folder's model file."""
    return Path(shutil.copy(trained / "model.safetensors", tmp_path / "model.safetensors"))


@pytest.fixture
def tones(tmp_path) -> Path:
    return write_tones(tmp_path / "tones")
