"""Rows of tables that are not copied: of some of the examples, or of several tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Rows:
    """Some rows of tables (N, columns), the rows of one table behind those of the other.

    Rows are copied when they are asked for: ``rows[places]`` is an array, `numpy.asarray` makes one of all rows.

    Parameters
    ----------
    tables : sequence of arrays (N, columns)
        With the same columns and the same type.
    places : array (n,) int64
        The rows, counted through all tables.
    """

    def __init__(self, tables: Sequence[NDArray[Any]], places: NDArray[np.integer]) -> None:
        self._tables, self._places = tuple(tables), places
        self._ends = np.cumsum([len(table) for table in tables])

    @classmethod
    def of(cls, table: NDArray[Any] | Rows) -> Rows:
        """Return all rows of a table."""
        return table if isinstance(table, Rows) else cls((table,), np.arange(len(table)))

    @classmethod
    def join(cls, *parts: NDArray[Any] | Rows) -> Rows:
        """Return the rows of all parts."""
        joined = [cls.of(part) for part in parts]
        before = np.cumsum([0, *(int(rows._ends[-1]) for rows in joined)])
        places = [rows._places + first for rows, first in zip(joined, before, strict=False)]
        return cls([table for rows in joined for table in rows._tables], np.concatenate(places))

    def take(self, places: NDArray[np.integer]) -> Rows:
        """Return some of the rows, not copied."""
        return Rows(self._tables, self._places[places])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._places)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        return self._tables[0].dtype

    def __getitem__(self, rows: int | slice | NDArray[np.integer]) -> NDArray[Any]:
        """Return a row (columns,), or some (n, columns)."""
        places = self._places[rows]
        if len(self._tables) == 1:
            one: NDArray[Any] = self._tables[0][places]
            return one
        numbers = np.searchsorted(self._ends, places, side="right")
        found = np.empty((*np.shape(places), self._tables[0].shape[1]), self.dtype)
        for number, (table, end) in enumerate(zip(self._tables, self._ends, strict=True)):
            is_here = numbers == number
            found[is_here] = table[places[is_here] - (end - len(table))]
        return found

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield the rows."""
        return (self[place] for place in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of them, (n, columns)."""
        return self[:].astype(dtype or self.dtype, copy=False)
