"""Into how many parts a sum over examples is divided: by the sum alone, so that its bits do not depend on threads."""

from __future__ import annotations

MAX_PARTS = 64
"""Parts of a sum, and so the largest number of threads that share it."""

SHARED_PARTS = 16
"""Up to so many parts, a part may have a single example."""

EXAMPLES_OF_PART = 2
"""From `SHARED_PARTS` on, each part has at least so many examples.

Beginning and ending the sums of a part takes as long on two threads as on many. Of 64 examples, 32 parts take as long
as 16 there; 64 parts take longer."""

MAX_PARTIAL_ELEMENTS, LEAST_PARTS = 2**24, 4
"""Elements of all parts together (64 MiB), and the parts that there are even if they take more."""


def part_count(examples: int, weights: int) -> int:
    """Return into how many parts the sums over `examples` of gradients by so many weights are divided."""
    wanted = min(MAX_PARTS, max(SHARED_PARTS, examples // EXAMPLES_OF_PART))
    fitting = max(LEAST_PARTS, MAX_PARTIAL_ELEMENTS // max(1, weights))
    return max(1, min(examples, wanted, fitting))
