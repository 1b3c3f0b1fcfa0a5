"""Words that nobody has trained on: five words of twelve, and the seven others in a test by new speakers."""

from __future__ import annotations

import csv
import hashlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv.audio.read import read
from audioconv.classifier import Classifier
from audioconv.datasets.collection import Collection, Item
from audioconv.decision.classes import is_word
from audioconv.evaluation import Calibration
from audioconv.model import Model
from audioconv.recipe.operating_points import LOG_ODDS, PAUSE_SECONDS
from audioconv.streaming.detector import chosen_threshold
from audioconv.streaming.evaluate import TOLERANCE_SECONDS, hear, match, score_recordings
from audioconv.training.callbacks import Callback
from audioconv.training.progress import duration
from experiments.common import test_data
from experiments.listening import speech_without
from experiments.shares import Share
from experiments.splicing import Word, spliced_recordings

FOLDERS = ("speech-commands-9", "speech-commands-3")
SPEECH = ("librispeech-more", "librispeech-some")

WORDS, DRAWS = 5, 10
RECALLS = (0.9, 0.93, 0.95)
TEST_SHARE, CHOICE_SHARE = 0.2, 0.2
"""Shares of the speakers that test, and that settings were chosen with; the rest trains."""

TRAINING_READERS, TEST_READERS = slice(0, 14), slice(14, None)
"""Of 24 readers, in the order of their numbers: those who are the bank of negatives, and those whose speech tests."""

SECOND_TRAINING_READERS, SECOND_TEST_READERS = slice(11, None), slice(0, 11)
"""The same for a second model of each draw that is tested in streams: the speech of 21 readers, two hours, tests."""

FOUND, LISTENED_DRAWS, LISTENED_STEP = 0.95, 3, 2
"""Share of clips found at which false accepts are compared, number of draws that are tested in streams, and the step
from one clip to the next there."""

THRESHOLDS = tuple((1 / (1 + np.exp(-LOG_ODDS))).tolist())
"""Thresholds in streams. They reach log odds of 14: at 0.9999 (9.2) more than 95 % of the clips may be found."""

RATE, SNRS = 0.5, (20.0, 10.0)
"""False accepts an hour at which spliced words are counted, and their levels in dB."""

QUICK_CLIPS = 10


@dataclass(frozen=True)
class Clip:
    """A clip of one of the twelve words."""

    path: Path
    word: str
    speaker: str

    @property
    def place(self) -> float:
        """Where the speaker stands among all, from 0 to 1, by a hash of the name."""
        return int(hashlib.sha1(self.speaker.encode()).hexdigest(), 16) % 1000 / 1000

    @property
    def part(self) -> str:
        """Whether the speaker trains, is there to choose settings, or tests."""
        if self.place < 1 - CHOICE_SHARE - TEST_SHARE:
            return "train"
        return "choice" if self.place < 1 - TEST_SHARE else "test"


def clips() -> list[Clip]:
    """Return all clips of the twelve words; `DataMissingError` where they are not on this machine."""
    files = sorted(file for name in FOLDERS for file in test_data(name).rglob("*.flac"))
    return [Clip(file, file.parent.name, file.name[:8]) for file in files]


def draw(words: Sequence[str], number: int) -> tuple[str, ...]:
    """Return the five words of a draw."""
    return tuple(np.random.default_rng([7, number]).permutation(sorted(set(words)))[:WORDS].tolist())


def training(
    some: Sequence[Clip], words: Sequence[str], parts: Sequence[str], per_word: int | None, seed: int
) -> Collection:
    """Return the clips of some words by the speakers of `parts`, at most so many of each."""
    rng, items = np.random.default_rng(seed), []
    for word in words:
        own = [clip for clip in some if clip.word == word and clip.part in parts]
        chosen = own if per_word is None else [own[i] for i in sorted(rng.permutation(len(own))[:per_word])]
        items += [Item(clip.path, word, clip.speaker) for clip in chosen]
    return Collection(tuple(items), "audio", "twelve words")


@contextmanager
def speech(readers: slice) -> Iterator[Path]:
    """Give a folder with the recordings of some of the readers, and their transcripts; it is deleted afterwards."""
    rows = [(test_data(name) / row["file"], row) for name in SPEECH for row in _rows(name)]
    chosen = set(sorted({row["speaker"] for _, row in rows})[readers])
    with tempfile.TemporaryDirectory() as place:
        with open(Path(place, "transcripts.csv"), "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("file", "speaker", "text"))
            for path, row in rows:
                if row["speaker"] in chosen:
                    shutil.copy(path, place)
                    table.writerow((path.name, row["speaker"], row["text"]))
        yield Path(place)


def _rows(name: str) -> list[dict[str, str]]:
    with open(test_data(name) / "transcripts.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measure(classifier: Classifier, some: Sequence[Clip], words: Sequence[str], part: str) -> dict[str, Any]:
    """Return how well a model tells its words from the others, by the speakers of `part`."""
    model = classifier.model_
    own = [clip for clip in some if clip.word in words and clip.part == part]
    others = [clip for clip in some if clip.word not in words and clip.part == part]
    probabilities = [classifier.predict_files([clip.path for clip in group], strict=True)[0] for group in (own, others)]
    found, wrong = ([group[i] for i in range(len(group))] for group in probabilities)
    right = np.array([one.label == clip.word for one, clip in zip(found, own, strict=True)])
    scores, of_others = np.array([one.score for one in found]), np.array([one.score for one in wrong])
    assert all(is_word(label) for label in model.answer_labels), "the words alone are answers"
    answers = np.concatenate([scores, of_others]), np.concatenate([right, np.zeros(len(of_others), bool)])
    ranked = np.sort(np.where(right, scores, -1.0))[::-1]
    at = {f"{recall:.2f}": float(ranked[int(np.ceil(recall * len(ranked))) - 1]) for recall in RECALLS}
    return {
        "words": len(own),
        "others": len(others),
        "accuracy": float(right.mean()),
        "others_accepted_at": {name: float(np.mean(of_others >= score)) for name, score in at.items()},
        "accepted_and_right": float(np.mean(right & np.array([one.accepted for one in found]))),
        "others_accepted": float(np.mean([one.accepted for one in wrong])),
        "threshold": model.decision.threshold,
        "calibration_error": Calibration.measure(*answers).expected_error,
        "calibration_error_of_words": Calibration.measure(scores, right).expected_error,
    }


def listened(some: Sequence[Clip], words: Sequence[str]) -> list[Clip]:
    """Return the test clips of some words that are put into streams."""
    return [clip for clip in some if clip.word in words and clip.part == "test"][::LISTENED_STEP]


def listening(
    classifier: Classifier, folder: Path, own: Sequence[Clip], words: Sequence[str], enough_found: float = FOUND
) -> dict[str, Any]:
    """Return the false accepts in speech without the words, and the shares of clips that are found in streams."""
    model, stream = classifier.model_, chosen_threshold(classifier.model_)
    recordings = [path for paths in speech_without(folder, words).values() for path in paths]
    thresholds = tuple(sorted({*THRESHOLDS, stream}))
    result = score_recordings(model, recordings, thresholds=thresholds)
    rate, pause = classifier.input_.sample_rate, PAUSE_SECONDS
    assert rate is not None, "the model is of sounds"
    silence = np.zeros(round(pause * rate), np.float32)
    found = np.zeros(len(thresholds), int)
    for clip in own:
        heard = hear(model, np.concatenate([silence, read(clip.path, rate), silence]))
        found += [any(one.label == clip.word for one in heard.detections(threshold)) for threshold in thresholds]
    shares, wrong = found / len(own), np.array(result.false_accepts) / result.hours
    place = thresholds.index(stream)
    enough, few = np.flatnonzero(shares >= enough_found), np.flatnonzero(wrong <= RATE)
    return {
        "hours": result.hours,
        "clips": len(own),
        "false_accepts_per_hour": float(wrong[place]),
        "found": float(shares[place]),
        f"false_accepts_per_hour_at_{100 * enough_found:g}": float(wrong[enough[-1]]) if len(enough) else None,
        "found_at_rate": float(shares[few[0]]) if len(few) else 0.0,
        "spliced": spliced(model, recordings, own, thresholds[few[0]])
        if len(few)
        else {f"{snr:g}": 0.0 for snr in SNRS},
    }


def spliced(model: Model, recordings: Sequence[Path], own: Sequence[Clip], threshold: float) -> dict[str, float]:
    """Return the share of the clips that is found in the recordings, by their level above them in dB."""
    assert model.front_end is not None, "the model is of sounds"
    rate = model.front_end.sample_rate
    words = [Word(clip.word, read(clip.path, rate)) for clip in own]
    backgrounds = [read(path, rate) for path in recordings]
    outcome: dict[float, list[bool]] = {snr: [] for snr in SNRS}
    rng = np.random.default_rng(len(words))
    for mixed in spliced_recordings(backgrounds, words, SNRS, rate, rng, passes=1):
        detections = hear(model, mixed.samples).detections(threshold)
        for snr, one in zip(mixed.snrs, match(detections, mixed.labels, TOLERANCE_SECONDS), strict=True):
            outcome[snr].append(one)
    return {f"{snr:g}": float(np.mean(found)) for snr, found in outcome.items()}


def train(
    collection: Collection, seed: int, negatives: Path | str, callbacks: Sequence[Callback] = (), **settings: Any
) -> tuple[Classifier, float]:
    """Train with the defaults; return the model and the seconds it took."""
    begun = time.perf_counter()
    classifier = Classifier.train(collection, seed=seed, negatives=negatives, callbacks=callbacks, **settings)
    return classifier, time.perf_counter() - begun


def runs(per_word: int | None, draws: int, share: Share, callbacks: Sequence[Callback]) -> Iterator[dict[str, Any]]:
    """Yield what each draw brought: trained with the speakers that train or chose settings, tested with the others."""
    some = clips()
    names = sorted({clip.word for clip in some})
    for number, _ in share.of(range(draws)):
        words = draw(names, number)
        collection = training(some, words, ("train", "choice"), QUICK_CLIPS if share.quick else per_word, number)
        settings: dict[str, Any] = {"epochs": 1} if share.quick else {}
        with speech(TRAINING_READERS) as bank, speech(TEST_READERS) as unseen:
            classifier, seconds = train(collection, number, bank, callbacks, **settings)
            measured = {
                "name": ", ".join(words),
                "training_seconds": round(seconds, 1),
                "clips": len(collection.items),
                **measure(classifier, some, words, "test"),
                "listening": [listening(classifier, unseen, listened(some, words), words)]
                if number < LISTENED_DRAWS
                else [],
                "model": classifier.model_,
            }
        if measured["listening"]:
            with speech(SECOND_TRAINING_READERS) as bank, speech(SECOND_TEST_READERS) as unseen:
                second, _ = train(collection, number, bank, callbacks, **settings)
                measured["listening"].append(listening(second, unseen, listened(some, words), words))
        yield measured


def table(found: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the table of the experiments, `unheard-10` and so on, that were measured."""
    rows = [
        ("clips a word", "draws", "right, of the words alone", *(f"others at {r:.0%} of the words" for r in RECALLS),
         "at the own threshold: words", "others", "calibration error", "hours of unseen readers for a draw",
         "false accepts an hour there",
         "words found there",
         "false accepts an hour at 95% found", f"words found at {RATE:g} an hour",
         *(f"{snr:g} dB above speech" for snr in SNRS), "training time"),
        ("---:",) * (6 + len(RECALLS) + 6 + len(SNRS)),
    ]  # fmt: skip
    for one in found:
        draws = one["runs"]
        listened = [one for run in draws for one in run["listening"]]
        hours = [sum(one["hours"] for one in run["listening"]) for run in draws if run["listening"]]
        calibrated = [run for run in draws if "calibration_error" in run]
        times = [run["training_seconds"] for run in draws if run["training_seconds"] is not None]

        def mean(*path: str, some: Sequence[dict[str, Any]] = draws) -> str:
            values = [_number(run, path) for run in some]
            spread = f" ± {statistics.stdev(values):.1%}" if len(values) > 1 else ""
            return f"{statistics.mean(values):.1%}{spread}" if values else ""

        def rate(name: str, some: Sequence[dict[str, Any]] = listened) -> str:
            values = [run[name] for run in some if run[name] is not None]
            return f"{statistics.mean(values):.2f}" if values else ""

        rows.append((
            "all" if one["per_word"] is None else str(one["per_word"]), str(len(draws)), mean("accuracy"),
            *(mean("others_accepted_at", f"{recall:.2f}") for recall in RECALLS),
            mean("accepted_and_right"), mean("others_accepted"), mean("calibration_error", some=calibrated),
            f"{statistics.mean(hours):.2f}" if hours else "",
            rate("false_accepts_per_hour"), mean("found", some=listened),
            rate("false_accepts_per_hour_at_95"), mean("found_at_rate", some=listened),
            *(mean("spliced", f"{snr:g}", some=listened) for snr in SNRS),
            duration(statistics.median(times)) if times else "",
        ))  # fmt: skip
    return rows


def _number(run: Any, path: Sequence[str]) -> float:
    for key in path:
        run = run[key]
    return float(run)
