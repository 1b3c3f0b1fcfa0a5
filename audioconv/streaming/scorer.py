"""`Listener`: takes blocks of samples, gives the smoothed probabilities of each window."""

from __future__ import annotations

from collections.abc import Iterator

from numpy.typing import ArrayLike

from audioconv.errors import ConfigError, DataError
from audioconv.model import Model
from audioconv.streaming.resampler import StreamInput
from audioconv.streaming.windows import AT_ONCE, Scores, WindowScorer

SMOOTHING, SMOOTHING_WHO_REJECTS = (0.3, 1 / 3), (0.6, 0.6)
"""Over how many seconds probabilities are averaged, and the greatest part of a window that this may be.

A model that has learned to reject is sure of a word as long as it is in the window; what is none of the words is like
one for a moment only."""


class Listener:
    """What a model hears in a stream of sound, whatever is taken for an event.

    Parameters, errors and what `push` takes are those of `Detector`, which has the events as well.

    Attributes
    ----------
    model : Model
    sample_rate : int
        Of what is pushed, in Hz.
    grid : Grid
        Where the windows lie.
    silence_level : float
        How loud a row before the stream is, in dB.
    """

    def __init__(
        self, model: Model, sample_rate: int | None, hop_seconds: float, smoothing_seconds: float | None
    ) -> None:
        if model.front_end is None or model.clip_samples is None:
            raise ConfigError("listening takes a model of sounds; this one is of pictures")
        if not model.words:
            raise ConfigError(f"the model knows no words to listen for, only {', '.join(model.labels)}")
        self.model = model
        model_rate = model.front_end.sample_rate
        if smoothing_seconds is None:
            seconds, part = SMOOTHING_WHO_REJECTS if model.decision.gate else SMOOTHING
            smoothing_seconds = min(seconds, part * model.clip_samples / model_rate)
        self._scorer = WindowScorer(model, hop_seconds, smoothing_seconds)
        self._input = StreamInput(model_rate if sample_rate is None else sample_rate, model_rate)
        self.sample_rate = self._input.from_rate
        self.grid = self._scorer.grid
        self.silence_level = self._scorer.silence_level
        # Samples that make as many windows as go through the network together: a longer block is taken in pieces.
        self._piece = max(1, round(AT_ONCE * self.grid.hop_seconds * self.sample_rate))
        self._ended = False

    @property
    def seconds(self) -> float:
        """How much of the stream has come."""
        return self._input.sample_count / self.sample_rate

    @property
    def sample_count(self) -> int:
        """How many samples at the model's rate the stream has so far, rounded down."""
        return self._input.sample_count * self.grid.sample_rate // self.sample_rate

    def reset(self) -> None:
        """Begin a new stream, at second 0; what is kept of the old one is forgotten."""
        self._input.reset()
        self._scorer.reset()
        self._ended = False

    def push(self, samples: ArrayLike, sample_rate: int | None = None) -> Iterator[Scores]:
        """Check the next samples, and return an iterator that takes them and yields what is known of them now."""
        self._check_open()
        if sample_rate is not None and sample_rate != self.sample_rate:
            raise DataError(
                f"the stream has {self.sample_rate} Hz, this block {sample_rate}; "
                "a stream of another rate needs a detector of its own"
            )
        block = self._input.check(samples)
        pieces = (block[begin : begin + self._piece] for begin in range(0, len(block), self._piece))
        return (self._scorer.push(self._input.push(piece)) for piece in pieces)

    def flush(self) -> Iterator[Scores]:
        """End the stream, and return an iterator that yields what was still to be known of it."""
        self._check_open()
        self._ended = True
        return iter([self._scorer.push(self._input.flush()), self._scorer.flush()])

    def _check_open(self) -> None:
        if self._ended:
            raise DataError("this stream has been flushed, and its last words are given; reset() begins a new one")
