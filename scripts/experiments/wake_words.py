"""Six wake words by more than fifty people, and the speech of readers who are in no bank.

The clips are those of Picovoice's wake word benchmark (Apache License 2.0), the folder ``audio`` of its repository. No
setting was chosen with them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from audioconv.audio.read import read
from audioconv.errors import DataError
from audioconv.training.callbacks import Callback
from experiments import unheard
from experiments.common import test_data
from experiments.shares import Share
from experiments.unheard import Clip

FOLDER = "wake-word-benchmark"

RATE = 16000
"""In Hz, of all clips."""

FOUND = 0.97
"""Share of the clips found at which false accepts are compared."""

READERS = (
    (unheard.TRAINING_READERS, unheard.TEST_READERS),
    (unheard.SECOND_TRAINING_READERS, unheard.SECOND_TEST_READERS),
)
"""For each model the readers that are its bank, and those whose speech tests."""


def clips() -> tuple[list[Clip], int]:
    """Return the clips that can be read, and the number of the others; `DataMissingError` without the folder.

    The speakers have no names, so a clip counts as a speaker: a fifth of the clips tests, by people who may train.
    """
    files = sorted(file for kind in ("flac", "wav") for file in test_data(FOLDER).glob(f"*/*.{kind}"))
    some = [Clip(file, file.parent.name, f"{file.parent.name}/{file.stem}") for file in files if _is_readable(file)]
    return some, len(files) - len(some)


def _is_readable(file: Path) -> bool:
    try:
        return bool(len(read(file, RATE)))
    except DataError:
        return False


def runs(per_word: int | None, share: Share, callbacks: Sequence[Callback]) -> Iterator[dict[str, Any]]:
    """Yield what each model brought: its words, other words by the test speakers of `unheard`, and streams."""
    some, unreadable = clips()
    words = sorted({clip.word for clip in some})
    others = [clip for clip in unheard.clips() if clip.part == "test"]
    for number, (bank_readers, test_readers) in share.of(READERS):
        per = unheard.QUICK_CLIPS if share.quick else per_word
        collection = unheard.training(some, words, ("train", "choice"), per, number)
        settings: dict[str, Any] = {"epochs": 1} if share.quick else {}
        with unheard.speech(bank_readers) as bank, unheard.speech(test_readers) as unseen:
            classifier, seconds = unheard.train(collection, number, bank, callbacks, **settings)
            own = [clip for clip in some if clip.part == "test"]
            yield {
                "name": f"readers {bank_readers.start}:{bank_readers.stop}",
                "training_seconds": round(seconds, 1),
                "clips": len(collection.items),
                "unreadable": unreadable,
                **unheard.measure(classifier, [*some, *others], words, "test"),
                "listening": [unheard.listening(classifier, unseen, own, words, FOUND)],
                "model": classifier.model_,
            }


def table(found: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the table of the experiments, `wake-words-25` and so on, that were measured."""
    at = f"{100 * FOUND:g}"
    rows = [
        ("clips a word", "models", "right, of the words alone", "at the own threshold: words", "other words",
         "hours of unseen readers", "false accepts an hour there", "words found there",
         f"false accepts an hour at {at}% found", f"words found at {unheard.RATE:g} an hour",
         *(f"{snr:g} dB above speech" for snr in unheard.SNRS)),
        ("---:",) * (10 + len(unheard.SNRS)),
    ]  # fmt: skip
    for one in found:
        models = one["runs"]
        streams = [stream for run in models for stream in run["listening"]]

        def mean(values: Sequence[float], form: str = ".1%") -> str:
            return format(statistics.mean(values), form)

        hours = sum(stream["hours"] for stream in streams)

        def rate(name: str, streams: Sequence[dict[str, Any]] = streams, hours: float = hours) -> str:
            if any(stream[name] is None for stream in streams):
                return "not reached"
            return f"{sum(stream[name] * stream['hours'] for stream in streams) / hours:.2f}"

        rows.append((
            "all" if one["per_word"] is None else str(one["per_word"]), str(len(models)),
            mean([run["accuracy"] for run in models]), mean([run["accepted_and_right"] for run in models]),
            mean([run["others_accepted"] for run in models]), f"{hours:.2f}",
            rate("false_accepts_per_hour"), mean([stream["found"] for stream in streams]),
            rate(f"false_accepts_per_hour_at_{at}"), mean([stream["found_at_rate"] for stream in streams]),
            *(mean([stream["spliced"][f"{snr:g}"] for stream in streams]) for snr in unheard.SNRS),
        ))  # fmt: skip
    return rows


def sentence(one: Mapping[str, Any]) -> str:
    """Return what the models of an experiment find and accept at their own thresholds for streams."""
    streams = [stream for run in one["runs"] for stream in run["listening"]]
    count = round(sum(stream["false_accepts_per_hour"] * stream["hours"] for stream in streams))
    return (
        f"In streams, models of six wake words ({one['per_word']} clips each) find "
        f"{statistics.mean(stream['found'] for stream in streams):.0%} of them, with {count or 'no'} false "
        f"accept{'' if count == 1 else 's'} in {sum(stream['hours'] for stream in streams):.1f} hours of speech."
    )
