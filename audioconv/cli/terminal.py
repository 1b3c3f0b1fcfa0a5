"""Results, progress and notices in the terminal."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from audioconv.errors import AudioconvError, DataError
from audioconv.io.files import display_path, reason, where_missing

if TYPE_CHECKING:
    from audioconv.datasets import Collection

LISTED = 10
"""Number of unreadable files that are named at the end; all of them are counted."""

# Output that is no terminal is neither cut nor wrapped: it goes to another program or a file.
_UNLIMITED_WIDTH = 100_000

_SECONDS_BETWEEN_LINES = 10.0


def results() -> Console:
    """Return the console for results: standard output."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNLIMITED_WIDTH
    return Console(markup=False, emoji=False, highlight=False, width=width)


@functools.cache
def notices() -> Console:
    """Return the console for progress, notices and errors: standard error. There is one, since bars move on it."""
    return Console(markup=False, emoji=False, highlight=False, stderr=True)


@contextlib.contextmanager
def mute(wanted: bool) -> Iterator[None]:
    """Write nothing in the block but errors, and notices that are for any process, if `wanted`."""
    if not wanted:
        yield
        return
    notices().quiet = True
    try:
        with open(os.devnull, "w", encoding="utf-8") as nothing, contextlib.redirect_stdout(nothing):
            yield
    finally:
        notices().quiet = False


def say(line: str, style: str | None = None) -> None:
    """Write one line to standard error; the terminal wraps it, so that it can be copied whole."""
    notices().print(line, style=style, soft_wrap=True)


def say_error(message: str) -> None:
    """Write one line to standard error that says what is wrong."""
    line = printable(" ".join(message.split()))
    from rich.text import Text

    notices().print(Text.assemble("audioconv: ", ("error: ", "bold red"), line), soft_wrap=True)


def write(line: str = "", style: str | None = None) -> None:
    """Write one line of the result to standard output."""
    results().print(line, style=style, soft_wrap=True)


def write_json(value: Any, indent: int | None = 2) -> None:
    """Write a result for a program, in plain ASCII: whatever the terminal's encoding, it stays JSON."""
    sys.stdout.write(json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_next(*commands: Sequence[str | os.PathLike[str]]) -> None:
    """Write what to type next; each command as its words."""
    write("\nwhat to type next:")
    for words in commands:
        write("  " + command(words), style="cyan")


def command(words: Sequence[str | os.PathLike[str]]) -> str:
    """Return a command as it is typed."""
    return " ".join(_quoted(word) for word in words)


def new_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """Return an empty table; the columns in `right` hold numbers. Long cells go on in the next line."""
    from rich import box

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    numbers = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: object, style: str | None = None) -> None:
    """Add a row whose cells may come from any file."""
    table.add_row(*(printable(str(cell)) for cell in cells), style=style)


def printable(text: str) -> str:
    r"""Return `text` without control characters and halves of characters: they are escaped.

    >>> printable("caf\x1b[31m")
    'caf\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def json_path(path: str | os.PathLike[str]) -> str:
    """Return `path` as it is, escaped only where its bytes are not UTF-8: those JSON cannot hold."""
    text = os.fspath(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return display_path(path)
    return text


def list_failures(
    failures: Sequence[AudioconvError],
    total: int,
    where_all: Path | None = None,
    what: str = "files",
    typed: Sequence[Path] = (),
) -> None:
    """Say which files could not be read: how many, the first few, and where the others are listed.

    Similar names are shown for paths that were `typed` and do not exist.
    """
    if not failures:
        return
    say(f"{len(failures):,} of {total:,} {what} could not be read:", style="yellow")
    for failure in failures[:LISTED]:
        say(f"  {printable(str(failure))}")
    more = len(failures) - LISTED
    if more > 0:
        say(f"  ... and {more:,} more" + (f", all listed in {display_path(where_all)}" if where_all else ""))
    for path in [path for path in typed if not path.exists()][:LISTED]:
        if (meant := where_missing(path)).endswith("?"):
            say(f"{display_path(path)}: {meant}")


def say_notes(collection: Collection) -> None:
    """Say what was assumed when a data set was opened, and what was left out of it."""
    for note in collection.notes:
        say(f"note: {printable(note)}", style="yellow")


def make_folder(path: Path) -> None:
    """Make the folder `path` and those above it; `DataError` if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{display_path(path)}: the folder cannot be made ({reason(error)})") from None


def megabytes(count: int) -> str:
    """Return a number of bytes as text.

    >>> megabytes(15_571_679), megabytes(254_312)
    ('15.6 MB', '254 kB')
    """
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


class Steps:
    """Shows how far a piece of work is: a bar with time left on a terminal, a line now and then elsewhere.

    Of bytes it shows how many come in a second, too.

    Parameters
    ----------
    doing : str
        Present participle of the work, such as ``reading``.
    unit : str
        Unit of the count, such as ``files``; ``bytes`` are shown as megabytes.
    """

    def __init__(self, doing: str, unit: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._doing, self._unit = doing, unit
        self._done = 0
        self._first: int | None = None  # what was there before the work began
        self._begun = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[measured]}", markup=False),
            TextColumn("{task.fields[left]}", style="cyan", markup=False),
            console=notices(),
            transient=True,
            # Results are written while the bar moves. Those for a file or a pipe must not go to the bar's terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bar.add_task(doing, total=None, measured="", left="")

    def __enter__(self) -> Steps:
        """Begin; the bar appears with the first step."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove the bar, however the work ended."""
        if notices().is_terminal:  # elsewhere it has never started, and would leave an empty line
            self._bar.stop()

    def one_of(self, total: int) -> None:
        """Show that one more of `total` is done."""
        self.show(self._done + 1, total)

    def show(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` are done; None where the total is not known."""
        if self._unit == "bytes" and (self._first is None or done < self._first):
            # A download that goes on has bytes from before, which took no time now; one that starts over has none.
            self._first, self._begun = done, time.monotonic()
        self._done = done
        seconds, new = time.monotonic() - self._begun, done - (self._first or 0)
        left = f"{_duration(seconds / new * (total - done))} left" if total and new else ""
        measured = self._measured(done, total)
        if self._unit == "bytes" and new and seconds:
            measured += f", {megabytes(round(new / seconds))}/s"
        if notices().is_terminal:
            self._bar.update(self._task, completed=done, total=total, measured=measured, left=left)
            if done == total:
                self._bar.stop()
            else:
                self._bar.start()
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES and done != total:
            self._last_line = time.monotonic()
            say(f"{self._doing}: {measured}  {left}".rstrip())

    def _measured(self, done: int, total: int | None) -> str:
        in_bytes = self._unit == "bytes"
        parts = [megabytes(part) if in_bytes else f"{part:,}" for part in (done, total) if part is not None]
        return " of ".join(parts) + ("" if in_bytes else f" {self._unit}")


@contextlib.contextmanager
def shown_notices() -> Iterator[None]:
    """Show what the library tells its log, such as that kernels are compiled, as plain lines on standard error."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            quiet = notices().quiet
            notices().quiet = quiet and record.name != "audioconv.cluster"  # one of several processes has that alone
            say(f"audioconv: {printable(record.getMessage())}")
            notices().quiet = quiet

    logger, handler = logging.getLogger("audioconv"), Handler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _duration(seconds: float) -> str:
    from audioconv.training.progress import duration

    return duration(seconds)


def _quoted(word: str | os.PathLike[str]) -> str:
    import shlex

    return shlex.quote(display_path(word))
