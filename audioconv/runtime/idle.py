"""Memory of programs that do not run, kept for the next call: the system clears each new page when it is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audioconv.runtime.executable import Executable, Workspace


class IdleWorkspaces:
    """The workspaces of many programs, those that were used last.

    Parameters
    ----------
    most, most_bytes : int
        Workspaces that are kept, and their bytes together.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        # With their bytes, which every call adds up. Those that were used last stand last.
        self._kept: list[tuple[Executable, Workspace, int]] = []

    @property
    def nbytes(self) -> int:
        """Bytes of all workspaces that are kept."""
        return sum([size for _, _, size in list(self._kept)])

    def __len__(self) -> int:
        return len(self._kept)

    @contextmanager
    def lend(self, program: Executable, threads: int) -> Iterator[Workspace]:
        """Lend memory for a run of `program` on so many threads; each of several concurrent callers gets its own."""
        space = self._take(program, threads) or program.new_workspace(threads)
        try:
            yield space
        finally:
            self._give_back(program, space)

    # No locks: a process forked meanwhile would hold one for ever. The operations on lists are atomic.

    def _take(self, program: Executable, threads: int) -> Workspace | None:
        for kept in reversed(list(self._kept)):
            if kept[0] is program and kept[1].threads >= threads:
                try:
                    self._kept.remove(kept)
                except ValueError:  # another thread has taken it
                    continue
                return kept[1]
        return None

    def _give_back(self, program: Executable, space: Workspace) -> None:
        self._kept.append((program, space, space.nbytes))
        while len(self._kept) > self._most or self.nbytes > self._most_bytes:
            try:
                self._kept.pop(0)
            except IndexError:  # another thread has removed the last one
                return
