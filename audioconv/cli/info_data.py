"""``audioconv info`` of a data set."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioconv.cli.terminal import (
    Steps,
    add_row,
    json_path,
    list_failures,
    new_table,
    printable,
    results,
    write,
    write_json,
    write_next,
)
from audioconv.errors import DataError
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.datasets import Collection, Item

_SPLITS = ("train", "validation", "test")

Header = dict[str, Any]
"""Properties of a file, by name: seconds, sample_rate and channels; or height, width and channels."""


def show_data(path: Path, *, as_json: bool) -> None:
    """Show the classes of a data set, the lengths of its clips, its speakers and its licence."""
    from audioconv.datasets import open_collection

    collection = open_collection(path, minimum_classes=1)
    headers, failures = _read_headers(collection)
    if as_json:
        write_json(_data_as_json(path, collection, headers, failures))
        return
    splits = [split for split in (*_SPLITS, None) if collection.select(split).items]
    heads = [split or "no split" for split in splits] if splits != [None] else []
    seconds = _seconds_by_class(collection, headers)
    lengths = ["seconds", "range"] if seconds else []
    numbers = ["files", *heads, *lengths, "speakers", "share"]
    table = new_table("class", *numbers, right=numbers)
    for label, count in collection.counts.items():
        items = [item for item in collection.items if item.label == label]
        in_splits = [sum(item.split == split for item in items) for split in splits] if heads else []
        people = len({item.speaker for item in items if item.speaker})
        share = f"{count / len(collection):.1%}"
        cells = [*(f"{n:,}" for n in in_splits), *(_range_of(seconds.get(label)) if lengths else ())]
        add_row(table, label, f"{count:,}", *cells, f"{people:,}" if people else "-", share)
    results().print(table)
    read = [header for header in headers if header is not None]
    for name, value in _about_data(path, collection, read):
        write(f"{name:<11} {printable(value)}")
    list_failures(failures, len(collection))
    commands: list[list[str | Path]] = [["audioconv", "data", "check", path]]
    if len(collection.classes) > 1:
        commands.append(["audioconv", "train", path, "-o", "model"])
    write_next(*commands)


def _seconds_by_class(collection: Collection, headers: Sequence[Header | None]) -> dict[str, list[float]]:
    """Return the lengths of the recordings of each class, in seconds, sorted; of pictures, nothing."""
    seconds: dict[str, list[float]] = {}
    for item, header in zip(collection.items, headers, strict=True):
        if header is not None and "seconds" in header:
            seconds.setdefault(item.label, []).append(header["seconds"])
    return {label: sorted(lengths) for label, lengths in seconds.items()}


def _range_of(seconds: list[float] | None) -> tuple[str, str]:
    """Return the median and the range of a class's lengths."""
    if not seconds:
        return "-", "-"
    return f"{statistics.median(seconds):.2f}", f"{seconds[0]:.2f} to {seconds[-1]:.2f}"


def _about_data(path: Path, collection: Collection, headers: list[dict[str, Any]]) -> list[tuple[str, str]]:
    people = len({speaker for speaker in collection.speakers if speaker})
    what = "pictures" if collection.kind == "images" else "recordings"
    lines = [("data", f"{display_path(path)}: {len(collection):,} {what}, {len(collection.classes)} classes")]
    if people:
        lines.append(("speakers", f"{people:,}"))
    if headers and collection.kind == "audio":
        seconds = [header["seconds"] for header in headers]
        lines.append(
            (
                "lengths",
                f"{min(seconds):.2f} to {max(seconds):.2f} s, half of them at most {statistics.median(seconds):.2f} s; "
                f"{_hours(sum(seconds))} together",
            )
        )
        lines.append(("rates", _most_common(f"{header['sample_rate']:,} Hz" for header in headers)))
        lines.append(("channels", _most_common(str(header["channels"]) for header in headers)))
    elif headers:
        lines.append(("sizes", _most_common(f"{header['height']} x {header['width']}" for header in headers)))
    if len(collection.origins) > 1:
        lines += [("source", origin_line(origin._asdict())) for origin in collection.origins]
    else:
        lines += [(name, value) for name in ("source", "licence") if (value := getattr(collection, name))]
    lines += makers_lines(origin.source for origin in collection.origins)
    return lines + [("note", note) for note in collection.with_negatives().notes]


def _hours(seconds: float) -> str:
    from audioconv.training.progress import duration

    return duration(seconds)


def _most_common(values: Any) -> str:
    counts = Counter(values).most_common()
    shown = [f"{value} ({count:,})" if len(counts) > 1 else value for value, count in counts[:4]]
    return ", ".join(shown) + (", ..." if len(counts) > 4 else "")


def _read_headers(collection: Collection) -> tuple[list[Header | None], list[DataError]]:
    """Return the properties in each file's header, None for those that cannot be read, and their errors."""
    headers: list[Header | None] = []
    failures: list[DataError] = []
    read = _picture_header if collection.kind == "images" else _recording_header
    with Steps("looking at", "files") as steps:
        for item in collection.items:
            try:
                headers.append(read(item))
            except DataError as error:
                headers.append(None)
                failures.append(error)
            steps.one_of(len(collection))
    return headers, failures


def _recording_header(item: Item) -> Header:
    from audioconv.audio.read import probe

    header = probe(item.path)
    seconds = header.duration if item.begin is None or item.end is None else item.end - item.begin
    return {"seconds": seconds, "sample_rate": header.sample_rate, "channels": header.channels}


def _picture_header(item: Item) -> Header:
    from audioconv.images.read import read

    height, width, channels = read(item.path).shape
    return {"height": height, "width": width, "channels": channels}


def _data_as_json(
    path: Path, collection: Collection, found: list[Header | None], failures: list[DataError]
) -> dict[str, Any]:
    headers = [header for header in found if header is not None]
    left_out, negatives = collection.left_out, collection.with_negatives()
    described: dict[str, Any] = {
        "path": json_path(path),
        "kind": collection.kind,
        "count": len(collection),
        "classes": collection.counts,
        "splits": {split or "none": len(collection.select(split)) for split in (*_SPLITS, None)},
        "speakers": len({speaker for speaker in collection.speakers if speaker}),
        "licence": collection.licence,
        "source": collection.source,
        "unreadable": [str(failure) for failure in failures],
        "notes": list(negatives.notes),
        "negatives": {item.label: new.label for item, new in zip(collection.items, negatives.items, strict=True)
                      if item.label != new.label},
        "left_out": {
            "unread": [one._asdict() for one in left_out.unread],
            "others": dict(left_out.others),
            "stray": list(left_out.stray),
            "empty_folders": list(left_out.empty),
        },
    }  # fmt: skip
    if headers and collection.kind == "audio":
        seconds = [header["seconds"] for header in headers]
        described["seconds"] = {
            "shortest": min(seconds),
            "median": statistics.median(seconds),
            "longest": max(seconds),
            "total": sum(seconds),
        }
        described["seconds_by_class"] = {
            label: {"shortest": lengths[0], "median": statistics.median(lengths), "longest": lengths[-1]}
            for label, lengths in _seconds_by_class(collection, found).items()
        }
        described["sample_rates"] = Counter(header["sample_rate"] for header in headers)
    elif headers:
        described["sizes"] = Counter(f"{header['height']}x{header['width']}" for header in headers)
    return described


def origin_line(origin: Mapping[str, object]) -> str:
    """Return where files are from, in one line."""
    source, licence, count = (origin.get(name) for name in ("source", "licence", "clips"))
    return f"{source or 'unknown'}, {licence or 'licence unknown'} ({count} clips)"


def makers_lines(sources: Iterable[object]) -> list[tuple[str, str]]:
    """Return a line for each data set whose makers are known, as most licences require their names."""
    from audioconv.datasets.catalogue import makers

    known = {source: makers(source) for source in sources if isinstance(source, str)}
    named = {source: people for source, people in known.items() if people}
    return [("makers", people if len(known) == 1 else f"{source}: {people}") for source, people in named.items()]
