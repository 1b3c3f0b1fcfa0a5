"""Commands that several processes run together, started by an MPI launcher: one of them writes, all of them end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from audioconv.cli.terminal import mute, say_error
from audioconv.errors import AudioconvError
from audioconv.io.files import display_path, reason

if TYPE_CHECKING:
    from audioconv.cluster.mpi import MpiProcesses
    from audioconv.cluster.processes import Processes


@contextmanager
def together() -> Iterator[Processes]:
    """Run the block in all processes that a launcher has started; they share this machine's threads.

    Process 0 alone writes to the terminal. Where one process fails, all of them end with exit code 1, and the message
    is shown once.
    """
    from audioconv.cluster.mpi import PeerError, connect
    from audioconv.cluster.processes import ALONE

    processes = connect()
    if processes is None:
        yield ALONE
        return
    from audioconv.cluster.threads import divide_threads

    try:
        with mute(not processes.leads):
            divide_threads(processes)
            yield processes
            processes.gather(b"")  # not before the files of process 0 are written
    except PeerError:
        raise typer.Exit(1) from None
    except typer.Exit as error:
        if error.exit_code:
            _end(processes, "")
        raise
    except (AudioconvError, OSError, MemoryError, KeyboardInterrupt) as error:
        _end(processes, _message(error))
        raise typer.Exit(1) from None
    except BaseException as error:
        _end(processes, f"{type(error).__name__}: {error}")
        raise


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); train on fewer or shorter clips, or in more processes"
    if isinstance(error, OSError):
        return f"{display_path(error.filename)}: {reason(error)}" if error.filename else reason(error)
    return str(error)


def _end(processes: MpiProcesses, message: str) -> None:
    """Let the other processes know of a failure; show it, unless another process does."""
    shown = processes.fail(message)
    if shown:
        say_error(shown)
    if not processes.all_know:  # one computes or has stopped
        processes.abort()


def remove_remains(folder: Path) -> None:
    """Remove unfinished files of processes that were killed while they wrote to `folder`."""
    for path in folder.glob(".audioconv-*.part"):
        path.unlink(missing_ok=True)
