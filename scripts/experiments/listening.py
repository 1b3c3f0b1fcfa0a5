"""Saying no and listening: five words, among all else that may be heard."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import read
from audioconv.classifier import Classifier
from audioconv.datasets.collection import Collection
from audioconv.datasets.folder import expand
from audioconv.model import Model
from audioconv.pipeline import negatives
from audioconv.streaming.evaluate import THRESHOLDS, TOLERANCE_SECONDS, hear, match, score_recordings
from audioconv.training.callbacks import Callback
from experiments.common import QUICK_EPOCHS, SEEDS, few, nine_words, speaking_little, test_data
from experiments.shares import Share
from experiments.splicing import Word, spliced_recordings

WORDS = ("down", "go", "left", "right", "up")

SPEECH, NOISE, SOUNDS = "librispeech-some", "background-noise", "esc-10"

CHOSEN_ON, KEPT_APART = "speech, speakers that chose settings", "speech, the other speakers"

SNRS = (0, 5, 10, 15, 20)
PASSES = 10
FALSE_ACCEPTS_PER_HOUR = 0.5
FINE_THRESHOLDS = tuple(sorted({*np.round(np.arange(0.02, 0.96, 0.02), 2).tolist(), *THRESHOLDS, 0.9995, 0.9999}))

BACKGROUND_RMS = 0.03
"""At most; so a word that is 20 dB louder is not far above full scale."""


@dataclass(frozen=True)
class Kind:
    """Models that differ in their seeds alone.

    Attributes
    ----------
    title : str
        What they are.
    settings : mapping of str to Any
        Of `Classifier`, where they are not the default.
    seeds : sequence of int
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] = SEEDS


@dataclass(frozen=True)
class Material:
    """What models are trained and tested with.

    Attributes
    ----------
    collection : Collection
        Clips of the words: rows to train on, and rows whose split is ``test``.
    negatives : sequence of NegativeSet
        Recordings that are none of the words; long ones are cut into clips.
    long : mapping of str to sequence of path
        Recordings to listen to, in which none of the words is said.
    backgrounds : mapping of str to sequence of sequences of path
        The same to put words into: what belongs together is joined to one recording.
    passes : int
        How often each background is filled with words.
    """

    collection: Collection
    negatives: Sequence[negatives.NegativeSet]
    long: Mapping[str, Sequence[Path]]
    backgrounds: Mapping[str, Sequence[Sequence[Path]]]
    passes: int = PASSES


@dataclass(frozen=True)
class Trained:
    """A classifier, and how long its training took in seconds."""

    name: str
    seed: int
    classifier: Classifier
    seconds: float


def material(quick: bool) -> Material:
    """Return the five words and what is beside them; `DataMissingError` where it is not on this machine."""
    nine = nine_words()
    five = replace(nine, items=tuple(item for item in nine.items if item.label in WORDS))
    others = [item.path for item in nine.items if item.label not in WORDS]
    sounds, noises = (tuple(expand([test_data(name)], "audio")) for name in (SOUNDS, NOISE))
    speech = speech_without(test_data(SPEECH), WORDS)
    if quick:
        five = few(five, 60, 6)
        others, sounds, noises = others[::100], sounds[::40], noises[:2]
        speech = {speaker: paths[:2] for speaker, paths in list(speech.items())[:4]}
    speakers = sorted(speech)
    parts = {CHOSEN_ON: speakers[::2], KEPT_APART: speakers[1::2]}
    return Material(
        five,
        [
            negatives.NegativeSet("the other four words", tuple(others)),
            negatives.NegativeSet(SOUNDS, sounds),
            negatives.NegativeSet(NOISE, noises),
        ],
        {
            **{name: [path for speaker in some for path in speech[speaker]] for name, some in parts.items()},
            NOISE: noises,
            SOUNDS: sounds,
        },
        {"speech": [speech[speaker] for speaker in speakers], "noise": [[path] for path in noises]},
        1 if quick else PASSES,
    )


def speech_without(folder: Path, words: Sequence[str]) -> dict[str, list[Path]]:
    """Return the recordings of each speaker in whose transcripts none of the words stands."""
    found: dict[str, list[Path]] = {}
    with open(folder / "transcripts.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not set(row["text"].lower().split()) & set(words):
                found.setdefault(row["speaker"], []).append(folder / row["file"])
    return found


def train_models(collection: Collection, kind: Kind, share: Share, callbacks: Sequence[Callback]) -> Iterator[Trained]:
    """Train as `audioconv train` does by default but for the kind's settings, once with each of its seeds."""
    settings = {**kind.settings, **({"epochs": QUICK_EPOCHS} if share.quick else {})}
    for _, seed in share.of(kind.seeds):
        begun = time.perf_counter()
        with speaking_little() if share.quick else nullcontext():
            classifier = Classifier.train(collection, seed=seed, callbacks=callbacks, **settings)
        yield Trained(f"seed {seed}", seed, classifier, time.perf_counter() - begun)


def rejecting(trained: Trained, given: Material) -> dict[str, Any]:
    """Return how many words, negatives and events in long recordings a model accepts at its own threshold."""
    classifier, model = trained.classifier, trained.classifier.model_
    evaluation = classifier.evaluate(given.collection, split="test", strict=True)
    outcomes = evaluation.outcomes
    assert outcomes is not None
    scored, _ = negatives.score(model, given.negatives, strict=True)
    accepted, names = model.decide(scored.probabilities).accepted, np.array(scored.names)
    heard = {name: score_recordings(model, paths, thresholds=()) for name, paths in given.long.items()}
    return {
        "threshold": model.decision.threshold,
        "clips": {"tested": evaluation.count, "right": evaluation.right.part, "accepted_and_right": outcomes.right},
        "negatives": {
            source.name: {
                "accepted": int(accepted[names == source.name].sum()),
                "tested": int(sum(names == source.name)),
            }
            for source in given.negatives
        },
        "listening": {
            name: {"hours": result.hours, "false_accepts": result.in_use.false_accepts}
            for name, result in heard.items()
        },
    }


def spliced(trained: Trained, given: Material) -> dict[str, Any]:
    """Return which share of words in long recordings is found, at two thresholds.

    One is the model's own. The other is the lowest that has at most `FALSE_ACCEPTS_PER_HOUR` in the same recordings
    without the words.
    """
    model = trained.classifier.model_
    assert model.front_end is not None
    rate = model.front_end.sample_rate
    backgrounds = {name: [joined(paths, rate) for paths in some] for name, some in given.backgrounds.items()}
    tests = [item for item in given.collection.items if item.split == "test"]
    words = [Word(item.label, read(item.path, rate)) for item in tests]
    everything = [samples for some in backgrounds.values() for samples in some]
    without = score_recordings(
        model, everything, thresholds=FINE_THRESHOLDS, false_accepts_per_hour=FALSE_ACCEPTS_PER_HOUR
    )
    thresholds = {"chosen": without.chosen.threshold, "own": without.threshold}
    rng = np.random.default_rng(trained.seed)
    return {
        "hours": without.hours,
        "thresholds": thresholds,
        "false_accepts": {"chosen": without.chosen.false_accepts, "own": without.in_use.false_accepts},
        "reached": without.reaches,
        "found": {
            name: count_found(model, some, words, thresholds, rng, given.passes) for name, some in backgrounds.items()
        },
    }


def count_found(
    model: Model,
    backgrounds: Sequence[NDArray[Any]],
    words: Sequence[Word],
    thresholds: Mapping[str, float],
    rng: np.random.Generator,
    passes: int,
) -> dict[str, dict[str, int]]:
    """Return, for each level of words above a background, how many there are and how many each threshold finds."""
    assert model.front_end is not None
    rate = model.front_end.sample_rate
    found = {str(snr): {"words": 0, **dict.fromkeys(thresholds, 0)} for snr in SNRS}
    for recording in spliced_recordings(backgrounds, words, SNRS, rate, rng, passes=passes):
        heard = hear(model, recording.samples)
        for snr in recording.snrs:
            found[f"{snr:g}"]["words"] += 1
        for name, threshold in thresholds.items():
            flags = match(heard.detections(threshold), recording.labels, TOLERANCE_SECONDS)
            for snr, is_found in zip(recording.snrs, flags, strict=True):
                found[f"{snr:g}"][name] += is_found
    return found


def joined(paths: Sequence[Path], rate: int) -> NDArray[np.float32]:
    """Return recordings one behind the other, (T,), softer where they are louder than `BACKGROUND_RMS` together."""
    samples = np.concatenate([read(path, rate) for path in paths])
    rms = float(np.sqrt(np.square(samples, dtype=np.float64).mean()))
    return samples * np.float32(min(1.0, BACKGROUND_RMS / rms)) if rms else samples
