"""A sum over replicas in one fixed order, a binary tree, whichever process computes which part of it.

Floating-point sums depend on their order. The sum over V replicas is always that of one tree. Its nodes are the
replicas from ``k * size`` to ``(k + 1) * size`` for each power of two `size`. Nothing is added beyond the last replica.
A process adds its own replicas to the largest nodes that lie within them. The rest of the tree, above these
nodes, is added after an exchange. So the number of processes changes where a sum is computed, never its order.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audioconv._types import Array

Node = tuple[int, int]
"""The first replica of a node of the tree, and its size, a power of two."""


def nodes_within(begin: int, end: int) -> list[Node]:
    """Return the largest nodes that cover the replicas from `begin` to before `end`, in their order.

    >>> nodes_within(0, 4), nodes_within(3, 6), nodes_within(0, 6)
    ([(0, 4)], [(3, 1), (4, 2)], [(0, 4), (4, 2)])
    """
    nodes = []
    while begin < end:
        size = 1
        while begin % (2 * size) == 0 and begin + 2 * size <= end:
            size *= 2
        nodes.append((begin, size))
        begin += size
    return nodes


class PairwiseSum:
    """The sums of the largest nodes within consecutive replicas, whose terms come one after the other.

    There are at most as many vectors in memory as the tree has levels.

    Parameters
    ----------
    begin : int
        The first replica.
    """

    def __init__(self, begin: int) -> None:
        self._next = begin
        self._nodes: list[tuple[Node, Array]] = []

    def add(self, term: Array) -> None:
        """Add the term of the next replica, a vector that is used up."""
        begin, size = self._next, 1
        self._next += 1
        while self._nodes and self._nodes[-1][0] == (begin - size, size) and (begin - size) % (2 * size) == 0:
            _, left = self._nodes.pop()
            term = np.add(left, term, out=left)
            begin, size = begin - size, 2 * size
        self._nodes.append(((begin, size), term))

    @property
    def nodes(self) -> dict[Node, Array]:
        """The sums of the largest nodes so far."""
        return dict(self._nodes)


def complete(nodes: Mapping[Node, Array], count: int) -> Array:
    """Return the sum over `count` replicas, given sums of nodes that cover all of them; these are left as they are."""

    def total(begin: int, size: int) -> Array:
        if (begin, size) in nodes:
            return nodes[begin, size]
        half = size // 2
        left = total(begin, half)
        return left if begin + half >= count else left + total(begin + half, half)

    size = 1
    while size < count:
        size *= 2
    return total(0, size)
