"""A process that was forked after a prediction predicts and trains, with the same bits; it never hangs or dies."""

from __future__ import annotations

import http.client
import os
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import forks
import numpy as np
import pytest

import audioconv as ac
from audioconv import layers as L
from audioconv._types import cached_property
from audioconv.audio import LogMel
from audioconv.kernels.jit import THREADING_LAYER

SECONDS = 240  # of which compiling takes most, if it must be
THREADS = "3"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    front_end = LogMel(mel_bands=16)
    in_shape = (*front_end.out_shape(16000), 1)
    network = L.Chain(
        [L.Conv(12, 3, padding="same"), L.BatchNorm(), L.ReLU(), L.Conv(9, 3), L.GlobalAvgPool(), L.Dense(3)]
    )
    params = network.init(in_shape, np.random.default_rng(0))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    ac.Model(network, params, ("a", "b", "c"), in_shape, front_end, 16000).save(path)
    return path


def run(*arguments, **environment):
    program = Path(forks.__file__)
    try:
        return subprocess.run(
            [sys.executable, program, *map(str, arguments)],
            env={**os.environ, "NUMBA_NUM_THREADS": THREADS, **environment},
            capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"hangs; said before: {error.stderr}")


@pytest.mark.slow
@pytest.mark.parametrize("way", forks.WAYS)
def test_forked_workers_predict(way, model_file):
    if way.startswith("joblib"):
        pytest.importorskip("joblib")
    found = run(way, model_file, THREADING_LAYER)
    assert found.stdout == "the same\n", found.stderr
    assert "Terminating" not in found.stderr


@pytest.mark.parametrize("layer", sorted({THREADING_LAYER, "workqueue"}))
def test_predictions_training_and_plain_layers_have_the_same_bits_in_a_forked_process(layer, model_file):
    found = run("everything", model_file, layer)
    assert found.stdout == "the same\n", found.stderr


def test_threads_of_workqueue_beside_a_fork(model_file):
    """There launches take turns, so a child might wait for a turn that a thread of its parent has."""
    found = run("os.fork beside threads", model_file, "workqueue")
    assert found.stdout == "the same\n", found.stderr


def test_a_thread_that_computes_a_cached_property_holds_nobody_up():
    """One that was at it in the parent would hold up every forked process for ever."""

    class Slow:
        @cached_property
        def number(self):
            begun.set()
            assert go_on.wait(60)
            return 1

    class Quick:
        @cached_property
        def number(self):
            return 2

    begun, go_on, slow, found = threading.Event(), threading.Event(), Slow(), []
    thread = threading.Thread(target=lambda: slow.number)
    thread.start()
    assert begun.wait(60)
    other = threading.Thread(target=lambda: found.append(Quick().number))
    other.start()
    other.join(10)
    go_on.set()
    thread.join(60)
    assert found == [2]
    assert slow.number == 1


APP = """
import os
import forks
import audioconv as ac
from audioconv.runtime import executable

executable.MIN_WORK = 0
classifier = ac.Classifier.load(os.environ["MODEL"])
before, parent = forks.answer(classifier, 0), os.getpid()

def app(environ, start_response):
    same = forks.answer(classifier, 0) == before and os.getppid() == parent
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the same" if same else b"something else"]
"""


def test_a_server_that_loads_the_model_before_it_forks(model_file, tmp_path):
    """As ``gunicorn --preload`` does: the first prediction is the parent's, the requests are the worker's."""
    pytest.importorskip("gunicorn")
    (tmp_path / "served.py").write_text(APP)
    environment = {**os.environ, "MODEL": str(model_file), "NUMBA_NUM_THREADS": THREADS}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(Path(forks.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "served:app"]
    server = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in server.stderr])
    reader.start()
    try:
        said = []
        while not (found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", "".join(said))):
            said.append(lines.get(timeout=SECONDS))
        for _ in range(4):
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"the same"
            connection.close()
    finally:
        server.terminate()
        server.wait(30)
        reader.join(30)
        server.stderr.close()
