"""Findings about classes, from the list of files alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any

from audioconv.datasets.check.balance import MAX_CLASS_RATIO
from audioconv.datasets.collection import SPLITS, Collection, Item
from audioconv.datasets.splits import split_validation
from audioconv.errors import DataError

MIN_CLIPS = 10
"""A class should have so many."""

Names = Sequence[str] | Mapping[str, Any]

# What an empty split means to `training`.
UNSPLIT = "train"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or may be.

    Attributes
    ----------
    kind : str
        A short name for programs, such as ``leak``.
    message : str
        The fault, its number of clips, and the remedy.
    where : tuple of str
        A line for each file, group of files, speaker or class that has it.
    items : tuple of int
        The places of the files in the collection; empty where it is not about single files.
    """

    kind: str
    message: str
    where: tuple[str, ...] = ()
    items: tuple[int, ...] = ()


def left_out_findings(collection: Collection) -> Iterator[tuple[Finding, bool]]:
    """Yield what stands in the folder and is not used, and whether it is an error: a class that loses most files."""
    left_out, counts = collection.left_out, collection.counts
    lost: Counter[str] = Counter()
    for label, _, files in left_out.unread:
        lost[label] += files
    if left_out.about_unread:
        where = tuple(f"{label}: {files:,} x {ending or 'no ending'}" for label, ending, files in left_out.unread)
        most_are_lost = any(lost[label] > counts.get(label, 0) for label in lost)
        yield Finding("not-read", left_out.about_unread, where), most_are_lost
    if left_out.about_empty:
        yield Finding("empty-folder", left_out.about_empty, left_out.empty), False
    if left_out.about_stray:
        yield Finding("stray", left_out.about_stray, left_out.stray), False


def balance_findings(collection: Collection) -> Iterator[Finding]:
    """Yield classes that are far smaller than others, that are small, or that are missing from a split."""
    counts = collection.counts
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[largest] > MAX_CLASS_RATIO * counts[smallest]:
        yield Finding(
            "imbalance",
            f"class {largest!r} has {counts[largest]:,} files and {smallest!r} {counts[smallest]:,}, more than "
            f"{MAX_CLASS_RATIO} times fewer; add files to the small classes, or use fewer of the large ones",
        )
    small = {label: count for label, count in counts.items() if count < MIN_CLIPS}
    if small:
        yield Finding(
            "few-clips",
            f"{of_classes(small, counts)} fewer than {MIN_CLIPS} files; add some",
            tuple(f"{label}: {count}" for label, count in small.items()),
        )
    in_split = Counter(zip(collection.labels, collection.splits.mapped(lambda split: split or UNSPLIT), strict=True))
    for split in sorted({split for _, split in in_split}, key=SPLITS.index):
        missing = [label for label in counts if not in_split[label, split]]
        if missing:
            yield Finding(
                "missing-class",
                f"{of_classes(missing, counts)} no files in the split {split}; add some, or leave the class out",
                tuple(missing),
            )


def validation_findings(collection: Collection) -> Iterator[Finding]:
    """Yield a finding where training would set apart a part to validate with in which classes are missing."""
    if "validation" in collection.splits.counts():
        return  # said of the split
    trained = collection.select(None, "train")
    labels = trained.labels
    groups = trained.speakers if any(trained.speakers.counts()) else None
    try:
        _, validation = split_validation(labels, groups)
    except DataError as error:
        yield Finding("no-validation", str(error))
        return
    watched = labels.take(validation).counts()
    missing = [label for label in trained.classes if label not in watched]
    if missing:
        yield Finding(
            "no-validation",
            f"{of_classes(missing, collection.counts)} no clips that training would validate with, so that nothing "
            "watches how well they are learned; add clips, of several speakers where they are known",
            tuple(missing),
        )


# --- words and numbers ---


def split_of_item(item: Item) -> str:
    """Return the split that an item is in when it is used."""
    return item.split or UNSPLIT


def are(things: Sized) -> str:
    """Return the verb for so many things."""
    return "is" if len(things) == 1 else "are"


def have(things: Sized) -> str:
    """Return the verb for so many things."""
    return "has" if len(things) == 1 else "have"


def of_classes(some: Names, counts: Mapping[str, int]) -> str:
    """Return ``3 of 35 classes (bed, bird, cat) have``."""
    return f"{len(some):,} of {len(counts):,} classes ({some_of(some)}) {have(some)}"


def some_of(names: Names) -> str:
    """Return the first few names, and dots for the others."""
    return ", ".join(islice(names, 3)) + (", ..." if len(names) > 3 else "")
