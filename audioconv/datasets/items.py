"""Labelled files: one of them, and many."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import Segment
from audioconv.io.columns import Column, ColumnBuilder, Lazy, PathColumn, PathColumnBuilder, View


@dataclass(frozen=True)
class Item:
    """One labelled file.

    Attributes
    ----------
    path : Path
        Path of the file. Bytes that are not UTF-8 are surrogate escapes; print it with `files.display_path`.
    label : str
        Its class.
    speaker : str or None
        Speaker, or source recording that it was cut from, where that is known. Clips of one speaker are never
        in two splits.
    split : {"train", "validation", "test"} or None
        Split that the data set itself gives; None leaves it to the user.
    begin, end : float or None
        Which part of the recording it is, in seconds; None: all of it.
    source, licence : str or None
        The data set it is from, and under which licence it comes, where that is known.
    """

    path: Path
    label: str
    speaker: str | None = None
    split: str | None = None
    begin: float | None = None
    end: float | None = None
    source: str | None = None
    licence: str | None = None

    @property
    def example(self) -> Path | Segment:
        """The file to read, or the part of it."""
        return self.path if self.begin is None or self.end is None else Segment(self.path, self.begin, self.end)


@dataclass(frozen=True, eq=False, repr=False)
class Items(Lazy[Item]):
    """Many labelled files, in columns: some 50 bytes for each instead of 1,000.

    Attributes
    ----------
    paths : PathColumn
    labels : Column of str
    speakers, splits, sources, licences : Column of (str or None)
    parts : array (N, 2) float64 or None
        Begin and end in seconds, NaN where it is the whole file; None where all are.
    """

    paths: PathColumn
    labels: Column[str]
    speakers: Column[str | None]
    splits: Column[str | None]
    sources: Column[str | None]
    licences: Column[str | None]
    parts: NDArray[np.float64] | None

    @classmethod
    def of(cls, items: Iterable[Item]) -> Items:
        """Return items in columns; of an iterator, one at a time is in memory."""
        if isinstance(items, Items):
            return items
        paths, parts, are_parts = PathColumnBuilder(), array("d"), False
        others: list[ColumnBuilder[Any]] = [ColumnBuilder() for _ in range(5)]
        for item in items:
            paths.add(item.path)
            values = item.label, item.speaker, item.split, item.source, item.licence
            for builder, value in zip(others, values, strict=True):
                builder.add(value)
            are_parts = are_parts or item.begin is not None or item.end is not None
            parts.extend(math.nan if second is None else second for second in (item.begin, item.end))
        labels, speakers, splits, sources, licences = (builder.build() for builder in others)
        ends = np.array(parts).reshape(-1, 2) if are_parts else None
        return cls(paths.build(), labels, speakers, splits, sources, licences, ends)

    @classmethod
    def with_columns(
        cls, paths: PathColumn, labels: Column[str], speakers: Column[str | None], splits: Column[str | None]
    ) -> Items:
        """Return whole files whose origin is not known."""
        nothing = Column[str | None]((None,), np.zeros(len(paths), np.uint8))
        return cls(paths, labels, speakers, splits, nothing, nothing, None)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.paths)

    def _make(self, place: int) -> Item:
        begin, end = (None, None) if self.parts is None else map(_or_none, self.parts[place].tolist())
        return Item(
            self.paths[place],
            self.labels[place],
            self.speakers[place],
            self.splits[place],
            begin,
            end,
            self.sources[place],
            self.licences[place],
        )

    @property
    def examples(self) -> Sequence[Path | Segment]:
        """The files to read, or their parts."""
        return self.paths if self.parts is None else View(len(self), lambda place: self[place].example)

    def take(self, places: NDArray[Any]) -> Items:
        """Return some of the items."""
        return Items(
            self.paths.take(places),
            self.labels.take(places),
            self.speakers.take(places),
            self.splits.take(places),
            self.sources.take(places),
            self.licences.take(places),
            None if self.parts is None else self.parts[places],
        )

    def relabelled(self, label_of: Callable[[str], str]) -> Items:
        """Return the same files with other labels."""
        return replace(self, labels=self.labels.mapped(label_of))


def _or_none(second: float) -> float | None:
    return None if math.isnan(second) else second
