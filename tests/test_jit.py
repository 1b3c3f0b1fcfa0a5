"""The kernel cache: compiled once for a machine and a version, wherever that may be kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import audioconv

PACKAGE = Path(audioconv.__file__).parent

# Two kernels that compile quickly, and where they are kept.
PROGRAM = """
import numpy as np
from audioconv import ops
from audioconv.kernels import jit
x = np.ones((2, 3), np.float32)
sums = ops.dropout(x, 1, 0.0).sum(), ops.channel_affine(x, x[0], x[0], x[0]).sum()
print(*sums, ops.__file__, jit.cache_folder(), sep="|")
"""
NOTICE = "compiling kernels for this machine; this happens once"


def run(program=PROGRAM, **environment):
    found = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip().split("|"), found.stderr.splitlines()


def listing(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.fixture
def package(tmp_path):
    """Return the parent of a copy of the package that holds sources alone and cannot be written."""
    copy = tmp_path / "site" / "audioconv"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [copy.parent, copy, *(path for path in copy.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield copy.parent
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.slow
def test_kernels_compile_once_from_a_read_only_package_with_one_line_that_says_so(tmp_path, package):
    cache = tmp_path / "cache with a space"
    before = listing(package)
    environment = {"AUDIOCONV_CACHE_DIR": str(cache), "PYTHONPATH": str(package)}
    first, said = run(**environment)
    total, affine, source, folder = first
    assert (total, affine) == ("6.0", "6.0")
    assert Path(source).is_relative_to(package)
    assert said == [f"{NOTICE} (kept in {folder})"]
    assert Path(folder).is_relative_to(cache)
    assert listing(Path(folder))
    again, said = run(**environment)
    assert again == first
    assert said == []
    assert listing(package) == before


@pytest.mark.slow
def test_a_cache_folder_that_cannot_be_written_costs_time_and_says_so(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (total, *_, folder), said = run(AUDIOCONV_CACHE_DIR=str(blocked), TMPDIR=str(scratch))
    assert total == "6.0"
    assert Path(folder).parent == scratch
    assert said[0].startswith(f"cannot write to {blocked}")
    assert "set AUDIOCONV_CACHE_DIR" in said[0]
    assert len(said) == 2
    assert NOTICE in said[1]
    assert listing(scratch) == []  # nothing is left behind


@pytest.mark.slow
def test_damaged_files_are_compiled_again_and_mended(tmp_path):
    environment = {"AUDIOCONV_CACHE_DIR": str(tmp_path)}
    (total, _, _, folder), _ = run(**environment)
    indexes, objects = (sorted(Path(folder).rglob(f"*.{suffix}")) for suffix in ("nbi", "nbc"))
    assert len(indexes) == len(objects) == 2
    indexes[0].write_bytes(b"")
    objects[1].write_bytes(objects[1].read_bytes()[:1000])
    again, said = run(**environment)
    assert again[0] == total
    assert len(said) == 1
    assert NOTICE in said[0]
    _, said = run(**environment)
    assert said == []


@pytest.mark.slow
def test_a_kernel_that_cannot_be_kept_runs_all_the_same(tmp_path):
    """As on a full disk: the kernel is compiled, and one line says why the next process compiles it again."""
    program = f"""
import errno
from numba.core import caching

def full(self, path):
    raise OSError(errno.ENOSPC, "No space left on device")

caching.IndexDataCacheFile._open_for_write = full
{PROGRAM}"""
    (total, *_), said = run(program, AUDIOCONV_CACHE_DIR=str(tmp_path))
    assert total == "6.0"
    assert len(said) == 2
    assert NOTICE in said[0]
    assert "cannot keep compiled kernels in" in said[1]
    assert said[1].endswith("No space left on device")


def test_the_folder_is_named_by_version_and_by_the_sources_of_all_kernels(tmp_path, package):
    program = "from audioconv.kernels import jit; print(jit.cache_folder())"
    environment = {"AUDIOCONV_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(package)}
    (before,), said = run(program, **environment)
    assert said == []
    assert Path(before).name.startswith(f"{audioconv.__version__}-")
    intrinsics = package / "audioconv" / "kernels" / "simd_float32.py"
    intrinsics.write_text(intrinsics.read_text() + "\n# another tile\n")
    (after,), _ = run(program, **environment)
    assert before != after


def test_a_threading_layer_that_runs_already_is_kept():
    """A process has one layer: what another library launched first decides whether launches must take turns."""
    program = """
import numba
numba.config.THREADING_LAYER = "workqueue"

@numba.njit(parallel=True)
def count(n):
    total = 0
    for i in numba.prange(n):
        total += i
    return total

count(10)
from audioconv.kernels import jit
print(jit.THREADING_LAYER, numba.threading_layer(), sep="|")
"""
    layers, said = run(program)
    assert layers == ["workqueue", "workqueue"]
    assert said == []


def test_parts_of_kernels_cannot_be_called_from_python():
    """They have no machine code of their own; whoever tries is told, and nothing breaks."""
    program = """
from audioconv.kernels.jit import helper

@helper
def double(x):
    return 2 * x

for arguments in ((1,), (1,), (2.5,)):
    try:
        double(*arguments)
    except TypeError as error:
        print("not callable" in str(error))
"""
    found, _ = run(program)
    assert found == ["True\nTrue\nTrue"]


@pytest.mark.parametrize("name", ["0.1.0-0123456789ab", "12.3.4rc1-ffffffffffff"])
def test_kernels_of_other_versions_are_removed_when_nobody_has_used_them_for_long(name, tmp_path):
    kernels, days = tmp_path / "kernels", 86400
    folders = {}
    for what in ("unused", "used", "read", "no kernels"):
        folder = kernels / {"no kernels": "something else"}.get(what, name[:-1] + str(len(folders)))
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file.nbi").write_bytes(b"x")
        read = time.time() - (1 if what == "read" else 40) * days
        os.utime(folder / "inner" / "file.nbi", (read, time.time() - 40 * days))
        for path in (folder / "inner", folder):
            os.utime(path, 2 * (time.time() - (20 if what == "used" else 40) * days,))
        folders[what] = folder
    program = "from audioconv.kernels.jit import cache_folder; print(cache_folder())"
    (ours,), _ = run(program, AUDIOCONV_CACHE_DIR=str(tmp_path))
    assert {what for what, folder in folders.items() if folder.exists()} == {"used", "read", "no kernels"}
    os.utime(ours, 2 * (time.time() - 40 * days,))
    run(program, AUDIOCONV_CACHE_DIR=str(tmp_path))
    assert time.time() - os.stat(ours).st_mtime < days


def test_without_a_compiler_one_line_says_which_variable_to_unset():
    program = """
import audioconv
from audioconv.errors import AudioconvError
for use in (lambda: audioconv.Classifier, lambda: audioconv.ops):
    try:
        use()
    except AudioconvError as error:
        print(error, end="|")
"""
    found, said = run(program, NUMBA_DISABLE_JIT="1")
    assert len(found) == 3
    assert all("NUMBA_DISABLE_JIT is set" in error and "unset it" in error for error in found[:2])
    assert said == []


PROVEN = """
from audioconv.kernels import interpreter, routines
from audioconv.kernels.cache import cache_folder
workers = [interpreter.worker, *(routine for routine, _ in routines.ROUTINES.values())]
print(all(worker.address for worker in workers), cache_folder(), sep="|")
"""


def test_the_interpreter_gets_no_memory():
    """It could not say that there is none: what a worker raises is printed, and others would wait for it for ever."""
    (_, folder), _ = run(PROVEN)
    names = ("interpreter._*.nbc", "routines._*.nbc")
    compiled = [path.read_bytes() for name in names for path in Path(folder).rglob(name)]
    assert len(compiled) >= 6
    assert all(b"NRT_Free" in code and b"NRT_MemInfo_alloc" not in code for code in compiled)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("recordings")
    for label in ("yes", "no"):
        (folder / label).mkdir()
        for number in range(3):
            samples = 0.1 * np.random.default_rng(number).standard_normal(8000)
            soundfile.write(folder / label / f"{number}.wav", samples, 16000)
    return folder


COMMANDS = {
    "--help": 0,
    "--version": 0,
    "info FOLDER": 0,
    "train FOLDER -o MODEL": 2,
    "classify MODEL FOLDER/yes/0.wav": 2,
    "detect MODEL FOLDER/yes/0.wav": 2,
    "evaluate MODEL FOLDER": 2,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_without_a_compiler(command, recordings, tmp_path):
    words = command.replace("FOLDER", str(recordings)).replace("MODEL", str(tmp_path / "model")).split()
    found = subprocess.run(
        [sys.executable, "-m", "audioconv", *words],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode == COMMANDS[command], found.stderr
    if found.returncode:
        assert found.stderr.startswith("audioconv: error: NUMBA_DISABLE_JIT is set")
        assert found.stderr.count("\n") == 1
    else:
        assert found.stderr == ""
        assert found.stdout


def test_threads_that_compile_at_once_write_into_the_cache_folder_alone(tmp_path):
    """Not into the working folder, where a cache lies if Numba's setting is restored before the cache is made."""
    program = """
import sys, threading
from audioconv.kernels import jit

sys.setswitchinterval(1e-6)
start, found = threading.Barrier(8), []

def enter():
    start.wait()
    for _ in range(300):
        with jit._cache_folder_of_numba():
            found.append(jit._settings.CACHE_DIR)

threads = [threading.Thread(target=enter) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(set(found) == {str(jit.cache_folder())}, len(found))
"""
    (line, *_), _ = run(program, AUDIOCONV_CACHE_DIR=str(tmp_path / "cache"))
    assert line == "True 2400"
