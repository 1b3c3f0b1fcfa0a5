"""Recordings of noise without words: they are mixed into the clips, and pieces of them are negatives."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from audioconv._types import Array
from audioconv.audio.augment import Augmentation
from audioconv.audio.read import Segment, read_int16
from audioconv.audio.samples import FULL_SCALE
from audioconv.datasets.left_out import counted
from audioconv.decision.classes import BACKGROUND
from audioconv.errors import DataError
from audioconv.io.parallel import read_in_parallel

MAX_MINUTES = 30.0
"""Of more recordings, so much is used, from the first file on."""


@dataclass(frozen=True, eq=False)
class Backgrounds:
    """Recordings of noise without words.

    Attributes
    ----------
    recordings : sequence of arrays (T,) float32, or int16 with the full scale 32768
        Those that are not silent.
    seconds : float
        Their length.
    failures : tuple of DataError
        Why some files could not be read.
    """

    recordings: Sequence[Array]
    seconds: float
    failures: tuple[DataError, ...] = ()

    @classmethod
    def read(cls, files: Sequence[Path | Segment], sample_rate: int, *, strict: bool = False) -> Self:
        """Return the recordings in files at a rate in Hz; if `strict`, raise the first `DataError`."""

        def one(file: Path | Segment) -> Array:
            samples, scale = read_int16(file, sample_rate)
            return samples if scale == 1 / FULL_SCALE else samples * np.float32(scale)

        recordings, failures = list[Array](), list[DataError]()
        room = round(MAX_MINUTES * 60 * sample_rate)
        for found in read_in_parallel(list(files), one, strict=strict):
            if isinstance(found, DataError):
                failures.append(found)
            elif room > 0 and found[:room].any():  # digital silence has no power that noise could be scaled by
                recordings.append(found[:room])
                room -= len(found)
        return cls(recordings, sum(map(len, recordings)) / sample_rate, tuple(failures))

    def note(self, *, rejects: bool) -> str:
        """Return in a line what they are used for."""
        use = "mixed into the clips and used as negatives" if rejects else "mixed into the clips"
        line = f"{BACKGROUND} ({counted(len(self.recordings), 'recording')}, {self.seconds:.0f} s): {use}"
        if self.failures:
            line += f"; {counted(len(self.failures), 'file')} cannot be read, such as {self.failures[0]}"
        return line

    def mixed_into(self, augmentation: Augmentation) -> Augmentation:
        """Return the augmentation with these noises, as often as its own together."""
        count = max(len(augmentation.noises), len(self.recordings)) if self.recordings else 0
        own = tuple(self.recordings[place % len(self.recordings)] for place in range(count))
        return replace(augmentation, noises=(*augmentation.noises, *own))

    @property
    def about(self) -> dict[str, Any]:
        """What a resumed run must share."""
        digest = hashlib.sha256(" ".join(f"{len(one)} {one[::4001].sum()}" for one in self.recordings).encode())
        return {"recordings": len(self.recordings), "digest": digest.hexdigest()[:16]}
