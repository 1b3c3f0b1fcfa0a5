"""Columns of a table of many files: a few bytes for each value, and a Python object only while it is used."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from audioconv._types import StrPath

Value = TypeVar("Value")
Other = TypeVar("Other")

CHUNK = 1 << 14
"""Values whose codes are Python numbers at a time."""


class Lazy(Sequence[Value]):
    """A sequence that makes each value when it is asked for; equal to any sequence of equal values."""

    def _make(self, place: int) -> Value:
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> Value: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Value, ...]: ...

    def __getitem__(self, place: int | slice) -> Value | tuple[Value, ...]:
        """Return a value, or some."""
        count = len(self)
        if isinstance(place, slice):
            return tuple(self._make(one) for one in range(*place.indices(count)))
        if not -count <= place < count:
            raise IndexError(f"there are {count} values, asked for that at {place}")
        return self._make(int(place) % count)

    def __iter__(self) -> Iterator[Value]:
        """Yield the values."""
        return map(self._make, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the first values."""
        return f"<{len(self)} values: {', '.join(map(repr, self[:3]))}{', ...' if len(self) > 3 else ''}>"


class View(Lazy[Value]):
    """What a function returns of each place."""

    def __init__(self, count: int, make: Callable[[int], Value]) -> None:
        self._count, self._of = count, make

    def __len__(self) -> int:
        """Return the number of values."""
        return self._count

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled as a tuple: functions cannot be."""
        return tuple, (tuple(self),)

    def _make(self, place: int) -> Value:
        return self._of(place)


class Column(Lazy[Value], Generic[Value]):
    """Values of which many are the same, such as labels: each is kept once, with a code for each place.

    Attributes
    ----------
    values : tuple
        The distinct values, in the order of their first appearance; perhaps more than there are in the column.
    codes : array (N,) of unsigned integers
        Which of the values is at each place.
    """

    def __init__(self, values: Sequence[Value], codes: NDArray[Any]) -> None:
        self.values, self.codes = tuple(values), codes.astype(np.min_scalar_type(max(0, len(values) - 1)), copy=False)

    @classmethod
    def of(cls, values: Iterable[Value]) -> Column[Value]:
        """Return values, which are hashable, as a column."""
        if isinstance(values, Column):
            return values
        builder = ColumnBuilder[Value]()
        for value in values:
            builder.add(value)
        return builder.build()

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.codes)

    def _make(self, place: int) -> Value:
        return self.values[int(self.codes[place])]

    def __iter__(self) -> Iterator[Value]:
        """Yield the values."""
        for begin in range(0, len(self.codes), CHUNK):
            yield from map(self.values.__getitem__, self.codes[begin : begin + CHUNK].tolist())

    def take(self, places: NDArray[Any]) -> Column[Value]:
        """Return the values at some places, or where a mask is true."""
        return Column(self.values, self.codes[places])

    def are(self, condition: Callable[[Value], bool]) -> NDArray[np.bool_]:
        """Return where a condition holds, (N,)."""
        of_values = np.array([condition(value) for value in self.values], bool)
        where: NDArray[np.bool_] = of_values[self.codes]
        return where

    def equals(self, value: object) -> NDArray[np.bool_]:
        """Return where the column has a value, (N,)."""
        return self.are(lambda one: one == value)

    def numbers(self, codes: Mapping[Value, int]) -> NDArray[np.int64]:
        """Return the number of each value, (N,); -1 for one that has none."""
        of_values = np.array([codes.get(value, -1) for value in self.values], np.int64)
        numbers: NDArray[np.int64] = of_values[self.codes]
        return numbers

    def mapped(self, change: Callable[[Value], Other]) -> Column[Other]:
        """Return what a function makes of each value."""
        changed = Column.of([change(value) for value in self.values])
        return Column(changed.values, changed.codes[self.codes])

    def ranks(self) -> NDArray[np.int64]:
        """Return for each place the number of its value, in the order of the first appearance in the column."""
        return ranks(self.codes)

    def counts(self) -> dict[Value, int]:
        """Return how many places each value has, in the order of the first appearance in the column."""
        numbers, first, counts = np.unique(self.codes, return_index=True, return_counts=True)
        order = np.argsort(first)
        return {self.values[numbers[one]]: int(counts[one]) for one in order.tolist()}


def ranks(keys: NDArray[Any]) -> NDArray[np.int64]:
    """Return integers (N,) numbered anew from 0, in the order of their first appearance.

    >>> ranks(np.array([7, 3, 7, 9])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[inverse.reshape(-1)]


class PathColumn(Lazy[Path]):
    """Paths of files: their folders, of which many are the same, and their names, one behind the other."""

    def __init__(self, folders: Column[str], names: bytes, ends: NDArray[np.int64], begins: NDArray[np.int64]) -> None:
        self._folders, self._names, self._begins, self._ends = folders, names, begins, ends

    @classmethod
    def of(cls, paths: Iterable[StrPath]) -> PathColumn:
        """Return paths as a column."""
        if isinstance(paths, PathColumn):
            return paths
        builder = PathColumnBuilder()
        for path in paths:
            builder.add(path)
        return builder.build()

    def __len__(self) -> int:
        """Return the number of paths."""
        return len(self._ends)

    def _make(self, place: int) -> Path:
        return Path(os.path.join(self._folders[place], self.name(place)))

    def name(self, place: int) -> str:
        """Return the name of a file, without its folders."""
        return os.fsdecode(self._names[self._begins[place] : self._ends[place]])

    def folder(self, place: int) -> str:
        """Return the folder of a file."""
        return self._folders[place]

    def take(self, places: NDArray[Any]) -> PathColumn:
        """Return some of the paths; their names are not copied."""
        return PathColumn(self._folders.take(places), self._names, self._ends[places], self._begins[places])


class ColumnBuilder(Generic[Value]):
    """Puts a `Column` together."""

    def __init__(self) -> None:
        self._numbers: dict[Value, int] = {}
        self._codes = array("I")

    def add(self, value: Value) -> None:
        """Add a value behind the others."""
        self._codes.append(self._numbers.setdefault(value, len(self._numbers)))

    def build(self) -> Column[Value]:
        """Return the column."""
        return Column(tuple(self._numbers), _as_array(self._codes))


class PathColumnBuilder:
    """Puts a `PathColumn` together."""

    def __init__(self) -> None:
        self._folders, self._names, self._ends = ColumnBuilder[str](), bytearray(), array("q")

    def add(self, path: StrPath) -> None:
        """Add a path behind the others."""
        folder, name = os.path.split(path)
        self._folders.add(os.fspath(folder))
        self._names.extend(os.fsencode(name))
        self._ends.append(len(self._names))

    def build(self) -> PathColumn:
        """Return the column."""
        ends = _as_array(self._ends)
        begins = np.concatenate([np.zeros(1, np.int64), ends])[: len(ends)]
        return PathColumn(self._folders.build(), bytes(self._names), ends, begins)


def _as_array(numbers: array[Any]) -> NDArray[Any]:
    return np.array(numbers, numbers.typecode)
