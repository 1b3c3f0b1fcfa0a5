"""Listening: scores and events of a stream, and verdicts by which its last seconds become clips of the project."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv._types import Samples
from audioconv.audio.endpoints import NoClearWordError, find_words
from audioconv.decision.classes import UNKNOWN
from audioconv.errors import ConfigError, DataError
from audioconv.lab.clips import Clip
from audioconv.lab.project import Project
from audioconv.lab.storing import as_wav
from audioconv.model import Model
from audioconv.serving.limits import RefusedError
from audioconv.streaming import Detection, Detector
from audioconv.streaming.event_clips import SampleHistory

KEPT_EVENTS, KEPT_SECONDS = 50, 600.0
"""Sounds of so many events are kept, for so long after the stream has ended."""

HISTORY_SECONDS = 30.0
"""Of a stream, so much is kept, of which events are cut."""

EVENT_MARGIN_SECONDS = 0.4
"""Before and behind the word in the sound of an event."""

MISSED_SECONDS, MISSED_LOOK_SECONDS = 2.0, 4.0
"""Length of the clip of a word that was missed, around the loudest word in the seconds before."""

SCORES_SECONDS = 0.08
"""Scores are sent at most so often."""

FLOOR_SHARE, SPEECH_DB, FLOOR_BLOCKS = 0.2, 12.0, 60
"""What lies so far above this quantile of the last blocks' levels counts as speech."""

LOWEST_DB = -120.0


@dataclass(frozen=True)
class HeardEvent:
    """A word that was found in a stream.

    Attributes
    ----------
    id : str
    detection : Detection
    samples : array (T,) float32
        The word with what lies around it.
    rate : int
        In Hz.
    """

    id: str
    detection: Detection
    samples: Samples
    rate: int

    def to_json(self) -> dict[str, Any]:
        """Return the message for the page."""
        one = self.detection
        return {
            "type": "event",
            "id": self.id,
            "label": one.label,
            "score": one.score,
            "time": one.start,
            "begin": one.start,
            "end": one.end,
        }


class HeardEvents:
    """The sounds of the last events of all streams; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: OrderedDict[str, tuple[HeardEvent, float]] = OrderedDict()
        self._number = 0

    def new_id(self) -> str:
        """Return an identifier that no other event has."""
        with self._lock:
            self._number += 1
            return f"{self._number}"

    def add(self, event: HeardEvent) -> None:
        """Keep an event."""
        with self._lock:
            self._events[event.id] = event, float("inf")
            self._forget()

    def ended(self, identifiers: list[str]) -> None:
        """Let the events of a stream that has ended be forgotten after a while."""
        with self._lock:
            until = time.monotonic() + KEPT_SECONDS
            for one in identifiers:
                if one in self._events:
                    self._events[one] = self._events[one][0], until
            self._forget()

    def find(self, identifier: str) -> HeardEvent:
        """Return an event; `RefusedError` (404) if it is not there any more."""
        with self._lock:
            self._forget()
            if identifier not in self._events:
                raise RefusedError(404, "the sound of this event is not kept any more")
            return self._events[identifier][0]

    def _forget(self) -> None:
        now = time.monotonic()
        old = [one for one, (_, until) in self._events.items() if until < now]
        for one in old:
            del self._events[one]
        while len(self._events) > KEPT_EVENTS:
            self._events.popitem(last=False)


class ListeningStream:
    """One stream of sound, which a model listens to. It is for one thread at a time.

    Parameters
    ----------
    model : Model
    project : Project
        Gets the clips of verdicts.
    events : HeardEvents
    rate : int
        Sample rate of the stream, in Hz.
    threshold : float, optional
        See `Detector`.
    speaker : str, optional
        Who speaks; clips get the name.
    """

    def __init__(
        self,
        model: Model,
        project: Project,
        events: HeardEvents,
        rate: int,
        threshold: float | None = None,
        speaker: str | None = None,
    ) -> None:
        self._detector = Detector(model, sample_rate=rate, threshold=threshold)
        self._project, self._events, self._rate, self._speaker = project, events, rate, speaker
        self._labels = model.answer_labels
        self._history = SampleHistory()
        self._levels: list[float] = []
        self._sent = -SCORES_SECONDS
        self._ids: list[str] = []

    @property
    def threshold(self) -> float:
        """The score from which on a word is taken."""
        return self._detector.threshold

    def push(self, samples: Samples) -> list[dict[str, Any]]:
        """Take the next samples (T,) float32; return the messages that they bring.

        Raises
        ------
        DataError
            If they hold NaN, infinity or what is no sound; the stream is as before.
        """
        found = self._detector.push(samples)
        self._history.append(samples)
        self._history.forget(self._history.end - round(HISTORY_SECONDS * self._rate))
        messages = list(self._describe(found))
        level = _level(samples)
        self._levels = [*self._levels[1 - FLOOR_BLOCKS :], level]
        seconds = self._detector.seconds
        if seconds - self._sent >= SCORES_SECONDS:
            self._sent = seconds
            scores = self._detector.scores
            floor = float(np.quantile(self._levels, FLOOR_SHARE))
            messages.append(
                {
                    "type": "scores",
                    "time": seconds,
                    "scores": {label: scores[label] for label in self._labels},
                    "db": level,
                    "speech": level > floor + SPEECH_DB,
                }
            )
        return messages

    def take(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """Take a text message of the page; return the answers.

        Raises
        ------
        ConfigError, RefusedError, DataError
            If it is none that there is, its event is not kept any more, or the clip cannot be stored.
        """
        kind = message.get("type")
        if kind == "threshold":
            value = message.get("value")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError("the threshold must be a number from 0 to 1")
            self._detector.change_threshold(float(value))
            return [{"type": "threshold", "value": self.threshold}]
        if kind == "verdict":
            return [self._stored(judge(self._events, self._project, message, self._speaker), message.get("event"))]
        if kind == "missed":
            return [self._stored(self._missed(message.get("label")), None)]
        raise ConfigError("a message is of the type threshold, verdict, missed or stop")

    def finish(self) -> list[dict[str, Any]]:
        """End the stream; return the words that were still to come."""
        return list(self._describe(self._detector.flush()))

    def close(self) -> None:
        """Let the sounds of its events be forgotten after a while."""
        self._events.ended(self._ids)

    # --- events ---

    def _describe(self, found: list[Detection]) -> Iterator[dict[str, Any]]:
        for one in found:
            begin = round((one.start - EVENT_MARGIN_SECONDS) * self._rate)
            end = round((one.end + EVENT_MARGIN_SECONDS) * self._rate)
            event = HeardEvent(self._events.new_id(), one, self._history.cut(max(0, begin), end), self._rate)
            self._events.add(event)
            self._ids.append(event.id)
            yield event.to_json()

    def _missed(self, label: object) -> Clip:
        """Store the loudest word of the last seconds as a clip of a class."""
        end = self._history.end
        last = self._history.cut(end - round(MISSED_LOOK_SECONDS * self._rate), end)
        if not len(last) or not last.any():
            raise DataError("nothing was said in the last seconds; say the word again, then press the button")
        return self._store(around_loudest_word(last, self._rate), label)

    def _store(self, samples: Samples, label: object) -> Clip:
        if not isinstance(label, str):
            raise ConfigError("the name of a class is needed")
        return self._project.add_samples(samples, self._rate, label, self._speaker)

    def _stored(self, clip: Clip, event: object) -> dict[str, Any]:
        return {"type": "stored", "clip": self._project.clip_json(clip), "event": event}


def judge(events: HeardEvents, project: Project, message: dict[str, Any], speaker: str | None = None) -> Clip:
    """Store the sound of an event under the name that a verdict gives it.

    Parameters
    ----------
    events : HeardEvents
    project : Project
    message : dict
        `event`, its id; `verdict`, ``right`` or ``wrong``; `label`, the class of a wrong event. Default of `label`:
        ``_unknown_``.
    speaker : str, optional
        Who speaks.

    Raises
    ------
    ConfigError
        If the verdict is none that there is.
    RefusedError
        (404) if the sound of the event is not kept any more.
    DataError
        If the clip cannot be stored.
    """
    verdict, label = message.get("verdict"), message.get("label")
    if verdict not in ("right", "wrong"):
        raise ConfigError("a verdict is right or wrong")
    event = events.find(str(message.get("event")))
    found = event.detection.label
    if verdict == "right":
        label = found
    elif label == found:
        raise ConfigError(f"{found!r} is what was found; a wrong event is of another class")
    if label is None:
        label = UNKNOWN
    if not isinstance(label, str):
        raise ConfigError("the name of a class is needed")
    return project.add_samples(event.samples, event.rate, label, speaker)


def around_loudest_word(samples: Samples, rate: int) -> Samples:
    """Return `MISSED_SECONDS` of a recording (T,) around its loudest word; around the middle if none stands out."""
    length = round(MISSED_SECONDS * rate)
    if len(samples) <= length:
        return samples
    try:
        words = find_words(samples, rate)
    except NoClearWordError:
        return samples[len(samples) - length :]
    parts = [(max(0, round(one.begin * rate)), min(len(samples), round(one.end * rate))) for one in words]
    begin, end = max(parts, key=lambda part: float(np.square(samples[slice(*part)]).sum()))
    first = min(max(0, (begin + end - length) // 2), len(samples) - length)
    return samples[first : first + length]


def wav_of(event: HeardEvent) -> bytes:
    """Return the sound of an event as a WAV file."""
    return as_wav(event.samples, event.rate)


def _level(samples: Samples) -> float:
    """Return the level of a block in dB below full scale."""
    if not len(samples):
        return LOWEST_DB
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(LOWEST_DB, 10 * float(np.log10(power))) if power > 0 else LOWEST_DB
