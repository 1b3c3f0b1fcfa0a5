"""Windows of which each process has read some: what it is sent, and what it does not hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio import shared_windows
from audioconv.audio.shared_windows import SharedSamples, hold, share
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.errors import ClusterError

LENGTH = 4


class Peers:
    """Several processes in one, which call the same methods one after the other."""

    def __init__(self, counts):
        everything = np.arange(sum(counts) * LENGTH, dtype=np.int16)
        ends = np.cumsum(counts) * LENGTH
        self.parts = [everything[end - count * LENGTH : end] for count, end in zip(counts, ends, strict=True)]
        self.sent = 0

    def process(self, rank):
        peers = self

        class Peer(Processes):
            def __init__(self):
                self.rank, self.size = rank, len(peers.parts)

            def gather_json(self, value):
                return [len(part) for part in peers.parts] if value == len(peers.parts[rank]) else [value] * self.size

            def deliver(self, contents):
                # First the requests come, to which the others reply at once; then the replies are asked for.
                if contents[rank] == b"" and hasattr(self, "waiting"):
                    replies, self.waiting = self.waiting, None
                    del self.waiting
                    return replies
                starts = np.cumsum([0, *map(len, peers.parts)])
                self.waiting = []
                for other, request in enumerate(contents):
                    spans = np.frombuffer(request, np.int64).reshape(-1, 2) - starts[other]
                    for begin, end in spans.tolist():
                        assert 0 <= begin < end <= len(peers.parts[other])
                        peers.sent += end - begin
                    self.waiting.append(b"".join(peers.parts[other][a:b].tobytes() for a, b in spans.tolist()))
                return [b""] * self.size

        return Peer()


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=5).filter(lambda counts: sum(counts) > 0),
    st.data(),
)
def test_a_process_gets_what_it_asks_for_and_no_more(counts, data):
    peers = Peers(counts)
    rank = data.draw(st.integers(0, len(counts) - 1))
    samples = SharedSamples(peers.parts[rank], peers.process(rank))
    assert len(samples) == sum(counts) * LENGTH
    rows = np.array(data.draw(st.lists(st.integers(0, sum(counts) - 1), max_size=8)), np.int64)
    for some in (rows, rows[::-1]):
        samples.fetch(np.stack([some * LENGTH, (some + 1) * LENGTH], axis=1))
    for row in rows.tolist():
        expected = np.arange(row * LENGTH, (row + 1) * LENGTH)
        np.testing.assert_array_equal(samples[row * LENGTH : (row + 1) * LENGTH], expected)
    own = range(sum(counts[:rank]), sum(counts[: rank + 1]))
    assert peers.sent == LENGTH * len(set(rows.tolist()) - set(own))
    for row in set(range(sum(counts))) - set(rows.tolist()) - set(own):
        with pytest.raises(ClusterError, match=f"needs samples {row * LENGTH} to "):
            samples[row * LENGTH : (row + 1) * LENGTH]


def test_what_is_asked_for_comes_in_rounds(monkeypatch):
    monkeypatch.setattr(shared_windows, "ROUND_SAMPLES", 2 * LENGTH)
    peers = Peers([1, 9])
    samples = SharedSamples(peers.parts[0], peers.process(0))
    rows = np.arange(10)
    samples.fetch(np.stack([rows * LENGTH, (rows + 1) * LENGTH], axis=1))
    assert samples[9 * LENGTH : 10 * LENGTH].tolist() == list(range(36, 40))


def test_clips_that_all_processes_have_lie_behind_them():
    clips = np.ones((2, LENGTH), np.float32)
    windows = share(Windows.of_clips(np.zeros((3, LENGTH), np.float32)), 0, ALONE)
    assert isinstance(windows.sources[0], SharedSamples)
    more = windows.with_clips(clips)
    hold(more, range(5))
    assert more[np.arange(5)].tolist() == [[0.0] * LENGTH] * 3 + [[1.0] * LENGTH] * 2


def test_scales_and_places_of_all_processes_are_gathered():
    clips = np.array([[0.5] * LENGTH, [8] * LENGTH], np.float32)

    class First(Processes):
        """The first of two processes that have read the same."""

        size = 2

        def gather(self, content):
            return [content, content]

    windows = share(Windows.of_clips(clips), 0, First())
    assert windows.scales.tolist() == [2**-15, 2**-11] * 2
    assert windows[1].tolist() == [8] * LENGTH
    assert len(windows.sources[0]) == 4 * LENGTH


def test_windows_of_one_process_need_nothing():
    hold(Windows.of_clips(np.zeros((3, LENGTH), np.float32)), [0, 1])
    hold(np.zeros((3, LENGTH)), [0])
