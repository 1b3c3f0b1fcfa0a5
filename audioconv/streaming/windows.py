"""Windows of a stream: from samples to smoothed probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array, Samples
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.streaming.frames import Levels, RowStream, row_stream

AT_ONCE = 64
"""Windows that go through the network together, where so many are there."""

_NOTHING: Samples = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Grid:
    """Where the windows of a stream lie, counted in rows: nothing here could drift.

    Window k is centred on row ``k * hop_rows``. It begins ``window_rows // 2`` rows before it, so the first ones begin
    before the stream, in silence, and a word that comes at once lies in the middle of one of them.

    Attributes
    ----------
    sample_rate : int
        The model's, in Hz.
    row_samples, before, after : int
        Of a `RowStream`, in samples.
    window_rows, hop_rows : int
        Rows of a window, and from one window to the next.
    smoothing : int
        Windows over which probabilities are averaged.
    """

    sample_rate: int
    row_samples: int
    before: int
    after: int
    window_rows: int
    hop_rows: int
    smoothing: int

    @property
    def hop_seconds(self) -> float:
        """Seconds from one window to the next."""
        return self.hop_rows * self.row_samples / self.sample_rate

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        return self.window_rows * self.row_samples / self.sample_rate

    def first_row(self, window: int) -> int:
        """Return the first row of a window; negative before the stream."""
        return window * self.hop_rows - self.window_rows // 2

    def windows_within(self, rows: int) -> int:
        """Return how many windows are complete after so many rows."""
        beyond = rows - (self.window_rows - self.window_rows // 2)
        return max(0, 1 + beyond // self.hop_rows)

    def windows_until(self, rows: int) -> int:
        """Return how many windows are centred before the end of a stream of so many rows."""
        return -(-rows // self.hop_rows)

    def middle(self, window: int) -> int:
        """Return the window in the middle of those that the smoothed probabilities of `window` come from."""
        return max(0, window - (self.smoothing - 1) // 2)

    def sample_before(self, row: int) -> int:
        """Return the sample at which a row begins."""
        return max(0, row * self.row_samples - self.before)

    def sample_after(self, row: int) -> int:
        """Return the sample at which a row ends."""
        return row * self.row_samples + self.after

    def rows_in(self, seconds: float) -> int:
        """Return about how many rows `seconds` are, at least one."""
        return max(1, round(seconds * self.sample_rate / self.row_samples))

    def windows_in(self, seconds: float) -> int:
        """Return about how many steps from window to window `seconds` are, at least one."""
        return max(1, round(seconds / self.hop_seconds))


@dataclass(frozen=True, eq=False)
class Scores:
    """What was heard in some windows, one after the other.

    Attributes
    ----------
    probabilities : array (K, labels) float32
        Smoothed, of each window.
    levels : array (R,) float32
        Of each row that has come meanwhile, in dB.
    samples : array (T,) float32
        The samples at the model's rate that have come meanwhile.
    """

    probabilities: Array
    levels: Levels
    samples: Samples


class WindowScorer:
    """Evaluates a model on one window of a stream after the other.

    Parameters
    ----------
    model : Model
        Of sounds.
    hop_seconds : float
        From one window to the next; rounded to whole rows.
    smoothing_seconds : float
        Over how long a time probabilities are averaged; rounded to whole windows.

    Attributes
    ----------
    grid : Grid
    silence_level : float
        How loud a row before the stream is, in dB.
    """

    def __init__(self, model: Model, hop_seconds: float, smoothing_seconds: float) -> None:
        assert model.front_end is not None
        assert model.clip_samples is not None
        self._model = model
        self._rows: RowStream = row_stream(model.front_end, model.clip_samples)
        row_seconds = self._rows.row_samples / model.front_end.sample_rate
        longest = self._rows.window_rows * row_seconds
        for name, value, least in (
            ("hop_seconds", hop_seconds, row_seconds),
            ("smoothing_seconds", smoothing_seconds, 0),
        ):
            if not least <= value <= longest:
                raise ConfigError(
                    f"{name} must lie between {least:g} and {longest:g}, the length of the model's window, got {value}"
                )
        hop_rows = round(hop_seconds / row_seconds)
        self.grid = Grid(
            model.front_end.sample_rate,
            self._rows.row_samples,
            self._rows.before,
            self._rows.after,
            self._rows.window_rows,
            hop_rows,
            max(1, round(smoothing_seconds / (hop_rows * row_seconds))),
        )
        self.silence_level = float(self._rows.levels(self._rows.silence[np.newaxis])[0])
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        grid = self.grid
        self._rows.reset()
        self._row_count = 0
        self._window_count = 0
        # Rows from the first of the next window on; before the stream is silence.
        self._kept = np.repeat(self._rows.silence[np.newaxis], -grid.first_row(0), axis=0)
        # Before the first window nothing was heard.
        self._last = np.zeros((grid.smoothing - 1, len(self._model.labels)), np.float32)

    def push(self, samples: NDArray[np.float32]) -> Scores:
        """Take samples (T,) at the model's rate; return what is known of them now."""
        return self._take(self._rows.push(samples), samples)

    def flush(self) -> Scores:
        """End the stream, after which comes silence; return what was still to be known of it."""
        rows = self._rows.flush()
        windows = self.grid.windows_until(self._row_count + len(rows))
        if not windows:
            return self._take(rows, _NOTHING)
        needed = self.grid.first_row(windows - 1) + self.grid.window_rows - (self._row_count + len(rows))
        silence = np.repeat(self._rows.silence[np.newaxis], max(0, needed), axis=0)
        return self._take(np.concatenate([rows, silence]), _NOTHING, windows)

    def _take(self, rows: Array, samples: Samples, most: int | None = None) -> Scores:
        """Take rows, and evaluate the windows that are complete with them, but not beyond number `most`."""
        grid = self.grid
        self._row_count += len(rows)
        complete = grid.windows_within(self._row_count)
        count = max(0, (complete if most is None else min(complete, most)) - self._window_count)
        self._kept = np.concatenate([self._kept, rows])
        raw = np.empty((count, len(self._model.labels)), np.float32)
        # (windows, width, window_rows): a view, of which only a batch at a time is copied.
        if count:
            views = np.lib.stride_tricks.sliding_window_view(self._kept, grid.window_rows, axis=0)[:: grid.hop_rows]
        for begin in range(0, count, AT_ONCE):
            windows = np.ascontiguousarray(views[begin : min(begin + AT_ONCE, count)].swapaxes(1, 2))
            raw[begin : begin + len(windows)] = self._model.probabilities(self._rows.features(windows))
        self._kept = self._kept[count * grid.hop_rows :].copy()  # no view, which would keep alive all that came
        self._window_count += count
        return Scores(self._smooth(raw), self._rows.levels(rows), samples)

    def _smooth(self, raw: Array) -> Array:
        """Return the averages of each window's probabilities and those of the windows before it."""
        n = self.grid.smoothing
        kept = np.concatenate([self._last, raw])
        # Added one after the other, always in the same order: the bits do not depend on how many come at once.
        total = np.zeros(raw.shape, np.float32)
        for place in range(n):
            total += kept[place : place + len(raw)]
        self._last = kept[len(kept) - (n - 1) :].copy()
        return total / np.float32(n)
