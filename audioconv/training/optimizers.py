"""Optimizers: AdamW and SGD.

All trainable arrays of a network lie in one vector (`WeightVector`), of which the network sees views. So a step is a
single pass over long arrays (`kernels.optimise`), however many small ones there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audioconv._types import Array
from audioconv.errors import ConfigError
from audioconv.kernels import optimizers
from audioconv.kernels.elementwise import BLOCK
from audioconv.runtime.weights import WeightVector

State = dict[str, Array]
"""State of an optimiser between steps: arrays by name."""


class Optimizer(Protocol):
    """A rule that changes weights by their gradient."""

    def init(self, weights: WeightVector) -> State:
        """Return the state before the first step."""
        ...

    def step(self, weights: WeightVector, state: State, learning_rate: float) -> None:
        """Change `weights.values` and `state` in place by `weights.gradient`."""
        ...


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, as ``torch.optim.SGD``.

    Parameters
    ----------
    momentum : float
        Share of the last step's direction that is kept.
    nesterov : bool
        Whether to look ahead along the momentum (Sutskever et al. 2013).
    weight_decay : float
        L2 penalty of the arrays with more than one axis; it is added to the gradient.
    """

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_share("momentum", self.momentum)
        _check_decay(self.weight_decay)
        if self.nesterov and not self.momentum:
            raise ConfigError("nesterov=True needs a momentum above 0")

    def init(self, weights: WeightVector) -> State:
        """Return the state before the first step."""
        return {"velocity": np.zeros_like(weights.values)} if self.momentum else {}

    def step(self, weights: WeightVector, state: State, learning_rate: float) -> None:
        """Change `weights.values` and `state` in place by `weights.gradient`."""
        velocity = state["velocity"] if self.momentum else weights.values[:0]
        decay, momentum, rate = np.array([self.weight_decay, self.momentum, learning_rate], np.float32)
        optimizers.sgd(
            weights.values, weights.gradient, velocity, weights.decayed, decay, momentum, self.nesterov, rate
        )


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), as ``torch.optim.AdamW``.

    Parameters
    ----------
    beta1, beta2 : float
        Decay rates of the first and second moment.
    epsilon : float
        Added to the root of the mean square.
    weight_decay : float
        Share of the arrays with more than one axis that a step takes away, times the learning rate.
    rates : tuple of (str, float) pairs
        Beginnings of parameters' paths, and by what the learning rate is multiplied there; the first that fits holds.
        Pretrained layers learn with a lower rate. With 0 they are frozen, and the backward pass leaves them out.
        Default: none, every parameter has the whole rate.

    Examples
    --------
    >>> AdamW(rates=(("0.", 0.1),)).rate_factor("0.3.weight"), AdamW().rate_factor("0.3.weight")
    (0.1, 1.0)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    rates: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_share("beta1", self.beta1)
        _check_share("beta2", self.beta2)
        _check_decay(self.weight_decay)
        for beginning, factor in self.rates:
            if not 0 <= factor < math.inf:
                raise ConfigError(f"the rate's factor for {beginning!r} must be a number of at least 0; got {factor}")
        if not self.epsilon > 0:
            raise ConfigError(f"epsilon must be above 0; got {self.epsilon}")

    def init(self, weights: WeightVector) -> State:
        """Return the state before the first step."""
        return {
            "steps": np.zeros((), np.int64),
            "mean": np.zeros_like(weights.values),
            "mean_square": np.zeros_like(weights.values),
        }

    def step(self, weights: WeightVector, state: State, learning_rate: float) -> None:
        """Change `weights.values` and `state` in place by `weights.gradient`."""
        state["steps"] += 1
        steps = int(state["steps"])
        # Both means start at zero: what they are too small by in the first steps goes into these two numbers.
        mean_correction, root_correction = 1 - self.beta1**steps, math.sqrt(1 - self.beta2**steps)
        # 1 - beta2 is taken here, in float64: of float32's 0.999 it would be wrong in the fifth digit.
        means = np.array([self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2], np.float32)
        arrays = weights.values, weights.gradient, state["mean"], state["mean_square"]
        for part, decayed, factor in weights.parts(self.rate_factor):
            rate = factor * learning_rate
            optimizers.adamw(
                *(array[part] for array in arrays), decayed, np.float32(1 - rate * self.weight_decay),
                tuple(means), np.float32(root_correction), np.float32(self.epsilon), np.float32(rate / mean_correction),
            )  # fmt: skip

    def rate_factor(self, path: str) -> float:
        """Return by what the learning rate of the parameter at `path` is multiplied."""
        return next((factor for beginning, factor in self.rates if path.startswith(beginning)), 1.0)


def frozen_paths(optimizer: Optimizer, paths: Iterable[str]) -> frozenset[str]:
    """Return which of the parameters at `paths` an optimiser never changes: those of a rate of 0.

    >>> frozen_paths(AdamW(rates=(("0.", 0.0),)), ["0.3.weight", "1.weight"])
    frozenset({'0.3.weight'})
    """
    if not isinstance(optimizer, AdamW):
        return frozenset()
    return frozenset(path for path in paths if optimizer.rate_factor(path) == 0)


def clip_gradients(weights: WeightVector, max_norm: float | None) -> float:
    """Scale the gradient down in place where its norm is above `max_norm`, and return the norm that it had.

    Parameters
    ----------
    weights : WeightVector
        Its `gradient` is changed.
    max_norm : float or None
        The greatest Euclidean norm over all arrays; None only measures.

    Returns
    -------
    float
        The norm before clipping; NaN or infinite where the gradient is.
    """
    gradient = weights.gradient
    sums = np.empty(-(-gradient.size // BLOCK))
    optimizers.squares(gradient, sums)
    norm = math.sqrt(sums.sum())  # of the same blocks on any number of threads
    if max_norm is not None and max_norm < norm < math.inf:
        gradient *= max_norm / (norm + 1e-6)  # the small number is PyTorch's
    return norm


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(f"{name} must be at least 0 and less than 1; got {value}")


def _check_decay(value: float) -> None:
    if not 0 <= value < math.inf:
        raise ConfigError(f"weight decay must be a number of at least 0; got {value}")
