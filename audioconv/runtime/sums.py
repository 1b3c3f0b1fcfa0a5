"""Into how many parts a sum over examples is divided: by the sum alone, so that its bits do not depend on threads."""

from __future__ import annotations

import math

MAX_PARTS = 64
"""Parts of a sum, and so the largest number of threads that share it."""

SHARED_PARTS = 16
"""Up to so many parts, a part may be as small as one example. More are a power of two, for equal shares of threads."""

WORK_OF_PART = 800
"""From `SHARED_PARTS` on, multiplications of a part for each of its weights.

A part writes its weights' gradients once and adds them once. With 384, `cnn` has 32 parts instead of 16, and a training
step takes 3 % longer on two threads."""

MAX_PARTIAL_ELEMENTS, LEAST_PARTS = 2**24, 4
"""Elements of all parts together (64 MiB), and the parts that there are even if they take more."""


def part_count(examples: int, weights: int, multiplications: int) -> int:
    """Return into how many parts the sums over `examples` of gradients by so many weights are divided.

    Parameters
    ----------
    examples, weights : int
    multiplications : int
        Those of one example's sums.
    """
    together = math.ceil(WORK_OF_PART * weights / max(1, multiplications))  # examples of a part
    fitting = max(LEAST_PARTS, MAX_PARTIAL_ELEMENTS // max(1, weights))
    parts = SHARED_PARTS
    while 2 * parts <= examples // max(1, together):
        parts *= 2
    return max(1, min(examples, MAX_PARTS, parts, fitting))
