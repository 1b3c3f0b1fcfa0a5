"""What test_fork runs in processes of its own: predict, fork, and predict or train in the children.

    python tests/forks.py WAY MODEL LAYER

WAY is one of `WAYS`. LAYER is the threading layer to expect; ``workqueue`` hides the others, as on a machine that has
none of them. Prints "the same" if the children give the bits that the parent gives.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and sys.argv[3:] == ["workqueue"]:
    sys.modules["numba.np.ufunc.omppool"] = sys.modules["numba.np.ufunc.tbbpool"] = None

import concurrent.futures
import hashlib
import multiprocessing
import os
import threading

import concurrency
import numpy as np

import audioconv as ac
from audioconv import layers as L
from audioconv.kernels import jit, threads
from audioconv.runtime import executable
from audioconv.training.fitting import ArrayData, fit

COUNT, SECONDS = 6, 100
NETWORK = L.Chain([L.Conv(8, 3), L.BatchNorm(), L.ReLU(), L.GlobalAvgPool(), L.Dropout(0.3), L.Dense(3)])


def predict(path: str, number: int) -> bytes:
    """Return the bits of what a classifier, loaded here, says to a clip."""
    return answer(ac.Classifier.load(path), number)


def answer(classifier: ac.Classifier, number: int) -> bytes:
    clips = np.random.default_rng(number).standard_normal((4, 16000)).astype(np.float32)
    return classifier.predict_proba(list(clips)).tobytes()


def train() -> str:
    """Return a digest of what a short training gives."""
    rng = np.random.default_rng(0)
    data = ArrayData(rng.standard_normal((60, 20, 8, 1)), np.arange(60) % 3)
    fitted = fit(NETWORK, data, epochs=2, batch_size=20, validation=data, seed=0, gradient_clip=1.0)
    digest = hashlib.sha256()
    for _, array in sorted(L.flatten(fitted.params).items()):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def everything(path: str) -> tuple[object, ...]:
    """Return what predictions, training and each plain layer give."""
    return predict(path, 0), train(), concurrency.digest_of_training()


def in_a_child(path: str) -> tuple[object, ...]:
    """Return what a child of this process gives that is forked for it alone."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply_async(everything, (path,)).get(SECONDS)


def by_pool(path: str) -> list[bytes]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.starmap_async(predict, [(path, n) for n in range(COUNT)]).get(SECONDS)


def by_executor(path: str) -> list[bytes]:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        return list(pool.map(predict, [path] * COUNT, range(COUNT), timeout=SECONDS))


def by_joblib(path: str, backend: str) -> list[bytes]:
    import joblib

    with joblib.parallel_config(backend=backend):
        work = (joblib.delayed(predict)(path, n) for n in range(COUNT))
        return list(joblib.Parallel(n_jobs=2, timeout=SECONDS)(work))


def by_grandchildren(path: str) -> list[bytes]:
    """Fork from a child: its children must not launch threads either, though it has not launched any itself."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(by_executor, path).result(SECONDS)


def while_threads_predict(path: str) -> list[bytes]:
    """Fork while other threads are at work, who may hold any lock."""
    classifier, done = ac.Classifier.load(path), threading.Event()

    def go_on() -> None:
        while not done.is_set():
            answer(classifier, 0)

    others = [threading.Thread(target=go_on) for _ in range(3)]
    for thread in others:
        thread.start()
    try:
        return [by_fork(classifier, n) for n in range(COUNT)]
    finally:
        done.set()
        for thread in others:
            thread.join()


def by_fork(classifier: ac.Classifier, number: int) -> bytes:
    """Return what a forked child says to a clip, with a classifier of its parent's."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writer, answer(classifier, number))
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, "rb") as file:
        said = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return said


WAYS = {
    "Pool": by_pool,
    "ProcessPoolExecutor": by_executor,
    "joblib, multiprocessing": lambda path: by_joblib(path, "multiprocessing"),
    "joblib, loky": lambda path: by_joblib(path, "loky"),
    "grandchildren": by_grandchildren,
    "os.fork beside threads": while_threads_predict,
}


def main(way: str, path: str, layer: str) -> None:
    assert layer == jit.THREADING_LAYER, jit.THREADING_LAYER
    executable.MIN_WORK = 0  # even little work is shared out among threads
    if way == "everything":
        wanted: object = everything(path)
        found: object = in_a_child(path)
    else:
        wanted = [predict(path, n) for n in range(COUNT)]
        found = WAYS[way](path)
    assert not threads.launching.alone
    assert found == wanted
    again = everything(path) if way == "everything" else [predict(path, n) for n in range(COUNT)]
    assert again == wanted
    print("the same")


if __name__ == "__main__":
    main(*sys.argv[1:])
