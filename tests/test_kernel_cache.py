"""The folders of compiled kernels between processes: locks, folders in use, clearing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audioconv.kernels.locks import FileLock

SECONDS = 240

# Holds a lock until its input ends; says when it has it.
HOLD = """
import sys
from pathlib import Path
from audioconv.kernels.locks import FileLock
lock = FileLock(Path(sys.argv[1]), shared=sys.argv[2] == "shared")
assert lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""

USE = """
import sys
from audioconv.kernels.cache import cache_folder
print(cache_folder(), flush=True)
sys.stdin.read()
"""


class Running:
    """A program that runs until the block ends."""

    def __init__(self, program, *arguments, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self):
        self.line = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def run(*words, **environment):
    found = subprocess.run(
        [sys.executable, "-m", "audioconv", *words],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_lock_is_held_by_one_process_and_free_when_that_is_killed(tmp_path):
    path = tmp_path / "kernel.lock"
    with Running(HOLD, path, "alone") as other:
        assert other.line == "held"
        assert not FileLock(path).acquire()
        begin = time.monotonic()
        assert not FileLock(path).acquire(0.2)
        assert time.monotonic() - begin >= 0.2
        other.process.kill()
        lock = FileLock(path)
        assert lock.acquire(SECONDS)
        lock.release()
        lock.release()  # nothing


def test_a_lock_in_one_process_is_two_locks(tmp_path):
    first, second = FileLock(tmp_path / "a"), FileLock(tmp_path / "a")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert second.is_in_place()
    (tmp_path / "a").unlink()
    assert not second.is_in_place()
    second.release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no shared locks")
def test_shared_locks_go_together_and_keep_others_out(tmp_path):
    path = tmp_path / "in-use.lock"
    with Running(HOLD, path, "shared") as other:
        assert other.line == "held"
        mine = FileLock(path, shared=True)
        assert mine.acquire()
        mine.release()
        assert not FileLock(path).acquire()


def old_folder(kernels, name):
    folder = kernels / name
    folder.mkdir(parents=True)
    (folder / "kernel.nbc").write_bytes(b"x" * 2_000_000)
    for path in (folder / "kernel.nbc", folder):
        os.utime(path, 2 * (time.time() - 40 * 86400,))
    return folder


def test_a_folder_that_a_process_uses_is_not_removed_however_old_it_looks(tmp_path):
    used, unused = (old_folder(tmp_path / "kernels", f"0.1.0-{digit * 12}") for digit in "ab")
    with Running(HOLD, used / "in-use.lock", "shared") as other:
        assert other.line == "held"
        for path in (*used.iterdir(), used):
            os.utime(path, 2 * (time.time() - 40 * 86400,))
        with Running(USE, AUDIOCONV_CACHE_DIR=str(tmp_path)) as ours:
            assert Path(ours.line).is_dir()
            assert used.exists()
            assert not unused.exists()


def test_doctor_clears_the_kernels_of_all_versions_but_those_in_use(tmp_path):
    environment = {"AUDIOCONV_CACHE_DIR": str(tmp_path)}
    other_version = old_folder(tmp_path / "kernels", "0.1.0-0123456789ab")
    os.utime(other_version)  # not so old that it goes by itself
    notes = tmp_path / "kernels" / "notes.txt"
    notes.write_text("mine")
    with Running(USE, **environment) as other:
        used = Path(other.line)
        said = run("doctor", "--clear-cache", **environment)
        assert "removed 2" in said
        assert f"left {used}: another process uses it" in said
        assert used.is_dir()
        assert not other_version.exists()
    said = run("doctor", "--clear-cache", "--json", **environment)
    assert '"in_use": []' in said
    assert not used.exists()
    assert notes.read_text() == "mine"
    assert "removed 0" in run("doctor", "--clear-cache", **environment)


# Compiles a kernel and says whether it was this process.
COMPILE = """
import sys
from audioconv.kernels import cache, routines
saved = []
original = cache.KernelCache.save_overload
cache.KernelCache.save_overload = lambda self, sig, data: (saved.append(1), original(self, sig, data))
print("ready", flush=True)
sys.stdin.readline()
assert routines.ROUTINES["depthwise"][0].address
print(len(saved), flush=True)
"""


def test_processes_that_need_the_same_kernel_at_once_compile_it_once(tmp_path):
    environment = {"AUDIOCONV_CACHE_DIR": str(tmp_path)}
    with Running(COMPILE, **environment) as first, Running(COMPILE, **environment) as second:
        for program in (first, second):
            assert program.line == "ready"
        for program in (first, second):
            program.process.stdin.write("\n")
            program.process.stdin.flush()
        assert sorted(program.process.stdout.readline().strip() for program in (first, second)) == ["0", "1"]


STOPPED = COMPILE.replace(
    'print("ready", flush=True)\nsys.stdin.readline()',
    """
from audioconv.kernels import jit
load = cache.KernelCache.load_overload
def load_overload(self, sig, target):
    found = load(self, sig, target)
    print("compiles", found is None, flush=True)
    sys.stdin.read()  # for ever: it is killed here, with the lock
cache.KernelCache.load_overload = load_overload
""",
)


def test_a_process_that_dies_while_it_compiles_leaves_the_kernel_to_the_next(tmp_path):
    environment = {"AUDIOCONV_CACHE_DIR": str(tmp_path)}
    with Running(STOPPED, **environment) as first:
        assert first.line == "compiles True"
        with Running(COMPILE, **environment) as second:
            second.process.stdin.write("\n")
            second.process.stdin.flush()
            time.sleep(0.5)
            first.process.kill()
            assert second.process.stdout.readline().strip() == "1"
