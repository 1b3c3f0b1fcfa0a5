"""``audioconv data check``: faults of a data set."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audioconv.cli.options import Json
from audioconv.cli.terminal import (
    LISTED,
    Steps,
    add_row,
    json_path,
    new_table,
    printable,
    results,
    write,
    write_json,
)
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.datasets.check.check import Report
    from audioconv.datasets.check.class_findings import Finding


def check(
    path: Annotated[
        Path, typer.Argument(metavar="FOLDER|MANIFEST", help="A folder with one subfolder a class, or a CSV manifest.")
    ],
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the numbers too: a .png, .svg or .pdf file.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Find faults in a data set, by reading all of it.

    Errors are files that cannot be read, classes most of whose files are not read because of their endings, the same
    recording under two labels or in two splits, and speakers in more than one split; with any, the exit code is 1.
    Warnings are files and folders that are left out, other duplicates, classes that are small, far larger than others,
    missing from a split or from what training would validate with, and recordings that are silent, very quiet, clipped,
    off zero, of unusual length or of several sample rates. Levels are in dBFS: 0 is full scale.

    --plot needs the extra `plots`: pip install 'audioconv\[plots]'.
    """
    from audioconv.datasets import open_collection
    from audioconv.datasets.check.check import check as check_collection

    if plot is not None:
        from audioconv.datasets.check.plot import draw
        from audioconv.io.figures import check_drawable

        check_drawable(plot)  # before minutes of reading
    collection = open_collection(path, minimum_classes=1)
    with Steps("checking", "files") as steps:
        report = check_collection(collection, on_file=lambda: steps.one_of(len(collection)))
    if plot is not None:
        draw(report, plot)
    if as_json:
        write_json({"path": json_path(path), **report.as_json()})
    else:
        _show(path, report)
        if plot is not None:
            write(f"{'picture':<11} {display_path(plot)}")
    if report.errors:
        raise typer.Exit(1)


def _show(path: Path, report: Report) -> None:
    """Write the numbers, then the findings."""
    _show_classes(report)
    for name, value in _about(path, report):
        write(f"{name:<11} {printable(value)}")
    write()
    for finding in report.errors:
        _show_finding(finding, "error", "red")
    for finding in report.warnings:
        _show_finding(finding, "warning", "yellow")
    if not report.errors and not report.warnings:
        write("nothing wrong", style="green")
    else:
        write(f"{_count(report.errors, 'error')}, {_count(report.warnings, 'warning')}", style="bold")


def _show_classes(report: Report) -> None:
    heads = [split or "no split" for split in report.splits] if report.splits != (None,) else []
    levels = ["seconds", "dBFS"] if report.collection.kind == "audio" else ["brightness"]
    numbers = ["files", *heads, *levels]
    table = new_table("class", *numbers, right=numbers)
    for label, counts in report.clips.items():
        in_splits = [f"{count:,}" for count in counts.values()] if heads else []
        add_row(table, label, f"{sum(counts.values()):,}", *in_splits, *_medians(report, label))
    results().print(table)


def _medians(report: Report, label: str) -> list[str]:
    """Return the medians of a class: length and loudness of recordings, brightness of pictures."""
    measured = report.measured
    here = measured.table[measured.is_readable & report.collection.labels.equals(label)]
    forms = {"brightness": ".2f"} if report.collection.kind == "images" else {"seconds": ".2f", "loudness": ".1f"}
    if not len(here):
        return ["-"] * len(forms)
    return [format(statistics.median(here[name].tolist()), form) for name, form in forms.items()]


def _about(path: Path, report: Report) -> list[tuple[str, str]]:
    """Return the numbers of the whole data set, each with its name."""
    collection = report.collection
    what = "pictures" if collection.kind == "images" else "recordings"
    lines = [("data", f"{display_path(path)}: {len(collection):,} {what}, {len(collection.classes)} classes")]
    people = sum(map(bool, collection.speakers.counts()))
    if people:
        lines.append(("speakers", f"{people:,}"))
    if sounds := report.sounds:
        lines += [
            ("lengths", _range((one.seconds for one in sounds), "{:.2f}", "s")),
            ("loudness", _range((one.loudness for one in sounds), "{:z.1f}", "dBFS")),
            ("peaks", _range((one.peak for one in sounds), "{:z.1f}", "dBFS")),
            ("rates", _most_common(f"{one.sample_rate:,} Hz" for one in sounds)),
            ("channels", _most_common(str(one.channels) for one in sounds)),
        ]
    if pictures := report.pictures:
        lines += [
            ("sizes", _most_common(f"{one.height} x {one.width}" for one in pictures)),
            ("channels", _most_common(str(one.channels) for one in pictures)),
        ]
    return lines + [("note", note) for note in report.notes]


def _show_finding(finding: Finding, severity: str, style: str) -> None:
    write(f"{severity}: {printable(finding.message)}", style=style)
    for line in finding.where[:LISTED]:
        write(f"  {printable(line)}")
    if len(finding.where) > LISTED:
        write(f"  ... and {len(finding.where) - LISTED:,} more; --json lists all")


def _range(values: Iterable[float], form: str, unit: str) -> str:
    values = list(values)
    least, middle, most = (form.format(value) for value in (min(values), statistics.median(values), max(values)))
    return f"{least} to {most} {unit}, half of them at most {middle} {unit}"


def _most_common(values: Iterable[str]) -> str:
    counts = Counter(values).most_common()
    shown = [f"{value} ({count:,})" if len(counts) > 1 else value for value, count in counts[:4]]
    return ", ".join(shown) + (", ..." if len(counts) > 4 else "")


def _count(findings: tuple[Finding, ...], what: str) -> str:
    return f"{len(findings)} {what}" + ("" if len(findings) == 1 else "s")
