"""Checks that processes which compute together have the same versions, settings and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audioconv.cluster.processes import Processes
from audioconv.errors import ClusterError


def check_agreement(processes: Processes, facts: Mapping[str, Any], when: str = "") -> None:
    """Raise `ClusterError`, which names what differs, unless all processes have the same `facts`, JSON-compatible."""
    if processes.size == 1:
        return
    found = processes.gather_json(dict(facts))
    for rank, theirs in enumerate(found):
        for name in {**found[0], **theirs}:
            first, other = found[0].get(name), theirs.get(name)
            if first != other:
                raise ClusterError(
                    f"{processes.name(rank)} has {name} {_short(other)}, but {processes.name(0)} has {_short(first)}"
                    f"{when}; all processes need the same"
                )


def check_listing(processes: Processes, what: str, lines: Sequence[str]) -> None:
    """Raise `ClusterError`, which names the first difference, unless all processes have the same `lines`.

    Only their digests are compared, unless these differ.
    """
    if processes.size == 1:
        return
    import hashlib

    digest = hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
    digests = processes.gather_json(digest)
    if len(set(digests)) == 1:
        return
    first = processes.from_leader([line.encode(errors="backslashreplace").decode() for line in lines])
    own = [line.encode(errors="backslashreplace").decode() for line in lines]
    difference = None
    if own != first:
        place = next((k for k, pair in enumerate(zip(own, first, strict=False)) if pair[0] != pair[1]), None)
        if place is None:
            place = min(len(own), len(first))
        here, there = (some[place] if place < len(some) else "nothing" for some in (own, first))
        difference = (
            f"{len(own):,} {what} ({processes.name(0)}: {len(first):,}); number {place + 1} is {here}, not {there}"
        )
    found = processes.gather_json(difference)
    rank = next(rank for rank, text in enumerate(found) if text is not None)
    raise ClusterError(f"{processes.name(rank)} has other {what}: {found[rank]}; all processes need the same data")


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
