"""The curve of a model: what each threshold accepts, on clips and recordings that trained nothing.

Clips of words come from the validation part, negatives from the speakers of the bank that choose thresholds. Streams
are measured as a `Detector` would run: each word clip between silence, and the recordings of the bank one after the
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array, Samples
from audioconv.audio.samples import as_float
from audioconv.audio.shared_windows import hold
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.decision.classes import is_word
from audioconv.decision.curve import Curve
from audioconv.decision.decision import Decision
from audioconv.model import Model
from audioconv.pipeline import sharing
from audioconv.streaming.evaluate import HeardRecording, hear

LOG_ODDS = np.round(np.arange(-3.0, 14.01, 0.25), 2)
"""The thresholds of a curve, as logarithms of odds."""

STREAM_SECONDS = 120.0
"""Recordings are joined to about so many seconds, so that their ends do not count as events."""

PAUSE_SECONDS = 1.0
"""Silence around a word clip in a stream."""

MAX_WORD_CLIPS = 400
"""Of more clips of words, so many are put into streams."""

TAIL_COUNTS = (2, 40)
"""Between these numbers of false accepts the tail of the curve is fitted, to extrapolate the rate."""

USUAL_SLOPE = 1.3
"""Fall of the logarithm of the rate for each log-odds, where there are too few false accepts to fit it. Four models had
1.1 to 1.6 in the speech of readers who chose nothing."""


@dataclass(frozen=True, eq=False)
class Heldout:
    """Examples that trained nothing.

    Attributes
    ----------
    words : array (N, T) float32, or Windows
        Clips of words.
    codes : array (N,) int64
        Their classes.
    negatives : array (M, K) float32
        Logits of clips of negatives.
    recordings : sequence of arrays (samples,) float32 or int16
        Recordings without words, at the model's rate.
    """

    words: Samples | Windows
    codes: NDArray[np.integer]
    negatives: Array
    recordings: Sequence[Array]


def measure_curve(model: Model, decision: Decision, heldout: Heldout, processes: Processes = ALONE) -> Curve:
    """Return the curve of `model` with a decision whose probabilities are final; the processes share the work."""
    model = replace(model, decision=decision)
    thresholds = 1 / (1 + np.exp(-LOG_ODDS))
    answers = decision.decide(model.labels, sharing.probabilities(model, heldout.words, processes))
    right = answers.scores[answers.codes == heldout.codes]
    of_negatives = decision.decide(model.labels, decision.probabilities(model.labels, heldout.negatives))
    words = np.array([is_word(label) for label in model.labels])
    wrong = of_negatives.scores[words[of_negatives.codes]]
    found, tried = _found_in_streams(model, heldout, thresholds, processes)
    counts, seconds = _false_accepts(model, heldout.recordings, thresholds, processes)
    return Curve(
        thresholds=tuple(thresholds.tolist()),
        words=tuple(_share(right, thresholds, len(heldout.codes))),
        negatives=tuple(_share(wrong, thresholds, len(heldout.negatives))),
        found=tuple((found / max(1, tried)).tolist()),
        false_accepts_per_hour=tuple(extrapolated(counts, seconds / 3600).tolist()),
        word_clips=len(heldout.codes),
        negative_clips=len(heldout.negatives),
        hours=seconds / 3600,
    )


def _share(scores: Array, thresholds: Array, count: int) -> list[float]:
    """Return the share of so many clips, some with these scores, that each threshold accepts."""
    ranked = np.sort(scores)
    shares: list[float] = ((len(ranked) - np.searchsorted(ranked, thresholds)) / max(1, count)).tolist()
    return shares


def _found_in_streams(
    model: Model, heldout: Heldout, thresholds: Array, processes: Processes
) -> tuple[NDArray[np.int64], int]:
    """Return how many clips of words each threshold finds in a stream, and how many were tried."""
    rate = _rate(model)
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    places = np.flatnonzero([is_word(model.labels[code]) for code in heldout.codes])
    places = places[np.unique(np.linspace(0, len(places) - 1, min(len(places), MAX_WORD_CLIPS)).astype(int))]
    hold(heldout.words, places)

    def found_in(number: int) -> list[bool]:
        place = int(places[number])
        heard = hear(model, np.concatenate([pause, heldout.words[place], pause]))
        label = model.labels[int(heldout.codes[place])]
        return [any(one.label == label for one in heard.detections(t)) for t in thresholds.tolist()]

    found = np.zeros(len(thresholds), np.int64)
    for of_clip in processes.every(len(places), found_in):
        found += of_clip
    return found, len(places)


def _false_accepts(
    model: Model, recordings: Sequence[Array], thresholds: Array, processes: Processes
) -> tuple[NDArray[np.int64], float]:
    """Return how many events each threshold finds in recordings without words, and how many seconds they last."""
    streams = _streams(recordings, round(STREAM_SECONDS * _rate(model)))

    def heard_in(number: int) -> tuple[list[int], float]:
        heard: HeardRecording = hear(model, np.concatenate([as_float(recording) for recording in streams[number]]))
        return [len(heard.detections(t)) for t in thresholds.tolist()], heard.seconds

    counts, seconds = np.zeros(len(thresholds), np.int64), 0.0
    for of_stream, length in processes.every(len(streams), heard_in):
        counts += of_stream
        seconds += length
    return counts, seconds


def _streams(recordings: Sequence[Array], length: int) -> list[list[Array]]:
    """Return the recordings in groups, each of at least so many samples, but the last one."""
    groups: list[list[Array]] = []
    filled = length
    for recording in recordings:
        if filled >= length:
            groups.append([])
            filled = 0
        groups[-1].append(recording)
        filled += len(recording)
    return groups


def _rate(model: Model) -> int:
    assert model.front_end is not None, "only models of sounds have streams"
    return model.front_end.sample_rate


def extrapolated(counts: NDArray[np.integer], hours: float) -> NDArray[np.float64]:
    """Return false accepts an hour for each threshold of `LOG_ODDS`, given how many there were in so many hours.

    Scores of rare events fall off exponentially in their log-odds. Where fewer than `TAIL_COUNTS` events were observed,
    the rate is the greater one of what was observed and what the line through the logarithms of the counts before it
    says. Too few events for a line may as well have been `TAIL_COUNTS`: the line falls from there by `USUAL_SLOPE`.
    """
    if hours <= 0:
        return np.zeros(len(counts))
    falling = np.minimum.accumulate(counts.astype(float))
    low, high = TAIL_COUNTS
    fitted = np.flatnonzero((falling >= low) & (falling <= high))
    rates, line = falling / hours, None
    if len(fitted) >= 3 and np.ptp(falling[fitted]) > 0:
        slope, offset = np.polyfit(LOG_ODDS[fitted], np.log(falling[fitted]), 1, w=np.sqrt(falling[fitted]))
        if slope < 0:
            line = np.exp(offset + slope * LOG_ODDS)
    if line is None and falling[-1] <= low:
        few = LOG_ODDS[np.argmax(falling <= low)]
        line = low * np.exp(-USUAL_SLOPE * (LOG_ODDS - few))
    if line is not None:
        rates = np.where(falling <= low, np.maximum(rates, np.minimum(line, low) / hours), rates)
    return np.minimum.accumulate(rates)
