"""`check`: leaks, label conflicts, unreadable files and silent clips of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from audioconv.datasets.check.class_findings import Finding
from audioconv.datasets.check.findings import Duplicates, find_duplicates, find_errors, find_warnings
from audioconv.datasets.check.measure import Measurements, Picture, Sound, measure_all
from audioconv.datasets.collection import SPLITS, Collection, Item
from audioconv.errors import DataError
from audioconv.io.columns import View
from audioconv.io.files import display_path


@dataclass(frozen=True)
class Report:
    """Result of `check`.

    Attributes
    ----------
    collection : Collection
        Files that were checked.
    measured : sequence of (Sound, Picture or None)
        The numbers of each clip, in the order of the collection; None for those that cannot be read.
    failures : tuple of DataError
        Errors of files that cannot be read; each message names its file.
    duplicates : tuple of Duplicates
        Clips that are the same, without empty ones.
    errors : tuple of Finding
        Findings that make results wrong or training fail.
    warnings : tuple of Finding
        Findings that may be intended.
    """

    collection: Collection
    measured: Measurements
    failures: tuple[DataError, ...]
    duplicates: tuple[Duplicates, ...]
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def sounds(self) -> Sequence[Sound]:
        """The numbers of the recordings that can be read."""
        return cast(Sequence[Sound], self._readable if self.collection.kind == "audio" else ())

    @property
    def pictures(self) -> Sequence[Picture]:
        """The numbers of the pictures that can be read."""
        return cast(Sequence[Picture], self._readable if self.collection.kind == "images" else ())

    @property
    def _readable(self) -> Sequence[Sound | Picture | None]:
        measured, places = self.measured, np.flatnonzero(self.measured.is_readable)
        return View(len(places), lambda number: measured[places[number]])

    @property
    def splits(self) -> tuple[str | None, ...]:
        """The splits that there are, None for clips without one."""
        there = self.collection.splits.counts()
        return tuple(split for split in (*SPLITS, None) if split in there)

    @cached_property
    def clips(self) -> dict[str, dict[str | None, int]]:
        """Number of clips of each class in each split that there is."""
        counts = Counter(zip(self.collection.labels, self.collection.splits, strict=True))
        return {label: {split: counts[label, split] for split in self.splits} for label in self.collection.classes}

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions made when the data set was opened, and remarks that are no finding, a line each."""
        left_out = self.collection.left_out
        found = {left_out.about_unread, left_out.about_empty, left_out.about_stray}
        return tuple(note for note in self.collection.with_negatives().notes if note not in found)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold: levels in dBFS, lengths in seconds, rates in Hz."""
        items = self.collection.items
        described: dict[str, Any] = {
            "kind": self.collection.kind,
            "count": len(items),
            "classes": {label: _named(counts) for label, counts in self.clips.items()},
            "splits": _named(self.collection.splits.counts()),
            "notes": list(self.notes),
            "speakers": sum(map(bool, self.collection.speakers.counts())),
            "errors": [self._finding_as_json(finding) for finding in self.errors],
            "warnings": [self._finding_as_json(finding) for finding in self.warnings],
            "duplicates": [
                {"same_bytes": group.same_bytes, "files": [_item_as_json(items[place]) for place in group.items]}
                for group in self.duplicates
            ],
            "unreadable": [str(failure) for failure in self.failures],
        }
        table, is_readable = self.measured.table, self.measured.is_readable
        if sounds := self.sounds:
            described["seconds"] = _range(table["seconds"][is_readable])
            described["loudness"] = _range(table["loudness"][is_readable])
            described["peak"] = _range(table["peak"][is_readable])
            described["sample_rates"] = dict(Counter(sound.sample_rate for sound in sounds))
            described["channels"] = dict(Counter(sound.channels for sound in sounds))
        if pictures := self.pictures:
            described["sizes"] = dict(Counter(f"{picture.height}x{picture.width}" for picture in pictures))
            described["channels"] = dict(Counter(picture.channels for picture in pictures))
            described["brightness"] = _range(table["brightness"][is_readable])
        return described

    def _finding_as_json(self, finding: Finding) -> dict[str, Any]:
        files = [_item_as_json(self.collection.items[place]) for place in finding.items]
        return {"kind": finding.kind, "message": finding.message, "where": list(finding.where), "files": files}


def check(collection: Collection, on_file: Callable[[], object] | None = None) -> Report:
    """Read every clip of a data set once, and look for what spoils it.

    Errors: files that cannot be read; a class most of whose recordings are not read because of their names' endings;
    the same clip under two labels; the same clip in two splits; a speaker in two splits. Warnings: other recordings
    that are not read; folders without any that is; the same clip twice elsewhere; classes that are small, far larger
    than others, missing from a split or from what training would validate with; clips that are silent, very quiet,
    clipped or off zero; lengths far from the median; several sample rates.

    Clips are the same if they decode to the same samples or pixels, in whichever container. A copy that was resampled,
    cut or coded with loss is not found.

    Parameters
    ----------
    collection : Collection
        Recordings or pictures.
    on_file : callable, optional
        Called after each clip, for a progress bar.

    Returns
    -------
    Report

    Raises
    ------
    MissingExtraError
        If they are pictures and Pillow is not installed (extra ``images``).

    Examples
    --------
    >>> [finding.kind for finding in check(open_collection("recordings")).errors]  # doctest: +SKIP
    ['speakers']
    """
    measured = measure_all(collection, on_file)
    duplicates = tuple(find_duplicates(collection, measured))
    errors = find_errors(collection, measured, duplicates)
    warnings = find_warnings(collection, measured, duplicates)
    failures = tuple(measured.failures.values())
    return Report(collection, measured, failures, duplicates, tuple(errors), tuple(warnings))


def _named(counts: Mapping[str | None, int]) -> dict[str, int]:
    return {split or "none": count for split, count in counts.items()}


def _item_as_json(item: Item) -> dict[str, Any]:
    described = {"path": display_path(item.path), "label": item.label, "speaker": item.speaker, "split": item.split}
    return described if item.begin is None else {**described, "begin": item.begin, "end": item.end}


def _range(values: NDArray[np.float64]) -> dict[str, float]:
    return {"lowest": float(values.min()), "median": float(np.median(values)), "highest": float(values.max())}
