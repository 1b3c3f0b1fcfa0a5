"""Labelled data before they are read or decoded: files of a collection, or arrays in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from audioconv._types import Array, Samples
from audioconv.audio.windows import Content
from audioconv.datasets.check.balance import check_losses
from audioconv.datasets.collection import Collection, Kind
from audioconv.decision.classes import negatives_by_name
from audioconv.errors import DataError
from audioconv.pipeline.inputs import ImageInput, InputSpec, LoadedExamples
from audioconv.recipe.choose_input import choose_image_input
from audioconv.recipe.window_plan import WindowPlan, plan_for_files, plan_windows


class Labelled(Protocol):
    """Labelled data to learn from: `LabelledFiles` or `LabelledArrays`."""

    @property
    def kind(self) -> Kind:
        """Recordings or pictures."""
        ...

    @property
    def name(self) -> str:
        """Name for messages."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """The class of each."""
        ...

    @property
    def speakers(self) -> Sequence[str | None]:
        """As in `datasets.Item`."""
        ...

    @property
    def splits(self) -> Sequence[str | None]:
        """As in `datasets.Item`."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Remarks for the user, a line each."""
        ...

    @property
    def about(self) -> Mapping[str, Any]:
        """Name, source and licence of the data, for the model's provenance."""
        ...

    def with_negatives(self) -> Labelled:
        """Return the same with classes such as "other" as negatives; see `Collection.with_negatives`."""
        ...

    def image_spec(self, size: tuple[int, int] | None) -> ImageInput:
        """Return the size of the pictures."""
        ...

    def window_plan(self, clip_seconds: float | None) -> tuple[Sequence[int], WindowPlan]:
        """Return sample rates (Hz) of recordings, and the window that fits them; see `window_plan.plan_windows`."""
        ...

    def load(
        self,
        spec: InputSpec,
        contents: Sequence[Content],
        *,
        strict: bool = False,
        on_file: Callable[[], object] | None = None,
    ) -> tuple[LoadedExamples, tuple[str, ...]]:
        """Return the examples, and remarks; `DataError` if none can be read, or a class loses most of its files."""
        ...


@dataclass(frozen=True)
class LabelledFiles:
    """The files of a data set."""

    collection: Collection

    @property
    def kind(self) -> Kind:
        return self.collection.kind

    @property
    def name(self) -> str:
        return self.collection.name

    @property
    def labels(self) -> Sequence[str]:
        return self.collection.labels

    @property
    def speakers(self) -> Sequence[str | None]:
        return self.collection.speakers

    @property
    def splits(self) -> Sequence[str | None]:
        return [item.split for item in self.collection.items]

    @property
    def notes(self) -> Sequence[str]:
        return self.collection.notes

    @property
    def about(self) -> Mapping[str, Any]:
        collection = self.collection
        return {
            "name": collection.name,
            "source": collection.source,
            "licence": collection.licence,
            "speakers": len({speaker for speaker in collection.speakers if speaker}),
            "origins": [origin._asdict() for origin in collection.origins],
        }

    def with_negatives(self) -> LabelledFiles:
        return LabelledFiles(self.collection.with_negatives())

    def image_spec(self, size: tuple[int, int] | None) -> ImageInput:
        return choose_image_input(self.collection.paths, size)

    def window_plan(self, clip_seconds: float | None) -> tuple[Sequence[int], WindowPlan]:
        return plan_for_files(self.labels, self.collection.examples, clip_seconds)

    def load(
        self,
        spec: InputSpec,
        contents: Sequence[Content],
        *,
        strict: bool = False,
        on_file: Callable[[], object] | None = None,
    ) -> tuple[LoadedExamples, tuple[str, ...]]:
        found = spec.load(self.collection.examples, contents, strict=strict, on_file=on_file)
        if not len(found.places):
            count = len(self.collection)
            raise DataError(f"{self.name}: none of the {count} files can be read, such as {found.failures[0]}")
        lost = check_losses(self.collection, found.places.tolist(), found.failures)
        return found, () if lost is None else (lost,)


@dataclass(frozen=True, eq=False)
class LabelledArrays:
    """Samples (T,) at `sample_rate` Hz, or pictures (H, W[, C]), in memory."""

    kind: Kind
    arrays: Sequence[Array]
    labels: Sequence[str]
    speakers: Sequence[str | None]
    sample_rate: int | None = None
    name: str = "arrays"
    notes: Sequence[str] = ()

    @property
    def splits(self) -> Sequence[str | None]:
        return [None] * len(self.arrays)

    @property
    def about(self) -> Mapping[str, Any]:
        return {"name": self.name}

    def with_negatives(self) -> LabelledArrays:
        if self.kind != "audio":
            return self
        meant = negatives_by_name(self.labels)
        return replace(self, labels=[meant[label] for label in self.labels])

    def image_spec(self, size: tuple[int, int] | None) -> ImageInput:
        return ImageInput(np.atleast_3d(self.arrays[0]).shape)

    def window_plan(self, clip_seconds: float | None) -> tuple[Sequence[int], WindowPlan]:
        rate = self.sample_rate
        assert rate is not None, "pictures have no windows"

        def samples_of(place: int, seconds: float) -> tuple[Samples, int]:
            return self.arrays[place][: round(seconds * rate)].astype(np.float32), rate

        plan = plan_windows(self.labels, lambda place: len(self.arrays[place]) / rate, samples_of, clip_seconds)
        return [rate], plan

    def load(
        self,
        spec: InputSpec,
        contents: Sequence[Content],
        *,
        strict: bool = False,
        on_file: Callable[[], object] | None = None,
    ) -> tuple[LoadedExamples, tuple[str, ...]]:
        return spec.collect(self.arrays, contents), ()
