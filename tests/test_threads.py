"""Same bits on any number of threads, and from any number of Python threads at once, with every threading layer.

The work runs in processes of its own: a process has one threading layer, and one that is not safe ends it with an
abort, which shall fail a test and not the test run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import concurrency
import numba
import pytest

from audioconv.kernels.jit import THREADING_LAYER

# Threads can be told to be fewer than a process began with, so it begins with more than there are cores.
LAYERS = [("workqueue", "3")] if THREADING_LAYER == "workqueue" else [(THREADING_LAYER, "5"), ("workqueue", "3")]


@pytest.fixture(scope="module")
def digest_on_one_thread():
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    yield concurrency.digest_of_training()
    numba.set_num_threads(threads)


def test_the_bits_are_the_same_on_one_thread_and_on_all(digest_on_one_thread):
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert concurrency.digest_of_training() == digest_on_one_thread


@pytest.mark.parametrize(("layer", "threads"), LAYERS)
def test_many_python_threads_predict_at_once_and_the_bits_stay_the_same(layer, threads, digest_on_one_thread):
    program = Path(concurrency.__file__)
    environment = {**os.environ, "NUMBA_NUM_THREADS": threads}
    found = subprocess.run(
        [sys.executable, program, layer], env=environment, capture_output=True, text=True, timeout=240
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == digest_on_one_thread
