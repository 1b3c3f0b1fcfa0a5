"""One table of everything that docs/results.json has, for the top of docs/results.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audioconv.training.progress import duration
from experiments.listening_tables import accepted_negatives, accepted_words, mean_and_spread

Row = tuple[str, ...]

HEADS: tuple[Row, Row] = (
    ("experiment", "network", "measure", "result", "runs", "training time"),
    ("---", "---", "---", "---:", "---:", "---:"),
)


def accuracy(title: str, row: Mapping[str, Any]) -> Row:
    """Return the line of an experiment that measures accuracy, for its row of results.json."""
    runs = row["runs"]
    result = mean_and_spread([run["accuracy"] for run in runs])
    return (title, f"`{row['arch']}`", "accuracy", result, str(len(runs)), _time(run["seconds"] for run in runs))


def rejection(title: str, row: Mapping[str, Any]) -> Row:
    """Return the line of models of five words at their own threshold."""
    runs = row["runs"]
    result = f"{mean_and_spread(accepted_words(runs))}; {mean_and_spread(accepted_negatives(runs))}"
    return (
        title, f"`{row['arch']}`", "words accepted and right; negatives accepted", result, str(len(runs)),
        _time(run["training_seconds"] for run in runs),
    )  # fmt: skip


def unseen_words(row: Mapping[str, Any]) -> Row:
    """Return the line of an experiment with other words by unseen speakers."""
    runs = row["runs"]
    clips = "all clips" if row["per_word"] is None else f"{row['per_word']} clips a word"
    others = [run["others_accepted_at"]["0.95"] for run in runs]
    result = f"{mean_and_spread([run['accuracy'] for run in runs])}; {mean_and_spread(others)}"
    return (
        f"Unseen words: five of twelve words, {clips}", f"`{row['arch']}`",
        "accuracy; other words accepted at 95% of the words", result, str(len(runs)),
        _time(run["training_seconds"] for run in runs),
    )  # fmt: skip


def _time(seconds: Iterable[float | None]) -> str:
    known: Sequence[float] = [each for each in seconds if each is not None]
    return duration(statistics.median(known)) if known else ""
