"""Data sets of the trainer, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Array
from audioconv.errors import DataError


class Dataset(Protocol):
    """Examples by their number: what `training.fit` trains on."""

    @property
    def labels(self) -> Array:
        """Class of each example, (N,) integers from 0."""
        ...

    def __len__(self) -> int:
        """Return the number of examples, N."""
        ...

    def batch(self, indices: Array, rng: np.random.Generator | None) -> Array:
        """Return the examples `indices` as float32 (n, *input shape), augmented where there is an `rng`.

        Called by one thread at a time, but not always by the one that trains.
        """
        ...


def data_sets(data: Dataset | Sequence[Dataset]) -> list[Dataset]:
    """Return the data sets of several replicas, or that of one."""
    return list(data) if isinstance(data, list | tuple) else [cast(Dataset, data)]


class ArrayData:
    """Examples that lie in an array, such as MNIST.

    Parameters
    ----------
    x : (N, *input shape) array
        The examples; they are converted to float32.
    labels : (N,) integers
        Class of each example, from 0.
    augment : callable, optional
        Takes a batch (n, *input shape) and a random generator, and returns a changed batch.

    Raises
    ------
    DataError
        If the labels are not one integer an example.
    """

    def __init__(
        self, x: ArrayLike, labels: ArrayLike, augment: Callable[[Array, np.random.Generator], Array] | None = None
    ) -> None:
        self.x = np.asarray(x, np.float32)
        self.labels = np.asarray(labels)
        self.augment = augment
        if self.labels.shape != self.x.shape[:1] or not np.issubdtype(self.labels.dtype, np.integer):
            raise DataError(
                f"labels must be one integer for each example of x, whose shape is {self.x.shape}; "
                f"got {self.labels.dtype} of shape {self.labels.shape}"
            )

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.x)

    def batch(self, indices: Array, rng: np.random.Generator | None) -> Array:
        """Return a copy of the examples `indices`, augmented where there is an `rng`."""
        x = self.x[indices]
        return x if rng is None or self.augment is None else self.augment(x, rng)


class BatchMaker:
    """Maker of each batch of an epoch during the training on the one before.

    One thread makes them, one after the other, so that the draws do not depend on timing. It computes on one processor
    and leaves the others to the training. The thread ends when the maker is no longer referenced.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "audioconv-batches", initializer=_compute_on_one_thread)

    def batches(self, data: Dataset, batches: Sequence[Array], rng: np.random.Generator) -> Iterator[Array]:
        """Yield the augmented examples of each of `batches`."""
        return self.made([(data, indices, rng) for indices in batches])

    def made(self, batches: Sequence[tuple[Dataset, Array, np.random.Generator]]) -> Iterator[Array]:
        """Yield the augmented examples of batches of several data sets, each of which has a generator of its own."""
        if len(batches) < 2:
            yield from (data.batch(indices, rng) for data, indices, rng in batches)
            return
        data, indices, rng = batches[0]
        coming = self._executor.submit(data.batch, indices, rng)
        for data, indices, rng in batches[1:]:
            x = coming.result()
            coming = self._executor.submit(data.batch, indices, rng)
            yield x
        yield coming.result()


def _compute_on_one_thread() -> None:
    import numba  # the setting is each thread's own

    numba.set_num_threads(1)


def batch_count(examples: int, batch_size: int) -> int:
    """Return how many batches of at most `batch_size` an epoch of `examples` has.

    >>> batch_count(129, 64)
    3
    """
    count = -(-examples // batch_size)
    # Three examples in batches of two would leave one alone, whose batch statistics are meaningless: make it three.
    return count if batch_size == 1 else max(1, min(count, examples // 2))


def step_count(examples: Sequence[int], batch_size: int) -> int:
    """Return how many steps an epoch has in which each replica trains on a batch of at most `batch_size`.

    Parameters
    ----------
    examples : sequence of int
        Number of examples of each replica; they differ by a few at most.
    batch_size : int

    Examples
    --------
    >>> step_count([129], 64), step_count([129, 128], 64), step_count([5, 4], 2)
    (3, 3, 2)
    """
    count = max(batch_count(number, batch_size) for number in examples)
    return max(1, min(count, min(examples) // min(2, batch_size)))


def deal(codes: Array, replicas: int, seed: int) -> list[Array]:
    """Return which examples each replica trains on: numbers of examples, as many of each class as can be.

    Parameters
    ----------
    codes : array (N,) of int
        The class of each example.
    replicas : int
        At least 2.
    seed : int
        Draws which examples of a class a replica has.

    Returns
    -------
    list of arrays of int64
        In ascending order; their lengths differ by one at most.
    """
    order = np.random.default_rng([seed, replicas]).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    return [np.sort(order[replica::replicas]) for replica in range(replicas)]


def draw_batches(examples: int, batch_size: int, rng: np.random.Generator, steps: int | None = None) -> list[Array]:
    """Return the indices of an epoch's batches: every example once, in a drawn order; `steps` is their number.

    The batches are as even as can be (129 in batches of 64 are 43 + 43 + 43, not 64 + 64 + 1): no example weighs more
    for its place in the order, and batch normalisation never has a tiny last batch.
    """
    return np.array_split(rng.permutation(examples), batch_count(examples, batch_size) if steps is None else steps)
