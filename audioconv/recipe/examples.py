"""Labelled examples in memory: how they were read, which part each belongs to, and how often an epoch shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.audio.read import Segment
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.datasets.check.balance import imbalance_notes
from audioconv.datasets.splits import assign_folds, split_validation
from audioconv.decision.classes import is_word
from audioconv.errors import DataError
from audioconv.io.columns import Column, View
from audioconv.recipe.labelled import REVIEWED, Labelled
from audioconv.recipe.plan import Plan
from audioconv.recipe.spoken_words import count_to_learn

FEW_EXAMPLES = 500
"""With fewer examples, training on words begins with a pretrained network: with 2,000 clips it brought nothing."""

MAX_RATIO = 1.25
"""An epoch shows the clips of a small class again, until the largest class of words has at most this many times as
many."""

FEW_RECORDINGS, MIN_WINDOWS_TO_SPLIT = 5, 5
"""A class with fewer recordings than the first, but at least as many windows as the second, is validated with the ends
of its recordings if no recording can be spared as a whole."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples in memory.

    Attributes
    ----------
    x : Windows, or array (N, H, W, C) float32
        Windows of sounds, of which several may be of one recording; or pictures.
    labels : Column of str
    speakers, splits : Column of (str or None)
        As in `Labelled`. Other sequences become columns.
    about : mapping
        Name, source and licence of the data, for the model's provenance.
    failures : tuple of DataError
        Files that could not be read.
    notes : tuple of str
        What came up when they were read, a line each.
    files : sequence of Path
        All files of the data, of every part; none for arrays in memory.
    sources : sequence of (path or Segment)
        The file of each example; none for arrays in memory.
    backgrounds : sequence of (path or Segment)
        Recordings of noise without words.
    """

    x: Windows | Array
    labels: Column[str]
    speakers: Column[str | None]
    splits: Column[str | None]
    about: Mapping[str, Any]
    failures: tuple[DataError, ...] = ()
    notes: tuple[str, ...] = ()
    files: Sequence[Path] = ()
    sources: Sequence[Path | Segment] = ()
    backgrounds: Sequence[Path | Segment] = ()

    def __post_init__(self) -> None:
        """Put sequences into columns."""
        for name in ("labels", "speakers", "splits"):
            object.__setattr__(self, name, Column.of(getattr(self, name)))

    @property
    def are_few(self) -> bool:
        """Whether an epoch has fewer than `FEW_EXAMPLES`, those to validate with among them."""
        _, rows = self.epoch_of(self._of_splits(lambda split: split != "test"), balanced=False)
        return len(rows) < FEW_EXAMPLES

    @property
    def recordings(self) -> Array:
        """Which recording or picture each example is of, (N,) int64."""
        return self.x.recordings if isinstance(self.x, Windows) else np.arange(len(self.x))

    def take(self, part: Array) -> Windows | Array:
        """Return the examples `part`; samples are not copied."""
        return self.x.select(part) if isinstance(self.x, Windows) else self.x[part]

    def split(self, validation_fraction: float, seed: int) -> dict[str, Array]:
        """Return the indices of the ``train``, ``validation`` and ``test`` examples.

        What the data set itself says holds; where it names no validation examples, a part of the training examples is
        taken, whole speakers where they are known, and whole recordings. Of a class that nothing would validate since
        it is a few long recordings, their ends validate. Reviewed clips train.
        """
        unknown = set(self.splits.counts()) - {"train", "validation", "test", REVIEWED, None}
        if unknown:
            raise DataError(f"split must be train, validation or test, got {sorted(map(str, unknown))}")
        named = {name: np.flatnonzero(self.splits.equals(name)) for name in ("validation", "test")}
        train = self._of_splits(lambda split: split in ("train", None))
        if not len(named["validation"]):
            train, named["validation"] = self._spare_validation(train, validation_fraction, seed)
        reviewed = np.flatnonzero(self.splits.equals(REVIEWED))
        return {"train": np.concatenate([train, reviewed]), **named}

    def without_validation(self) -> dict[str, Array]:
        """Return what `split` does, with nothing to validate."""
        return {
            "train": self._of_splits(lambda split: split in ("train", REVIEWED, None)),
            "validation": np.zeros(0, np.int64),
            "test": np.flatnonzero(self.splits.equals("test")),
        }

    def folds(self, count: int, seed: int) -> tuple[list[Array], bool]:
        """Return `count` parts of the examples to learn from, and whether they keep speakers apart.

        No recording is in two parts, and no speaker, unless that would leave most clips of a class without a part: then
        speakers are divided. An example without which its class could not be learned is in no part.
        """
        some = self._of_splits(lambda split: split in ("train", None))
        labels, speakers = self.labels.take(some), self.speakers.take(some)
        recordings = [f"recording {number}" for number in self.recordings[some].tolist()]
        groups = [one or recording for one, recording in zip(speakers, recordings, strict=True)]
        found = assign_folds(labels, groups, count, seed)
        held = Counter(label for label, fold in zip(labels, found.tolist(), strict=True) if fold >= 0)
        divided = len(set(filter(None, speakers))) > 0 and any(
            2 * held[label] < number for label, number in Counter(labels).items()
        )
        if divided:
            found = assign_folds(labels, recordings, count, seed)
        parts = [some[found == fold] for fold in range(count)]
        return [part for part in parts if len(part)], any(speakers) and not divided

    def epoch_count(self, language: str | None = None) -> int:
        """Return how many examples an epoch shows, those to validate with among them, and what is spoken besides."""
        _, rows = self.epoch_of(self._of_splits(lambda split: split != "test"))
        return count_to_learn(self.labels.take(rows), language)

    def epoch_of(self, part: Array, *, balanced: bool = True) -> tuple[Windows | Array, Array]:
        """Return some examples as an epoch shows them, and which example each is, (n,) int64.

        Of a class of long recordings there are no more windows than the median class has examples, or than it has
        recordings. Each stands for those beside it: where it is drawn anew, it is drawn from all of them. If
        `balanced`, the examples of a small class are repeated; see `MAX_RATIO`.
        """
        if not len(part):
            return self.take(part), part
        labels = self.labels.take(part)
        counts = labels.counts()
        median = int(np.median(list(counts.values()))) if counts else 0
        if not isinstance(self.x, Windows):
            rows = part[self._repeated(part)] if balanced else part
            return self.x[rows], rows
        recordings = self.x.recordings[part]
        chosen = []
        for label, count in counts.items():
            is_own = labels.equals(label)
            own, limit = part[is_own], max(median, len(np.unique(recordings[is_own])))
            chosen.append(self.x.thin(own, limit) if count > limit else (own, self.x.ranges[own]))
        rows = np.concatenate([own for own, _ in chosen])
        ranges = np.concatenate([drawn for _, drawn in chosen])
        order = np.argsort(rows, kind="stable")
        if balanced:
            order = order[self._repeated(rows[order])]
        some = self.x.select(rows[order])
        return replace(some, ranges=ranges[order]), rows[order]

    def _repeated(self, rows: Array) -> Array:
        """Return places in `rows`, all of them and behind them those of small classes again."""
        labels = self.labels.take(rows)
        places = {label: np.flatnonzero(labels.equals(label)) for label in labels.counts() if is_word(label)}
        wanted = int(max(map(len, places.values()), default=0) / MAX_RATIO)
        more = [np.resize(some, wanted - len(some)) for some in places.values() if len(some) < wanted]
        return np.concatenate([np.arange(len(rows)), *more]).astype(np.int64)

    def _spare_validation(self, train: Array, fraction: float, seed: int) -> tuple[Array, Array]:
        """Return which of the examples `train` are left to train on, and which validate."""
        labels = self.labels.take(train)
        of_ends = self._ends_of_recordings(train, fraction)
        groups = self._groups(train)
        try:
            rest, chosen = split_validation(labels, groups, fraction, seed)
        except DataError:
            if not of_ends:
                raise
            rest, chosen = np.arange(len(train)), np.zeros(0, np.int64)
        validated = set(labels.take(chosen).counts())
        validation, left_out = [train[chosen]], list[Array]()
        for label, (end, gap) in of_ends.items():
            if label not in validated:
                validation.append(end)
                left_out += [end, gap]
        taken = np.concatenate(left_out) if left_out else np.zeros(0, np.int64)
        remaining = train[rest]
        return remaining[~np.isin(remaining, taken)], np.sort(np.concatenate(validation))

    def _groups(self, rows: Array) -> Column[str | None] | None:
        """Return who speaks each example, or which recording it is of where that is not known and has several."""
        recordings, groups = self.recordings[rows], self.speakers.take(rows).mapped(lambda speaker: speaker or None)
        numbers, counts = np.unique(recordings, return_counts=True)
        if (counts > 1).any():
            several = set(numbers[counts > 1].tolist())
            groups = Column.of(
                speaker or (f"recording {recording}" if recording in several else None)
                for speaker, recording in zip(groups, recordings.tolist(), strict=True)
            )
        return None if set(groups.counts()) == {None} else groups

    def _of_splits(self, condition: Callable[[str | None], bool]) -> Array:
        """Return the indices of the examples whose split meets a condition."""
        return np.flatnonzero(self.splits.are(condition))

    def _ends_of_recordings(self, rows: Array, fraction: float) -> dict[str, tuple[Array, Array]]:
        """Return for each class of few recordings the last windows of each, and those just before them."""
        ends = {}
        labels = self.labels.take(rows)
        for label in labels.counts():
            of_class = rows[labels.equals(label)]
            recordings = self.recordings[of_class]
            numbers = np.unique(recordings)
            if len(of_class) < MIN_WINDOWS_TO_SPLIT or len(numbers) >= FEW_RECORDINGS:
                continue
            parts = [of_class[recordings == number] for number in numbers]
            counts = [max(1, round(fraction * len(part))) for part in parts]
            ends[label] = (
                np.concatenate([part[-count:] for part, count in zip(parts, counts, strict=True) if len(part) > 2]),
                np.concatenate([part[-count - 1 : -count] for part, count in zip(parts, counts, strict=True)]),
            )
        return {label: (end, gap) for label, (end, gap) in ends.items() if len(end)}


def shared_files(plan: Plan, data: Labelled, processes: Processes) -> range:
    """Return which examples this process reads; all of pictures and of arrays in memory."""
    count = len(data.labels)
    return processes.share(count) if plan.spec.kind == "audio" and data.files else range(count)


def load(
    plan: Plan,
    data: Labelled,
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
    processes: Processes = ALONE,
) -> Examples:
    """Read or decode labelled data as the plan says.

    Parameters
    ----------
    plan : Plan
    data : Labelled
    strict : bool
        Whether the first unreadable file ends it all, instead of being skipped.
    on_file : callable, optional
        Called after each file.
    processes : Processes
        Processes that share the reading. Default: this one alone.

    Raises
    ------
    DataError
        If no file can be read, or a class loses most of its files.
    """
    labels, speakers, splits = Column.of(data.labels), Column.of(data.speakers), Column.of(data.splits)
    contents = Column.of(plan.content(label, split) for label, split in zip(labels, splits, strict=True))
    part = shared_files(plan, data, processes)
    found, notes = data.load(plan.spec, contents, strict, on_file, part, processes)
    sources = data.sources
    return Examples(
        found.x,
        labels=labels.take(found.indices),
        speakers=speakers.take(found.indices),
        splits=splits.take(found.indices),
        about=data.about,
        failures=found.failures,
        notes=notes,
        files=data.files,
        sources=View(len(found.indices), lambda i: sources[found.indices[i]]) if sources else (),
        backgrounds=data.backgrounds,
    )


def notes_of_parts(examples: Examples, parts: Mapping[str, Array]) -> list[str]:
    """Return what is to be said of the classes before training; see `datasets.balance.imbalance_notes`."""
    counts: dict[str, dict[str | None, int]] = {label: {} for label in sorted(examples.labels.counts())}
    for name in ("train", "validation"):
        for label, count in examples.labels.take(parts[name]).counts().items():
            counts[label][name] = count
    return imbalance_notes(counts)
