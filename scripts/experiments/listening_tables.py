"""What the experiments of `listening.py` brought, as tables of docs/results.md."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from experiments.listening import FALSE_ACCEPTS_PER_HOUR, NOISE, SNRS, SOUNDS

Run = Mapping[str, Any]
Row = tuple[str, ...]

AIMS = {
    "accepted and right": "at least 93 %",
    "negatives": "at most 5 %",
    "speech": "at most 1 an hour",
    NOISE: "none",
    SOUNDS: "none",
}


def rejecting(numbers: Mapping[str, Any]) -> list[Row]:
    """Return the table of what is accepted, for a row of results.json."""
    runs = numbers["runs"]
    rows = [
        ("at the model's own threshold", "of", "mean", *(run["name"] for run in runs), "aim"),
        ("---", "---:", "---", *("---:" for _ in runs), "---"),
    ]

    def add_share(name: str, part: Callable[[Run], int], whole: Callable[[Run], int], aim: str = "") -> None:
        shares = [part(run) / whole(run) for run in runs]
        tested = f"{whole(runs[0]):,} clips"
        rows.append((name, tested, mean_and_spread(shares), *(f"{share:.2%}" for share in shares), aim))

    def add_heard(name: str, parts: Sequence[str], aim: str = "") -> None:
        counts = [sum(run["listening"][part]["false_accepts"] for part in parts) for run in runs]
        hours = sum(runs[0]["listening"][part]["hours"] for part in parts)
        mean = f"**{statistics.mean(counts) / hours:.2f}** an hour"
        rows.append((name, f"{hours:.3f} hours", mean, *map(str, counts), aim))

    def tested(run: Run) -> int:
        return run["clips"]["tested"]

    add_share("words: right, when forced to choose", lambda run: run["clips"]["right"], tested)
    add_share(
        "words: accepted and right", lambda run: run["clips"]["accepted_and_right"], tested, AIMS["accepted and right"]
    )
    for name in _negatives(runs[0]):
        add_share(
            f"accepted: {name}",
            lambda run, name=name: _negatives(run)[name]["accepted"],
            lambda run, name=name: _negatives(run)[name]["tested"],
        )
    add_share(
        "accepted: all negatives",
        lambda run: sum(source["accepted"] for source in _negatives(run).values()),
        lambda run: sum(source["tested"] for source in _negatives(run).values()),
        AIMS["negatives"],
    )
    speech = [name for name in runs[0]["listening"] if name.startswith("speech")]
    add_heard("false accepts: speech", speech, AIMS["speech"])
    for name in runs[0]["listening"]:
        add_heard(f"false accepts: {name}", [name], AIMS.get(name, ""))
    rows.append(("threshold", "", "", *(f"{run['threshold']:.3f}" for run in runs), ""))
    return rows


def accepted_words(runs: Sequence[Run]) -> list[float]:
    """Return the share of the words that are accepted and right, for each run."""
    return [run["clips"]["accepted_and_right"] / run["clips"]["tested"] for run in runs]


def accepted_negatives(runs: Sequence[Run]) -> list[float]:
    """Return the share of all negatives that are accepted, for each run."""
    counts = [list(_negatives(run).values()) for run in runs]
    return [sum(each["accepted"] for each in one) / sum(each["tested"] for each in one) for one in counts]


def _negatives(run: Run) -> Mapping[str, Mapping[str, int]]:
    """Return the counts of negatives by their origin; numbers of earlier releases have them under another name."""
    found: Mapping[str, Mapping[str, int]] = run["negatives"] if "negatives" in run else run["outsiders"]
    return found


def spliced(numbers: Mapping[str, Any]) -> list[Row]:
    """Return the table of how many words are found, for a row of results.json."""
    runs = numbers["runs"]
    thresholds = {"chosen": f"for {FALSE_ACCEPTS_PER_HOUR:g} false accepts an hour", "own": "the model's own"}
    heads = ("background", "threshold", "words", *(f"{snr} dB" for snr in SNRS), "all levels")
    rows = [heads, ("---", "---", "---:", *("---:" for _ in SNRS), "---:")]
    for background in runs[0]["found"]:
        for name, told in thresholds.items():
            parts = [[run["found"][background][str(snr)] for run in runs] for snr in SNRS]
            levels = [mean_and_spread([_share([part], name) for part in level]) for level in parts]
            together = mean_and_spread([_share(run["found"][background].values(), name) for run in runs])
            words = sum(part["words"] for level in parts for part in level)
            rows.append((background, told, f"{words:,}", *levels, together))
    return rows


def _share(parts: Iterable[Mapping[str, int]], name: str) -> float:
    """Return which share of the words in all parts was found; NaN where there are none."""
    found, words = (sum(column) for column in zip(*((part[name], part["words"]) for part in parts), strict=True))
    return found / words if words else math.nan


def spliced_note(numbers: Mapping[str, Any]) -> str:
    """Return what the thresholds of `spliced` are, and how well they are known."""
    runs = numbers["runs"]
    hours = runs[0]["hours"]
    allowed = int(FALSE_ACCEPTS_PER_HOUR * hours)
    chosen = ", ".join(
        f"{run['thresholds']['chosen']:g} ({run['false_accepts']['chosen']}"
        f"{'' if run['reached'] else ', no threshold has so few'})"
        for run in runs
    )
    own = ", ".join(f"{run['thresholds']['own']:.3f} ({run['false_accepts']['own']})" for run in runs)
    return (
        f"Without the words, the same recordings are {60 * hours:.1f} minutes long. There, "
        f"{FALSE_ACCEPTS_PER_HOUR:g} an hour allows {allowed or 'no'} "
        f"false accept{'' if allowed == 1 else 's'}, so a lower rate cannot be measured. "
        f"Thresholds chosen on them, with their false accepts: {chosen}; the models' own: {own}."
    )


def mean_and_spread(shares: Sequence[float]) -> str:
    """Return the mean of some shares and, where there are several, their deviation; a dash for shares of none."""
    if any(map(math.isnan, shares)):
        return "-"
    mean = f"**{statistics.mean(shares):.2%}**"
    return f"{mean} ± {statistics.stdev(shares):.2%}" if len(shares) > 1 else mean
