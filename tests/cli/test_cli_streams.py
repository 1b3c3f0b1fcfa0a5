"""Standard output and standard error that are full, closed, or read by nobody: one line at most, and the exit code."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from audioconv.cli import streams

FULL = Path("/dev/full")
NO_SPACE = b"audioconv: error: standard output: No space left on device\n"

needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, which Linux has")
needs_posix = pytest.mark.skipif(os.name == "nt", reason="needs descriptors as POSIX has them")


@pytest.fixture
def arguments(trained, tones) -> dict[str, list[object]]:
    return {
        "--help": ["--help"],
        "--version": ["--version"],
        "classify": ["classify", trained, tones],
        "classify --json": ["classify", trained, tones, "--json"],
        "info": ["info", trained],
        "detect": ["detect", trained, tones / "high" / "0.wav", "--json"],
        "data list": ["data", "list"],
    }


@needs_full
@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        ("--help", ""),
        ("--version", ""),
        ("--version", "1"),
        ("classify", ""),
        pytest.param("classify", "1", marks=pytest.mark.slow),
        pytest.param("classify --json", "", marks=pytest.mark.slow),
        pytest.param("detect", "", marks=pytest.mark.slow),
        pytest.param("data list", "", marks=pytest.mark.slow),
    ],
)
def test_a_full_standard_output_is_one_line(spawn, arguments, command, unbuffered) -> None:
    with FULL.open("wb") as full:
        process = spawn(*arguments[command], stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.endswith(NO_SPACE)
    assert err.count(b"standard output") == 1
    assert b"Traceback" not in err
    assert b"ignored" not in err


@pytest.mark.slow
@needs_full
def test_training_goes_on_without_its_streams(spawn, tones, tmp_path) -> None:
    """Standard error is full, and no file gets the number of the closed standard output, whose lines it would get."""
    from tones import TRAINING

    with FULL.open("wb") as full:
        model = tmp_path / "model"
        process = spawn("train", tones, "-o", model, *TRAINING, stderr=full, preexec_fn=lambda: os.close(1))
        assert process.wait(timeout=120) == 0
        process = spawn("classify", model, tones / "high" / "0.wav", tmp_path / "none.wav", stderr=full)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, b"high" in out) == (1, True)
        process = spawn("classify", model, tones / "high" / "0.wav", stdout=full, stderr=full)
        assert process.wait(timeout=60) == 1


@needs_posix
@pytest.mark.parametrize("closed", [(0, 1, 2), *(pytest.param((one,), marks=pytest.mark.slow) for one in (1, 2))])
def test_closed_streams_lose_what_is_written(spawn, arguments, tmp_path, closed) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    process = spawn(*arguments["classify"], preexec_fn=close)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert (b"high" in out) == (1 not in closed)
    process = spawn("classify", tmp_path / "none", tmp_path / "none.wav", preexec_fn=close)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert err == b"" if 2 in closed else err.startswith(b"audioconv: error: ")


@pytest.mark.parametrize("command", ["--help", "info"])
def test_a_reader_that_is_gone_is_no_error_to_report(spawn, arguments, command) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    process = spawn(*arguments[command], stdout=theirs)
    os.close(theirs)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")


# --- in this process ---


class Broken(io.StringIO):
    """A stream that takes nothing."""

    attempts = 0

    def write(self, text: str) -> int:
        self.attempts += 1
        raise OSError(5, "Input/output error")


def test_guarded_streams(monkeypatch) -> None:
    broken, silent = Broken(), Broken()
    monkeypatch.setattr(sys, "stdout", broken)
    monkeypatch.setattr(sys, "stderr", silent)
    streams.guard()
    assert sys.stdout.write("") == 0
    for _ in range(2):  # once lost, always lost: some libraries ignore the first error
        with pytest.raises(streams.OutputError, match=r"^standard output: Input/output error$"):
            print("x")
    with pytest.raises(streams.OutputError):
        sys.stdout.writelines(["a", "b"])
    with pytest.raises(streams.OutputError):
        sys.stdout.flush()
    print("x", file=sys.stderr)
    sys.stderr.flush()
    assert (broken.attempts, silent.attempts) == (1, 1)
    assert not sys.stdout.isatty()
    streams.release()
    assert (sys.stdout, sys.stderr) == (broken, silent)


def test_streams_that_are_not_there(monkeypatch) -> None:
    """As a program without a console has them on Windows."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    streams.guard()
    print("lost")
    print("lost", file=sys.stderr)
    assert sys.stdin.read() == ""
    for name in ("stdin", "stdout", "stderr"):
        getattr(sys, name).close()
