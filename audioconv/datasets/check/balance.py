"""Warnings before training: small classes, classes without validation clips, unreadable files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audioconv.datasets.collection import Collection
from audioconv.datasets.left_out import counted
from audioconv.errors import DataError
from audioconv.io.files import display_path

MAX_CLASS_RATIO = 10
"""The largest class may have this many times the clips of the smallest."""

MIN_TRAINING_CLIPS = 5
"""A class with fewer clips than these to train on is hardly learned."""

SHOWN = 5
"""Number of classes that a line names."""


def imbalance_notes(counts: Mapping[str, Mapping[str | None, int]]) -> list[str]:
    """Return notes on the classes before training, a line each.

    Parameters
    ----------
    counts : mapping of str to mapping of (str or None) to int
        For each class how many clips it has in each split, None for clips without a split, which count as those to
        train on. A class need not have all splits.

    Returns
    -------
    list of str
        One line for each condition that holds: classes without validation clips (if others have some), classes with
        fewer than `MIN_TRAINING_CLIPS` training clips, a largest class with more than `MAX_CLASS_RATIO` times the clips
        of the smallest. Otherwise empty.

    Examples
    --------
    >>> imbalance_notes({"yes": {"train": 60, "validation": 6}, "no": {"train": 9, "validation": 1}})
    []
    >>> imbalance_notes({"yes": {"train": 50, "validation": 6}, "no": {"train": 50}})
    ['class no has no clips to validate with: nothing watches how well it is learned; add clips']
    """
    to_train = {label: splits.get("train", 0) + splits.get(None, 0) for label, splits in counts.items()}
    to_validate = {label: splits.get("validation", 0) for label, splits in counts.items()}
    notes = []
    unwatched = [label for label, count in to_validate.items() if not count]
    if unwatched and any(to_validate.values()):
        one = len(unwatched) == 1
        notes.append(
            f"{_classes(unwatched)} no clips to validate with: nothing watches how well "
            f"{'it is' if one else 'they are'} learned; add clips"
        )
    few = [label for label, count in to_train.items() if count < MIN_TRAINING_CLIPS]
    if few:
        notes.append(f"{_classes(few)} fewer than {MIN_TRAINING_CLIPS} clips to train on; add some")
    if to_train:
        smallest, largest = min(to_train, key=to_train.__getitem__), max(to_train, key=to_train.__getitem__)
        if to_train[largest] > MAX_CLASS_RATIO * to_train[smallest]:
            notes.append(
                f"class {largest} has {counted(to_train[largest], 'clip')} to train on and class {smallest} only "
                f"{to_train[smallest]:,}, more than {MAX_CLASS_RATIO} : 1; add clips to the small classes"
            )
    return notes


def check_losses(
    collection: Collection, readable: NDArray[np.integer] | Sequence[int], failures: Sequence[DataError]
) -> str | None:
    """Check that no class loses most of its files because they cannot be read.

    Parameters
    ----------
    collection : Collection
        Files to read. Recordings in the class folders that are not read because of their ending count as lost.
    readable : array or sequence of int
        The places in the collection of the files that were read, in any order; repeated ones count once.
    failures : sequence of DataError
        Error of each of the others, in their order in the collection.

    Returns
    -------
    str or None
        A line that names the classes that lost some of their files; None where none did.

    Raises
    ------
    DataError
        If a class lost more than half of its files: which classes, how many files of how many, and the first reason.
    """
    unread = collection.labels.take(np.setdiff1d(np.arange(len(collection)), readable))
    lost, counts = Counter(unread), Counter(collection.counts)
    for label, _, files in collection.left_out.unread:
        lost[label] += files
        counts[label] += files
    if not lost:
        return None
    gone = [label for label in sorted(counts) if 2 * lost[label] > counts[label]]
    told = [f"{label} {lost[label]:,} of {counts[label]:,}" for label in gone or sorted(lost)]
    if not gone:
        return f"files that cannot be read, by class: {_some(told)}; the others are used"
    reasons = [str(why) for label, why in zip(unread, failures, strict=False) if label in gone]
    reasons += [f"{files:,} with the ending {display_path(ending) or 'of no kind'}" for label, ending, files
                in collection.left_out.unread if label in gone]  # fmt: skip
    share = "all" if all(lost[label] == counts[label] for label in gone) else "most"
    raise DataError(
        f"{collection.name}: {_classes(gone, lost=True)} {share} files because they cannot be read ({_some(told)})"
        f"{', such as ' + reasons[0] if reasons else ''}; mend or convert the files, or remove the "
        f"{'class' if len(gone) == 1 else 'classes'}"
    )


def _classes(labels: Sequence[str], *, lost: bool = False) -> str:
    """Return ``class yes has`` or ``2 classes (no, yes) have``, or the same with ``loses`` and ``lose``."""
    if len(labels) == 1:
        return f"class {labels[0]} {'loses' if lost else 'has'}"
    return f"{len(labels):,} classes ({_some(labels)}) {'lose' if lost else 'have'}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
