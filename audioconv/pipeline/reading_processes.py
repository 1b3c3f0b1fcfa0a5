"""Many recordings, read by several processes.

Threads of one process read side by side only while libsndfile decodes. The rest is Python, which one thread runs at a
time: a third of the time that a clip of a second takes. A reading process takes batches of recordings, a line of JSON
each. Its answers are lines of JSON that describe the pieces of some recordings. Their samples follow each line.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import IO, Any, Self, TypeVar

import numpy as np

from audioconv._types import StrPath
from audioconv.audio.read import Segment
from audioconv.audio.window_begins import Content
from audioconv.audio.windows import Piece
from audioconv.errors import DataError
from audioconv.io.parallel import read_in_parallel, worker_count
from audioconv.kernels import parent
from audioconv.kernels.processor import usable_cores
from audioconv.pipeline.recording_pieces import Part, as_kept, recording_parts

MIN_FILES = 8000
"""Processes read at least so many files. To start them takes as long as it takes threads to read a thousand clips."""

MAX_PROCESSES = 8
"""The process that collects what they read can keep up with so many."""

BATCH, AHEAD = 16, 3
"""Recordings of a batch, and batches that a process has before it is asked for their pieces."""

MAX_HELD = 1 << 18
"""Samples of recordings that are answered together, or of one that is longer."""

PIPE_BYTES = 1 << 20
"""Size of the pipe through which samples come, where the system can set it: half a minute of 16 kHz."""

Found = TypeVar("Found")

_CODE = "from audioconv.pipeline import reading_processes; reading_processes.main()"


@contextmanager
def read_pieces(
    files: Sequence[StrPath | Segment],
    contents: Sequence[Content],
    sample_rate: int,
    length: int,
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Iterator[Iterator[list[Piece] | DataError]]:
    """Give the pieces of each recording, or why it cannot be read, in the order of the files.

    Threads read a few files; processes read at least `MIN_FILES` where there are processors for them. They start when
    the context is entered, and have ended when it is left.

    Parameters
    ----------
    files, contents, sample_rate, length
        See `windowing.load_windows`.
    strict : bool
        Whether the first unreadable file ends it all, instead of being skipped.
    on_file : callable, optional
        Called after each file.

    Yields
    ------
    iterator of (list of Piece, or DataError)
        If `strict`, it raises the first error.
    """

    def pieces_of(place: int) -> list[Piece]:
        return as_kept(recording_parts(files[place], contents[place], sample_rate, length), length)

    def described(batch: range) -> list[Any]:
        return [sample_rate, length, [_described(files[place], contents[place]) for place in batch]]

    count = min(MAX_PROCESSES, worker_count(), usable_cores()) if len(files) >= MIN_FILES else 1
    with ExitStack() as stack:
        if count < 2 or not parent.can_start():
            yield read_in_parallel(range(len(files)), pieces_of, strict=strict, on_file=on_file)
            return
        processes = [stack.enter_context(_ReadingProcess()) for _ in range(count)]
        found = _by_processes(processes, len(files), described, pieces_of)
        yield _told(found, strict, on_file)


def _by_processes(
    processes: Sequence[_ReadingProcess],
    count: int,
    described: Callable[[range], list[Any]],
    pieces_of: Callable[[int], list[Piece]],
) -> Iterator[list[Piece] | DataError]:
    """Yield the pieces of so many recordings, or why they cannot be read; this process reads those of ended ones."""
    batches = [range(begin, min(begin + BATCH, count)) for begin in range(0, count, BATCH)]
    ahead = AHEAD * len(processes)
    for number, batch in enumerate(batches[:ahead]):
        processes[number % len(processes)].send(described(batch))
    for number, batch in enumerate(batches):
        process = processes[number % len(processes)]
        if number + ahead < len(batches):
            process.send(described(batches[number + ahead]))
        for place in batch:
            found = process.receive()
            yield _attempt(partial(pieces_of, place)) if found is None else found


def _told(
    found: Iterator[list[Piece] | DataError], strict: bool, on_file: Callable[[], object] | None
) -> Iterator[list[Piece] | DataError]:
    for one in found:
        if strict and isinstance(one, DataError):
            raise one
        yield one
        if on_file is not None:
            on_file()


def _attempt(read: Callable[[], Found]) -> Found | DataError:
    try:
        return read()
    except DataError as error:
        return error


def _described(file: StrPath | Segment, content: Content) -> list[Any]:
    if isinstance(file, Segment):
        return [os.fsdecode(file.path), content, file.begin, file.end]
    return [os.fsdecode(file), content]


class _ReadingProcess:
    """A process that reads recordings. Where it cannot be started, or has ended, `receive` returns None."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._received = deque[list[Piece] | DataError]()
        with suppress(OSError):  # too many processes, too little memory
            self._process = parent.start(_CODE, subprocess.PIPE)
            _widen(self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def send(self, request: list[Any]) -> None:
        """Ask for the pieces of a batch."""
        if self._process is not None:
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            except OSError:
                self._end()

    def receive(self) -> list[Piece] | DataError | None:
        """Return the pieces of the next recording, or why it cannot be read."""
        while not self._received and self._process is not None:
            try:
                assert self._process.stdout is not None
                self._received.extend(_answer_in(self._process.stdout))
            except (OSError, EOFError):
                self._end()
        return self._received.popleft() if self._received else None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    assert pipe is not None
                    pipe.close()


def _widen(pipe: IO[bytes] | None) -> None:
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        assert pipe is not None
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _answer_in(pipe: IO[bytes]) -> list[list[Piece] | DataError]:
    """Return what `_answer` has written; `EOFError` where it ends before."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return [DataError(about) if isinstance(about, str) else _pieces_in(pipe, about) for about in json.loads(line)]


def _pieces_in(pipe: IO[bytes], about: list[list[Any]]) -> list[Piece]:
    pieces = []
    for count, *rest in about:
        samples = np.empty(count, np.int16)
        if pipe.readinto(samples.view(np.uint8)) < samples.nbytes:  # type: ignore[attr-defined]
            raise EOFError
        pieces.append(Piece(samples, *rest))
    return pieces


# --- in a reading process ---


def main() -> None:
    """Read recordings until standard input ends, or the process that has started this one."""
    parent.ignore_interrupts()
    answers = os.fdopen(os.dup(1), "wb", buffering=PIPE_BYTES)
    os.dup2(2, 1)  # what a library prints is no answer
    requests = queue.SimpleQueue[bytes]()
    threading.Thread(target=_take, args=(requests,), daemon=True).start()
    while True:
        sample_rate, length, some = json.loads(requests.get())
        found, held = list[Sequence[Part] | DataError](), 0
        for path, content, *ends in some:
            file = Segment(path, *ends) if ends else path
            found.append(_attempt(partial(recording_parts, file, content, sample_rate, length)))
            held += 0 if isinstance(found[-1], DataError) else sum(len(part[0]) for part in found[-1])
            if held > MAX_HELD:
                _answer(answers, found, length)
                found, held = [], 0
        _answer(answers, found, length)
        answers.flush()


def _take(requests: queue.SimpleQueue[bytes]) -> None:
    """Take requests as they come: if both processes waited for the other one to read, none would."""
    with os.fdopen(os.dup(0), "rb") as pipe:
        for line in pipe:
            requests.put(line)
    os._exit(0)


def _answer(answers: IO[bytes], found: list[Sequence[Part] | DataError], length: int) -> None:
    """Answer with what was found, which may be nothing."""
    # Of several recordings at once: the processor's vector units, which decoding does not use, sleep in between.
    kept = [one if isinstance(one, DataError) else as_kept(one, length) for one in found]
    answers.write(json.dumps([str(one) if isinstance(one, DataError) else _about(one) for one in kept]).encode())
    answers.write(b"\n")
    for one in kept:
        if not isinstance(one, DataError):
            answers.writelines(np.ascontiguousarray(piece.samples).data for piece in one)


def _about(pieces: list[Piece]) -> list[list[Any]]:
    return [
        [len(one.samples), float(one.scale), [int(begin) for begin in one.begins], bool(one.is_drawn)] for one in pieces
    ]
