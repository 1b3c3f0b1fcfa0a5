"""`TakeCutter`: cuts a stream in which one word is said again and again into takes, while it comes.

It is the endpoint detector (`audio.endpoints`) on what has come since the last take, with the same rule and the same
numbers: a take ends when nothing stands out of the background for `END_PAUSE_SECONDS` after it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from audioconv._types import Samples
from audioconv.audio.endpoints import (
    FRAME_SECONDS,
    MARGIN_SECONDS,
    MAX_PHRASE_SECONDS,
    MIN_POWER,
    MIN_RANGE,
    MIN_SECONDS,
    RECORDING,
    Stretch,
)
from audioconv.lab.storing import DETECTION_RATE, TAKE_MARGIN_SECONDS, with_margins

END_PAUSE_SECONDS = 0.5
"""The next word may begin so long after the last one; shorter pauses are inside a phrase."""

HISTORY_SECONDS = 20.0
"""So much of the past tells what the background is."""

BUFFER_SECONDS = 8.0
"""What has no pause for so long is no word, and is left out."""

STEP_FRAMES = 5
"""Whether a take has ended is looked at after so many frames: the takes are the same for blocks of any size."""

FAINT = 0.03
"""A sound with less than this share of the energy that takes usually have is a breath or a click."""

_USUAL = 15  # takes whose median energy is the usual one


@dataclass(frozen=True, eq=False)
class Take:
    """A word that was cut out, or a sound that was left out.

    Attributes
    ----------
    samples : array (T,) float32
        Empty where it was left out.
    fault : str or None
        Why it was left out: ``long`` or ``faint``.
    seconds : float
        Length of the sound.
    """

    samples: Samples
    fault: str | None
    seconds: float


class TakeCutter:
    """Cuts a stream into takes.

    Parameters
    ----------
    rate : int
        In Hz.

    Attributes
    ----------
    speaking : bool
        Whether something stands out of the background now.
    """

    def __init__(self, rate: int) -> None:
        self.rate, self.speaking = rate, False
        self._frame = max(1, round(FRAME_SECONDS * rate))
        self._averaged = max(1, round(rate / DETECTION_RATE))
        self._waiting = np.zeros(0, np.float32)  # less than a step
        self._buffer = np.zeros(0, np.float32)
        self._powers: list[float] = []  # of the frames of the buffer
        self._past: deque[float] = deque(maxlen=round(HISTORY_SECONDS / FRAME_SECONDS))  # of the frames before, in dB
        self._last = np.float32(0)  # the sample before the next frame
        self._energies: deque[float] = deque(maxlen=_USUAL)

    def push(self, samples: Samples) -> list[Take]:
        """Take the next samples (T,), of any number, and return the takes that ended."""
        self._waiting = np.concatenate((self._waiting, samples))
        step = STEP_FRAMES * self._frame
        takes: list[Take] = []
        while len(self._waiting) >= step:
            self._measure(self._waiting[:step])
            self._waiting = self._waiting[step:]
            takes += self._cut(is_end=False)
        return takes

    def flush(self) -> list[Take]:
        """Return the last takes, at the end of the stream."""
        self._measure(self._waiting[: len(self._waiting) // self._frame * self._frame])
        self._waiting = np.zeros(0, np.float32)
        takes = self._cut(is_end=True)
        self._drop(len(self._powers))
        return takes

    def _measure(self, samples: Samples) -> None:
        """Add whole frames to the buffer."""
        if not len(samples):
            return
        self._buffer = np.concatenate((self._buffer, samples))
        # Averages of neighbours: at high rates, differences would show the noise above speech alone.
        inside = self._frame // self._averaged * self._averaged
        frames = samples.reshape(-1, self._frame)[:, :inside]
        averages = frames.reshape(-1, self._averaged).mean(axis=1)
        change = np.diff(averages, prepend=self._last)
        self._powers += np.square(change).reshape(len(frames), -1).mean(axis=1, dtype=np.float64).tolist()
        self._last = averages[-1]

    def _cut(self, *, is_end: bool) -> list[Take]:
        frames = len(self._powers)
        if frames < RECORDING.smoothed_frames:
            self.speaking = False
            return []
        window = np.ones(RECORDING.smoothed_frames) / RECORDING.smoothed_frames
        powers = np.convolve(self._powers, window, "same")
        levels = 10 * np.log10(powers + MIN_POWER)
        threshold, range_ = RECORDING.threshold(np.concatenate((np.array(self._past), levels)))
        loudest = float(levels.max())
        if range_ < MIN_RANGE or loudest <= threshold:
            self.speaking = False
            self._drop(frames - round(1.0 / FRAME_SECONDS))
            return []
        # A loud take in the past must not hide a softer one now.
        own, own_range = RECORDING.threshold(levels)
        if own_range >= MIN_RANGE:
            threshold = min(threshold, own)
        sounds = [s for s in RECORDING.sounds(levels > threshold) if (s[1] - s[0]) * FRAME_SECONDS >= MIN_SECONDS]
        pause = round(END_PAUSE_SECONDS / FRAME_SECONDS)
        self.speaking = bool(sounds) and frames - sounds[-1][1] < round(0.1 / FRAME_SECONDS)
        if not sounds:
            self._drop(frames - round(1.0 / FRAME_SECONDS))
            return []
        groups = [[sounds[0]]]
        for sound in sounds[1:]:
            if sound[0] - groups[-1][-1][1] < pause:
                groups[-1].append(sound)
            else:
                groups.append([sound])
        is_complete = is_end or frames - groups[-1][-1][1] >= pause
        complete = groups if is_complete else groups[:-1]
        if not is_complete and (frames - groups[-1][0][0]) * FRAME_SECONDS > BUFFER_SECONDS:
            self._drop(frames)
            return [Take(np.zeros(0, np.float32), "long", BUFFER_SECONDS)]
        takes = self._taken([(group[0][0], group[-1][1]) for group in complete], powers)
        if complete:
            self._drop(complete[-1][-1][1] + round(TAKE_MARGIN_SECONDS / FRAME_SECONDS))
        return takes

    def _taken(self, sounds: list[tuple[int, int]], powers: np.ndarray) -> list[Take]:
        words = [
            Stretch(begin * FRAME_SECONDS - MARGIN_SECONDS, end * FRAME_SECONDS + MARGIN_SECONDS)
            for begin, end in sounds
        ]
        ends = with_margins(words, len(self._buffer), self._frame / FRAME_SECONDS)
        takes = []
        for (begin, end), (first, last) in zip(sounds, ends, strict=True):
            seconds = (end - begin) * FRAME_SECONDS
            energy = float(powers[begin:end].sum())
            fault = None
            if seconds > MAX_PHRASE_SECONDS:
                fault = "long"
            elif self._energies and energy < FAINT * float(np.median(self._energies)):
                fault = "faint"
            else:
                self._energies.append(energy)
            samples = np.zeros(0, np.float32) if fault else self._buffer[first:last].copy()
            takes.append(Take(samples, fault, seconds))
        return takes

    def _drop(self, frames: int) -> None:
        """Forget the first frames of the buffer, but for their levels."""
        frames = min(frames, len(self._powers))
        if frames <= 0:
            return
        self._past.extend((10 * np.log10(np.array(self._powers[:frames]) + MIN_POWER)).tolist())
        del self._powers[:frames]
        self._buffer = self._buffer[frames * self._frame :].copy()
