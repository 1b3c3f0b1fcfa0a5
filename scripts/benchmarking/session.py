"""One run of the benchmark: how it measures, and what it notices beside the rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarking.tile import multiply_add_work, on_one_thread, tile_work
from benchmarking.timing import Candidate, Effort, Row, compare, take_turns


class NoPeerError(Exception):
    """Nothing to stand beside is installed."""


@dataclass
class Bench:
    """How to measure, and what is noticed on the way.

    Attributes
    ----------
    effort : Effort
        How long to look.
    threads : int
        Of everybody.
    compiles : bool
        Whether to try ``torch.compile``.
    say : callable
        Takes a line for the reader.
    missing : list of str
        Peers that are not installed.
    first_seconds : dict of str to float
        What each one's making and first calls took together: loading, compiling, planning.
    tile_gflops, multiply_add_gflops : list of float
        Peaks of the register tile and of independent multiply-adds, one for each row that was measured beside them.
    copy_gb_per_second : float
        How much is read and written together while an array is copied.
    variants : dict of str to str
        By row and peer: the variant of the peer that was fastest.
    tile_shares, copy_shares : dict of str to float
        By row: our share of the tile's peak, and of copying.
    operations, traffic : dict of str to int
        By row: multiplications and additions, and bytes that have to be read and written at least.
    """

    effort: Effort
    threads: int
    compiles: bool
    say: Callable[[str], None]
    missing: list[str]
    copy_gb_per_second: float
    first_seconds: dict[str, float] = field(default_factory=dict)
    tile_gflops: list[float] = field(default_factory=list)
    multiply_add_gflops: list[float] = field(default_factory=list)
    variants: dict[str, str] = field(default_factory=dict)
    tile_shares: dict[str, float] = field(default_factory=dict)
    copy_shares: dict[str, float] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    traffic: dict[str, int] = field(default_factory=dict)

    def has(self, *peers: str) -> bool:
        """Tell whether all these peers are installed."""
        return not set(peers) & set(self.missing)

    def first(self, who: str, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, and keep how long that took."""
        begun = time.perf_counter()
        try:
            return make()
        finally:
            self.first_seconds[who] = self.first_seconds.get(who, 0.0) + time.perf_counter() - begun

    @property
    def tile_peak(self) -> float | None:
        """Peak of the register tile in GFLOP/s: the median of one measurement a row; None before the first."""
        return statistics.median(self.tile_gflops) if self.tile_gflops else None

    @property
    def multiply_add_peak(self) -> float | None:
        """Rate of independent multiply-adds in GFLOP/s, as `tile_peak`."""
        return statistics.median(self.multiply_add_gflops) if self.multiply_add_gflops else None

    def race(self, name: str, candidates: Sequence[Candidate], operations: int = 0, traffic: int = 0) -> list[Row]:
        """Time ours and its peers, whose results have been checked.

        Where the `operations` are known, the register tile and independent multiply-adds take turns with them.
        `traffic` is the number of bytes that have to be read and written at least.
        """
        limits = {"tile": on_one_thread(tile_work), "fma": on_one_thread(multiply_add_work)} if operations else {}
        best = take_turns([*candidates, *(Candidate(name, work) for name, (work, _) in limits.items())], self.effort)
        mine = best.pop("ours")
        if operations:
            # Limits: what slowed some of the turns down (another program, a thread woken late) is not part of them.
            rates = {of: count / float(np.quantile(best.pop(of).seconds, 0.25)) for of, (_, count) in limits.items()}
            peak = rates["tile"]
            self.tile_gflops.append(peak / 1e9)
            self.multiply_add_gflops.append(rates["fma"] / 1e9)
            self.tile_shares[name] = operations / mine.median / peak
            self.operations[name] = operations
        if traffic:
            self.traffic[name] = traffic
            self.copy_shares[name] = traffic / mine.median / (1e9 * self.copy_gb_per_second)
        for peer, candidate in best.items():
            if candidate.variant:
                self.variants[f"{name} {peer}"] = candidate.variant
        return [compare(name, mine.seconds, peer, theirs.seconds) for peer, theirs in best.items()]
