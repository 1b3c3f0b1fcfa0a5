"""Progress of a run: a bar with time left on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from audioconv.training.callbacks import BatchEnded, ClipSpoken, EpochEnded, Event, NegativeRead, RunEnded, RunStarted


class ProgressBar:
    """A callback for `training.fit` that shows how far the run is, how well it goes and how long it will take.

    Parameters
    ----------
    console : rich.console.Console, optional
        Console to write to. A terminal shows a moving bar, other outputs get a line an epoch. Default: standard error.

    Examples
    --------
    >>> with ProgressBar() as bar:  # doctest: +SKIP
    ...     fit(network, data, callbacks=[bar])
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[measured]}"),
            TextColumn("[cyan]{task.fields[left]}"),
            console=self._console,
            transient=True,
        )
        self._task = TaskID(0)
        self._epochs = self._batches = self._done_before = self._later = 0
        self._begun = 0.0

    def __enter__(self) -> Self:
        """Begin; the bar itself appears with the first event."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar, however the run ended: the terminal's cursor must come back after Ctrl-C."""
        self._stop()

    def __call__(self, event: Event) -> None:
        """Show what happened."""
        match event:
            case ClipSpoken():
                self._count(event.done, event.clips, "synthetic voices say {:,} clips", "synthetic voices, clip")
            case NegativeRead():
                self._count(event.done, event.recordings, "reading {:,} negative recordings", "negative recording")
            case RunStarted():
                self._start(event)
            case BatchEnded():
                self._step(event)
            case EpochEnded():
                self._say(epoch_line(event, self._epochs) + self._left_without_bar(event))
            case RunEnded():
                self._stop()
                self._say(_end_line(event))

    def _count(self, done: int, total: int, line: str, each: str) -> None:
        """Show that so many of what comes before the training are done: a bar, or else one `line` with their number."""
        if done == 1:
            self._begun = time.perf_counter()
            if not self._console.is_terminal:
                self._say(line.format(total))
                return
            self._task = self._bar.add_task("", total=total, measured="", left="")
            self._bar.start()
        if not self._console.is_terminal:
            return
        left = (time.perf_counter() - self._begun) / done * (total - done)
        self._bar.update(
            self._task, completed=done, description=f"{each} {done:,}/{total:,}", left=f"{duration(left)} left"
        )
        if done == total:
            self._bar.stop()
            self._bar.remove_task(self._task)

    def _start(self, event: RunStarted) -> None:
        self._epochs, self._batches, self._later = event.epochs, event.batches, event.batches_left
        self._done_before = event.epochs_done * event.batches
        self._begun = time.perf_counter()
        if event.title:
            self._say(f"{event.title}:")
        if event.epochs_done:
            self._say(f"resuming after epoch {event.epochs_done} of {event.epochs}")
        if self._console.is_terminal:
            self._task = self._bar.add_task(
                "training",
                total=event.epochs * event.batches,
                completed=self._done_before,
                measured="",
                left="",
            )
            self._bar.start()

    def _stop(self) -> None:
        if self._console.is_terminal:  # elsewhere it has never started, and would leave an empty line
            self._bar.stop()

    def _step(self, event: BatchEnded) -> None:
        if not self._console.is_terminal:
            return
        done = (event.epoch - 1) * self._batches + event.batch
        self._bar.update(
            self._task,
            completed=done,
            description=f"epoch {event.epoch}/{self._epochs}, batch {event.batch}/{self._batches}",
            measured=f"loss {event.loss:.3f}, accuracy {event.accuracy:.1%}",
            left=f"{duration(self._seconds_left(done))} left",
        )

    def _seconds_left(self, batches_done: int) -> float:
        """Return how long this run and later ones take at the pace of this run so far, validation included."""
        elapsed = time.perf_counter() - self._begun
        left = self._epochs * self._batches - batches_done + self._later
        return elapsed / (batches_done - self._done_before) * left

    def _left_without_bar(self, event: EpochEnded) -> str:
        if self._console.is_terminal or (event.row.epoch == self._epochs and not self._later):
            return ""
        return f"  {duration(self._seconds_left(event.row.epoch * self._batches))} left"

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)


def epoch_line(event: EpochEnded, epochs: int) -> str:
    """Return what an epoch brought as one line.

    Such as ``epoch  3/30  loss 0.512  accuracy 85.1%  validation 0.430  88.0%  2.1 s  best``.
    """
    row = event.row
    line = f"epoch {row.epoch:{len(str(epochs))}}/{epochs}"
    line += f"  loss {row.train_loss:.3f}  accuracy {row.train_accuracy:5.1%}"
    if row.validation_loss is not None and row.validation_accuracy is not None:
        line += f"  validation {row.validation_loss:.3f}  {row.validation_accuracy:5.1%}"
    line += f"  {duration(row.seconds)}"
    return f"{line}  best" if event.is_best and row.validation_loss is not None else line


def duration(seconds: float) -> str:
    """Return a length of time as text: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``.

    >>> duration(185.2)
    '3 min 05 s'
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _end_line(event: RunEnded) -> str:
    why = "stopped early: no better epoch came" if event.stopped_early else "done"
    return f"{why}; the parameters are those of epoch {event.kept_epoch}"
