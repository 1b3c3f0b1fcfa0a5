"""``audioconv evaluate``: quality of a model, in the terminal, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.long_recordings import LongRecordings, show_long
from audioconv.cli.options import Json, Model, Strict, add_command, model_path, shard_option
from audioconv.cli.terminal import (
    Steps,
    add_row,
    list_failures,
    megabytes,
    new_table,
    printable,
    results,
    say,
    say_notes,
    write,
    write_json,
)
from audioconv.errors import ConfigError
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from rich.table import Table

    from audioconv.evaluation import Evaluation, Speed

MAX_MISTAKES = 15
"""Rows of the list that stands for a confusion matrix too wide to show."""

RATES = (0.1, 0.05, 0.02, 0.01, 0.005)
"""Shares of false accepts for which the threshold is shown."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        evaluate,
        "audioconv evaluate model recordings --split test",
        "audioconv evaluate model recordings --split test --negatives other-sounds --report report.html",
        "audioconv evaluate model recordings --split test --long evening.wav --labels evening.txt",
        "audioconv evaluate model other-recordings --json > result.json",
        "audioconv evaluate model recordings --shard 2/8 --write-scores scores-2.csv",
        "audioconv evaluate model recordings --read-scores scores.csv",
    )


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
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Recordings without the words, all to be rejected. May be given again.",
            show_default=False,
        ),
    ] = None,
    long: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RECORDING|FOLDER",
            help="A long recording, or a folder of them, to count false accepts an hour. May be given again.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="TRACK",
            help="The words in a --long recording, as a label track of Audacity: one for each, in their order. "
            "Without any, the recordings must not contain the words.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page with curves, tables and the worst mistakes to listen to; clips are embedded in it.",
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        Any,
        shard_option("Only part I of N of the clips, for --write-scores; tables of all parts join."),
    ] = None,
    write_scores: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write the scores of each clip to this file.", show_default=False),
    ] = None,
    read_scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Take the scores from this file, which --write-scores wrote, instead of reading clips.",
            show_default=False,
        ),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Compare the answers of a model with the labels of a data set.

    Shows accuracy, precision and recall of each class, which classes are taken for which, what is accepted at the
    model's threshold, how well its probabilities are calibrated, and how fast it is on this machine. Classes
    such as `_silence_` are no words: they count among the negatives. With --long it also searches recordings of any
    length, as `audioconv detect` does, and counts false accepts an hour and missed words.
    """
    from audioconv.classifier import Classifier
    from audioconv.datasets import open_collection
    from audioconv.datasets.collection import SPLITS
    from audioconv.kernels import precompile
    from audioconv.pipeline import score_table
    from audioconv.pipeline.evaluate import judge, score, selected

    if split is not None and split not in SPLITS:
        raise typer.BadParameter(f"{split!r} is not one of {', '.join(SPLITS)}", param_hint="'--split'")
    if report is not None and not report.absolute().parent.is_dir():
        raise ConfigError(f"{display_path(report)}: there is no folder {display_path(report.absolute().parent)}")
    _check_sharing(shard, write_scores, read_scores, others=[negatives and read_scores, long, report, as_json])
    recordings = LongRecordings.find(long or [], labels or [])
    path = model_path(model)
    classifier = Classifier.load(path)
    precompile.start(precompile.USE)
    collection = open_collection(source, minimum_classes=1)
    say_notes(collection)
    if split is None and any(item.split == "test" for item in collection.items):
        say("note: these are all rows, those to train on too; --split test is for the ones kept apart", style="yellow")
    network = classifier.model_
    collection = selected(collection, network, split)
    if read_scores is not None:
        scores = score_table.read_scores(read_scores, network.labels)
    else:
        with Steps("reading", "files") as steps:
            scores = score(network, collection, negatives or (), shard=shard, strict=strict, on_file=steps.one_of)
    if write_scores is not None:
        score_table.write_scores(write_scores, network.labels, scores, header=shard is None or shard.number == 1)
        if shard is not None:
            write(f"{display_path(write_scores)}: scores of {len(scores):,} clips, part {shard}")
            list_failures(scores.failures, len(scores) + len(scores.failures))
            return
    evaluation = judge(network, collection, split, scores)
    heard = None if recordings is None else recordings.listen(classifier.model_)
    speed = classifier.measure_speed()
    if report is not None:
        from audioconv.report import Facts, write_report

        write_report(report, Facts.of(path, classifier.model_, evaluation, speed, heard))
    if as_json:
        long_json = {} if heard is None else {"long": heard.to_json()}
        write_json({**evaluation.to_json(), **long_json, "speed": speed.to_json()})
    else:
        show_evaluation(evaluation)
        if heard is not None:
            show_long(heard)
        _show_speed(speed)
        if report is not None:
            _line("report", f"{display_path(report)} ({megabytes(report.stat().st_size)})")
    total = evaluation.count + len(evaluation.negatives or ()) + len(evaluation.failures)
    list_failures(evaluation.failures, total)


def _check_sharing(shard: Any, written: Path | None, read: Path | None, others: Sequence[object]) -> None:
    """Raise `ConfigError` for options of shards that do not go together."""
    if shard is not None and (written is None or any(others[1:])):
        raise ConfigError(
            "--shard only writes scores: give --write-scores FILE.csv, and leave out --long, --report and --json; "
            "join the tables of all shards and give them to --read-scores"
        )
    if read is not None and (written is not None or shard is not None or others[0]):
        raise ConfigError("--read-scores reads no clips; leave out --shard, --write-scores and --negatives")


def show_evaluation(evaluation: Evaluation) -> None:
    """Write accuracy, the scores of each class, the confusion matrix and so on, for a person."""
    table = new_table("class", "clips", "precision", "recall", "F1", right=["clips", "precision", "recall", "F1"])
    for label, score in evaluation.per_class.items():
        shares = (f"{score.precision:.1%}", *(f"{x:.1%}" if score.count else "-" for x in (score.recall, score.f1)))
        add_row(table, label, f"{score.count:,}", *shares)
    results().print(table)
    _show_confusion(evaluation)
    if evaluation.count:
        low, high = evaluation.right.interval
        right = f"{evaluation.right.part:,} of {evaluation.count:,} right"
        write(f"accuracy {evaluation.accuracy:.1%}: {right}", style="bold")
        _line("interval", f"{low:.1%} to {high:.1%}, with 95% confidence")
    _show_decision(evaluation)
    _show_curve(evaluation)
    calibration = evaluation.calibration
    if calibration is not None and calibration.count:
        says = f"answers say {calibration.mean_score:.1%} on average, {calibration.accuracy:.1%} are right"
        _line("calibration", f"off by {calibration.expected_error:.1%} on average ({says})")


def _show_decision(evaluation: Evaluation) -> None:
    """Write what the model's threshold makes of words and negatives."""
    from audioconv.evaluation import percent

    outcomes, false_accepts = evaluation.outcomes, evaluation.false_accepts
    if outcomes is None or (not outcomes.count and false_accepts is None):
        return
    threshold = evaluation.decision.threshold
    how = f"at the threshold of {percent(threshold)}" if threshold else "the model has no threshold"
    write(f"\n{how}:")
    table = new_table("", "clips", "", "share", right=["clips", "share"])
    if outcomes.count:
        shares = {"accepted and right": outcomes.right, "taken for another": outcomes.wrong,
                  "none of these": outcomes.rejected}  # fmt: skip
        for place, (what, part) in enumerate(shares.items()):
            share = part / outcomes.count
            add_row(table, "" if place else "words", f"{part:,}", what, percent(share))
    if false_accepts is not None:
        table.add_section()
        rejected = false_accepts.whole - false_accepts.part
        for place, (what, part) in enumerate({"none of these": rejected, "accepted": false_accepts.part}.items()):
            share = part / false_accepts.whole
            add_row(table, "" if place else "negatives", f"{part:,}", what, percent(share))
        for name, share_of in evaluation.false_accepts_by_name.items():
            add_row(
                table, "", f"{share_of.part:,}", f"  of {share_of.whole:,} {name}", percent(share_of.value), style="dim"
            )
    results().print(table)


def _show_curve(evaluation: Evaluation) -> None:
    """Write the error rates at other thresholds."""
    from audioconv.evaluation import percent

    detection = evaluation.detection
    if detection is None:
        return
    heads = ("false accepts", "threshold", "missed")
    table = new_table(*heads, right=heads)
    for point in (detection.within(rate) for rate in RATES):
        add_row(table, percent(point.false_accepts.value), percent(point.threshold), percent(point.misses.value))
    write(f"words against {detection.against}, at other thresholds:")
    results().print(table)
    area, error = detection.area, detection.equal_error_rate
    _line("curve", f"area {area:.4f}, equal error rate {percent(error)} (words against {detection.against})")


def _show_speed(speed: Speed) -> None:
    alone = f"{speed.milliseconds:.2g} ms for one clip"
    together = f"{speed.per_second:,.0f} a second in batches of {speed.batch}"
    _line("speed", f"{alone}, {together} ({speed.processor}, {speed.cores} cores)")


def _line(name: str, value: str) -> None:
    write(f"{name:<11} {printable(value)}")


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
        for count, wanted, given in mistakes[:MAX_MISTAKES]:
            add_row(table, wanted, given, f"{count:,}")
        console.print(table)


def _matrix(evaluation: Evaluation, heads: Sequence[str]) -> Table:
    """Return the confusion matrix with these heads of the columns; zeros are dots, so that mistakes stand out."""
    labels = evaluation.classes
    table = new_table("is / taken for", *map(printable, heads), right=map(printable, heads))
    for label, head, counts in zip(labels, heads, evaluation.confusion.tolist(), strict=True):
        add_row(table, label if head == label else f"{head} {label}", *(count or "." for count in counts))
    return table
