"""Learning-rate schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from audioconv.errors import ConfigError


class Schedule(Protocol):
    """The learning rate over a run."""

    def learning_rate(self, step: int, total_steps: int) -> float:
        """Return the learning rate of `step`, which counts from 0 to ``total_steps - 1``."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same learning rate throughout, after a linear warm-up.

    Parameters
    ----------
    rate : float
        The learning rate.
    warmup : float
        Share of the run, from 0 to 1, over which the rate grows from near zero.
    """

    rate: float = 1e-3
    warmup: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        _check(self.rate, self.warmup)

    def learning_rate(self, step: int, total_steps: int) -> float:
        """Return the learning rate of `step`, which counts from 0."""
        return self.rate * _warm(step, round(self.warmup * total_steps))


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from the peak down to the end, after a linear warm-up (Loshchilov & Hutter 2017).

    Parameters
    ----------
    rate : float
        The peak.
    warmup : float
        Share of the run, from 0 to 1, over which the rate grows from near zero to the peak.
    final : float
        The rate at the end, as a share of the peak.
    """

    rate: float = 1e-3
    warmup: float = 0.05
    final: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        _check(self.rate, self.warmup)
        _check_share("the final rate's share of the peak", self.final)

    def learning_rate(self, step: int, total_steps: int) -> float:
        """Return the learning rate of `step`, which counts from 0."""
        warm_steps = round(self.warmup * total_steps)
        if step < warm_steps:
            return self.rate * _warm(step, warm_steps)
        progress = (step - warm_steps) / max(1, total_steps - warm_steps)
        return _anneal(self.rate, self.rate * self.final, progress)


@dataclass(frozen=True)
class OneCycle:
    """Up to the peak and down to almost nothing, each along half a cosine wave (Smith & Topin 2018).

    The rates are those of ``torch.optim.lr_scheduler.OneCycleLR`` with its default cosine annealing.

    Parameters
    ----------
    rate : float
        The peak.
    warmup : float
        Share of the run, from 0 to 1, over which the rate grows.
    first : float
        The rate at the start, as a share of the peak.
    final : float
        The rate at the end, as a share of the rate at the start.
    """

    rate: float = 3e-3
    warmup: float = 0.3
    first: float = 1 / 25
    final: float = 1e-4

    def __post_init__(self) -> None:
        """Check the settings."""
        _check(self.rate, self.warmup)
        _check_share("the first rate's share of the peak", self.first)
        _check_share("the final rate's share of the first", self.final)

    def learning_rate(self, step: int, total_steps: int) -> float:
        """Return the learning rate of `step`, which counts from 0."""
        start = self.rate * self.first
        # The peak may lie between two steps, as in PyTorch: a run of few steps then never quite reaches it.
        peak_step = self.warmup * total_steps - 1
        last_step = total_steps - 1
        if step <= peak_step:
            return _anneal(start, self.rate, step / peak_step if peak_step > 0 else 1.0)
        return _anneal(self.rate, start * self.final, (step - peak_step) / (last_step - peak_step))


def _anneal(begin: float, end: float, progress: float) -> float:
    """Return the value at `progress` (0 to 1) of half a cosine wave from `begin` to `end`."""
    return end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2


def _warm(step: int, warm_steps: int) -> float:
    """Return the linear warm-up's factor: its first step already learns, the step after it is at full rate."""
    return (step + 1) / (warm_steps + 1) if step < warm_steps else 1.0


def _check(rate: float, warmup: float) -> None:
    if not 0 < rate < math.inf:
        raise ConfigError(f"the learning rate must be a positive number; got {rate}")
    _check_share("warm-up, a share of the run,", warmup)


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise ConfigError(f"{name} must be from 0 to 1; got {share}")
