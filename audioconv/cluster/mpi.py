"""Processes that MPI has started together (mpi4py).

MPI moves bytes and adds nothing, so that all sums are in our order. Every wait is a poll: a waiting process leaves its
core to others, reports whom it waits for, and notices that another process has failed.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from audioconv._types import Array
from audioconv.cluster.processes import Processes
from audioconv.cluster.tree import Node, complete, nodes_within
from audioconv.errors import ClusterError, missing_extra

if TYPE_CHECKING:
    from mpi4py import MPI

logger = logging.getLogger("audioconv.cluster")

PARTS, SUMS, FAILURE = 1, 2, 3
"""Tags of messages."""

SPIN_SECONDS, PAUSE_SECONDS = 0.002, 0.0002
"""A process that waits gives way to others on its core for the first, then sleeps for the second between two looks."""

REPORT_SECONDS = 30.0
"""After so long a wait it is reported which processes are waited for."""

TIMEOUT_VARIABLE, TIMEOUT_SECONDS = "AUDIOCONV_CLUSTER_TIMEOUT", 1800.0
"""Environment variable with the seconds after which a process gives up waiting, and its default."""

START_SECONDS = 120
"""Seconds after which a process ends, by an alarm, if the others have not all started by then."""

ABORT_SECONDS = 10
"""Seconds after which a process that ends all of them ends itself, if MPI has not done so: the network may be down."""

REPLY_SECONDS = 5.0
"""A process that fails waits so long for the others to learn of it, then ends them through MPI."""

ALIGNMENT = 16
"""Segments of an exchanged vector begin at multiples of so many elements, a cache line."""


class PeerError(ClusterError):
    """Another process has failed, and reports it."""


class MpiProcesses(Processes):
    """The processes of an MPI communicator.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
    """

    def __init__(self, communicator: MPI.Comm) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._data, self._failures = communicator.Dup(), communicator.Dup()
        self.rank, self.size = communicator.rank, communicator.size
        self.waited = 0.0
        self.all_know = True
        self._timeout = float(os.environ.get(TIMEOUT_VARIABLE) or TIMEOUT_SECONDS)
        self._hosts = [str(rank) for rank in range(self.size)]
        self._hosts = [content.decode() for content in self.gather(socket.gethostname().encode())]

    def name(self, rank: int) -> str:
        """Return what messages call a process: its number and machine."""
        return f"process {rank} ({self._hosts[rank]})"

    def gather(self, content: bytes) -> list[bytes]:
        """Return the `content` of every process, in their order."""
        sizes = np.zeros(self.size, np.int64)
        self._wait([self._data.Iallgather(np.array([len(content)], np.int64), sizes)])
        received = bytearray(int(sizes.sum()))
        places = np.cumsum(sizes) - sizes
        byte = self._mpi.BYTE
        if len(received):
            self._wait([self._data.Iallgatherv([content, byte], [received, sizes.tolist(), places.tolist(), byte])])
        return [bytes(received[place : place + size]) for place, size in zip(places, sizes, strict=True)]

    def deliver(self, contents: Sequence[bytes]) -> list[bytes]:
        """Send each process its part of `contents`, in their order; return what each has sent to this one."""
        sizes = np.zeros(self.size, np.int64)
        self._wait([self._data.Ialltoall(np.array([len(content) for content in contents], np.int64), sizes)])
        byte = self._mpi.BYTE
        received = [bytearray(size) for size in sizes.tolist()]
        received[self.rank][:] = contents[self.rank]
        peers = [(self.rank + k) % self.size for k in range(1, self.size)]
        receives = {rank: self._data.Irecv([received[rank], byte], rank, PARTS) for rank in peers if received[rank]}
        self._wait(
            [self._data.Isend([contents[rank], byte], rank, PARTS) for rank in peers if contents[rank]], receives
        )
        return [bytes(content) for content in received]

    def sum(self, nodes: Mapping[Node, Array], count: int) -> Array:
        """Return the sum over all replicas.

        The vector is cut into a segment for each process. A process gets its segment of everyone's nodes, completes the
        tree there, and sends the sum to all. About twice the vector's bytes leave and reach each process, however many
        there are.
        """
        own = list(nodes.values())
        length = own[0].size
        if length == 0:
            return own[0].copy()
        segments = _segments(length, self.size)
        peers = [(self.rank + k) % self.size for k in range(1, self.size)]  # no two begin with the same one
        mine = segments[self.rank]
        owned = {rank: nodes_within(*_bounds(self.share(count, rank))) for rank in range(self.size)}
        received = {rank: np.empty((len(owned[rank]), mine.stop - mine.start), np.float32) for rank in peers}
        receives = {rank: self._data.Irecv(received[rank], rank, PARTS) for rank in peers if received[rank].size}
        parts = [np.stack([vector[segments[rank]] for vector in own]) for rank in peers]
        sends = [self._data.Isend(part, rank, PARTS) for part, rank in zip(parts, peers, strict=True) if part.size]
        self._wait(sends, receives)
        total = np.empty(length, np.float32)
        if mine.stop > mine.start:
            known = {node: vector[mine] for node, vector in nodes.items()}
            for rank in peers:
                known.update(zip(owned[rank], received[rank], strict=True))
            total[mine] = complete(known, count)
        receives = {
            rank: self._data.Irecv(total[segments[rank]], rank, SUMS) for rank in peers if _length(segments[rank])
        }
        sends = [self._data.Isend(total[mine], rank, SUMS) for rank in peers if _length(mine)]
        self._wait(sends, receives)
        return total

    def fail(self, message: str) -> str | None:
        """Let all others know that this process fails with a `message`; return what it shows, None for nothing.

        A message that several processes have is shown by the first of them. `all_know` then is whether every process
        has replied; if one has not, since it computes for long or has stopped, the caller ends it by `abort`.
        """
        content = json.dumps(message).encode()
        sends = [self._failures.Isend([content, self._mpi.BYTE], rank, FAILURE) for rank in self._peers()]
        replies: dict[int, str] = {}
        end = time.monotonic() + REPLY_SECONDS
        while len(replies) < self.size - 1 and time.monotonic() < end:
            found = self._failure()
            if found is None:
                time.sleep(PAUSE_SECONDS)
            else:
                replies[found[0]] = found[1]
        self._mpi.Request.Testall(sends)
        self.all_know = len(replies) == self.size - 1
        same = [rank for rank, reply in replies.items() if reply == message]
        if not message or any(rank < self.rank for rank in same):
            return None
        return message if len(same) == self.size - 1 else f"{self.name(self.rank)}: {message}"

    def abort(self) -> None:
        """End all processes at once, with exit code 1."""
        with _alarm(ABORT_SECONDS):
            self._data.Abort(1)

    def _peers(self) -> list[int]:
        return [rank for rank in range(self.size) if rank != self.rank]

    def _failure(self) -> tuple[int, str] | None:
        """Return a process that has failed, or replies to a failure of this one, and its message, if there is one."""
        status = self._mpi.Status()
        if not self._failures.Iprobe(self._mpi.ANY_SOURCE, FAILURE, status):
            return None
        content = bytearray(status.Get_count(self._mpi.BYTE))
        self._failures.Recv([content, self._mpi.BYTE], status.Get_source(), FAILURE)
        return status.Get_source(), json.loads(bytes(content))

    def _wait(self, requests: Sequence[Any], receives: Mapping[int, Any] | None = None) -> None:
        """Wait until all `requests`, and `receives` by the rank of their senders, are complete.

        Raises
        ------
        PeerError
            If another process has failed meanwhile.
        ClusterError
            If it takes too long.
        """
        receives = receives or {}
        pending = [*requests, *receives.values()]
        begun = time.monotonic()
        report = REPORT_SECONDS
        while not self._mpi.Request.Testall(pending):
            seconds = time.monotonic() - begun
            if seconds < SPIN_SECONDS:
                _give_way()
                continue
            self._look_for_failures()
            if seconds > report:
                late = [rank for rank, request in receives.items() if not request.Get_status()]
                self._report(late, seconds)
                report += REPORT_SECONDS
            time.sleep(PAUSE_SECONDS)
        self.waited += time.monotonic() - begun

    def _look_for_failures(self) -> None:
        found = self._failure()
        if found is not None:
            rank, message = found
            # To all: others may have failed, too, and wait for a reply. Without a failure of its own it is empty.
            self._replies = [self._failures.Isend([b'""', self._mpi.BYTE], peer, FAILURE) for peer in self._peers()]
            raise PeerError(f"{self.name(rank)}: {message}")

    def _report(self, late: Sequence[int], seconds: float) -> None:
        """Name the processes that are waited for; one process does so. Raise `ClusterError` after the timeout."""
        names = ", ".join(map(self.name, late)) or "others"
        if seconds > self._timeout:
            raise ClusterError(
                f"{self.name(self.rank)} has waited for {names} for {seconds:.0f} s and gives up; look at that "
                f"process, or set {TIMEOUT_VARIABLE} to more seconds"
            )
        if self.rank == min(set(range(self.size)) - set(late), default=0):
            logger.warning("%.0f s of waiting for %s", seconds, names)


def launched() -> int | None:
    """Return how many processes an MPI launcher says that it has started; None without one, 0 if it does not say."""
    for variable in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"):
        if os.environ.get(variable, "").isdecimal():
            return int(os.environ[variable])
    if "PMIX_RANK" in os.environ:
        tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "")
        return int(tasks) if tasks.isdecimal() else 0
    return None


def connect() -> MpiProcesses | None:
    """Return the processes that were started with this one; None if it was started alone.

    Raises
    ------
    MissingExtraError
        If they were started by MPI and mpi4py is not installed.
    ClusterError
        If mpi4py uses another MPI than the one that started them.
    """
    expected = launched()
    if expected in (None, 1):
        return None
    try:
        import mpi4py

        mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError):
            raise missing_extra("training on several processes", "cluster") from None
        raise ClusterError(f"mpi4py finds no MPI library ({error}); load the cluster's MPI module") from None
    library = MPI.Get_library_version()
    if "OMPI_COMM_WORLD_SIZE" in os.environ and "MPICH" in library:  # which would end this process in MPI_Init
        raise _foreign(expected, library)
    with _alarm(START_SECONDS):
        if not MPI.Is_initialized():
            MPI.Init_thread(MPI.THREAD_FUNNELED)  # only the main thread calls MPI
        world = MPI.COMM_WORLD
        if world.size == 1 and expected:
            raise _foreign(expected, library)
        return MpiProcesses(world) if world.size > 1 else None


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    """End this process by an alarm if the block, in which it waits for all others, takes longer than so many seconds.

    A process that ends before the block, such as one that cannot import a module, would let the others wait in it for
    ever. The alarm works while MPI's library holds the interpreter.
    """
    if not hasattr(signal, "alarm"):  # Windows has none
        yield
        return
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _foreign(expected: int | None, library: str) -> ClusterError:
    name = " ".join(library.split()[:3]).rstrip(",:")
    return ClusterError(
        f"{expected} processes were started by another MPI than mpi4py uses ({name}); start them with the mpiexec of "
        "that library, or install mpi4py for the MPI that mpiexec belongs to"
    )


def _give_way() -> None:
    if hasattr(os, "sched_yield"):
        os.sched_yield()
    else:
        time.sleep(0)


def _segments(length: int, count: int) -> list[slice]:
    """Return `count` consecutive stretches of a vector, as even as cache lines allow."""
    lines = -(-length // ALIGNMENT)
    ends = [min(length, ALIGNMENT * (lines * (rank + 1) // count)) for rank in range(count)]
    return [slice(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _bounds(part: range) -> tuple[int, int]:
    return part.start, part.stop
