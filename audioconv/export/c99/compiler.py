"""C compilers: whether a model's source compiles, what it computes, and how large it is."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioconv._types import Array
from audioconv.errors import ExportError
from audioconv.export.c99 import text
from audioconv.export.c99.program import Program

COMPILERS = ("cc", "gcc", "clang")

FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")

SECONDS = 600
"""How long a compilation or a run may take."""

MICROCONTROLLER = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
"""What the size of the code is told for, where it is there."""


@dataclass(frozen=True)
class Event:
    """An event as the code gives it; begin and end in samples."""

    label: int
    begin: int
    end: int
    score: float


@dataclass(frozen=True, eq=False)
class Heard:
    """What the code gave for a stream.

    Attributes
    ----------
    events : list of Event
    flushed : list of Event
        Those that came with the end of the stream, behind the others.
    scores : array (windows, labels) float32
        Of the last window after each call in which there were some, up to the end of the stream.
    state_bytes : int
    """

    events: list[Event]
    flushed: list[Event]
    scores: Array
    state_bytes: int


def find() -> str | None:
    """Return the path of a C compiler: that of the variable CC, or one of `COMPILERS`; None if there is none."""
    asked = os.environ.get("CC", "").strip()
    return next((found for name in (asked, *COMPILERS) if name and (found := shutil.which(name))), None)


class Runner:
    """Runs a model's code.

    Parameters
    ----------
    program : Program
    compiler : str
        Path of the compiler.
    folder : Path
        An empty one, in which it is compiled and run.
    flags : sequence of str
        More of them, such as those of a sanitizer. Default: ``-O1``.
    command : sequence of str
        What the compiled program is run with, such as an emulator. Default: nothing.

    Attributes
    ----------
    program : str
        The compiler and its version.
    listens : bool
        Whether the model's code takes a stream.

    Raises
    ------
    ExportError
        If it does not compile.
    """

    def __init__(
        self,
        program: Program,
        compiler: str,
        folder: Path,
        flags: Sequence[str] = ("-O1",),
        command: Sequence[str] = (),
    ) -> None:
        self.listens, self._command = program.listens, command
        self.program = name_of(compiler)
        self._folder, self._binary = folder, folder / "check.exe"
        write_files(folder, program)
        check = text.routine("check").replace("NAME", program.name).replace("INPUT_SIZE", str(program.input_size))
        check = check.replace("LISTENS", str(int(program.listens)))
        (self._folder / "audioconv_check.c").write_text(check, encoding="utf-8")
        sources = [str(self._folder / f"{program.name}.c"), str(self._folder / "audioconv_check.c")]
        run([compiler, *FLAGS, *flags, *sources, "-o", str(self._binary), "-lm"], "does not compile")

    def __call__(self, x: Array) -> dict[str, Array]:
        """Return ``probabilities`` (N, labels) and ``answer`` (N,) of windows (N, ...) float32."""
        lines = self._run("classify", np.ascontiguousarray(x, "<f4").tobytes())
        found = np.array([line.split() for line in lines], np.float64).reshape(len(lines), -1)
        return {"probabilities": found[:, 1:].astype(np.float32), "answer": found[:, 0].astype(np.int64)}

    def listen(self, samples: Array, block: int, threshold: float = -1.0) -> Heard:
        """Return what the code gives for a stream of samples (T,) int16, in blocks of so many.

        A threshold below 0 is that of the model.
        """
        events: list[Event] = []
        scores, size, ended = [], 0, 0
        arguments = (str(block), repr(float(threshold)))
        for line in self._run("listen", np.ascontiguousarray(samples, "<i2").tobytes(), *arguments):
            kind, *fields = line.split()
            if kind == "event":
                events.append(Event(int(fields[0]), int(fields[1]), int(fields[2]), float(fields[3])))
            elif kind == "scores":
                scores.append([float(score) for score in fields])
            elif kind == "flush":
                ended = len(events)
            elif kind == "state":
                size = int(fields[0])
            else:
                raise ExportError(f"the compiled code says {line!r}")
        return Heard(events[:ended], events[ended:], np.array(scores, np.float32), size)

    def _run(self, mode: str, content: bytes, *arguments: str) -> list[str]:
        file = self._folder / "input"
        file.write_bytes(content)
        return run([*self._command, str(self._binary), mode, str(file), *arguments], "fails").splitlines()


def write_files(folder: Path, program: Program) -> None:
    """Write header and source into a folder."""
    (folder / f"{program.name}.h").write_text(program.header, encoding="utf-8")
    (folder / f"{program.name}.c").write_text(program.source, encoding="utf-8")


def code_size(program: Program, compiler: str) -> tuple[int, str] | None:
    """Return the bytes of instructions, compiled for size, and how they were compiled; None if that cannot be told."""
    command = [compiler, "-Os"]
    tool, told_as = shutil.which("size"), f"{Path(compiler).name} -Os for {platform.machine()}"
    small = shutil.which(MICROCONTROLLER[0]), shutil.which("arm-none-eabi-size")
    if all(small):
        command, tool = [str(small[0]), "-Os", *MICROCONTROLLER[1:]], small[1]
        told_as = f"{MICROCONTROLLER[0]} -Os {MICROCONTROLLER[1]}"
    if tool is None:
        return None
    with tempfile.TemporaryDirectory(prefix="audioconv-c-") as name:
        folder = Path(name)
        write_files(folder, program)
        made = folder / "model.o"
        try:
            run([*command, "-std=c99", "-c", str(folder / f"{program.name}.c"), "-o", str(made)], "does not compile")
            told = run([tool, "-A", str(made)], "has no sizes").splitlines()
        except ExportError:  # a compiler without the standard library's headers, or another kind of object file
            return None
    size = sum(int(line.split()[1]) for line in told if line.startswith(".text"))
    return (size, told_as) if size else None


def name_of(compiler: str) -> str:
    """Return a compiler's name and version."""
    first = run([compiler, "--version"], "does not run").splitlines()[:1]
    return first[0].strip() if first else Path(compiler).name


def run(command: list[str], trouble: str) -> str:
    """Run a program and return what it prints; `ExportError` with what it says if it fails."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"the C code {trouble}: {name}: {error}; nothing was written") from None
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        wrong = [line for line in told if "error" in line.lower()] or told
        shown = wrong[0] if wrong else f"it ended with {done.returncode}"
        raise ExportError(f"the C code {trouble} ({name}: {shown}); nothing was written")
    return done.stdout
