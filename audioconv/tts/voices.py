"""The interface of voice banks, whatever program synthesises."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16000
"""Of the clips, in Hz."""

TEST_SHARE = 5
"""One in so many voices and clips is for the test."""

FULL_SCALE = 32767


@dataclass(frozen=True, eq=False)
class SpokenClip:
    """A word as one voice says it.

    Attributes
    ----------
    samples : array (T,) int16
        At `SAMPLE_RATE`, trimmed to the word.
    voice : str
        Which, with its accent; good for a file's name.
    speaker : str
        Whose voice it is nearest to: what may not be both in training and in a test.
    source, licence : str or None
        The program and its voice, and the licence; None where they are the bank's.
    """

    samples: NDArray[np.int16]
    voice: str
    speaker: str
    source: str | None = None
    licence: str | None = None


class VoiceBank(Protocol):
    """Voices of one program, speaking one language; used in a ``with`` block.

    Attributes
    ----------
    source : str
        The program and its version.
    licence : str
        Of what it says.
    identity : mapping
        What its clips follow from besides words, count and seed, as JSON-compatible data.
    keeps_test_voices : bool
        Whether some voices are kept for a test; False where there is one speaker only.
    """

    source: str
    licence: str
    identity: Mapping[str, object]
    keeps_test_voices: bool

    def clips(self, word: str, count: int, rng: np.random.Generator, *, for_test: bool) -> Iterator[SpokenClip]:
        """Yield `count` clips of `word`, by the voices that are kept for a test or by the others.

        `ConfigError` if it cannot say that word.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def is_kept_for_test(speaker: str) -> bool:
    """Return whether a speaker is kept for the test: by a hash of the name, so that it is in every data set made."""
    return zlib.crc32(speaker.encode()) % TEST_SHARE == 0


def kept_for_test(speakers: Iterable[str]) -> frozenset[str]:
    """Return the speakers who are kept for the test, by the same hash: of several at least one, and never all.

    >>> sorted(kept_for_test(["de_DE-thorsten"])), sorted(kept_for_test(["hu_HU-anna", "hu_HU-berta", "hu_HU-imre"]))
    ([], ['hu_HU-imre'])
    """
    names = sorted(set(speakers), key=lambda name: zlib.crc32(name.encode()))
    if len(names) < 2:
        return frozenset()
    kept = frozenset(filter(is_kept_for_test, names))
    return kept if 0 < len(kept) < len(names) else frozenset(names[:1])


def as_clip(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.int16]:
    """Return samples, of which `FULL_SCALE` is the loudest possible, as 16-bit integers at `SAMPLE_RATE`."""
    import soxr

    resampled = soxr.resample(samples, sample_rate, SAMPLE_RATE) if len(samples) else samples
    return np.clip(np.rint(resampled), -FULL_SCALE - 1, FULL_SCALE).astype(np.int16)
