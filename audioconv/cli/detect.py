"""``audioconv detect``: words in long recordings, with their times."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.options import (
    FalseAcceptsPerHour,
    Hop,
    Json,
    Model,
    Strict,
    Threshold,
    add_command,
    model_path,
    shard_option,
)
from audioconv.cli.saving import Save, SaveLimit, Saving, saving
from audioconv.cli.terminal import (
    Steps,
    add_row,
    json_path,
    list_failures,
    new_table,
    results,
    say,
    write_json,
)
from audioconv.errors import DataError
from audioconv.io.files import display_path, write_atomic

if TYPE_CHECKING:
    from audioconv.model import Model as LoadedModel
    from audioconv.streaming import Detection


NO_REJECTION = (
    "The model has not learned to reject: other words and sounds are found as its words. Train it with a class of them "
    "in a folder `other`, or with --reject."
)
"""Remark behind the detections of a model without a gate."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        detect,
        "audioconv detect model interview.wav",
        "audioconv detect model interview.flac --labels words.txt",
        "audioconv detect model recordings/ --threshold 0.8 --json > words.jsonl",
        "audioconv detect model recordings/ --save heard",
        "audioconv detect model recordings/ --shard 2/8 --csv words-2.csv",
    )


def detect(
    model: Model,
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDING|FOLDER", help="Recordings of any length, rate and format.")
    ],
    threshold: Threshold = None,
    false_accepts_per_hour: FalseAcceptsPerHour = None,
    hop: Hop = 0.1,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write path, label, start, end, score to this file.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a label track for Audacity (File, Import, Labels); for one recording."
        ),
    ] = None,
    save: Save = None,
    save_limit: SaveLimit = None,
    shard: Annotated[
        Any,
        shard_option("Only part I of N of the recordings; tables and lines of all parts join, in their order."),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Find a model's words in recordings, with their times.

    Long recordings are read in pieces. With --json one object a line: label, start, end (in seconds), score; and path,
    where there are several recordings. Files that cannot be read are listed at the end, and the exit code is 1.

    With --save, a clip of 2 s is kept of each detection and of each near miss, whose score is at least half the
    threshold; of the same place of a recording only once. `audioconv review` goes through them.
    """
    from audioconv.datasets.folder import expand
    from audioconv.kernels import precompile
    from audioconv.model import Model as LoadedModel
    from audioconv.streaming import write_labels

    loaded = LoadedModel.load(model_path(model))
    if false_accepts_per_hour is not None:
        if threshold is not None:
            raise typer.BadParameter("a threshold and a number of false accepts exclude each other; give one of them")
        loaded = replace(loaded, decision=loaded.decision.at(false_accepts_per_hour=false_accepts_per_hour))
    precompile.start(precompile.USE)
    paths = list(expand(recordings, "audio"))
    several = len(paths) > 1
    if labels is not None and several:
        raise typer.BadParameter(f"a label track is for one recording, got {len(paths)}", param_hint="'--labels'")
    paths = paths if shard is None else shard.take(paths)
    found: list[tuple[Path, Detection]] = []
    failures: list[DataError] = []
    options = {"threshold": threshold, "hop_seconds": hop}
    with saving(save, save_limit, loaded) as kept, Steps("listening", "seconds") as steps:
        for path, detection in _listen(loaded, paths, failures, steps, options, kept, strict=strict):
            found.append((path, detection))
            if as_json:
                write_json({**({"path": json_path(path)} if several else {}), **detection.to_json()}, indent=None)
                sys.stdout.flush()  # so that a program behind a pipe gets each line at once
    if labels is not None:
        write_labels(labels, [detection for _, detection in found])
    if csv_file is not None:
        _write_csv(csv_file, found, header=shard is None or shard.number == 1)
    if not as_json:
        _show(found, several, len(paths) - len(failures))
        if found and loaded.decision.gate is None:
            say(NO_REJECTION, style="yellow")
    list_failures(failures, len(paths), typed=recordings)
    if failures or kept.failed:
        raise typer.Exit(1)


def clock(seconds: float) -> str:
    """Return a time in a recording as text, to a hundredth of a second.

    >>> clock(7.254), clock(61.5), clock(36000)
    ('0:07.25', '1:01.50', '10:00:00.00')
    """
    hundredths = round(100 * seconds)
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{hundredths // 100:02}.{hundredths % 100:02}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"


def _listen(
    model: LoadedModel,
    paths: list[Path],
    failures: list[DataError],
    steps: Steps,
    options: dict[str, Any],
    kept: Saving,
    *,
    strict: bool,
) -> Iterator[tuple[Path, Detection]]:
    """Yield the detections in each recording; the errors of those that cannot be read go to `failures`."""
    from audioconv.streaming.offline import detect_in_file

    lengths = {path: _seconds(path) for path in paths}
    total = sum(lengths.values())
    before = 0.0
    for path in paths:

        def progress(done: float, _all: float, before: float = before) -> None:
            steps.show(min(math.floor(before + done), math.ceil(total)), math.ceil(total))

        try:
            saved = kept.options(os.path.abspath(path), once=True)
            for found in detect_in_file(model, path, on_seconds=progress, **options, **saved):
                for detection in found:
                    yield path, detection
        except DataError as error:
            if strict:
                raise
            failures.append(error)
        before += lengths[path]


def _seconds(path: Path) -> float:
    """Return the length in a recording's header; nothing if it cannot be read, an error that its turn will report."""
    from audioconv.audio import probe

    try:
        return probe(path).duration
    except DataError:
        return 0.0


def _show(found: list[tuple[Path, Detection]], several: bool, recordings: int) -> None:
    """Write a table for a person."""
    if not found:
        if recordings:
            say("no words were heard; --threshold takes a lower score")
        return
    table = new_table(*["file"] * several, "start", "end", "word", "score", right=["start", "end", "score"])
    for path, one in found:
        cells = [clock(one.start), clock(one.end), one.label, f"{one.score:.1%}"]
        add_row(table, *[display_path(path)] * several, *cells)
    results().print(table)


def _write_csv(path: Path, found: list[tuple[Path, Detection]], *, header: bool) -> None:
    with write_atomic(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        if header:
            writer.writerow(["path", "label", "start", "end", "score"])
        writer.writerows([place, one.label, one.start, one.end, one.score] for place, one in found)
