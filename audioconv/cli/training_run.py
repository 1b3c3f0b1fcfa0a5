"""A training run of the command line, and the files of its folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioconv.cli.options import MODEL_NAME
from audioconv.cli.terminal import (
    Steps,
    json_path,
    list_failures,
    make_folder,
    megabytes,
    notices,
    printable,
    say,
    write,
)
from audioconv.errors import AudioconvError, ConfigError
from audioconv.io.files import display_path, write_atomic
from audioconv.training.history import FINAL_HISTORY_NAME, HISTORY_NAME

if TYPE_CHECKING:
    from audioconv.classifier import Classifier
    from audioconv.cluster.processes import Processes
    from audioconv.datasets import Collection
    from audioconv.decision.decision import Decision
    from audioconv.model import Model
    from audioconv.recipe.train import TrainingReport

UNREADABLE_NAME = "unreadable.txt"

REFIT = "trained once more, with the validation clips included"

FEW_FOUND = 0.5
"""If the threshold for streams finds less than this share of the words that the threshold for clips would find, a line
says what to do."""


def make_room(out: Path, *, resume: bool, force: bool) -> None:
    """Make the folder, unless that would lose what is there."""
    from audioconv.recipe.runs import CHECKPOINT

    make_folder(out)
    if not resume and not force:
        for name, what in ((MODEL_NAME, "a model"), (CHECKPOINT, "an interrupted run")):
            if (out / name).exists():
                raise ConfigError(
                    f"{display_path(out / name)}: there is {what} already; "
                    "go on with --resume, begin anew with --force, or give another -o DIR"
                )


def train_into(
    out: Path,
    collection: Collection,
    *,
    resume: bool,
    strict: bool = False,
    processes: Processes | None = None,
    **settings: Any,
) -> Classifier:
    """Train on `collection`, show it, and write all that comes of it to the folder `out`; process 0 writes."""
    from audioconv.classifier import Classifier
    from audioconv.cluster.processes import ALONE
    from audioconv.recipe.runs import CHECKPOINTS
    from audioconv.training.callbacks import Event, Noted, RunStarted
    from audioconv.training.progress import ProgressBar

    processes = processes or ALONE
    has_begun = False

    def announce(event: Event) -> None:
        nonlocal has_begun
        if isinstance(event, Noted):
            say(f"note: {printable(event.message)}")
        if isinstance(event, RunStarted) and not has_begun:
            has_begun = True
            if not resume and processes.leads:
                # A later --resume must not find an earlier run's checkpoints. The model stays until there is a new one.
                for path in out.glob(CHECKPOINTS):
                    with suppress(OSError):
                        path.unlink()

    people = sum(map(bool, collection.speakers.counts()))
    what = "pictures" if collection.kind == "images" else "recordings"
    held = f"{len(collection):,} {what}, {len(collection.classes)} classes"
    say(f"{printable(collection.name)}: {held}" + (f", {people:,} speakers" if people else ""))
    with Steps("reading", "files") as reading, ProgressBar(notices()) as bar:
        classifier = Classifier.train(
            collection,
            checkpoints=out,
            resume=resume,
            strict=strict,
            callbacks=[announce, bar],
            on_file=reading.one_of,
            processes=processes,
            **settings,
        )
    if processes.leads:
        _save(out, classifier)
    return classifier


@contextmanager
def no_empty_folder(out: Path) -> Iterator[None]:
    """Remove the folder `out` after an error in the block, if it was made there and is empty."""
    is_new = not out.exists()
    try:
        yield
    except AudioconvError:
        if is_new:
            with suppress(OSError):  # it holds something
                out.rmdir()
        raise


@contextmanager
def resumable(out: Path, hint: str) -> Iterator[None]:
    """Turn Ctrl-C in the block into a message of one line; with a checkpoint, the message ends with the `hint`."""
    from audioconv.recipe.runs import CHECKPOINT

    try:
        yield
    except KeyboardInterrupt:
        kept = (out / CHECKPOINT).exists()
        told = "interrupted; " + hint if kept else "interrupted before the end of the first epoch"
        raise AudioconvError(told) from None


def show_report(out: Path, classifier: Classifier, collection: Collection) -> None:
    """Write what came of training, for a person."""
    report, model = classifier.report_, out / MODEL_NAME
    assert report is not None
    counts = {name: sum(classes.values()) for name, classes in report.counts.items()}
    lines = [("trained on", f"{counts['train']:,} clips of {len(classifier.classes_)} classes")]
    if classifier.ensemble_size > 1:
        lines.append(("ensemble", f"{classifier.ensemble_size} networks"))
    if classifier.averaged_runs > 1:
        lines.append(("averaged", f"{classifier.averaged_runs} runs"))
    if (began_with := classifier.model_.provenance["began_with"]) is not None:
        lines.append(("start", str(began_with)))
    lines += origins_of_training(classifier.model_.provenance)
    if report.validation_accuracy is not None:
        if report.folds:
            people = ", whole speakers" if report.by_speaker else ""
            count = 0 if report.held_out is None else report.held_out.count
            watched = f"{count:,} clips, each by a network without its part, 1 of {report.folds}{people}"
        else:
            watched = f"{counts['validation']:,} clips, epoch {report.kept_epoch} of {len(report.history)}"
        lines.append(("validation", f"{report.validation_accuracy:.1%} right ({watched})"))
    lines += [("rejection", line) for line in how_it_decides(classifier.model_.decision)]
    if classifier.model_.decision.gate is None and (why := why_it_is_off(report, classifier)):
        lines.append(("rejection", f"off {why}"))
    if report.final_history is not None:
        lines.append(("refit", "trained once more, with all clips" if report.folds else REFIT))
    if report.test is not None:
        lines.append(("test", f"{report.test.accuracy:.1%} right ({report.test.count:,} clips, never trained on)"))
    lines.append(("model", f"{display_path(model)} ({megabytes(model.stat().st_size)})"))
    lines.append(("epochs", display_path(out / HISTORY_NAME)))
    write()
    for name, value in lines:
        write(f"{name:<11} {printable(value)}")
    list_failures(report.failures, len(collection), out / UNREADABLE_NAME)
    list_negative_failures(report, classifier, out)


def why_it_is_off(report: TrainingReport, classifier: Classifier) -> str:
    """Return the reason for a model without rejection; empty where there is nothing to explain."""
    if classifier.model_.decision.auxiliary:
        return "(too few words were held out to choose a threshold; more clips, --folds 5 or --negatives help)"
    if report.final_history is not None and classifier.refit is None and classifier.reject is None:
        return "(fewer than 20 speakers); --reject turns it on, but may reject unfamiliar voices"
    return ""


def list_negative_failures(report: TrainingReport, classifier: Classifier, out: Path) -> None:
    """Say which negative recordings could not be read."""
    if report.negative_failures:
        about = classifier.model_.provenance["negatives"]
        total = about["recordings"] + len(report.negative_failures)
        list_failures(report.negative_failures, total, out / UNREADABLE_NAME, "negative recordings")


def origins_of_training(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a model owes to others besides its data, by name: pretrained layers, negatives, voices, reviews."""
    from audioconv.recipe import bank, pretrained_base, reviewed, spoken_words

    lines = []
    if pretrained := pretrained_base.describe(provenance.get("pretrained")):
        lines.append(("pretrained", pretrained))
    if spoken := spoken_words.describe(provenance.get("spoken")):
        lines.append(("synthetic", spoken))
    if heard := reviewed.describe(provenance.get("reviewed")):
        lines.append(("reviewed", heard))
    if negatives := bank.describe(provenance.get("negatives")):
        lines.append(("negatives", negatives))
    return lines


def how_it_decides(decision: Decision) -> list[str]:
    """Return how a model that has learned to reject does so, as a line; none for one that has not."""
    from audioconv.decision.calibration import negatives_of, why_more_pass, words_of

    if decision.gate is None:
        return []
    line = f"below a score of {decision.threshold:.2f}"
    passed = [decision.basis.get(name) for name in ("words_accepted_and_right", "others_accepted")]
    if all(isinstance(share, float) for share in passed):
        negatives = f"{negatives_of(decision)}s"
        line += f"; {passed[0]:.1%} of the {words_of(decision)} and {passed[1]:.1%} of the {negatives} are above it"
    lines = [line]
    if decision.basis.get("words_are_learned"):
        lines.append("(no word was held out: new words have lower scores; more clips or --folds 5 measure them)")
    if reason := why_more_pass(decision):
        lines.append(f"({reason})")
    if decision.curve is not None and decision.stream_threshold is not None:
        at, of_clips = decision.curve.at(decision.stream_threshold), decision.curve.at(decision.threshold)
        minutes, rate = f"{60 * decision.curve.hours:.0f} min of negatives", at["false_accepts_per_hour"]
        told = f"at {rate:.2f} false accepts an hour ({minutes})"
        if rate * decision.curve.hours < 1:  # the rate is never below that of what was observed, so it was nothing
            estimate = f" (extrapolated: {rate:.2f} an hour)" if rate else ""
            told = f"with no false accept in {minutes}{estimate}"
        lines.append(
            f"in streams below {decision.stream_threshold:.4g}; {at['found']:.1%} of the {words_of(decision)} are "
            f"found, {told}"
        )
        if at["found"] < FEW_FOUND * of_clips["found"]:
            rate = max(1, math.ceil(of_clips["false_accepts_per_hour"]))
            lines.append(
                f"(few: --false-accepts-per-hour {rate} finds {of_clips['found']:.1%}; "
                "train with hours of negatives by more speakers for as many at a lower rate)"
            )
    return lines


def report_as_json(out: Path, report: TrainingReport, model: Model) -> dict[str, Any]:
    """Return what came of training, for a program."""
    return {
        "model": json_path(out / MODEL_NAME),
        "epochs": len(report.history),
        "best_epoch": report.history.best_epoch,
        "kept_epoch": report.kept_epoch,
        "refit": report.final_history is not None,
        "validation_accuracy": report.validation_accuracy,
        "decision": model.decision.to_json(),
        "test_accuracy": None if report.test is None else report.test.accuracy,
        "counts": report.counts,
        "reviewed": model.provenance.get("reviewed"),
        "unreadable": [str(failure) for failure in report.failures],
        "unreadable_negatives": [str(failure) for failure in report.negative_failures],
    }


def _save(out: Path, classifier: Classifier) -> None:
    report = classifier.report_
    assert report is not None
    classifier.save(out / MODEL_NAME)
    report.history.write_csv(out / HISTORY_NAME)
    failures = (*report.failures, *report.negative_failures)
    optional = {FINAL_HISTORY_NAME: report.final_history is not None, UNREADABLE_NAME: bool(failures)}
    for name, is_wanted in optional.items():
        if not is_wanted:  # one of an earlier run would mislead
            (out / name).unlink(missing_ok=True)
    if report.final_history is not None:
        report.final_history.write_csv(out / FINAL_HISTORY_NAME)
    if failures:
        with write_atomic(out / UNREADABLE_NAME, "w") as file:
            file.writelines(f"{printable(str(failure))}\n" for failure in failures)
