"""A folder for the commands of the documentation: it looks like a clone, with tiny recordings and pictures beside it.

Commands that would take minutes find less to do: `pip` installs nothing, the demo speaks fewer clips, the digits of
`data get fsdd` come from an archive of a hundred beeps, and training goes through its clips a few times where it would
choose some hundred. What is typed, and all that it goes through, is the real thing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import tomllib
import urllib.request
import wave
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from audioconv.datasets.build.get import content_digest
from audioconv.datasets.catalogue import SOURCES

ROOT = Path(__file__).parents[1]

FENCE = re.compile(r"^(?:<!-- not run: (.+?) -->\n)?```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block of code: why it does not run, its language, and its text."""

# How often training goes through few clips where nobody says it.
FEW_EPOCHS = """
import audioconv.recipe.plan
for name, value in {"MAX_EPOCHS": 3, "EMBEDDING_EPOCHS": 3, "FEW_EXPONENT": 0.0}.items():
    assert hasattr(audioconv.recipe.plan, name)
    setattr(audioconv.recipe.plan, name, value)
"""

# What the sandbox has in the place of the console script.
COMMAND = """
import dataclasses
from audioconv.cli import demo, main
from audioconv.datasets import catalogue

for name, value in {{"CLIPS": 6, "EPOCHS": 1}}.items():
    assert hasattr(demo, name)
    setattr(demo, name, value)
catalogue.SOURCES["fsdd"] = dataclasses.replace(catalogue.SOURCES["fsdd"], content="{content}")
main()
"""

# A test that was started in the background ignores Ctrl-C, and so would what it starts.
WITH_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""

PYTHON = """#!/bin/sh
case "$*" in
    '-c import pip' | '-m pip install '*) ;;
    *) exec "{python}" "$@" ;;
esac
"""


def fill(folder: Path) -> Path:
    """Make the folder's content; return the folder."""
    rng = np.random.default_rng(0)
    for label, pitch in (("yes", 400), ("no", 900), ("other", 2500)):
        for n in range(8):
            write_beep(folder / "recordings" / label / f"{n}.wav", pitch, 16000, rng)
    shutil.copy(folder / "recordings" / "yes" / "0.wav", folder / "new-clip.wav")
    for n in range(3):
        write_beep(folder / "other-sounds" / f"{n}.wav", 5000, 16000, rng)
    shutil.copy(folder / "other-sounds" / "0.wav", folder / "interview.wav")
    images = pytest.importorskip("PIL.Image")
    for label, level in (("dark", 60), ("light", 200)):
        (folder / "photos" / label).mkdir(parents=True)
        for n in range(8):
            pixels = rng.integers(level - 50, level + 50, (40, 40, 3), np.uint8)
            images.fromarray(pixels).save(folder / "photos" / label / f"{n}.png")
    digits = rng.integers(0, 255, (80, 28, 28), np.uint8)
    labels = np.arange(80, dtype=np.uint8) % 10
    np.savez(folder / "mnist.npz", x_train=digits, y_train=labels, x_test=digits[:20], y_test=labels[:20])

    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_nothing.py").write_text("def test_nothing():\n    pass\n", "utf-8")
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n', "utf-8")
    add_command(folder / ".venv" / "bin" / "python", PYTHON.format(python=sys.executable))
    program = folder / "bin" / "command.py"
    program.parent.mkdir()
    program.write_text(FEW_EPOCHS + COMMAND.format(content=make_mirror(folder / "mirror", rng)), "utf-8")
    # No "#!" with the interpreter's path, in which there may be a space.
    command = f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n'
    add_command(folder / ".venv" / "bin" / "audioconv", command)
    add_command(folder / "bin" / "audioconv", command)
    extras = "|".join(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])
    pip = f"[[ $# = 2 && $1 = install && $2 =~ ^\\.(\\[({extras}|,)+\\])?$ ]]"
    add_command(folder / "bin" / "pip", f"#!{shutil.which('bash')}\n{pip}\n")
    return folder


def write_beep(path, pitch, rate, rng):
    samples = 0.3 * np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * np.arange(rate // 2) / rate)
    samples += 0.02 * rng.standard_normal(len(samples))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((32767 * samples).astype("<i2").tobytes())


def make_mirror(folder, rng):
    """Make an archive in the manner of FSDD, with two speakers and five takes; return what tells its content."""
    hashes = {}
    for digit in range(10):
        for speaker in ("ann", "bob"):
            for take in (0, 5, 6, 7, 8):
                path = folder / "recordings" / f"{digit}_{speaker}_{take}.wav"
                write_beep(path, 300 * (digit + 1), 8000, rng)
                hashes[f"{digit}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    with tarfile.open(folder / SOURCES["fsdd"].files[0].name, "w:gz") as archive:
        archive.add(folder / "recordings", "upstream/recordings")
    return content_digest(hashes)


def add_command(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def run(folder: Path, language: str, code: str, *, answers: str = "y\nq\n", timeout: float = 300) -> str:
    """Run a block of bash or Python in the folder, as its reader would, who types `answers`; return what it wrote."""
    if "scripts/demo" in code or "data make" in code or "audioconv demo" in code:
        pytest.importorskip("espeakng_loader")
    command = {
        "bash": [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", code],
        "python": [sys.executable, "-W", "error", "-c", FEW_EPOCHS + code],
    }[language]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), input=answers, capture_output=True, text=True, check=False,
        timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a process in the folder."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"], str(folder / ".venv" / "bin")]),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "AUDIOCONV_MIRROR": str(folder / "mirror"),
    }


def serve(
    command: str, address: str, meet: Callable[[re.Match[str]], object] | None = None, *, count: int = 1,
    folder: Path = Path(), environment: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Start what serves until Ctrl-C; once it has told all addresses, meet each and press Ctrl-C; return what it wrote.

    Parameters
    ----------
    command : str
        A line of bash.
    address : str
        A pattern of what it writes when it listens.
    meet : callable, optional
        Takes the match of each address.
    count : int
        How many addresses it tells.
    folder : Path
        Where it starts.
    environment : mapping, optional
        Its variables; by default those of this process.
    """
    with subprocess.Popen(
        [sys.executable, "-c", WITH_CTRL_C, "bash", "-c", f"exec {command}"], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**(environment or os.environ), "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        assert process.stdout is not None
        lines, found = [], []
        try:
            while len(found) < count and (line := process.stdout.readline()):
                lines.append(line)
                found += re.finditer(address, line)
            assert len(found) == count, "".join(lines)
            for match in found if meet else ():
                meet(match)
        finally:
            process.send_signal(signal.SIGINT)
            lines.append(process.stdout.read())
            code = process.wait()
            watchdog.cancel()
    assert code == 0, "".join(lines)
    assert "Traceback" not in "".join(lines)
    return "".join(lines)


def open_pages(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Start what serves a page on this machine, and fetch the page; return what it wrote."""

    def meet(address: re.Match[str]) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/", timeout=60) as answer:
            assert b"<!doctype html>" in answer.read().lower()

    # No browser opens the page of the lab.
    return serve(command, r"http://[^/]+:(\d+)/", meet, folder=folder, environment={**environment, "BROWSER": "true"})
