"""Shares of the runs of an experiment: several processes measure, each writes JSON lines, and the lines are joined."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """Which runs of an experiment one process makes.

    Attributes
    ----------
    index, count : int
        Of `count` processes, the one with this number, from 0, makes each `count`-th run from run `index` on.
    quick : bool
        Whether a look suffices: the first run alone, of few clips and epochs.
    """

    index: int = 0
    count: int = 1
    quick: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return share I of N, counted from 1; `ValueError` if the text is not ``I/N``.

        >>> Share.parse("2/3")
        Share(index=1, count=3, quick=False)
        """
        index, count = map(int, text.split("/"))
        if not 1 <= index <= count:
            raise ValueError(f"a share is I/N with I from 1 to N, got {text!r}")
        return cls(index - 1, count)

    def of(self, runs: Iterable[T]) -> list[tuple[int, T]]:
        """Return those of the runs that this process makes, each with its place among all."""
        places = list(enumerate(runs))
        return places[:1] if self.quick else places[self.index :: self.count]


def line_of(name: str, row: Mapping[str, Any], share: Share) -> str:
    """Return what a share of an experiment brought as a line of JSON; `row` is a row of docs/results.json."""
    return json.dumps({"experiment": name, "share": [share.index, share.count], "row": row})


def joined(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the rows of docs/results.json that lines of JSON in some files make up together.

    Raises
    ------
    ValueError
        If a run is there twice, or shares of an experiment differ in more than their runs and their dates.
    """
    parts: dict[str, dict[int, tuple[Any, dict[str, Any]]]] = {}
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            found = json.loads(line)
            (index, count), row, runs = found["share"], found["row"], parts.setdefault(found["experiment"], {})
            for number, run in enumerate(row.pop("runs")):
                place = index + number * count
                if place in runs:
                    raise ValueError(f"{file}: run {place + 1} of {found['experiment']} is there twice")
                runs[place] = run, row
    rows = {}
    for name, runs in parts.items():
        described = [row for _, row in runs.values()]
        common = {**described[0], "date": max(row["date"] for row in described)}
        if any({**row, "date": common["date"]} != common for row in described):
            raise ValueError(f"{name}: the shares were measured with different settings")
        rows[name] = {**common, "runs": [runs[place][0] for place in sorted(runs)]}
    return rows
