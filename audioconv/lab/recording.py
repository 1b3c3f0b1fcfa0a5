"""`Recording`: sound from a page's microphone on its way to clips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audioconv._types import Samples
from audioconv.audio.read import HIGHEST_RATE, LOWEST_RATE
from audioconv.errors import ConfigError, DataError
from audioconv.lab.names import checked_speaker
from audioconv.lab.project import Project
from audioconv.lab.storing import trimmed_to_words
from audioconv.lab.takes import TakeCutter

MODES = ("takes", "one", "background")

LONGEST = {"takes": 1800.0, "one": 60.0, "background": 600.0}
"""Seconds of sound, by mode; a recording ends by itself then."""

PIECE_SECONDS = 10.0
"""Background is stored in pieces of so many seconds, at most."""

MIN_PIECE_SECONDS = 0.5
"""A last piece of background that is shorter is left out; so is a recording of one clip."""

LEVEL_SECONDS = 0.1
"""Between two messages about the level."""

CLIPPING, SILENT_DB, SILENT_SECONDS = 0.99, -75.0, 1.5
"""Peaks from the first one on are clipped; below so many dBFS for so many seconds, no microphone is at work."""

MIN_DB = -120.0

Message = dict[str, Any]


class Recording:
    """One recording. Its methods block, and must be called one after the other.

    Parameters
    ----------
    project : Project
    label : str
        The class.
    speaker : str or None
    rate : int
        In Hz.
    mode : {"takes", "one", "background"}
        Words that are cut as they come; all of it as one clip; pieces of background.

    Attributes
    ----------
    is_full : bool
        Whether it has become as long as it may.

    Raises
    ------
    ConfigError
        If the class, the speaker, the rate or the mode cannot be.
    """

    def __init__(self, project: Project, label: str, speaker: str | None, rate: int, mode: str) -> None:
        if mode not in MODES:
            raise ConfigError(f"mode must be one of {', '.join(MODES)}; got {mode[:40]!r}")
        if not max(LOWEST_RATE, 8000) <= rate <= min(HIGHEST_RATE, 384_000):
            raise ConfigError(f"rate must be from 8000 to 384000 Hz; got {rate}")
        self._project, self._label = project, project.checked_label(label)
        self._rate, self._mode = rate, mode
        self._speaker = checked_speaker(speaker)
        self._meter = _Meter(rate)
        self._cutter = TakeCutter(rate)
        self._pieces: list[Samples] = []
        self._kept = self._count = self._clips = 0
        self._state = "pause"
        self.is_full = False

    def push(self, data: bytes) -> list[Message]:
        """Take the next samples, float32 in little endian, and return what there is to tell.

        Raises
        ------
        DataError
            If these are no samples, or a clip cannot be stored.
        """
        if len(data) % 4:
            raise DataError(f"a message of sound has 4 bytes a sample; got {len(data):,} bytes")
        samples = np.frombuffer(data, "<f4").astype(np.float32)
        if not np.isfinite(samples).all():
            raise DataError("the sound holds NaN or infinite samples")
        left = round(LONGEST[self._mode] * self._rate) - self._count
        samples = np.clip(samples[:left], -1, 1)
        self._count += len(samples)
        self.is_full = self._count >= LONGEST[self._mode] * self._rate
        if not len(samples):
            return []
        messages = self._meter.push(samples)
        if self._mode == "takes":
            return messages + self._store(self._cutter.push(samples)) + self._changed_state()
        self._pieces.append(samples)
        self._kept += len(samples)
        if self._mode == "background":
            while self._kept >= PIECE_SECONDS * self._rate:
                messages += self._store_piece(round(PIECE_SECONDS * self._rate))
        return messages

    def finish(self) -> list[Message]:
        """Store what is left, and return what there is to tell, the end included."""
        messages: list[Message] = []
        if self._mode == "takes":
            messages += self._store(self._cutter.flush())
        elif self._kept >= MIN_PIECE_SECONDS * self._rate or (self._mode == "one" and self._kept):
            messages += self._store_piece(self._kept)
        seconds = round(self._count / self._rate, 3)
        return [*messages, {"type": "done", "clips": self._clips, "seconds": seconds}]

    def _store(self, takes: list[Any]) -> list[Message]:
        messages: list[Message] = []
        for take in takes:
            if take.fault is None:
                messages.append(self._stored(take.samples))
            else:
                messages.append({"type": "skipped", "reason": take.fault, "seconds": round(take.seconds, 2)})
        return messages

    def _store_piece(self, count: int) -> list[Message]:
        together = np.concatenate(self._pieces)
        piece, rest = together[:count], together[count:]
        self._pieces, self._kept = [rest], len(rest)
        return [self._stored(trimmed_to_words(piece, self._rate) if self._mode == "one" else piece)]

    def _stored(self, samples: Samples) -> Message:
        clip = self._project.add_samples(samples, self._rate, self._label, self._speaker)
        self._clips += 1
        return {"type": "clip", "clip": self._project.clip_json(clip)}

    def _changed_state(self) -> list[Message]:
        state = "speaking" if self._cutter.speaking else "pause"
        if state == self._state:
            return []
        self._state = state
        return [{"type": "take", "state": state}]


class _Meter:
    """The level of a stream, some ten times a second."""

    def __init__(self, rate: int) -> None:
        self._rate, self._count, self._energy, self._peak, self._quiet = rate, 0, 0.0, 0.0, 0.0
        self._since = 0.0  # seconds since a message was due

    def push(self, samples: Samples) -> list[Message]:
        """Take the next samples (T,) and return the messages about them: one for each tenth of a second, at most."""
        self._count += len(samples)
        self._energy += float(np.square(samples, dtype=np.float64).sum())
        self._peak = max(self._peak, float(np.abs(samples).max()))
        self._since += len(samples) / self._rate
        if self._since < LEVEL_SECONDS:
            return []
        self._since %= LEVEL_SECONDS
        db = _decibels(math.sqrt(self._energy / self._count))
        self._quiet = self._quiet + self._count / self._rate if db < SILENT_DB else 0.0
        message = {
            "type": "level",
            "db": round(db, 1),
            "peak": round(_decibels(self._peak), 1),
            "clipping": self._peak >= CLIPPING,
            "silent": self._quiet >= SILENT_SECONDS,
        }
        self._count, self._energy, self._peak = 0, 0.0, 0.0
        return [message]


def _decibels(level: float) -> float:
    return max(MIN_DB, 20 * math.log10(level)) if level > 0 else MIN_DB
