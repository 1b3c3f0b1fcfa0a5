"""Experiments that learn from something else than recordings of their own words: few clips, synthetic voices."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audioconv import datasets
from audioconv.classifier import Classifier
from audioconv.datasets.collection import Collection
from audioconv.errors import DataError, MissingExtraError
from audioconv.training.callbacks import Callback
from audioconv.tts.dataset import make
from experiments import unheard
from experiments.common import (
    QUICK_CLIPS,
    QUICK_EPOCHS,
    QUICK_TESTS,
    DataMissingError,
    Run,
    few,
    fsdd,
    nine_words,
    seeds,
    train,
)
from experiments.shares import Share

UNSEEN = ("go", "left", "right", "zero")
CLIPS = 10
BEGINNINGS = Literal["nothing", "base", "five words"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CLIPS_QUICKLY_SPOKEN = 20

OTHERS_ACCEPTED = 0.03
"""Share of other words that are accepted at the threshold of `one_speaker`."""


def ten_clips(begin: BEGINNINGS, epochs: int | None, share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train on ten clips each of four words: from nothing, from what comes along, or from a model of the other five.

    For so many epochs, or as many as the recipe has. The model has not heard the speakers that test, either.
    """
    collection = nine_words()
    others = [item for item in collection.items if item.label not in UNSEEN and item.split == "train"]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "five.safetensors")
        settings: dict[str, Any] = {"nothing": {"init": None}, "base": {}, "five words": {"init": model}}[begin]
        if begin == "five words":
            short = QUICK_EPOCHS if share.quick else None
            five = replace(collection, items=tuple(others))
            five = few(five, QUICK_CLIPS, QUICK_TESTS) if share.quick else five
            Classifier.train(five, seed=0, callbacks=callbacks, epochs=short).save(model)
        for seed in seeds(share):
            yield train(
                f"seed {seed}",
                few_clips(collection, seed),
                seed,
                share.quick,
                callbacks,
                refit=True,
                epochs=epochs,
                **settings,
            )


def few_clips(collection: Collection, seed: int) -> Collection:
    """Return ten training clips of each unseen word, drawn by `seed`, and all its test clips."""
    rng = np.random.default_rng(seed)
    items = [item for item in collection.items if item.label in UNSEEN and item.split == "test"]
    for word in UNSEEN:
        own = [item for item in collection.items if item.label == word and item.split == "train"]
        items += [own[i] for i in rng.choice(len(own), CLIPS, replace=False)]
    return replace(collection, items=tuple(items))


def synthetic(voices: str, clips: int, share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train on so many clips of each digit by synthetic voices, test with all recordings of FSDD: six people."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = make(
                DIGITS,
                Path(folder, "digits"),
                voices=voices,
                clips_per_word=CLIPS_QUICKLY_SPOKEN if share.quick else clips,
            )
        except (DataError, MissingExtraError) as error:
            raise DataMissingError(str(error)) from None
        spoken = datasets.open_collection(made)
        spoken = replace(spoken, items=tuple(replace(item, split="train") for item in spoken.items))
        real = fsdd()
        real = replace(real, items=tuple(replace(item, label=DIGITS[int(item.label)]) for item in real.items))
        if share.quick:
            real = few(real, QUICK_TESTS, QUICK_TESTS)
        for seed in seeds(share):
            begun = time.perf_counter()
            classifier = Classifier.train(
                spoken, seed=seed, callbacks=callbacks, epochs=QUICK_EPOCHS if share.quick else None
            )
            seconds = time.perf_counter() - begun
            heard, model = classifier.evaluate(real), classifier.model_
            stored = model.provenance["settings"]
            yield Run(
                f"seed {seed}",
                model.network,
                model.input_shape,
                stored["epochs"],
                heard.count,
                heard.accuracy,
                seconds,
                stored["arch"],
            )


def one_speaker(share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train on ten clips of each of five digits by one speaker of FSDD, each of the six once; test with the others.

    The accuracy is the share of the clips of the five digits that are found and right, where `OTHERS_ACCEPTED` of the
    other five digits are accepted. The bank of negatives is that of `unheard`.
    """
    items = [replace(item, label=DIGITS[int(item.label)]) for item in fsdd().items]
    speakers = sorted({str(item.speaker) for item in items})
    with unheard.speech(unheard.TRAINING_READERS) as bank:
        for number, speaker in share.of(speakers):
            words = unheard.draw(DIGITS, number)
            rng = np.random.default_rng(number)
            chosen = []
            for word in words:
                own = [item for item in items if item.label == word and item.speaker == speaker]
                chosen += [own[i] for i in rng.choice(len(own), CLIPS, replace=False)]
            collection = Collection(
                tuple(replace(item, split=None, speaker=None) for item in chosen), "audio", "five digits"
            )
            classifier, seconds = unheard.train(
                collection, number, bank, callbacks, **({"epochs": QUICK_EPOCHS} if share.quick else {})
            )
            tests = [item for item in items if item.speaker != speaker][:: 20 if share.quick else 1]
            found, _ = classifier.predict_files([item.path for item in tests], strict=True)
            predictions = list(found.values())
            is_one = np.array([item.label in words for item in tests])
            right = np.array([p.label == item.label for p, item in zip(predictions, tests, strict=True)])
            scores = np.array([p.score for p in predictions])
            threshold = np.quantile(scores[~is_one], 1 - OTHERS_ACCEPTED, method="higher")
            stored, model = classifier.model_.provenance["settings"], classifier.model_
            yield Run(
                f"{speaker}: {', '.join(words)}",
                model.network,
                model.input_shape,
                stored["epochs"],
                int(is_one.sum()),
                float(np.mean((right & (scores > threshold))[is_one])),
                seconds,
                stored["arch"],
            )
