"""Compilation beside a command: processes of their own that fill the kernel cache, quiet, and gone with the command."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from audioconv.kernels import precompile
from audioconv.kernels.precompile import GROUPS, TRAIN_ON_IMAGES, TRAIN_ON_SOUNDS, USE
from audioconv.kernels.processor import usable_cores

SECONDS = 400
SMALL = (("depthwise",),)
"""A process that is soon done."""

pytestmark = pytest.mark.skipif(usable_cores() < 2, reason="with one core nothing is compiled beside a command")


def run(program, *arguments, **environment):
    found = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, precompile.VARIABLE: "1", **environment}, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout.strip(), found.stderr


def is_running(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"  # without a parent that asks for its status
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def kept(cache):
    return sorted(path.name.partition("-")[0] for path in cache.rglob("*.nbc"))


FILL = f"""
from audioconv.kernels import precompile
(process,) = precompile.start({SMALL!r})
assert process.wait() == 0
assert precompile.start({SMALL!r}) == []
try:
    import os
    os.waitpid(-1, os.WNOHANG)
    print("a zombie")
except (ChildProcessError, AttributeError):
    print("none")
"""


def test_a_process_fills_the_cache_is_quiet_and_leaves_no_zombie(tmp_path):
    assert run(FILL, AUDIOCONV_CACHE_DIR=str(tmp_path)) == ("none", "")
    assert kept(tmp_path) == ["routines._run_depthwise"]


LEAVE = f"""
import os, sys
from audioconv.kernels import precompile
(process,) = precompile.start({(tuple(GROUPS),)!r})
print(process.pid, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
if sys.argv[1] == "forked":  # the child has the pipe open, too
    if os.fork() == 0:
        import time
        time.sleep(1)
        os._exit(0)
    os._exit(0)
if sys.argv[1] == "raises":
    raise SystemExit(3)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
@pytest.mark.parametrize("end", ["returns", "raises", "killed", "forked"])
def test_a_process_ends_with_the_one_that_started_it(end, tmp_path):
    environment = {**os.environ, precompile.VARIABLE: "1", "AUDIOCONV_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", LEAVE, end], env=environment, stdout=subprocess.PIPE, text=True, timeout=SECONDS
    )
    pid = int(found.stdout)
    wait_until(lambda: not is_running(pid))
    assert len(kept(tmp_path)) < len(GROUPS)  # it ended before it was done


ENDED = """
import os, sys
sys.frozen = sys.argv[1] == "frozen"
if sys.argv[1] == "one core":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from audioconv.kernels import precompile
print(len(precompile.start(precompile.TRAIN_ON_SOUNDS)))
"""


@pytest.mark.parametrize(
    ("case", "environment"),
    [
        ("frozen", {}),
        pytest.param("one core", {}, marks=pytest.mark.skipif(sys.platform != "linux", reason="sets CPU affinity")),
        ("switched off", {precompile.VARIABLE: "0"}),
        ("plain compilation", {"AUDIOCONV_PLAIN_COMPILATION": "1"}),
        ("no folder", {"AUDIOCONV_CACHE_DIR": __file__}),
    ],
)
def test_cases_in_which_none_is_started(case, environment, tmp_path):
    assert run(ENDED, case, **{"AUDIOCONV_CACHE_DIR": str(tmp_path), **environment})[0] == "0"


@pytest.mark.slow
def test_the_groups_name_all_kernels_that_they_compile(tmp_path):
    """Otherwise each command would start the processes again."""
    program = """
from audioconv.kernels import precompile
for compile, _ in precompile.GROUPS.values():
    compile()
print(precompile.start((tuple(precompile.GROUPS),)))
"""
    assert run(program, AUDIOCONV_CACHE_DIR=str(tmp_path))[0] == "[]"
    assert kept(tmp_path) == sorted(kernel for _, kernels in GROUPS.values() for kernel in kernels)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for label in ("yes", "no"):
        (folder / label).mkdir()
        for number in range(8):
            samples = 0.1 * rng.standard_normal(16000)
            soundfile.write(folder / label / f"{number}.wav", samples, 16000)
    return folder


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return a cache with the kernels that are compiled beside the training of a model of sounds, and only these."""
    cache = tmp_path_factory.mktemp("cache")
    program = """
from audioconv.kernels import precompile
for process in precompile.start(precompile.TRAIN_ON_SOUNDS):
    assert process.wait() == 0
"""
    assert run(program, AUDIOCONV_CACHE_DIR=str(cache)) == ("", "")
    return cache


def command(*words, **environment):
    found = subprocess.run(
        [sys.executable, "-m", "audioconv", *map(str, words)],
        env={**os.environ, precompile.VARIABLE: "1", **environment},
        input="", capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found


@pytest.mark.slow
def test_training_and_use_need_no_other_kernels(recordings, compiled, tmp_path):
    before = kept(compiled)
    assert before == sorted(kernel for groups in TRAIN_ON_SOUNDS for group in groups for kernel in GROUPS[group][1])
    environment = {"AUDIOCONV_CACHE_DIR": str(compiled)}
    trained = command("train", recordings, "-o", tmp_path / "model", "--epochs", "1", **environment)
    assert "compiling" not in trained.stderr
    command("classify", tmp_path / "model", recordings / "yes" / "0.wav", **environment)
    assert kept(compiled) == before


def test_each_group_is_known():
    for processes in (USE, TRAIN_ON_SOUNDS, TRAIN_ON_IMAGES):
        groups = [group for process in processes for group in process]
        assert len(groups) == len(set(groups))
        assert set(groups) <= set(GROUPS)


@pytest.mark.slow
def test_a_cold_command_answers_the_same_and_says_no_more(recordings, compiled, tmp_path):
    model, clip = tmp_path / "model", recordings / "no" / "1.wav"
    command("train", recordings, "-o", model, "--epochs", "1", AUDIOCONV_CACHE_DIR=str(compiled))
    warm = command("classify", model, clip, "--json", AUDIOCONV_CACHE_DIR=str(compiled))
    cold = command("classify", model, clip, "--json", AUDIOCONV_CACHE_DIR=str(tmp_path / "cache"))
    assert cold.stdout == warm.stdout
    assert cold.stderr.count("\n") == warm.stderr.count("\n") + 1
    assert "compiling kernels for this machine; this happens once" in cold.stderr
