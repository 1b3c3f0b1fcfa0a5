"""Evaluation of a model: on a labelled data set, and on negative recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from audioconv._types import StrPath
from audioconv.cluster.shards import Shard
from audioconv.datasets.collection import Collection
from audioconv.datasets.items import Items
from audioconv.decision.classes import class_codes, is_word
from audioconv.errors import DataError
from audioconv.evaluation import Evaluation, Scored
from audioconv.io.columns import PathColumn
from audioconv.model import Model
from audioconv.pipeline import negatives
from audioconv.pipeline.inputs import of_model
from audioconv.pipeline.predict import score_files
from audioconv.pipeline.score_table import ClipScores


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
    collection = selected(collection, model, split)
    scores = score(model, collection, negative_paths, strict=strict, on_file=on_file)
    return judge(model, collection, split, scores)


def selected(collection: Collection, model: Model, split: str | None) -> Collection:
    """Return the rows of a split, or all; `DataError` if there are none, or a word that the model does not know."""
    if split is not None:
        collection = collection.select(split)
    if not len(collection):
        raise DataError(f"{collection.name}: there are no rows to evaluate with split {split!r}")
    return _with_known_labels(collection, model)


def score(
    model: Model,
    collection: Collection,
    negative_paths: Sequence[StrPath] = (),
    *,
    shard: Shard | None = None,
    strict: bool = False,
    on_file: Callable[[int], object] | None = None,
) -> ClipScores:
    """Return the scores of all clips of a collection and of negatives, or of a `shard` of each of them."""
    sets = negatives.find(model, negative_paths)
    if shard is not None:
        rows = shard.range(len(collection))
        collection = replace(collection, items=Items.of(collection.items).take(np.arange(rows.start, rows.stop)))
        sets = [
            negatives.NegativeSet(one.name, PathColumn.of(one.paths[place] for place in shard.range(len(one.paths))))
            for one in sets
        ]
        if not len(collection):
            raise DataError(f"{collection.name}: part {shard} of the rows is empty; divide them into fewer parts")
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
    labelled = Scored(collection.labels, probabilities, collection.examples).select(is_readable)
    of_negatives = None
    if any(one.paths for one in sets):
        of_negatives, failed = negatives.score(model, sets, strict=strict, on_file=step)
        failures += failed
    return ClipScores(labelled, of_negatives, failures, {one.name: len(one.paths) for one in sets})


def judge(model: Model, collection: Collection, split: str | None, scores: ClipScores) -> Evaluation:
    """Return the evaluation of scores of the clips of a collection, which is `selected`."""
    about = {
        "name": collection.name,
        "split": split,
        "counts": collection.counts,
        "speakers": sum(map(bool, collection.speakers.counts())),
        "origins": [origin._asdict() for origin in collection.origins],
        "negatives": dict(scores.negative_files),
    }
    return Evaluation.judge(model.labels, model.decision, scores.labelled, scores.negatives, scores.failures, about)


def _with_known_labels(collection: Collection, model: Model) -> Collection:
    """Return the collection with its classes of negatives as the model has them; `DataError` for unknown words."""
    known = model.answer_labels
    if not set(collection.classes) <= set(known):
        collection = collection.with_negatives(keep=known)
    class_codes(collection.name, [label for label in collection.classes if is_word(label)], known)
    return collection
