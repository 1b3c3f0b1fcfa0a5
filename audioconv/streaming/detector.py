"""`Detector`: takes samples of a stream, returns detected words with their times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.streaming.event_clips import EventClip, EventClips
from audioconv.streaming.picker import Candidate, Detection, EventPicker, LevelTrack, Likeliest
from audioconv.streaming.scorer import Listener
from audioconv.streaming.windows import Scores

__all__ = ["DEFAULT_THRESHOLD", "Detection", "Detector"]

LISTENING_THRESHOLD = 0.95
"""The least for a model that has learned to reject: who listens all the time hears ten windows a second, nearly all of
them without a word. Chosen by measurement; see docs/recipes.md."""

DEFAULT_THRESHOLD = 0.5
"""Of models that have none of their own."""


class Detector:
    """Hears a model's words in a stream of sound.

    What it finds does not depend on the blocks in which the sound comes, and is the same as for the whole recording at
    once. Memory does not grow with the length of the stream. A detector is for one stream and one thread; detectors
    of other threads may use the same model.

    Parameters
    ----------
    model : Model or path-like
        Of sounds; of a `Classifier`, its `model_`.
    sample_rate : int, optional
        Of what is pushed, in Hz; by default the model's.
    threshold : float, optional
        The least score with which a word is taken, 0 to 1; by default the model's, `Model.decision`, or 0.5 where it
        has none.
    hop_seconds : float
        How often the model is asked; rounded to whole frames.
    smoothing_seconds : float, optional
        Over how long a time probabilities are averaged; by default 0.3, at most a third of the model's window.
    refractory_seconds : float, optional
        For how long after a word's end the same word is not heard again; by default half the model's window.
    on_clip : callable, optional
        Called with an `EventClip` of each detection and of each near miss, whose score is at least half the threshold,
        once its samples have come. Default: no samples are kept.

    Attributes
    ----------
    model : Model
    sample_rate : int
    threshold : float
    hop_seconds : float
        As rounded.

    Raises
    ------
    ConfigError
        If the model is not of sounds or knows no words, or a number is out of its range.

    Examples
    --------
    >>> detector = Detector("model.safetensors", sample_rate=48000)  # doctest: +SKIP
    >>> for block in microphone:  # doctest: +SKIP
    ...     for detection in detector.push(block):
    ...         print(detection.label, detection.start)
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        *,
        sample_rate: int | None = None,
        threshold: float | None = None,
        hop_seconds: float = 0.1,
        smoothing_seconds: float | None = None,
        refractory_seconds: float | None = None,
        on_clip: Callable[[EventClip], object] | None = None,
    ) -> None:
        self.model = model if isinstance(model, Model) else Model.load(model)
        self.threshold = chosen_threshold(self.model, threshold)
        self._listener = Listener(self.model, sample_rate, hop_seconds, smoothing_seconds)
        self._refractory_seconds, self._on_clip = refractory_seconds, on_clip
        self.sample_rate = self._listener.sample_rate
        self.hop_seconds = self._listener.grid.hop_seconds
        self._begin()

    @property
    def seconds(self) -> float:
        """How much of the stream has come."""
        return self._listener.seconds

    @property
    def scores(self) -> dict[str, float]:
        """The smoothed probability of each label in the last window; 0 before there is one."""
        return dict(zip(self.model.labels, self._latest.tolist(), strict=True))

    def reset(self) -> None:
        """Begin a new stream, at second 0; what is kept of the old one is forgotten."""
        self._listener.reset()
        self._begin()

    def push(self, samples: ArrayLike, sample_rate: int | None = None) -> list[Detection]:
        """Take the next samples; return the words that are certain now, in the order of their times.

        Parameters
        ----------
        samples : array (T,) or (T, channels), floating point or int16
            Full scale is 1, or 32768 where they are integers. T may be 0. Channels are averaged.
        sample_rate : int, optional
            Where the block says its rate: it must be that of the stream.

        Raises
        ------
        ShapeError
            If the block has another shape, or other channels than those before.
        DataError
            If it holds NaN, infinity or other numbers that are no sound, has another rate, or the stream has ended.

        Notes
        -----
        After an error the detector is as before this block, and the next one can be pushed.
        """
        return [self._picker.describe(one) for one in self._take(self._listener.push(samples, sample_rate))]

    def change_threshold(self, threshold: float) -> None:
        """Take words with another score from now on.

        Raises
        ------
        ConfigError
            If it does not lie between 0 and 1, or clips of events are kept, whose near misses depend on it.
        """
        if self._clips is not None:
            raise ConfigError("the threshold cannot be changed where clips of events are kept; make another Detector")
        self.threshold = chosen_threshold(self.model, threshold)
        self._picker.threshold = self.threshold

    def flush(self) -> list[Detection]:
        """End the stream; return the words that were still to come. `reset` begins a new one.

        Raises
        ------
        DataError
            If the stream has ended already.
        """
        candidates, last = list(self._take(self._listener.flush())), self._picker.flush()
        if self._clips is not None:
            self._clips.finish(last)
        return [self._picker.describe(one, self._listener.sample_count) for one in [*candidates, *last]]

    def finish_clips(self) -> None:
        """Give the clips of all events so far, with the samples so far: for a stream that is interrupted."""
        if self._clips is not None:
            self._clips.finish()

    def _begin(self) -> None:
        self._levels = LevelTrack(self._listener.grid, self._listener.silence_level)
        self._picker = EventPicker(
            self.model.labels, self._listener.grid, self._levels, self.threshold, self._refractory_seconds
        )
        self._latest = np.zeros(len(self.model.labels), np.float32)
        self._clips = None
        if self._on_clip is not None:
            self._clips = EventClips(
                self.model.labels,
                self._listener.grid,
                self._levels,
                self.threshold,
                self._refractory_seconds,
                self._on_clip,
            )

    def _take(self, heard: Iterable[Scores]) -> Iterable[Candidate]:
        for scores in heard:
            self._levels.append(scores.levels, self._picker.next_window)
            if len(scores.probabilities):
                self._latest = scores.probabilities[-1]
            likeliest = Likeliest.among(self.model.decision, self.model.labels, scores.probabilities)
            found = self._picker.push(likeliest)
            if self._clips is not None:
                self._clips.push(scores.samples, likeliest, found)
            yield from found


def chosen_threshold(model: Model, asked: float | None = None) -> float:
    """Return the threshold that is `asked` for, or that of a model that has learned to reject, or the default."""
    threshold = model.decision.stream_threshold if asked is None else asked
    if threshold is None:
        own = model.decision.threshold
        threshold = max(own, LISTENING_THRESHOLD) if model.decision.gate else own or DEFAULT_THRESHOLD
    if not 0 <= threshold <= 1:
        raise ConfigError(f"the threshold must lie between 0 and 1, got {threshold}")
    return threshold
