"""What test_threads runs in processes of their own: train and predict, and print a digest of all bits.

    python tests/concurrency.py LAYER

LAYER is the threading layer to expect; ``workqueue`` hides the others, as on a machine that has none of them.
"""

from __future__ import annotations

import hashlib
import sys
import threading

if sys.argv[1:] == ["workqueue"]:
    sys.modules["numba.np.ufunc.omppool"] = sys.modules["numba.np.ufunc.tbbpool"] = None

import numba
import numpy as np

from audioconv import layers as L
from audioconv.kernels import jit

PYTHON_THREADS, ROUNDS = 8, 10

# Every kernel, with more examples than partial sums and channels that fill no tile.
NETWORK_2D = L.Chain(
    [
        L.Conv(20, 3, padding="same"), L.BatchNorm(), L.ReLU(), L.MaxPool(2),
        L.Conv(20, 3, stride=2, padding=1, groups=20), L.SiLU(), L.Conv(12, 3, groups=4, dilation=2, padding=2),
        L.Residual(L.Chain([L.Conv(12, 1), L.Sigmoid()])), L.AvgPool(2, stride=1), L.Dropout(0.3), L.Tanh(),
        L.Concat([L.GlobalAvgPool(), L.GlobalMaxPool(), L.Flatten()]), L.Dense(7),
    ]
)  # fmt: skip
NETWORK_1D = L.Chain(
    [
        L.Conv(17, 9, stride=2, padding=4), L.BatchNorm(), L.LeakyReLU(), L.ChannelDropout(0.2),
        L.Conv(33, 3, padding="same"), L.MaxPool(3, stride=2), L.GlobalAvgPool(), L.Dense(3),
    ]
)  # fmt: skip
CASES = [(NETWORK_2D, (26, 21, 3)), (NETWORK_1D, (500, 10))]


def digest_of_training() -> str:
    """Return a digest of everything that three training steps compute."""
    digest = hashlib.sha256()
    for network, in_shape in CASES:
        rng = np.random.default_rng(0)
        params = network.init(in_shape, rng)
        run = L.Pass(training=True, rng=rng)
        for _ in range(3):
            y, saved = network.forward(params, rng.standard_normal((37, *in_shape), np.float32), run)
            dx, grads = network.backward(params, saved, np.cos(y), run)
            gradients, flat = L.flatten(grads), L.flatten(params)
            for path, gradient in gradients.items():
                flat[path] -= np.float32(0.01) * gradient
            for array in (y, dx, *gradients.values(), *L.flatten(network.updates(params, saved)).values()):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def check_concurrent_predictions() -> None:
    """Predict with one model from many Python threads at once; each must get what one alone gets."""
    rng = np.random.default_rng(1)
    work = [(net, net.init(shape, rng), rng.standard_normal((3, *shape), np.float32)) for net, shape in CASES]
    start, answers, faults = threading.Barrier(PYTHON_THREADS), {}, []

    def predict(number: int) -> None:
        try:
            start.wait()  # the first launch of all, too: nothing has run before
            for _ in range(ROUNDS):
                found = [net.forward(params, x, L.Pass())[0].tobytes() for net, params, x in work]
                if answers.setdefault(number, found) != found:
                    raise AssertionError(f"thread {number} got two answers")
        except BaseException as error:
            faults.append(error)
            raise

    threads = [threading.Thread(target=predict, args=(number,)) for number in range(PYTHON_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [net.forward(params, x, L.Pass())[0].tobytes() for net, params, x in work]
    assert not faults, faults
    assert all(found == alone for found in answers.values())
    assert len(answers) == PYTHON_THREADS


if __name__ == "__main__":
    assert sys.argv[1] == jit.THREADING_LAYER, jit.THREADING_LAYER
    check_concurrent_predictions()
    assert numba.threading_layer() == jit.THREADING_LAYER
    print(digest_of_training())
