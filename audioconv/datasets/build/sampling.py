"""Deterministic sampling of clips in one pass, over as many speakers as possible."""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import Counter, defaultdict

from audioconv.decision.classes import SILENCE, UNKNOWN

__all__ = ["SILENCE", "UNKNOWN", "Chooser"]

Rank = tuple[int, str]


class Chooser:
    """Keeps the first few of each class by a rank that has nothing to do with the order they come in.

    The first clips of all speakers come before the second ones; among those, the SHA-1 of the name decides.

    Parameters
    ----------
    limits : dict of str to (int or None)
        Number of clips of each class to keep; None keeps all.
    limit : int, optional
        For classes that are not in `limits`.
    """

    def __init__(self, limit: int | None = None, limits: dict[str, int | None] | None = None) -> None:
        self._limit, self._limits = limit, limits or {}
        self._of_speaker: Counter[tuple[str, str]] = Counter()
        self._kept: dict[str, list[tuple[Rank, str]]] = defaultdict(list)

    def would_keep(self, label: str, speaker: str | None, name: str) -> bool:
        """Return whether a clip would be kept that came now."""
        most, kept = self._limits.get(label, self._limit), self._kept[label]
        return most is None or len(kept) < most or (most > 0 and self._rank(label, speaker, name) < kept[-1][0])

    def keep(self, label: str, speaker: str | None, name: str) -> str | None:
        """Keep a clip that `would_keep` accepted; return the name of the clip that it replaces, if any."""
        most, kept = self._limits.get(label, self._limit), self._kept[label]
        if most is None:
            return None
        insort(kept, (self._rank(label, speaker, name), name))
        if speaker is not None:
            self._of_speaker[label, speaker] += 1
        return kept.pop()[1] if len(kept) > most else None

    def _rank(self, label: str, speaker: str | None, name: str) -> Rank:
        turn = self._of_speaker[label, speaker] if speaker is not None else 0
        return turn, hashlib.sha1(name.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
