"""A recording searched for the words of a model, with a timeline of its scores."""

from __future__ import annotations

import itertools
import math
import threading
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import OpenRecording, blocks
from audioconv.errors import DataError
from audioconv.lab.storing import size_of
from audioconv.model import Model
from audioconv.streaming.detector import chosen_threshold
from audioconv.streaming.evaluate import HeardRecording
from audioconv.streaming.scorer import Listener

MAX_POINTS = 1000
"""Of a timeline."""

MAX_SECONDS = 4 * 3600.0
"""Of a recording that is searched."""

MAX_EVENTS = 5000
"""That are listed."""

BLOCK_SECONDS, FRAME_SECONDS = 1.0, 0.02
"""A recording is read in blocks of the first length, and its level is that of frames of the second."""

LOWEST_DB = -120.0


class _Timeline(HeardRecording):
    """What a model makes of a recording, with the probabilities of all labels."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self.probabilities: list[NDArray[np.float32]] = []

    def _keep(self, probabilities: NDArray[Any], levels: NDArray[Any]) -> None:
        super()._keep(probabilities, levels)
        self.probabilities.append(np.asarray(probabilities, np.float16))


class _Levels:
    """The power of frames of `FRAME_SECONDS`, whatever the blocks in which samples come."""

    def __init__(self, rate: int) -> None:
        self._length = max(1, round(FRAME_SECONDS * rate))
        self._rest: NDArray[Any] = np.zeros(0, np.float32)
        self._powers: list[NDArray[np.float32]] = []

    def push(self, samples: NDArray[Any]) -> None:
        """Take the next samples (T,)."""
        joined = np.concatenate([self._rest, samples])
        count = len(joined) // self._length
        frames = joined[: count * self._length].reshape(count, self._length)
        self._powers.append(np.mean(np.square(frames, dtype=np.float64), axis=1).astype(np.float32))
        self._rest = joined[count * self._length :]

    def decibels(self) -> NDArray[np.float64]:
        """Return the level of each frame in dB below full scale, at least `LOWEST_DB`."""
        powers = np.concatenate(self._powers) if self._powers else np.zeros(0, np.float32)
        found: NDArray[np.float64] = 10 * np.log10(np.maximum(powers, 10 ** (LOWEST_DB / 10)), dtype=np.float64)
        return found


def search(
    model: Model, file: BinaryIO, name: str, threshold: float | None, stopping: threading.Event
) -> dict[str, Any]:
    """Return the words in a recording, and its scores and levels over the time.

    Parameters
    ----------
    model : Model
    file : binary file
        Seekable.
    name : str
        What errors call it.
    threshold : float, optional
        See `Detector`.
    stopping : threading.Event
        Ends the search when it is set.

    Returns
    -------
    dict
        `seconds`; `threshold`; `events` with label, score, time, begin and end in seconds; `times` (at most
        `MAX_POINTS`), and for each of them the greatest of each label in `scores`, and in `levels` the loudest, in dB
        below full scale.

    Raises
    ------
    DataError
        If it cannot be read, is longer than `MAX_SECONDS`, or the server ends.
    """
    threshold = chosen_threshold(model, threshold)
    with blocks(OpenRecording(file, name, size_of(file)), BLOCK_SECONDS) as found:
        timeline = _Timeline(Listener(model, found.info.sample_rate, 0.1, None))
        loudness = _Levels(found.info.sample_rate)
        for block in found.mono():
            if stopping.is_set():
                raise DataError(f"{name}: the server ends; search it again")
            if timeline.seconds > MAX_SECONDS:
                raise DataError(f"{name}: is longer than {MAX_SECONDS / 3600:g} hours; cut it into parts")
            timeline.push(block)
            loudness.push(block)
    timeline.flush()
    events = timeline.detections(threshold)
    probabilities = np.concatenate(timeline.probabilities) if timeline.probabilities else np.zeros((0, 0))
    points = min(MAX_POINTS, max(1, len(probabilities)))
    step = timeline.seconds / points
    return {
        "seconds": timeline.seconds,
        "threshold": threshold,
        "count": len(events),
        "events": [
            {"label": one.label, "score": one.score, "time": one.start, "begin": one.start, "end": one.end}
            for one in events[:MAX_EVENTS]
        ],
        "times": [round((place + 0.5) * step, 3) for place in range(points)],
        "scores": {
            label: _greatest(probabilities[:, code], points, 0.0)
            for code, label in enumerate(model.labels)
            if label in model.answer_labels
        },
        "levels": _greatest(loudness.decibels(), points, LOWEST_DB),
    }


def _greatest(values: NDArray[Any], points: int, nothing: float) -> list[float]:
    """Return the greatest value in each of so many equal parts."""
    if not len(values):
        return [nothing] * points
    borders = [math.floor(place * len(values) / points) for place in range(points + 1)]
    return [round(float(values[begin : max(end, begin + 1)].max()), 4) for begin, end in itertools.pairwise(borders)]
