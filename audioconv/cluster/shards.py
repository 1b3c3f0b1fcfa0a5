"""Shards: the parts of a task that are given to jobs that know nothing of each other."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from audioconv.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of several parts of a task.

    Attributes
    ----------
    number : int
        Its number, from 1.
    count : int
        Number of all.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that a text such as ``2/8`` names; `ConfigError` if it names none.

        >>> Shard.parse("2/8")
        Shard(number=2, count=8)
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(f"a shard is NUMBER/COUNT with a number from 1 to the count, such as 2/8; got {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def range(self, count: int) -> range:
        """Return which of so many things are in this shard: consecutive ones, behind those of the shard before it."""
        return range((self.number - 1) * count // self.count, self.number * count // self.count)

    def take(self, things: Sequence[T]) -> list[T]:
        """Return the things that are in this shard; those of all shards, one after the other, are all `things`.

        >>> [Shard(number, 3).take("abcdefg") for number in (1, 2, 3)]
        [['a', 'b'], ['c', 'd'], ['e', 'f', 'g']]
        """
        return [things[place] for place in self.range(len(things))]

    def has(self, name: str) -> bool:
        """Return whether a file of that name is in this shard, if there is no list of all files."""
        return zlib.crc32(name.encode(errors="surrogateescape")) % self.count == self.number - 1
