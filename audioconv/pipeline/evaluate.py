"""Evaluation of a model: on a labelled data set, and on negative recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audioconv._types import StrPath
from audioconv.datasets.collection import Collection
from audioconv.decision.classes import class_codes, is_word
from audioconv.errors import DataError
from audioconv.evaluation import Evaluation, Scored
from audioconv.model import Model
from audioconv.pipeline import negatives
from audioconv.pipeline.inputs import of_model
from audioconv.pipeline.predict import score_files


def evaluate(
    model: Model,
    collection: Collection,
    *,
    split: str | None = None,
    negative_paths: Sequence[StrPath] = (),
    strict: bool = False,
    on_file: Callable[[int], object] | None = None,
) -> Evaluation:
    """Return the evaluation of `model` on the rows of `split`, or on all; see `Classifier.evaluate`."""
    if split is not None:
        collection = collection.select(split)
    if not len(collection):
        raise DataError(f"{collection.name}: there are no rows to evaluate with split {split!r}")
    collection = _with_known_labels(collection, model)
    sets = negatives.find(model, negative_paths)
    count = len(collection) + sum(len(one.paths) for one in sets)
    step = None if on_file is None else lambda: on_file(count)
    probabilities = np.empty((len(collection), len(model.labels)), np.float32)
    is_readable, failures = np.ones(len(collection), bool), tuple[DataError, ...]()
    for place, one in enumerate(score_files(model, of_model(model), collection.examples, strict=strict, on_file=step)):
        if isinstance(one, DataError):
            is_readable[place], failures = False, (*failures, one)
        else:
            probabilities[place] = one.probabilities
    if not is_readable.any():
        raise DataError(f"{collection.name}: none of the {len(collection)} files can be read, such as {failures[0]}")
    scored = Scored(collection.labels, probabilities, collection.examples).select(is_readable)
    of_negatives = None
    if sets:
        of_negatives, failed = negatives.score(model, sets, strict=strict, on_file=step)
        failures += failed
    about = {
        "name": collection.name,
        "split": split,
        "counts": collection.counts,
        "speakers": sum(map(bool, collection.speakers.counts())),
        "origins": [origin._asdict() for origin in collection.origins],
        "negatives": {one.name: len(one.paths) for one in sets},
    }
    return Evaluation.judge(model.labels, model.decision, scored, of_negatives, failures, about)


def _with_known_labels(collection: Collection, model: Model) -> Collection:
    """Return the collection with its classes of negatives as the model has them; `DataError` for unknown words."""
    known = model.answer_labels
    if not set(collection.classes) <= set(known):
        collection = collection.with_negatives(keep=known)
    class_codes(collection.name, [label for label in collection.classes if is_word(label)], known)
    return collection
