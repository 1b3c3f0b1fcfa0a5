"""What experiments share: a run, an experiment, and where data are."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audioconv import datasets
from audioconv import layers as L
from audioconv.classifier import Classifier
from audioconv.datasets.build.get import get
from audioconv.datasets.collection import Collection
from audioconv.recipe import spoken_words
from audioconv.training.callbacks import Callback
from experiments.shares import Share

ROOT = Path(__file__).resolve().parents[2]
TEST_DATA = "AUDIOCONV_TEST_DATA"

SEEDS = (0, 1, 2)
QUICK_EPOCHS = 2
QUICK_CLIPS, QUICK_TESTS = 40, 10
"""How many clips of each class a quick run learns from, and how many test it."""


class DataMissingError(Exception):
    """What an experiment needs is not on this machine."""


@dataclass(frozen=True)
class Run:
    """One training run: how it is called, what its model is and how well it does.

    `arch` is the network that the model says it has; empty where it is that of the experiment.
    """

    name: str
    network: L.Layer
    input_shape: tuple[int, ...]
    epochs: int
    tested: int
    accuracy: float
    seconds: float
    arch: str = ""


Runs = Callable[[Share, Sequence[Callback]], Iterator[Run]]


@dataclass(frozen=True)
class Experiment:
    """A row of the table.

    Attributes
    ----------
    title : str
        What is learned and how it is tested.
    arch : str
        The network.
    runs : callable
        Takes the share of the runs to make and the callbacks for a run's progress; yields each `Run` when it is done.
    target : str
        What was aimed at.
    published : str
        What others reached, and how their protocol differs.
    """

    title: str
    arch: str
    runs: Runs
    target: str = ""
    published: str = ""


def seeds(share: Share) -> Sequence[int]:
    """Return the seeds to run with."""
    return [seed for _, seed in share.of(SEEDS)]


def train(
    name: str, collection: Collection, seed: int, quick: bool, callbacks: Sequence[Callback], **settings: Any
) -> Run:
    """Train as `audioconv train` does by default, but for these settings; the time includes reading the files."""
    if quick:
        collection, settings = few(collection, QUICK_CLIPS, QUICK_TESTS), {**settings, "epochs": QUICK_EPOCHS}
    begun = time.perf_counter()
    classifier = Classifier.train(collection, seed=seed, callbacks=callbacks, **settings)
    seconds = time.perf_counter() - begun
    model, report = classifier.model_, classifier.report_
    if report is None or report.test is None:
        raise DataMissingError(f"{collection.name} has no test clips")
    stored, test = model.provenance["settings"], report.test
    return Run(
        name, model.network, model.input_shape, stored["epochs"], test.count, test.accuracy, seconds, stored["arch"]
    )


def few(collection: Collection, train: int, test: int) -> Collection:
    """Return a collection with so many clips of each class to train on, and to test, from its first to its last."""
    kind = [(item.label, item.split == "test") for item in collection.items]
    there, seen, items = Counter(kind), Counter[tuple[str, bool]](), []
    for one, item in zip(kind, collection.items, strict=True):
        wanted = min(test if one[1] else train, there[one])
        if seen[one] * wanted // there[one] < (seen[one] + 1) * wanted // there[one]:
            items.append(item)
        seen[one] += 1
    return replace(collection, items=tuple(items))


@contextmanager
def speaking_little() -> Iterator[None]:
    """Let synthetic voices say the words of a classifier, and others, a few times."""
    before = spoken_words.CLIPS_OF_A_WORD, spoken_words.CLIPS_OF_ANOTHER
    spoken_words.CLIPS_OF_A_WORD, spoken_words.CLIPS_OF_ANOTHER = 20, 1
    try:
        yield
    finally:
        spoken_words.CLIPS_OF_A_WORD, spoken_words.CLIPS_OF_ANOTHER = before


def tested_with(collection: Collection, is_test: Callable[[Any], bool]) -> Collection:
    """Return the collection with the items for which `is_test` holds as its test part, and all others to train on."""
    items = tuple(replace(item, split="test" if is_test(item) else "train") for item in collection.items)
    return replace(collection, items=items)


def test_data(name: str) -> Path:
    """Return the folder `name` of the data that are not downloaded."""
    folder = os.environ.get(TEST_DATA)
    if not folder or not Path(folder, name).exists():
        raise DataMissingError(f"needs {TEST_DATA} to name a folder that holds {name}")
    return Path(folder, name)


def fsdd() -> Collection:
    """Return the Free Spoken Digit Dataset, downloaded on first use."""
    return datasets.open_collection(get("fsdd", ROOT / "data" / "fsdd"))


def nine_words() -> Collection:
    """Return the nine words of Speech Commands; the speakers that the official hash keeps for validation test."""
    collection = datasets.open_collection(test_data("speech-commands-9"))
    return tested_with(collection, lambda item: datasets.speech_commands_split(item.path) == "validation")
