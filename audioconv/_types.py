"""Types that many modules name, and a property that is computed once."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any shape and type."""

Samples = NDArray[np.float32]
"""Sound: (samples,) or (N, samples), full scale 1."""

Features = NDArray[np.float32]
"""Features of sound, the output of a front end: (frames, bands) or (N, frames, bands)."""

StrPath = str | os.PathLike[str]
"""A path as users give it."""

T = TypeVar("T")


class cached_property(functools.cached_property[T]):  # noqa: N801
    """`functools.cached_property` as it is from Python 3.12 on: without a lock.

    Before, all instances shared one. A process that is forked while a thread holds it would wait for it for ever.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        super().__init__(function)
        self.lock = nullcontext()
