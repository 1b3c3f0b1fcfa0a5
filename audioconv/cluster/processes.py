"""Processes that compute together: the interface, and one process alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from audioconv._types import Array
from audioconv.cluster.tree import Node, complete

T = TypeVar("T")


class Processes:
    """Processes that compute together. This class is one process alone; `mpi.MpiProcesses` are several.

    Every method but `names` is called by all processes, in the same order.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    waited : float
        Seconds that this process has waited for others so far.
    """

    rank = 0
    size = 1
    waited = 0.0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and messages for all."""
        return self.rank == 0

    def name(self, rank: int) -> str:
        """Return what messages call a process."""
        return f"process {rank}"

    def gather(self, content: bytes) -> list[bytes]:
        """Return the `content` of every process, in their order."""
        return [content]

    def deliver(self, contents: Sequence[bytes]) -> list[bytes]:
        """Send each process its part of `contents`, in their order; return what each has sent to this one."""
        return list(contents)

    def sum(self, nodes: Mapping[Node, Array], count: int) -> Array:
        """Return the sum over `count` replicas in the order of the tree, a new vector, the same bits everywhere.

        Parameters
        ----------
        nodes : mapping of node to array (size,) float32
            Sums of the largest nodes within this process's replicas, which are `share(count)`.
        count : int
            Number of replicas.
        """
        return complete(nodes, count).copy()

    # --- what is made of these ---

    def share(self, count: int, rank: int | None = None) -> range:
        """Return which of so many things a process has, consecutive ones; by default this process.

        >>> Processes().share(5)
        range(0, 5)
        """
        rank = self.rank if rank is None else rank
        return range(rank * count // self.size, (rank + 1) * count // self.size)

    def gather_json(self, value: Any) -> list[Any]:
        """Return the JSON-compatible `value` of every process."""
        return [json.loads(content) for content in self.gather(json.dumps(value).encode())]

    def gather_arrays(self, array: Array) -> list[Array]:
        """Return the array of every process."""
        if self.size == 1:
            return [array]
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        return [np.load(io.BytesIO(content), allow_pickle=False) for content in self.gather(file.getvalue())]

    def from_leader(self, value: Any) -> Any:
        """Return the JSON-compatible `value` of process 0."""
        return self.gather_json(value if self.leads else None)[0]

    def copy_from_leader(self, arrays: Sequence[Array]) -> None:
        """Copy the values that `arrays` have in process 0 into those of the other processes."""
        if self.size == 1:
            return
        content = self.gather(b"".join(array.tobytes() for array in arrays) if self.leads else b"")[0]
        place = 0
        for array in arrays if not self.leads else ():
            values = np.frombuffer(content, array.dtype, array.size, place)
            array[...] = values.reshape(array.shape)
            place += array.nbytes

    def rows(self, count: int, batch_size: int, compute: Callable[[slice], Array]) -> Array:
        """Return rows (count, ...), of which each process computes some whole batches.

        The batches are those of one process, so that the rows are the same to the bit.

        Parameters
        ----------
        count : int
            At least 1.
        batch_size : int
            Batches begin at its multiples.
        compute : callable
            Takes a stretch of rows, which begins and ends between two batches, and returns it.
        """
        own = self.share(-(-count // batch_size))
        begin, end = own.start * batch_size, min(count, own.stop * batch_size)
        if self.size == 1:
            return compute(slice(begin, end))
        rows = compute(slice(begin, end)) if end > begin else np.zeros((0, 0), np.float32)
        return np.concatenate([part for part in self.gather_arrays(rows) if len(part)])

    def every(self, count: int, compute: Callable[[int], T]) -> list[T]:
        """Return what `compute` gives for each number below `count`, JSON-compatible; each process computes some."""
        if self.size == 1:
            return [compute(number) for number in range(count)]
        mine = [compute(number) for number in range(self.rank, count, self.size)]
        found = self.gather_json(mine)
        return [found[number % self.size][number // self.size] for number in range(count)]


ALONE = Processes()
"""This process alone."""
