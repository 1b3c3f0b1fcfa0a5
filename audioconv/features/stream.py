"""Log-mel frames of a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Features
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features.checks import check_floating
from audioconv.features.front_ends import LogMel


class LogMelStream:
    """`LogMel` or `Mfcc` of a stream: takes samples in pieces of any length, gives each frame once it is complete.

    All features together are ``front_end(all samples)[0]`` to the bit, however the samples are cut. Frame i is centred
    on sample ``i * hop_length``; it is given when its last sample has come, half a transform later. Memory does not
    grow with the length of the stream: less than one transform of samples is kept.

    Parameters
    ----------
    front_end : LogMel or Mfcc

    Attributes
    ----------
    front_end : LogMel or Mfcc
    sample_count, frame_count : int
        How many samples came and how many frames were given since the beginning. The next frame has the number
        `frame_count`, and the time ``frame_count * hop_length / sample_rate`` s, exactly.

    Raises
    ------
    ConfigError
        If the front end has no frames.

    Examples
    --------
    >>> stream = LogMelStream(LogMel())
    >>> tone = np.sin(0.1 * np.arange(16000, dtype=np.float32))
    >>> pieces = [stream.push(tone[:7000]), stream.push(tone[7000:]), stream.flush()]
    >>> [piece.shape for piece in pieces]
    [(43, 40), (56, 40), (2, 40)]
    >>> np.array_equal(np.concatenate(pieces), LogMel()(tone)[0])
    True
    """

    def __init__(self, front_end: LogMel) -> None:
        if not isinstance(front_end, LogMel):
            raise ConfigError(f"a stream of frames needs LogMel or Mfcc, got {type(front_end).__name__}")
        self.front_end = front_end
        self.reset()

    def reset(self) -> None:
        """Begin a new stream; what is kept of the old one is forgotten."""
        self.sample_count = 0
        self.frame_count = 0
        self._kept = np.empty(0, np.float32)  # the last samples, up to sample_count
        self._ended = False

    def push(self, samples: ArrayLike) -> Features:
        """Take the next samples.

        Parameters
        ----------
        samples : array (T,), floating point
            Mono, at the front end's sample rate, full scale being 1; T may be 0.

        Returns
        -------
        array (frames, bands or coefficients) float32
            The frames that are complete now and were not before; often none.

        Raises
        ------
        ShapeError
            If there is not just one axis.
        DataError
            If the samples are integers, or the stream has ended.
        """
        self._check_open()
        array = np.asarray(samples)
        if array.ndim != 1:
            raise ShapeError(f"a stream takes samples of shape (time,), got {array.shape}")
        check_floating(array)
        self._kept = np.concatenate([self._kept, array], dtype=np.float32, casting="same_kind")
        self.sample_count += len(array)
        # As many frames as fit in what has come: half of the first lies before the first sample.
        settings = self.front_end
        fitting = self.sample_count + settings.fft_length // 2 - settings.fft_length
        return self._frames_until(max(0, 1 + fitting // settings.hop_length))

    def flush(self) -> Features:
        """End the stream and return the last frames, which reach beyond its end and find zeros there.

        Returns
        -------
        array (frames, bands or coefficients) float32

        Raises
        ------
        DataError
            If the stream has ended already.
        """
        self._check_open()
        self._ended = True
        last = self._frames_until(self.front_end.frame_count(self.sample_count) if self.sample_count else 0)
        self._kept = np.empty(0, np.float32)
        return last

    def _frames_until(self, end: int) -> Features:
        """Return the frames from number `frame_count` to before number `end`; keep the samples that the next needs."""
        hop, half = self.front_end.hop_length, self.front_end.fft_length // 2
        begin = self.frame_count * hop - half - (self.sample_count - len(self._kept))  # counted from the first kept
        count = end - self.frame_count
        if count > 0:
            features: Features = self.front_end.frames(self._kept[np.newaxis], begin, count)[0]
            self.frame_count = end
            begin += count * hop
        else:
            features = np.empty((0, self.front_end.out_shape(1)[1]), np.float32)
        if begin > 0:
            self._kept = self._kept[begin:].copy()  # no view, which would keep alive all that came
        return features

    def _check_open(self) -> None:
        if self._ended:
            raise DataError("this stream has been flushed, and its last frames are given; reset() begins a new one")
