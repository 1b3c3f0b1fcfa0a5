"""What processes must have in common, and who is slow, without any MPI."""

import json
import logging
import threading

import numpy as np
import pytest

from audioconv.cluster.agreement import check_agreement, check_listing
from audioconv.cluster.pace import Pace
from audioconv.cluster.processes import ALONE, Processes
from audioconv.errors import ClusterError


def together(count, function):
    """Call `function` in so many threads, each as a process; return what each gives, or the error that it raises."""
    barrier, contents = threading.Barrier(count), [b""] * count

    class Thread(Processes):
        def __init__(self, rank):
            self.rank, self.size = rank, count

        def gather(self, content):
            contents[self.rank] = content
            barrier.wait(10)
            found = list(contents)
            barrier.wait(10)
            return found

    results = [None] * count

    def run(rank):
        try:
            results[rank] = function(Thread(rank))
        except ClusterError as error:
            results[rank] = str(error)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


def test_equal_facts_are_agreed_on():
    facts = {"audioconv": "1.0", "seed": 3, "size": [1, 2], "noise": None}
    assert together(3, lambda ours: check_agreement(ours, facts)) == [None] * 3
    check_agreement(ALONE, facts)


def test_all_processes_name_the_same_difference():
    messages = together(3, lambda ours: check_agreement(ours, {"audioconv": "1.0", "seed": ours.rank // 2}, " now"))
    assert messages == ["process 2 has seed 1, but process 0 has 0 now; all processes need the same"] * 3


def test_a_fact_that_one_process_does_not_have():
    (message, _) = together(2, lambda ours: check_agreement(ours, {"a": 1} if ours.rank else {"a": 1, "b": "x" * 200}))
    assert message.startswith("process 1 has b none, but process 0 has xxx")
    assert len(message) < 200


@pytest.mark.parametrize(
    ("others", "difference"),
    [
        (["a", "c", "b"], "3 clips (process 0: 3); number 2 is c, not b"),
        (["a", "b"], "2 clips (process 0: 3); number 3 is nothing, not c"),
        (["a", "b", "c", "\udce9"], "4 clips (process 0: 3); number 4 is \\udce9, not nothing"),
    ],
)
def test_the_first_difference_of_two_lists_is_named(others, difference):
    lists = [["a", "b", "c"], ["a", "b", "c"], others]
    messages = together(3, lambda ours: check_listing(ours, "clips", lists[ours.rank]))
    assert messages == [f"process 2 has other clips: {difference}; all processes need the same data"] * 3


def test_equal_lists_are_agreed_on():
    assert together(2, lambda ours: check_listing(ours, "clips", ["a", "\udce9"])) == [None, None]


def test_a_straggler_is_named_once(caplog):
    times = [(10, 10, 25), (11, 10, 24), (10, 10, 30), (10, 30, 10), (10, 10, 10)]

    def run(ours):
        pace = Pace(ours)
        for epoch, seconds in enumerate(times, 1):
            pace.note(seconds[ours.rank], f"epoch {epoch}")

    with caplog.at_level(logging.WARNING, "audioconv"):
        together(3, run)
    assert [record.getMessage() for record in caplog.records] == [
        "process 2 is slow: it computed for 24.0 s in epoch 2, half of the processes for at most 11.0 s, and all wait "
        "for it"
    ]


def test_rows_and_numbers_are_shared():
    def run(ours):
        part = ours.rows(10, 3, lambda rows: np.arange(20).reshape(10, 2)[rows])
        return part.tolist(), ours.every(4, lambda number: [number, ours.rank]), json.dumps(ours.from_leader(ours.rank))

    for rows, numbers, leader in together(3, run):
        assert rows == np.arange(20).reshape(10, 2).tolist()
        assert numbers == [[0, 0], [1, 1], [2, 2], [3, 0]]
        assert leader == "0"
