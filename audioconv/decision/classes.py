"""Which classes are words: negatives and silence by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import DataError

UNKNOWN = "_unknown_"
"""The class of out-of-vocabulary words and other negatives, as in Speech Commands."""


SILENCE = "_silence_"
"""The class of silence and noise, as in Speech Commands."""


BACKGROUND = "_background_noise_"
"""Recordings of noise without words, of any length, beside the classes, as in Speech Commands."""


# Names that people give to classes of negatives: without underscores, hyphens and case.
_NEGATIVES = {
    UNKNOWN: (
        "other", "others", "other sound", "other sounds", "other word", "other words", "unknown", "unknowns",
        "unknown word", "unknown words", "negative", "negatives", "not wake word", "not wakeword", "not keyword",
    ),
    SILENCE: (
        "silence", "silent", "noise", "noises", "background", "backgrounds", "background noise", "background noises",
        "background sound", "background sounds",
    ),
}  # fmt: skip


_NEGATIVE_OF_NAME = {name: label for label, names in _NEGATIVES.items() for name in names}


def is_word(label: str) -> bool:
    """Return whether a class is a word; names such as ``_unknown_`` and ``_silence_`` are those of negatives.

    >>> is_word("yes"), is_word("_unknown_")
    (True, False)
    """
    return not (len(label) > 2 and label.startswith("_") and label.endswith("_"))


def negative_label(label: str) -> str | None:
    """Return the class of negatives that a label means by its name; None for a word.

    Case, underscores and hyphens do not matter.

    Returns
    -------
    str or None
        ``"_unknown_"`` for names such as ``other`` and ``Negatives``, ``"_silence_"`` for names such as ``noise`` and
        ``background-noise``.

    Examples
    --------
    >>> negative_label("Others"), negative_label("_background_noise_"), negative_label("yes")
    ('_unknown_', '_silence_', None)
    """
    return _NEGATIVE_OF_NAME.get(" ".join(re.sub(r"[_\W]+", " ", label).split()).casefold())


def negatives_by_name(labels: Iterable[str]) -> dict[str, str]:
    """Return by label the class that it means; see `negative_label`. Nothing is renamed if no word would be left.

    >>> negatives_by_name(["yes", "other"]), negatives_by_name(["noise", "other"])
    ({'yes': 'yes', 'other': '_unknown_'}, {'noise': 'noise', 'other': 'other'})
    """
    names = list(dict.fromkeys(labels))
    meant = {label: negative_label(label) or label for label in names}
    return meant if any(map(is_word, meant.values())) else {label: label for label in names}


def class_codes(name: str, labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the class number of each label, (N,) int64; `DataError` if the data `name` have others."""
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise DataError(
            f"{name}: has labels that the model does not know: {', '.join(map(repr, unknown[:5]))}; "
            f"it knows {', '.join(classes)}"
        )
    codes = {label: code for code, label in enumerate(classes)}
    return np.array([codes[label] for label in labels], np.int64)
