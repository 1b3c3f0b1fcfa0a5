"""Findings of a check: name, count, places and remedy of each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import Segment
from audioconv.datasets.check.class_findings import (
    UNSPLIT,
    Finding,
    are,
    balance_findings,
    have,
    left_out_findings,
    some_of,
    split_of_item,
    validation_findings,
)
from audioconv.datasets.check.measure import CLIPPED_SHARE, Measurements
from audioconv.datasets.collection import SPLITS, Collection, Item
from audioconv.io.files import display_path

QUIET_PEAK = -40.0
"""dBFS; a clip that stays below has lost half of 16 bits and more of 8."""

MAX_OFFSET = 0.05
"""Share of full scale. The mean of a recording is 0 unless its recorder is at fault."""

LENGTH_RATIO = 5
"""A clip is an outlier if it is this many times longer or shorter than the median."""


@dataclass(frozen=True)
class Duplicates:
    """Clips that are the same.

    Attributes
    ----------
    items : tuple of int
        Their places in the collection, two or more.
    same_bytes : bool
        True for copies of one file; False if only the decoded content is the same.
    """

    items: tuple[int, ...]
    same_bytes: bool


def find_duplicates(collection: Collection, measured: Measurements) -> Iterator[Duplicates]:
    """Yield the groups of clips that are the same, without empty ones."""
    # Silence is the same in every silent clip; it has a warning of its own.
    candidates = np.flatnonzero(measured.is_readable & ~measured.is_empty)
    digests = measured.table["digest"]  # a view; the first bytes are those of the row
    rows = np.ndarray(len(digests), np.int64, measured.table, strides=measured.table.strides)
    begins = rows[candidates]  # those of equal digests are equal, and few others
    values, counts = np.unique(begins, return_counts=True)
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for number in np.flatnonzero(np.isin(begins, values[counts > 1])).tolist():
        place = int(candidates[number])
        groups[bytes(digests[place])].append(place)
    for places in groups.values():
        if len(places) > 1:
            yield Duplicates(tuple(places), _are_copies([collection.items[place] for place in places]))


def _are_copies(items: Sequence[Item]) -> bool:
    """Return whether all of `items` are whole files with the same bytes."""
    if any(isinstance(item.example, Segment) for item in items):
        return False
    digests = set()
    for item in items:
        try:
            with open(item.path, "rb") as file:
                digests.add(hashlib.file_digest(file, "sha256").digest())
        except OSError:  # gone since it was read
            return False
    return len(digests) == 1


def find_errors(collection: Collection, measured: Measurements, duplicates: Sequence[Duplicates]) -> list[Finding]:
    """Return what makes results wrong or training fail."""
    return [
        *_unreadable(measured),
        *(finding for finding, is_error in left_out_findings(collection) if is_error),
        *_label_conflicts(collection, duplicates),
        *_leaks(collection, duplicates),
        *_shared_speakers(collection),
    ]


def find_warnings(collection: Collection, measured: Measurements, duplicates: Sequence[Duplicates]) -> list[Finding]:
    """Return what may be meant so, and is worth a look."""
    warnings = [
        *(finding for finding, is_error in left_out_findings(collection) if not is_error),
        *_other_duplicates(collection, duplicates),
        *balance_findings(collection),
        *validation_findings(collection),
        *_empty(collection, measured),
    ]
    if collection.kind == "audio":
        warnings += _sound_warnings(collection, measured)
    return warnings


# --- errors ---


def _unreadable(measured: Measurements) -> Iterator[Finding]:
    failures = measured.failures
    if failures:
        yield Finding(
            "unreadable",
            f"{len(failures):,} of {len(measured):,} files cannot be read; mend or remove them",
            tuple(map(str, failures.values())),
            tuple(failures),
        )


def _label_conflicts(collection: Collection, duplicates: Sequence[Duplicates]) -> Iterator[Finding]:
    groups = [group for group in duplicates if len({collection.items[place].label for place in group.items}) > 1]
    if groups:
        yield Finding(
            "label-conflict",
            f"{_many(len(groups), collection)} {have(groups)} more than one label; keep each under the right one",
            tuple(_line(collection, group, lambda item: item.label) for group in groups),
            _places(groups),
        )


def _leaks(collection: Collection, duplicates: Sequence[Duplicates]) -> Iterator[Finding]:
    items = collection.items
    groups = [group for group in duplicates if len({split_of_item(items[place]) for place in group.items}) > 1]
    if groups:
        yield Finding(
            "leak",
            f"{_many(len(groups), collection)} {are(groups)} in more than one split, so that results are too good; "
            "keep each in one",
            tuple(_line(collection, group, split_of_item) for group in groups),
            _places(groups),
        )


def _shared_speakers(collection: Collection) -> Iterator[Finding]:
    shared, speakers = shared_speakers(collection), sum(map(bool, collection.speakers.counts()))
    if shared:
        yield Finding(
            "speakers",
            f"{len(shared):,} of {speakers:,} speakers {are(shared)} in more than one split ({some_of(shared)}), "
            "so that results do not tell how others are understood; use a split of the data set that keeps each "
            "speaker in one, or leave the column split empty: training then sets whole speakers apart",
            tuple(f"{speaker}: {', '.join(splits)}" for speaker, splits in shared.items()),
        )


def shared_speakers(collection: Collection) -> dict[str, list[str]]:
    """Return the speakers that are in more than one split, and in which; a clip without one is trained on."""
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for speaker, split in zip(collection.speakers, collection.splits, strict=True):
        if speaker:
            splits[speaker].add(split or UNSPLIT)
    return {speaker: sorted(names, key=SPLITS.index) for speaker, names in sorted(splits.items()) if len(names) > 1}


# --- warnings ---


def _other_duplicates(collection: Collection, duplicates: Sequence[Duplicates]) -> Iterator[Finding]:
    """Yield those within one class and one split."""
    groups = [
        group
        for group in duplicates
        if len({(collection.items[place].label, split_of_item(collection.items[place])) for place in group.items}) == 1
    ]
    if groups:
        yield Finding(
            "duplicates",
            f"{_many(len(groups), collection)} {are(groups)} there more than once in a class, and count more than "
            "others; keep one of each",
            tuple(_line(collection, group) for group in groups),
            _places(groups),
        )


def _empty(collection: Collection, measured: Measurements) -> Iterator[Finding]:
    places = np.flatnonzero(measured.is_empty).tolist()
    if places:
        what = "of one colour" if collection.kind == "images" else "silent: all samples are equal"
        yield Finding(
            "empty",
            f"{_many(len(places), collection)} {are(places)} {what}; remove them, unless that is their class",
            tuple(_name(collection.items[place]) for place in places),
            tuple(places),
        )


def _sound_warnings(collection: Collection, measured: Measurements) -> Iterator[Finding]:
    table = measured.table
    if not measured.is_readable.any():
        return
    median = float(np.median(table["seconds"][measured.is_readable]))

    def finding(kind: str, is_at_fault: NDArray[np.bool_], message: str, number: str) -> Iterator[Finding]:
        """Yield the finding about the recordings at fault, each with its `number`."""
        faulty = {place: measured[place] for place in np.flatnonzero(is_at_fault & measured.is_readable).tolist()}
        if faulty:
            yield Finding(
                kind,
                f"{_many(len(faulty), collection)} {are(faulty)} {message}",
                tuple(f"{_name(collection.items[place])}: {number.format(s=s)}" for place, s in faulty.items()),
                tuple(faulty),
            )

    yield from finding(
        "quiet",
        (table["peak"] < QUIET_PEAK) & ~measured.is_empty,
        f"very quiet (peaks below {QUIET_PEAK:g} dBFS); listen whether anything is to be heard",
        "{s.peak:.1f} dBFS",
    )
    yield from finding(
        "clipped",
        table["clipped"] > CLIPPED_SHARE,
        f"clipped (more than {CLIPPED_SHARE:.1%} of the samples are cut off flat); record at a lower level",
        "{s.clipped:.2%}",
    )
    yield from finding(
        "offset",
        np.abs(table["offset"]) > MAX_OFFSET,
        f"off zero (by more than {MAX_OFFSET:.0%} of full scale); check the recorder",
        "{s.offset:+.3f} of full scale",
    )
    yield from finding(
        "length",
        (table["seconds"] < median / LENGTH_RATIO) | (table["seconds"] > median * LENGTH_RATIO),
        f"more than {LENGTH_RATIO} times longer or shorter than the median of {median:.2f} s; cut or remove them",
        "{s.seconds:.2f} s",
    )
    yield from _several_rates(table["sample_rate"][measured.is_readable])


def _several_rates(sample_rates: NDArray[np.int64]) -> Iterator[Finding]:
    rates = dict(zip(*(found.tolist() for found in np.unique(sample_rates, return_counts=True)), strict=True))
    if len(rates) > 1:
        lowest = min(rates)
        yield Finding(
            "sample-rates",
            f"there are {len(rates)} sample rates; those at {lowest:,} Hz hold nothing above {lowest // 2:,} Hz, which "
            "a model may learn instead of the sound: set --sample-rate to the lowest",
            tuple(f"{rate:,} Hz: {count:,} files" for rate, count in sorted(rates.items())),
        )


# --- words and numbers ---


def _name(item: Item) -> str:
    part = "" if item.begin is None or item.end is None else f" from {item.begin:g} to {item.end:g} s"
    return display_path(item.path) + part


def _line(collection: Collection, group: Duplicates, note: Callable[[Item], str] | None = None) -> str:
    """Return the names of a group's files, each with a note, and in what way they are the same."""
    items = [collection.items[place] for place in group.items]
    names = ", ".join(_name(item) + (f" ({note(item)})" if note else "") for item in items)
    same = "same file" if group.same_bytes else "same pixels" if collection.kind == "images" else "same samples"
    return f"{names}: {same}"


def _places(groups: Iterable[Duplicates]) -> tuple[int, ...]:
    return tuple(place for group in groups for place in group.items)


def _many(count: int, collection: Collection) -> str:
    what = "picture" if collection.kind == "images" else "recording"
    return f"{count:,} {what}" + ("" if count == 1 else "s")
