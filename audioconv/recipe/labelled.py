"""Labelled data before they are read or decoded: files of a collection, or arrays in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from audioconv._types import Array, Samples
from audioconv.audio.read import Segment, read_int16
from audioconv.audio.shared_windows import share
from audioconv.audio.window_begins import Content
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import Processes
from audioconv.datasets.check.balance import check_losses
from audioconv.datasets.collection import Collection, Item, Kind
from audioconv.datasets.items import Items
from audioconv.decision.classes import negatives_by_name
from audioconv.errors import DataError
from audioconv.io.columns import Column, View
from audioconv.io.parallel import Loaded
from audioconv.layers.base import Shape
from audioconv.pipeline.inputs import ImageInput, InputSpec
from audioconv.recipe.choose_input import choose_image_input
from audioconv.recipe.window_plan import WindowPlan, plan_for_files, plan_windows

REVIEWED = "reviewed"
"""The split of clips that a person has reviewed: they train and never validate, so that results with and without them
are of the same clips."""

WORD_MARGIN_SECONDS = 0.2
"""What is kept before and behind the word of a reviewed clip, where samples in memory are trained on."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled(ABC):
    """Labelled data to learn from: `LabelledFiles` or `LabelledArrays`.

    Attributes
    ----------
    kind : {"audio", "images"}
    name : str
        What messages call the data.
    labels : sequence of str
    speakers, splits : sequence of (str or None)
        As in `datasets.Item`; a split may be `REVIEWED`, too.
    about : mapping
        Name, source and licence of the data, for the model's provenance.
    notes : tuple of str
        Remarks for the user, a line each.
    backgrounds : sequence of (path or Segment)
        Recordings of noise without words; see `recipe.backgrounds`.
    """

    kind: Kind
    name: str = "arrays"
    labels: Sequence[str]
    speakers: Sequence[str | None]
    splits: Sequence[str | None]
    about: Mapping[str, Any] = field(default_factory=lambda: {"name": "arrays"})
    notes: tuple[str, ...] = ()
    backgrounds: Sequence[Path | Segment] = ()

    @property
    def fixed_rate(self) -> int | None:
        """The sample rate (Hz) of samples in memory, which are not resampled; None for files, which are."""
        return None

    @property
    def files(self) -> Sequence[Path]:
        """The files of the data; none for arrays in memory."""
        return ()

    @property
    def sources(self) -> Sequence[Path | Segment]:
        """The file of each example; none for arrays in memory."""
        return ()

    @property
    def fixed_image_shape(self) -> Shape | None:
        """The shape of pictures in memory, which are not scaled; None for files, which are."""
        return None

    @abstractmethod
    def with_negatives(self) -> Self:
        """Return the same with classes such as "other" as negatives; see `Collection.with_negatives`."""

    def with_reviewed(self, clips: Sequence[tuple[Segment, str]]) -> Self:
        """Return the same with reviewed clips behind them: where the word lies in each, and its label."""
        count = len(clips)
        return replace(
            self,
            labels=Column.of(chain(self.labels, (label for _, label in clips))),
            speakers=Column.of(chain(self.speakers, [None] * count)),
            splits=Column.of(chain(self.splits, [REVIEWED] * count)),
            **self._with_examples(clips),
        )

    @abstractmethod
    def _with_examples(self, clips: Sequence[tuple[Segment, str]]) -> dict[str, Any]:
        """Return the fields that hold the examples, with those of reviewed clips."""

    @abstractmethod
    def image_spec(self, size: tuple[int, int] | None) -> ImageInput:
        """Return the size of the pictures."""

    @abstractmethod
    def window_plan(self, clip_seconds: float | None) -> tuple[Sequence[int], WindowPlan]:
        """Return sample rates (Hz) of recordings, and the window that fits them; see `window_plan.plan_windows`."""

    @abstractmethod
    def load(
        self,
        spec: InputSpec,
        contents: Sequence[Content],
        strict: bool,
        on_file: Callable[[], object] | None,
        part: range,
        processes: Processes,
    ) -> tuple[Loaded[Any], tuple[str, ...]]:
        """Return the examples, and remarks; `DataError` if none can be read, or a class loses most of its files.

        This process reads those in `part`, the others the rest.
        """


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledFiles(Labelled):
    """The files of a data set."""

    collection: Collection

    @classmethod
    def of(cls, collection: Collection) -> Self:
        """Return a collection as data to learn from."""
        return cls(
            collection=collection,
            kind=collection.kind,
            name=collection.name,
            labels=collection.labels,
            speakers=collection.speakers,
            splits=collection.splits,
            about={
                "name": collection.name,
                "source": collection.source,
                "licence": collection.licence,
                "speakers": sum(map(bool, collection.speakers.counts())),
                "origins": [origin._asdict() for origin in collection.origins],
            },
            notes=tuple(collection.notes),
            backgrounds=collection.backgrounds,
        )

    @property
    def files(self) -> Sequence[Path]:
        return self.collection.paths

    @property
    def sources(self) -> Sequence[Path | Segment]:
        return self.collection.examples

    def with_negatives(self) -> Self:
        return self.of(self.collection.with_backgrounds_apart().with_negatives())

    def _with_examples(self, clips: Sequence[tuple[Segment, str]]) -> dict[str, Any]:
        items = [Item(Path(part.path), label, split=REVIEWED, begin=part.begin, end=part.end) for part, label in clips]
        return {"collection": replace(self.collection, items=Items.of(chain(self.collection.items, items)))}

    def image_spec(self, size: tuple[int, int] | None) -> ImageInput:
        return choose_image_input(self.collection.paths, size)

    def window_plan(self, clip_seconds: float | None) -> tuple[Sequence[int], WindowPlan]:
        return plan_for_files(self.labels, self.collection.examples, clip_seconds)

    def load(
        self,
        spec: InputSpec,
        contents: Sequence[Content],
        strict: bool,
        on_file: Callable[[], object] | None,
        part: range,
        processes: Processes,
    ) -> tuple[Loaded[Any], tuple[str, ...]]:
        files = self.collection.examples
        if len(part) == len(files):
            found = spec.load(files, contents, strict, on_file)
        else:
            own, own_contents = View(len(part), lambda i: files[part[i]]), contents[part.start : part.stop]
            found = _joined(cast(Loaded[Windows], spec.load(own, own_contents, strict, on_file)), part.start, processes)
        if not len(found.indices):
            count = len(self.collection)
            raise DataError(f"{self.name}: none of the {count} files can be read, such as {found.failures[0]}")
        lost = check_losses(self.collection, found.indices, found.failures)
        return found, (*found.notes, *([] if lost is None else [lost]))


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledArrays(Labelled):
    """Samples (T,) at `sample_rate` Hz, or pictures (H, W[, C]), in memory."""

    arrays: Sequence[Array]
    sample_rate: int | None = None

    @property
    def fixed_rate(self) -> int | None:
        return self.sample_rate

    @property
    def fixed_image_shape(self) -> Shape | None:
        return self.image_spec(None).shape if self.kind == "images" else None

    def with_negatives(self) -> Self:
        meant = negatives_by_name(self.labels) if self.kind == "audio" else {}
        return replace(self, labels=[meant.get(label, label) for label in self.labels])

    def _with_examples(self, clips: Sequence[tuple[Segment, str]]) -> dict[str, Any]:
        assert self.sample_rate is not None, "pictures are not reviewed"
        margin = WORD_MARGIN_SECONDS
        arrays = [
            _samples(Segment(part.path, max(0.0, part.begin - margin), part.end + margin), self.sample_rate)
            for part, _ in clips
        ]
        return {"arrays": [*self.arrays, *arrays]}

    def image_spec(self, size: tuple[int, int] | None) -> ImageInput:
        return ImageInput(np.atleast_3d(self.arrays[0]).shape)

    def window_plan(self, clip_seconds: float | None) -> tuple[Sequence[int], WindowPlan]:
        rate = self.sample_rate
        assert rate is not None, "pictures have no windows"

        def samples_of(place: int, seconds: float) -> tuple[Samples, int]:
            return self.arrays[place][: round(seconds * rate)].astype(np.float32), rate

        lengths = [len(array) / rate for array in self.arrays]
        return [rate], plan_windows(self.labels, lengths.__getitem__, samples_of, clip_seconds)

    def load(
        self,
        spec: InputSpec,
        contents: Sequence[Content],
        strict: bool,
        on_file: Callable[[], object] | None,
        part: range,
        processes: Processes,
    ) -> tuple[Loaded[Any], tuple[str, ...]]:
        return spec.collect(self.arrays, contents), ()


def _joined(found: Loaded[Windows], first: int, processes: Processes) -> Loaded[Windows]:
    """Return the windows that all processes have read, and why files could not be read."""
    windows = share(found.x, first, processes)
    failures = [message for some in processes.gather_json([str(error) for error in found.failures]) for message in some]
    return Loaded(windows, windows.recordings, tuple(map(DataError, failures)), found.notes)


def _samples(part: Segment, sample_rate: int) -> Samples:
    samples, scale = read_int16(part, sample_rate)
    return samples * np.float32(scale)
