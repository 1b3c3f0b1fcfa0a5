"""How many times as fast as its peer each row shall be."""

from __future__ import annotations

from fnmatch import fnmatch

TARGETS = {
    ("train/cnn", "torch"): 3.5,
    ("train/m5-32", "torch"): 4.5,
    ("train/tc-resnet8", "torch"): 3.5,
    ("train/cs231n", "torch"): 3.0,
    ("train/ds-cnn-s", "torch"): 3.0,
    ("forward-64/*", "onnxruntime"): 1.5,
    ("forward-1/*", "onnxruntime"): 1.3,
    ("conv/*", "torch"): 1.3,
    ("pipeline/*/memory", "torch"): 2.0,
    ("pipeline/*", "torch"): 3.0,
}
"""By pattern of the row's name, and peer; the first that fits."""


def target(name: str, peer: str) -> float | None:
    """Return the ratio that a row shall reach, None where there is no target.

    >>> target("pipeline/cnn/memory", "torch"), target("forward-1/cnn", "onnxruntime"), target("logmel/1", "librosa")
    (2.0, 1.3, None)
    """
    fitting = (aim for (pattern, of), aim in TARGETS.items() if of == peer and fnmatch(name, pattern))
    return next(fitting, None)
