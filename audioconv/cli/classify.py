"""``audioconv classify``: answers for recordings or pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audioconv.cli.detect import clock
from audioconv.cli.options import FalseAcceptRate, Json, Model, Strict, add_command, model_path
from audioconv.cli.terminal import (
    Steps,
    add_row,
    command,
    json_path,
    list_failures,
    new_table,
    results,
    write,
    write_json,
)
from audioconv.errors import DataError
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.classifier import Classifier, Prediction

AT_ONCE = 256
"""Files that are in memory together."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        classify,
        "audioconv classify model clip.wav",
        "audioconv classify model recordings/ --top 3",
        "audioconv classify model *.wav --json > labels.jsonl",
    )


def classify(
    model: Model,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER", help="Recordings or pictures, or folders of them.")
    ],
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Number of the likeliest labels to show.", show_default=False),
    ] = None,
    false_accept_rate: FalseAcceptRate = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Classify recordings or pictures.

    An example whose score is below the threshold is "none of these". For a recording longer than twice the model's
    window, the best windows are shown with their times; `audioconv detect` finds each occurrence of a word. With --json
    one object a line: path, label (null for none of these), nearest (the likeliest label), score (of that), scores,
    windows (begin and end in seconds, label, nearest, score). Files that cannot be read are listed at the end, and the
    exit code is 1.
    """
    from audioconv.classifier import Classifier
    from audioconv.datasets.folder import expand
    from audioconv.kernels import precompile

    classifier = Classifier.load(model_path(model))
    if false_accept_rate is not None:
        classifier = classifier.at(false_accept_rate=false_accept_rate)
    precompile.start(precompile.USE)
    paths = list(expand(files, classifier.model_.kind))
    table = new_table("file", *["label", "score"] * (top or 1), right=["score"])
    failures: list[DataError] = []
    long_one: Path | None = None
    with Steps("classifying", "files") as steps:
        for path, prediction in _predict(classifier, paths, failures, steps, strict=strict):
            scores = dict(list(prediction.scores.items())[:top])
            long_one = long_one or (path if prediction.windows else None)
            if as_json:
                write_json({"path": json_path(path), **prediction.to_json(top)}, indent=None)
            else:
                heard = prediction.label if prediction.accepted else f"none of these, nearest {prediction.label}"
                more = [label for label in scores if label != prediction.label][: (top or 1) - 1]
                cells = [(heard, prediction.score), *((label, scores[label]) for label in more)]
                style = None if prediction.accepted else "dim"
                shown = [cell for label, score in cells for cell in (label, f"{score:.1%}")]
                add_row(table, display_path(path), *shown, style=style)
                for window in prediction.windows:
                    heard = window.label if window.accepted else f"none of these, nearest {window.label}"
                    times = f"  {clock(window.begin)} to {clock(window.end)}"
                    add_row(table, times, heard, f"{window.score:.1%}", style=None if window.accepted else "dim")
    if table.row_count:
        results().print(table)
    if long_one is not None and not as_json and classifier.model_.front_end is not None:
        write("Each time that a word is said in a long recording:")
        write("  " + command(["audioconv", "detect", model, long_one]), style="cyan")
    list_failures(failures, len(paths), typed=files)
    if failures:
        raise typer.Exit(1)


def _predict(
    classifier: Classifier, paths: Sequence[Path], failures: list[DataError], steps: Steps, *, strict: bool
) -> Iterator[tuple[Path, Prediction]]:
    """Yield each file that can be read with its prediction; the errors of the others go to `failures`."""
    for start in range(0, len(paths), AT_ONCE):
        part = paths[start : start + AT_ONCE]
        predictions, failed = classifier.predict_files(part, strict=strict, on_file=lambda: steps.one_of(len(paths)))
        failures += failed
        for place, prediction in predictions.items():
            yield part[place], prediction
