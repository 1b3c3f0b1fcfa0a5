"""Scoring of long recordings: false accepts an hour against misses, for all thresholds in one pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv._types import StrPath
from audioconv.audio import read
from audioconv.decision.classes import is_word
from audioconv.errors import ConfigError, DataError
from audioconv.evaluation import LongResult
from audioconv.io.files import display_path
from audioconv.model import Model
from audioconv.streaming.detector import chosen_threshold
from audioconv.streaming.label_tracks import Label
from audioconv.streaming.picker import Detection, EventPicker, LevelTrack, Likeliest
from audioconv.streaming.scorer import Listener

THRESHOLDS = (*np.round(np.arange(0.05, 0.95, 0.05), 2).tolist(), 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999)
"""Unless asked for others."""

TOLERANCE_SECONDS = 0.25
"""How far a detection may lie from a label, and still be of it."""

FALSE_ACCEPTS_PER_HOUR = 0.5
"""For which the operating point is chosen, unless asked for otherwise; as usual for keyword spotting."""


class HeardRecording:
    """What a model heard in one recording, of which the events follow for any threshold.

    A score and a number for each window, and a level for each row, are kept: some megabytes an hour.

    Parameters
    ----------
    listener : Listener
        Of the recording's rate, at its beginning; it is used up.
    refractory_seconds : float, optional
        As for `Detector`.
    """

    def __init__(self, listener: Listener, refractory_seconds: float | None = None) -> None:
        self._listener, self._refractory_seconds = listener, refractory_seconds
        self._levels: list[NDArray[Any]] = []
        self._heard: list[Likeliest] = []
        self._track: LevelTrack | None = None

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self._listener.seconds

    def push(self, samples: ArrayLike) -> None:
        """Take the next samples, as `Detector.push` does."""
        for scores in self._listener.push(samples):
            self._keep(scores.probabilities, scores.levels)

    def flush(self) -> None:
        """End the recording."""
        for scores in self._listener.flush():
            self._keep(scores.probabilities, scores.levels)
        self._track = LevelTrack(self._listener.grid, self._listener.silence_level, keep=True)
        self._track.append(np.concatenate(self._levels), 0)
        self._levels.clear()

    def detections(self, threshold: float) -> list[Detection]:
        """Return what a `Detector` with this threshold would have found."""
        assert self._track is not None, "flush() comes first"
        listener = self._listener
        picker = EventPicker(listener.model.labels, listener.grid, self._track, threshold, self._refractory_seconds)
        found = [one for heard in self._heard for one in picker.push(heard)] + picker.flush()
        return [picker.describe(one, listener.sample_count) for one in found]

    def _keep(self, probabilities: NDArray[Any], levels: NDArray[Any]) -> None:
        self._heard.append(Likeliest.among(self._listener.model.decision, self._listener.model.labels, probabilities))
        self._levels.append(levels)


def score_recordings(
    model: Model,
    recordings: Sequence[StrPath | NDArray[Any]],
    labels: Sequence[Sequence[Label]] | None = None,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    false_accepts_per_hour: float = FALSE_ACCEPTS_PER_HOUR,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    hop_seconds: float = 0.1,
    smoothing_seconds: float | None = None,
    refractory_seconds: float | None = None,
    on_seconds: Callable[[float], object] | None = None,
) -> LongResult:
    """Listen to long recordings once, and count what each threshold would have got right and wrong.

    Parameters
    ----------
    model : Model
    recordings : sequence of path-like or array
        Files, which are read in pieces; or samples at the model's rate.
    labels : sequence of sequences of Label, optional
        The words that are said in each recording; None where none of the model's words are said in any. Labels that are
        none of the model's words are passed over, so what is found there is a false accept.
    thresholds : sequence of float
        To these the model's own is added.
    false_accepts_per_hour : float
        For which the operating point is chosen.
    tolerance_seconds : float
        How far a detection may lie from the label of its word. Each label explains one detection.
    hop_seconds, smoothing_seconds, refractory_seconds
        As for `Detector`.
    on_seconds : callable, optional
        Called with the seconds that have been listened to so far.

    Raises
    ------
    DataError
        If a recording cannot be read, or there is none.
    ConfigError
        If the numbers make no sense, or there are other tracks of labels than recordings.
    """
    if not recordings:
        raise DataError("there are no recordings to listen to")
    if labels is not None and len(labels) != len(recordings):
        raise ConfigError(f"{len(recordings)} recordings need as many tracks of labels, got {len(labels)}")
    default = chosen_threshold(model)
    every = tuple(sorted({float(threshold) for threshold in (*thresholds, default)}))
    if not 0 <= every[0] <= every[-1] <= 1:
        raise ConfigError(f"thresholds must lie between 0 and 1, got {every[0]} to {every[-1]}")
    words = set(filter(is_word, model.labels))
    seconds, said = 0.0, 0
    detected, wrong = np.zeros(len(every), int), np.zeros(len(every), int)
    for number, recording in enumerate(recordings):
        track = [label for label in labels[number] if label.label in words] if labels is not None else []
        heard = hear(
            model, recording, hop_seconds, smoothing_seconds, refractory_seconds, _counted_on(on_seconds, seconds)
        )
        for place, threshold in enumerate(every):
            found = heard.detections(threshold)
            right = sum(match(found, track, tolerance_seconds))
            detected[place] += right
            wrong[place] += len(found) - right
        seconds, said = seconds + heard.seconds, said + len(track)
    return LongResult(
        seconds / 3600,
        tuple(map(_name, recordings)),
        said,
        every,
        tuple(wrong.tolist()),
        tuple(detected.tolist()),
        default,
        false_accepts_per_hour,
    )


def match(found: Sequence[Detection], track: Sequence[Label], tolerance_seconds: float) -> list[bool]:
    """Return whether each label has a detection of its own: of the same word, overlapping or that near."""
    free = list(found)
    has_one = [False] * len(track)
    for place in sorted(range(len(track)), key=lambda place: track[place].end):
        label = track[place]
        for one in free:
            near = one.start <= label.end + tolerance_seconds and one.end >= label.start - tolerance_seconds
            if near and one.label == label.label:
                free.remove(one)
                has_one[place] = True
                break
    return has_one


def hear(
    model: Model,
    recording: StrPath | NDArray[Any],
    hop_seconds: float = 0.1,
    smoothing_seconds: float | None = None,
    refractory_seconds: float | None = None,
    on_seconds: Callable[[float], object] = lambda seconds: None,
) -> HeardRecording:
    """Listen to one recording, a file or samples at the model's rate; the rest is as for `score_recordings`."""
    if not isinstance(recording, str | os.PathLike):
        heard = HeardRecording(Listener(model, None, hop_seconds, smoothing_seconds), refractory_seconds)
        heard.push(recording)
        on_seconds(heard.seconds)
    else:
        with read.blocks(recording) as blocks:
            rate = blocks.info.sample_rate
            heard = HeardRecording(Listener(model, rate, hop_seconds, smoothing_seconds), refractory_seconds)
            for block in blocks:
                try:
                    heard.push(block)
                except DataError as error:
                    raise DataError(f"{display_path(recording)}: after {heard.seconds:.0f} s: {error}") from None
                on_seconds(heard.seconds)
    heard.flush()
    return heard


def _counted_on(on_seconds: Callable[[float], object] | None, before: float) -> Callable[[float], object]:
    return (lambda seconds: None) if on_seconds is None else (lambda seconds: on_seconds(before + seconds))


def _name(recording: StrPath | NDArray[Any]) -> str:
    return display_path(recording) if isinstance(recording, str | os.PathLike) else "samples"
