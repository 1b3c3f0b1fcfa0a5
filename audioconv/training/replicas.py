"""The replicas of a global batch: which of them this process computes, and what all of them make of a step.

A global batch is a batch of each replica. A replica has training examples, batch statistics and random streams of its
own. The step takes the mean of all replicas' gradients. Each replica updates the running statistics from before the
step by its own batch. The next step begins with the mean of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from audioconv._types import Array
from audioconv.cluster.processes import Processes
from audioconv.cluster.tree import PairwiseSum
from audioconv.errors import ClusterError
from audioconv.training.data import Dataset, data_sets, draw_batches, step_count


class Purpose(IntEnum):
    """Purpose of a random stream."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    DROPOUT = 3
    MIXUP = 4


def random_stream(seed: int, purpose: Purpose, epoch: int = 0, replica: int | None = None) -> np.random.Generator:
    """Return the generator for one purpose in one epoch: independent of all others, and needing none before it.

    `replica` is the number of one of several replicas; None is a replica alone.
    """
    key = (epoch, purpose) if replica is None else (epoch, purpose, replica)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True)
class Replicas:
    """The replicas of a training run.

    Attributes
    ----------
    own : sequence of Dataset
        Training data of those that this process computes, which are consecutive.
    first : int
        Number of the first of these.
    sizes : tuple of int
        Number of training examples of each replica of all processes.
    processes : Processes
        The processes that share the replicas.
    """

    own: Sequence[Dataset]
    first: int
    sizes: tuple[int, ...]
    processes: Processes

    @classmethod
    def of(cls, data: Dataset | Sequence[Dataset], processes: Processes) -> Replicas:
        """Return the replicas whose data each process gives; `ClusterError` unless they are equally many."""
        own = data_sets(data)
        lengths = processes.gather_json([len(one) for one in own])
        if len({len(some) for some in lengths}) > 1:
            raise ClusterError(f"every process must have as many replicas; they have {[len(some) for some in lengths]}")
        sizes = tuple(length for some in lengths for length in some)
        return cls(own, processes.rank * len(own), sizes, processes)

    @property
    def count(self) -> int:
        """Number of all replicas."""
        return len(self.sizes)

    def number(self, place: int) -> int | None:
        """Return the number of the replica at a place of `own` for `random_stream`."""
        return None if self.count == 1 else self.first + place

    def steps(self, batch_size: int) -> int:
        """Return the number of steps of an epoch."""
        return step_count(self.sizes, batch_size)

    def largest_batch(self, batch_size: int) -> int:
        """Return the number of examples of the largest batch of a replica of this process."""
        return max(-(-len(data) // self.steps(batch_size)) for data in self.own)

    def draw_epoch(self, batch_size: int, seed: int, epoch: int) -> list[list[Array]]:
        """Return the batches of each step: of each replica of this process, the numbers of its examples."""
        steps = self.steps(batch_size)
        drawn = [
            draw_batches(len(data), batch_size, random_stream(seed, Purpose.ORDER, epoch, self.number(place)), steps)
            for place, data in enumerate(self.own)
        ]
        return [list(batches) for batches in zip(*drawn, strict=True)]

    def streams(self, seed: int, purpose: Purpose, epoch: int) -> list[np.random.Generator]:
        """Return the generators for a purpose of the replicas of this process."""
        return [random_stream(seed, purpose, epoch, self.number(place)) for place in range(len(self.own))]


class StepMean:
    """The mean over all replicas of the gradient and of the running statistics, for one step after the other.

    Parameters
    ----------
    replicas : Replicas
    gradient : array (size,) float32
        Memory of a replica's gradient, and then of their mean.
    tracked : mapping of str to array
        Running statistics by path, for their shapes.
    """

    def __init__(self, replicas: Replicas, gradient: Array, tracked: Mapping[str, Array]) -> None:
        self._replicas, self._gradient = replicas, gradient
        self._shapes = {path: array.shape for path, array in tracked.items()}
        self._begin()

    def _begin(self) -> None:
        self._sum = PairwiseSum(self._replicas.first)

    def add(self, tracked: Mapping[str, Array]) -> None:
        """Add what the next replica of this process has computed: the gradient, and its running statistics."""
        parts = [self._gradient, *(np.asarray(tracked[path], np.float32).reshape(-1) for path in self._shapes)]
        self._sum.add(np.concatenate(parts))

    def take(self) -> dict[str, Array]:
        """Write the mean into the gradient, and return the running statistics by path; the next step begins."""
        mean = self._replicas.processes.sum(self._sum.nodes, self._replicas.count)
        mean /= np.float32(self._replicas.count)
        self._begin()
        size = self._gradient.size
        np.copyto(self._gradient, mean[:size])
        tracked = {}
        for path, shape in self._shapes.items():
            end = size + int(np.prod(shape))
            tracked[path] = mean[size:end].reshape(shape)
            size = end
        return tracked
