"""``audioconv evaluate --long``: detection in long recordings, in the terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from audioconv.cli.terminal import Steps, add_row, new_table, printable, results, say, write
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.evaluation import LongPoint, LongResult
    from audioconv.model import Model
    from audioconv.streaming.label_tracks import Label

RATES = (10.0, 5.0, 2.0, 1.0, 0.5, 0.0)
"""False accepts an hour, of each of which one threshold is shown."""


@dataclass(frozen=True)
class LongRecordings:
    """Long recordings, with their labels.

    Attributes
    ----------
    paths : list of Path
    tracks : list of lists of Label, or None
        The words in each; None if no recording contains the model's words.
    seconds : float
        Length of all together.
    """

    paths: list[Path]
    tracks: list[list[Label]] | None
    seconds: float

    @classmethod
    def find(cls, recordings: list[Path], tracks: list[Path]) -> LongRecordings | None:
        """Return what the options name; None without recordings.

        A file that cannot be read, or another number of tracks than of recordings, is an error now: listening, and
        what comes before it, may take long.
        """
        from audioconv.audio import probe
        from audioconv.datasets.folder import expand
        from audioconv.streaming.label_tracks import read_labels

        if not recordings:
            if tracks:
                raise typer.BadParameter(
                    "label tracks are of recordings: name them with --long", param_hint="'--labels'"
                )
            return None
        paths = list(expand(recordings, "audio"))
        if tracks and len(tracks) != len(paths):
            raise typer.BadParameter(
                f"each recording needs a label track, in the same order (an empty file where it holds no words); "
                f"got {len(tracks)} for {len(paths)}",
                param_hint="'--labels'",
            )
        seconds = sum(probe(path).duration for path in paths)
        return cls(paths, [read_labels(path) for path in tracks] if tracks else None, seconds)

    def listen(self, model: Model) -> LongResult:
        """Return the detections of `model` in them."""
        from audioconv.streaming import score_recordings

        self._tell_strange_labels(model)
        total = math.ceil(self.seconds)
        with Steps("listening", "seconds") as steps:
            return score_recordings(
                model,
                self.paths,
                self.tracks,
                on_seconds=lambda seconds: steps.show(min(math.floor(seconds), total), total),
            )

    def _tell_strange_labels(self, model: Model) -> None:
        """Print the labels that the model does not have: a slip such as `Yes` would look like false accepts."""
        strange = sorted({label.label for track in self.tracks or () for label in track} - set(model.words))
        if strange:
            some = ", ".join(map(printable, strange[:5])) + (", ..." if len(strange) > 5 else "")
            say(f"note: labels that the model does not have are ignored: {some}", style="yellow")


def show_long(result: LongResult) -> None:
    """Write false accepts an hour and misses at some thresholds, for a person."""
    from audioconv.evaluation import percent

    name = display_path(result.recordings[0]) if len(result.recordings) == 1 else f"{len(result.recordings)} recordings"
    words = f", {result.words:,} labelled words" if result.words else ""
    write(f"\nlistening to {name}: {_length(result.hours)}{words}", style="bold")
    heads = ("threshold", "false accepts", "an hour", *["missed"] * bool(result.words))
    table = new_table(*heads, "", right=heads)
    used, operating = result.in_use, result.chosen
    for point in _shown(result):
        notes = ["in use"] * (point == used)
        notes += [f"at most {result.wanted:g} an hour"] * (point == operating and result.reaches)
        missed = [] if point.miss_rate is None else [percent(point.miss_rate)]
        cells = (f"{point.false_accepts:,}", f"{point.false_accepts_per_hour:.3g}", *missed)
        add_row(table, percent(point.threshold), *cells, ", ".join(notes), style="bold" if notes else None)
    results().print(table)
    if not result.reaches:
        write(f"no threshold gives at most {result.wanted:g} false accepts an hour")
    elif result.wanted and result.hours < 1 / result.wanted:
        write(f"in {_length(result.hours)}, at most {result.wanted:g} an hour means none: longer recordings say more")


def _shown(result: LongResult) -> list[LongPoint]:
    """Return the points in use, and for each of some false accepts an hour the lowest threshold that has no more."""
    points = {result.in_use.threshold: result.in_use, result.chosen.threshold: result.chosen}
    for rate in RATES:
        few = [point for point in result.points if point.false_accepts_per_hour <= rate]
        if few:
            points[few[0].threshold] = few[0]
    return [points[threshold] for threshold in sorted(points)]


def _length(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.3g} hours"
    return f"{60 * hours:.3g} minutes" if hours >= 1 / 60 else f"{3600 * hours:.3g} seconds"
