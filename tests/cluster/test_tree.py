"""The tree of a sum: the same additions, however many processes share them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.cluster.processes import ALONE
from audioconv.cluster.tree import PairwiseSum, complete, nodes_within


def written_out(terms):
    """Return the sum as a text with all its brackets: of neighbours, then of neighbouring pairs, and so on."""
    while len(terms) > 1:
        terms = [
            "(" + "+".join(terms[k : k + 2]) + ")" if k + 1 < len(terms) else terms[k] for k in range(0, len(terms), 2)
        ]
    return terms[0]


class Term:
    """A number that writes down how it was added."""

    def __init__(self, text):
        self.text = text

    def __add__(self, other):
        return Term(f"({self.text}+{other.text})")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16])
def test_the_tree_adds_neighbours(count):
    terms = {(number, 1): Term(str(number)) for number in range(count)}
    assert complete(terms, count).text == written_out([str(number) for number in range(count)])


def divisors(count):
    return [size for size in range(1, count + 1) if count % size == 0]


@given(st.integers(1, 48).flatmap(lambda count: st.tuples(st.just(count), st.sampled_from(divisors(count)))))
def test_any_number_of_processes_makes_the_same_sum(sizes):
    count, size = sizes
    terms = [np.random.default_rng(number).normal(size=5).astype(np.float32) for number in range(count)]
    nodes = {}
    for rank in range(size):
        begin, end = rank * count // size, (rank + 1) * count // size
        own = PairwiseSum(begin)
        for number in range(begin, end):
            own.add(terms[number].copy())
        assert list(own.nodes) == nodes_within(begin, end)
        nodes |= own.nodes
    expected = complete({(number, 1): term for number, term in enumerate(terms)}, count)
    assert complete(nodes, count).tobytes() == expected.tobytes()
    np.testing.assert_allclose(expected, np.sum(terms, axis=0, dtype=np.float64), rtol=1e-4, atol=1e-5)


def test_the_order_matters_at_all():
    """Else the tests above would pass with any order."""
    terms = [np.float32(1e8), np.float32(1), np.float32(-1e8), np.float32(1)]
    tree = complete({(number, 1): np.array([term]) for number, term in enumerate(terms)}, 4)
    in_order = ((terms[0] + terms[1]) + terms[2]) + terms[3]
    assert tree[0] != in_order


def test_a_sum_of_one_replica_leaves_it_as_it_is():
    term = np.arange(3, dtype=np.float32)
    total = ALONE.sum({(0, 1): term}, 1)
    total += 1
    assert term.tolist() == [0, 1, 2]
