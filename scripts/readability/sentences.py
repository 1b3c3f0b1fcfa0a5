"""Sentences of a text: where they end, how many words they have, and whether their verb is passive."""

from __future__ import annotations

import re

ABBREVIATIONS = ("e.g.", "i.e.", "vs.", "al.", "Fig.", "cf.", "approx.", "No.", "p.", "pp.", "Dr.", "etc.")
"""Words whose full stop ends no sentence."""

STOP = "\u2024"
"""Stands for a full stop that ends no sentence."""

IRREGULAR = (
    "begun|built|bought|brought|caught|chosen|cut|done|drawn|driven|fed|felt|found|forgotten|given|gone|grown|heard|"
    "held|hidden|hit|kept|known|laid|learnt|led|left|lent|lost|made|meant|met|paid|put|read|rewritten|run|said|seen|sent|"
    "set|shown|shut|spent|split|spoken|spread|sold|sung|taken|taught|thought|thrown|told|understood|woken|won|worn|written"
)
"""Past participles that do not end in -ed."""

PASSIVE = re.compile(
    r"\b(?:is|are|was|were|be|been|being|gets?|got)\s+(?:(?:not|never|also|then|only|always|once|again|still|"
    rf"\w+ly)\s+)*(?:\w+ed|{IRREGULAR})\b",
    re.IGNORECASE,
)

# Names that begin a sentence with a small letter.
_NAMES = "audioconv|espeak-ng|libsndfile|microWakeWord|openWakeWord|torch"

_END = re.compile(rf"(?<=[.!?])[\"')\]*_]*\s+(?=[\"'(\[*_]*(?:[A-Z0-9\u0060]|(?:{_NAMES})\b))")
_WORD = re.compile(r"[^\W_]+(?:['\u2019.,/_-][^\W_]+)*")


def split(text: str) -> list[str]:
    """Return the sentences of a paragraph."""
    text = " ".join(text.split())
    for abbreviation in ABBREVIATIONS:
        text = re.sub(rf"(?<!\w){re.escape(abbreviation)}", abbreviation.replace(".", STOP), text)
    return [sentence.replace(STOP, ".").strip() for sentence in _END.split(text) if sentence.strip()]


def word_count(sentence: str) -> int:
    """Return the number of words; a name in code, a number and a path are one word each."""
    return len(_WORD.findall(sentence))


def is_passive(sentence: str) -> bool:
    """Return whether a form of "be" or "get" stands before a past participle."""
    return PASSIVE.search(sentence) is not None
