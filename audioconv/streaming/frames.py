"""Frames of a stream: of its spectrogram, or short pieces of its samples."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audioconv.features.front_ends import FrontEnd, LogMel, Mfcc, RawSamples
from audioconv.features.librosa_front_end import Librosa
from audioconv.features.stream import LogMelStream

Rows = NDArray[np.float32]
Levels = NDArray[np.float32]

PIECE_SECONDS = 0.01
"""Length of a row of samples."""


class RowStream(Protocol):
    """Rows (R, width) of a stream, the same however it is cut into blocks.

    Attributes
    ----------
    row_samples : int
        Samples from one row to the next.
    before, after : int
        Samples that row 0 reaches before and from sample 0 on: row i is about those from ``i * row_samples - before``
        to ``i * row_samples + after``.
    window_rows : int
        Rows of a clip.
    silence : array (width,)
        The row of zeros.
    """

    row_samples: int
    before: int
    after: int
    window_rows: int
    silence: Rows

    def reset(self) -> None:
        """Begin a new stream."""

    def push(self, samples: Rows) -> Rows:
        """Take samples (T,); return the rows that are complete now."""

    def flush(self) -> Rows:
        """End the stream; return the last rows, which find zeros beyond its end."""

    def features(self, windows: Rows) -> NDArray[Any]:
        """Return windows (N, window_rows, width) as the features (N, ...) that a model takes."""

    def levels(self, rows: Rows) -> Levels:
        """Return how loud each row is, (R,) in dB."""


def row_stream(front_end: FrontEnd, clip_samples: int) -> RowStream:
    """Return the rows that `front_end` makes of a stream, for clips of so many samples."""
    if isinstance(front_end, RawSamples):
        return SampleRows(front_end, clip_samples)
    if isinstance(front_end, Librosa):
        return LibrosaRows(front_end, clip_samples)
    return FrameRows(front_end, clip_samples)


class FrameRows:
    """Frames of `LogMel` or `Mfcc`."""

    def __init__(self, front_end: LogMel, clip_samples: int) -> None:
        self.row_samples = front_end.hop_length
        # A frame reaches half a transform to both sides; it is about what is nearer to it than to the next.
        self.before = self.after = min(front_end.hop_length, front_end.fft_length) // 2
        self.window_rows, self._bands = front_end.out_shape(clip_samples)
        self.silence: Rows = front_end(np.zeros(front_end.fft_length, np.float32))[0, 0]
        # The first cosine coefficient is the sum of the bands by a root: so both levels are means of decibels.
        self._cepstral = front_end.mel_bands**0.5 if isinstance(front_end, Mfcc) else 0.0
        self._stream = LogMelStream(front_end)

    def reset(self) -> None:
        """Begin a new stream."""
        self._stream.reset()

    def push(self, samples: Rows) -> Rows:
        """Take samples; return the rows that are complete now."""
        return self._stream.push(samples)

    def flush(self) -> Rows:
        """End the stream; return the last rows."""
        return self._stream.flush()

    def features(self, windows: Rows) -> NDArray[Any]:
        """Return the windows as they are."""
        return windows

    def levels(self, rows: Rows) -> Levels:
        """Return the mean of the bands of each row, in dB."""
        if self._cepstral:
            return rows[:, 0] / np.float32(self._cepstral)
        levels: Levels = rows.mean(axis=1)
        return levels


class SampleRows:
    """Samples, in pieces of `PIECE_SECONDS`."""

    def __init__(self, front_end: RawSamples | Librosa, clip_samples: int) -> None:
        self.row_samples = max(1, round(PIECE_SECONDS * front_end.sample_rate))
        self.before, self.after = 0, self.row_samples
        self.window_rows = -(-clip_samples // self.row_samples)
        self.silence = np.zeros(self.row_samples, np.float32)
        self._clip_samples = clip_samples
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._kept = np.zeros(0, np.float32)

    def push(self, samples: Rows) -> Rows:
        """Take samples; return the rows that are complete now."""
        kept = np.concatenate([self._kept, samples])
        complete = len(kept) - len(kept) % self.row_samples
        self._kept = kept[complete:].copy()  # no view, which would keep alive all that came
        return kept[:complete].reshape(-1, self.row_samples)

    def flush(self) -> Rows:
        """End the stream; return the last rows."""
        missing = -len(self._kept) % self.row_samples
        return self.push(np.zeros(missing, np.float32))

    def features(self, windows: Rows) -> NDArray[Any]:
        """Return the samples of each window, with an axis of one channel."""
        return windows.reshape(len(windows), -1)[:, : self._clip_samples, None]

    def levels(self, rows: Rows) -> Levels:
        """Return the energy of each row, in dB."""
        energy = np.square(rows, dtype=np.float64).mean(axis=1)
        levels: Levels = (10 * np.log10(energy + 1e-10)).astype(np.float32)
        return levels


class LibrosaRows(SampleRows):
    """Samples, in pieces of `PIECE_SECONDS`, of which librosa computes the features of each window.

    Features of librosa may reach over a whole clip: filters of low notes are long, and ``pcen`` smooths from the first
    frame on. Frames of the stream would not be those of a clip in training. So the features of a window are those of a
    clip with its samples, to the bit, and all of them are computed anew from window to window.
    """

    def __init__(self, front_end: Librosa, clip_samples: int) -> None:
        super().__init__(front_end, clip_samples)
        self._front_end = front_end

    def features(self, windows: Rows) -> NDArray[Any]:
        """Return the features of the samples of each window."""
        return self._front_end(super().features(windows)[..., 0])
