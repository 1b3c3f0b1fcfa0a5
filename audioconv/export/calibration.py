"""Recordings to choose the ranges of 8-bit integers by, and what these cost in accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.datasets.folder import open_collection
from audioconv.errors import DataError
from audioconv.export.check import Run
from audioconv.export.evaluation import Ranges, ranges
from audioconv.export.folding import folded
from audioconv.export.operations import Graph
from audioconv.io.files import display_path
from audioconv.io.parallel import load_many
from audioconv.model import BATCH_SIZE, Model
from audioconv.pipeline.inputs import of_model

FOR_RANGES, MAX_EXAMPLES = 300, 2000
"""Examples that the ranges are chosen by, and that accuracy is measured with at most; both spread over the folder."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Examples of a folder.

    Attributes
    ----------
    examples : array (N, *example_shape) float32
    codes : array (N,) int64
        The number of each one's label; -1 for a label that the model does not have.
    """

    examples: Array
    codes: Array

    @classmethod
    def read(cls, model: Model, folder: StrPath) -> Calibration:
        """Return examples of a data set, or of a folder with recordings.

        Raises
        ------
        DataError
            If there are none that can be read.
        """
        collection = open_collection(folder, minimum_classes=1)
        items = _spread(len(collection), MAX_EXAMPLES)
        examples = [collection.examples[number] for number in items]
        spec = of_model(model)
        loaded = load_many(examples, spec.read, model.example_shape)
        if not len(loaded.x):
            raise DataError(f"{display_path(folder)}: none of the files can be read")
        labels = [collection.labels[items[number]] for number in loaded.indices]
        codes = [model.labels.index(label) if label in model.labels else -1 for label in labels]
        return cls(loaded.x, np.asarray(codes))

    @property
    def for_ranges(self) -> Array:
        """The examples that the ranges are chosen by."""
        return self.examples[_spread(len(self.examples), FOR_RANGES)]

    @property
    def rest(self) -> Calibration:
        """The examples that do not choose the ranges."""
        is_left = np.ones(len(self.examples), bool)
        is_left[_spread(len(self.examples), FOR_RANGES)] = False
        return Calibration(self.examples[is_left], self.codes[is_left])


@dataclass(frozen=True)
class Accuracy:
    """What 8-bit integers cost.

    Attributes
    ----------
    examples : int
        Those with a label of the model that did not choose the ranges.
    before, after : float
        Share of them whose likeliest label is right: of the model, and of the file.
    same : float
        Share of them with the same likeliest label.
    """

    examples: int
    before: float
    after: float
    same: float


def candidates(model: Model, graph: Graph, features: Array) -> list[Ranges]:
    """Return ranges of the network's tensors for features (N, *feature_shape), with fewer and more outliers."""

    def batches() -> Iterator[Array]:
        for begin in range(0, len(features), BATCH_SIZE):
            yield model.network_input(features[begin : begin + BATCH_SIZE])

    return ranges(folded(graph), batches())


def distance(model: Model, run: Run, features: Array) -> float:
    """Return the mean square of the differences between the probabilities of a file, from features, and its model."""
    return float(np.square(run(features)["probabilities"] - model.probabilities(features)).mean())


def accuracy(model: Model, run: Run, calibration: Calibration, *, from_features: bool) -> Accuracy | None:
    """Return the accuracy of model and file on the examples with a label of the model; None if there are none."""
    places = np.flatnonzero(calibration.codes >= 0)
    if not len(places):
        return None
    before, after = [], []
    for begin in range(0, len(places), BATCH_SIZE):
        examples = calibration.examples[places[begin : begin + BATCH_SIZE]]
        features = model.features(examples)
        before.append(model.probabilities(features).argmax(axis=1))
        x = features if from_features or model.front_end is None else examples
        after.append(run(x)["probabilities"].argmax(axis=1))
    one, other, codes = np.concatenate(before), np.concatenate(after), calibration.codes[places]
    return Accuracy(
        len(places), float((one == codes).mean()), float((other == codes).mean()), float((one == other).mean())
    )


def _spread(count: int, most: int) -> Array:
    """Return at most so many numbers below `count`, evenly spread."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)
