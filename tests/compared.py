"""A training step by the plain layers beside one by the compiled passes."""

from __future__ import annotations

import functools
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np

from audioconv import layers as L
from audioconv import ops
from audioconv.compiler.train_step import TrainingPasses
from audioconv.layers.base import Pass
from audioconv.runtime.weights import WeightVector

TOLERANCE = 1e-5


@contextmanager
def direct_sums():
    """Let plain layers convolve by direct sums alone."""
    with ExitStack() as stack:
        for name in ("conv", "conv_input_gradient", "conv_weight_gradient"):
            direct = functools.partial(getattr(ops, name), direct=True)
            stack.enter_context(mock.patch.object(ops, name, direct))
        yield


def draw_params(network, in_shape, seed):
    """Return parameters of which none is zero or one, running statistics included."""
    rng = np.random.default_rng(seed)
    params = L.flatten(network.init(in_shape, rng))
    for path, array in params.items():
        if array.ndim == 1:
            params[path] = rng.uniform(0.5, 1.5, array.shape).astype(np.float32)
    return params


def difference(found, wanted, slack=0.0):
    """Return the norm of the error as a share of the norm of what is right, `slack` beside."""
    error = np.linalg.norm(np.subtract(found, wanted, dtype=np.float64))
    return error / max(np.linalg.norm(wanted.astype(np.float64)) + slack, 1e-30)


class Compared:
    """A training step by the plain layers and by the compiled passes."""

    def __init__(self, network, params, x, seed=0):
        self.network, self.params, self.x = network, params, x
        self.vector = WeightVector({path: array for path, array in params.items() if L.is_trained(path)})
        self.tracked = {path: array for path, array in params.items() if not L.is_trained(path)}
        self.passes = TrainingPasses(network, x.shape[1:], len(x), self.vector.offsets, self.tracked)
        self.dy = np.random.default_rng(seed).standard_normal((len(x), *network.out_shape(x.shape[1:])), np.float32)
        run = Pass(training=True, rng=np.random.default_rng(seed))
        nested = L.unflatten(dict(params))
        self.logits, saved = network.forward(nested, x, run)
        self.gradients = L.flatten(network.gradients(nested, saved, self.dy, run))
        self.updates = L.flatten(network.updates(nested, saved))
        self.seed = seed

    def sensitivity(self):
        """Return how much each gradient of the plain layers changes when the input's last bits do.

        Where much cancels, as before a batch normalisation, nobody's rounding can be expected to stay below that.
        """
        rng = np.random.default_rng(1)
        nudge = (1 + 1e-6 * rng.standard_normal(self.x.shape)).astype(np.float32)
        other = Compared(self.network, self.params, self.x * nudge, self.seed)
        return {path: difference(other.gradients[path], wanted) for path, wanted in self.gradients.items()}

    def check(self, sensitivity=None):
        self.vector.gradient[:] = np.nan  # all of it shall be written
        logits = self.passes.forward(self.vector.values, self.x, self.tracked, np.random.default_rng(self.seed))
        assert difference(logits, self.logits) < TOLERANCE
        for path, wanted in self.updates.items():
            assert difference(self.passes.tracked[path], wanted, 1e-3) < TOLERANCE, path
        self.passes.backward(self.dy, self.vector.gradient)
        # A bias before a batch normalisation has no gradient but rounding: what is small beside all is no error.
        slack = 0.1 * np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in self.gradients.values()))
        for path, wanted in self.gradients.items():
            place = self.vector.offsets[path]
            found = self.vector.gradient[place : place + wanted.size].reshape(wanted.shape)
            allowed = TOLERANCE if sensitivity is None else max(TOLERANCE, sensitivity[path])
            assert difference(found, wanted, slack) < allowed, path
