"""``audioconv classify`` and ``audioconv evaluate``: using a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audioconv.cli.options import Json, Model, Strict, add_command, model_path
from audioconv.cli.terminal import (
    Steps,
    add_row,
    json_path,
    list_failures,
    new_table,
    printable,
    results,
    say,
    write,
    write_json,
)
from audioconv.errors import DataError
from audioconv.files import display_path

if TYPE_CHECKING:
    from rich.table import Table

    from audioconv.classifier import Classifier, Prediction
    from audioconv.evaluation import Evaluation

AT_ONCE = 256
"""Files that are in memory together."""

MOST_MISTAKES = 15
"""Rows of the list that stands for a confusion matrix too wide to show."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    add_command(
        app,
        classify,
        "audioconv classify model clip.wav",
        "audioconv classify model recordings/ --top 3",
        "audioconv classify model *.wav --json > labels.jsonl",
    )
    add_command(
        app,
        evaluate,
        "audioconv evaluate model recordings --split test",
        "audioconv evaluate model other-recordings --json > result.json",
    )


def classify(
    model: Model,
    files: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="What to classify.")],
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="How many of the likeliest labels to show.", show_default=False),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Say what is heard in recordings, or seen in pictures.

    With --json one object a line: path, label, score, scores. Files that cannot be read are listed at the end, and the
    exit code is 1.
    """
    from audioconv.classifier import Classifier

    classifier = Classifier.load(model_path(model))
    paths = list(expand(files, "images" if classifier.model_.front_end is None else "audio"))
    table = new_table("file", *["label", "score"] * (top or 1), right=["score"])
    failures: list[DataError] = []
    with Steps("classifying", "files") as steps:
        for path, prediction in _predict(classifier, paths, failures, steps, strict=strict):
            scores = dict(list(prediction.scores.items())[:top])
            if as_json:
                label, score = prediction.label, prediction.score
                write_json({"path": json_path(path), "label": label, "score": score, "scores": scores}, indent=None)
            else:
                shown = [cell for label in list(scores)[: top or 1] for cell in (label, f"{scores[label]:.1%}")]
                add_row(table, display_path(path), *shown)
    if table.row_count:
        results().print(table)
    list_failures(failures, len(paths))
    if failures:
        raise typer.Exit(1)


def evaluate(
    model: Model,
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER|MANIFEST", help="A folder with one subfolder a class, or a CSV manifest.")
    ],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT", help="Only these rows of the manifest: train, validation or test.", show_default=False
        ),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Compare what a model says with the labels of a data set.

    Shows accuracy, precision and recall of each class, and which classes are taken for which.
    """
    from audioconv.classifier import Classifier
    from audioconv.datasets import open_collection
    from audioconv.datasets.collection import SPLITS

    if split is not None and split not in SPLITS:
        raise typer.BadParameter(f"{split!r} is not one of {', '.join(SPLITS)}", param_hint="'--split'")
    classifier = Classifier.load(model_path(model))
    collection = open_collection(source, minimum_classes=1)
    if split is None and any(item.split == "test" for item in collection.items):
        say("note: these are all rows, those to train on too; --split test is for the ones kept apart", style="yellow")
    with Steps("reading", "files") as steps:
        evaluation = classifier.evaluate(collection, split=split, strict=strict, on_file=steps.one_of)
    if as_json:
        write_json(evaluation.to_json())
    else:
        show_evaluation(evaluation)
    list_failures(evaluation.failures, evaluation.count + len(evaluation.failures))


def show_evaluation(evaluation: Evaluation) -> None:
    """Write accuracy, the scores of each class and the confusion matrix, for a person."""
    table = new_table("class", "clips", "precision", "recall", right=["clips", "precision", "recall"])
    for label, score in evaluation.per_class.items():
        add_row(
            table, label, f"{score.count:,}", f"{score.precision:.1%}", f"{score.recall:.1%}" if score.count else "-"
        )
    results().print(table)
    _show_confusion(evaluation)
    right = int(evaluation.confusion.trace())
    write(f"accuracy {evaluation.accuracy:.1%}: {right:,} of {evaluation.count:,} right", style="bold")


def _show_confusion(evaluation: Evaluation) -> None:
    """Write the confusion matrix, as wide as there is room for; else the most frequent mistakes."""
    console, labels = results(), evaluation.classes
    for matrix in (_matrix(evaluation, labels), _matrix(evaluation, [str(i + 1) for i in range(len(labels))])):
        if console.measure(matrix, options=console.options.update(width=100_000)).maximum <= console.width:
            console.print(matrix)
            return
    mistakes = sorted(
        (
            (int(evaluation.confusion[i, j]), wanted, given)
            for i, wanted in enumerate(labels)
            for j, given in enumerate(labels)
            if i != j and evaluation.confusion[i, j]
        ),
        key=lambda mistake: -mistake[0],
    )
    if mistakes:
        table = new_table("is", "taken for", "clips", right=["clips"])
        for count, wanted, given in mistakes[:MOST_MISTAKES]:
            add_row(table, wanted, given, f"{count:,}")
        console.print(table)


def _matrix(evaluation: Evaluation, heads: Sequence[str]) -> Table:
    """Return the confusion matrix with these heads of the columns; zeros are dots, so that mistakes stand out."""
    labels = evaluation.classes
    table = new_table("is / taken for", *map(printable, heads), right=map(printable, heads))
    for label, head, counts in zip(labels, heads, evaluation.confusion.tolist(), strict=True):
        add_row(table, label if head == label else f"{head} {label}", *(count or "." for count in counts))
    return table


def expand(paths: Sequence[Path], kind: str) -> Iterator[Path]:
    """Yield the files, and those of this kind (``audio`` or ``images``) in the folders."""
    from audioconv.datasets.collection import kind_of
    from audioconv.datasets.folder import files_below

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = [file for file in files_below(path) if kind_of(file) == kind]
        if not found:
            raise DataError(f"{display_path(path)}: holds no {'pictures' if kind == 'images' else 'recordings'}")
        yield from found


def _predict(
    classifier: Classifier, paths: Sequence[Path], failures: list[DataError], steps: Steps, *, strict: bool
) -> Iterator[tuple[Path, Prediction]]:
    """Yield each file that can be read with what it is; the errors of the others go to `failures`."""
    for start in range(0, len(paths), AT_ONCE):
        part = paths[start : start + AT_ONCE]
        predictions, failed = classifier.predict_files(part, strict=strict, on_file=lambda: steps.one_of(len(paths)))
        failures += failed
        for place, prediction in predictions.items():
            yield part[place], prediction
