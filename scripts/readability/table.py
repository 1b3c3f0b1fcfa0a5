"""The table of readability by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from readability.rules import MAX_WORDS, find
from readability.sentences import is_passive, split, word_count
from readability.texts import Text

GROUPS = {"docstring": "docstrings of `audioconv`", "help": "help texts", "message": "messages"}
"""What is counted together, by the kind of the texts; pages are counted one by one."""


@dataclass(frozen=True)
class Measures:
    """What is counted of a page.

    Attributes
    ----------
    sentences : int
        Number of sentences.
    words : float
        Mean number of words of a sentence.
    long, passive : float
        Share of sentences with more than 30 words, and of those in the passive.
    cases : int
        What the rules find beside long sentences.
    """

    sentences: int
    words: float
    long: float
    passive: float
    cases: int


def measure(texts: Sequence[Text]) -> Measures | None:
    """Return what is counted of some texts; None where there is no sentence of at least three words."""
    sentences = [each for text in texts for each in split(text.content) if word_count(each) > 2]
    if not sentences:
        return None
    words = [word_count(each) for each in sentences]
    return Measures(
        sentences=len(sentences),
        words=mean(words),
        long=mean(count > MAX_WORDS for count in words),
        passive=mean(is_passive(each) for each in sentences),
        cases=sum(case.rule != "long" for text in texts for case in find(text)),
    )


def table(now: Sequence[Text], before: Sequence[Text] = ()) -> str:
    """Return the table as Markdown: a row for each page, then docstrings, help texts and messages."""
    heads = ("", "sentences", "words a sentence", f"over {MAX_WORDS} words", "passive", "other cases")
    rows = [heads, ("---", *["---:"] * 5)]
    parts, earlier = _parts(now), _parts(before)
    for name in sorted({*parts, *earlier}, key=lambda name: (name in GROUPS.values(), "/" in name, name)):
        new, old = (measure(found.get(name, ())) for found in (parts, earlier))
        if new is None and old is None:
            continue
        rows.append((name, *(_cell(old, new, bool(before), *each) for each in COLUMNS)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


COLUMNS = (("sentences", "d"), ("words", ".1f"), ("long", ".1%"), ("passive", ".0%"), ("cases", "d"))


def _cell(old: Measures | None, new: Measures | None, both: bool, name: str, form: str) -> str:
    first, second = ("-" if each is None else format(getattr(each, name), form) for each in (old, new))
    return f"{first} → {second}" if both else second


def _parts(texts: Sequence[Text]) -> dict[str, list[Text]]:
    parts: dict[str, list[Text]] = {}
    for text in texts:
        parts.setdefault(GROUPS.get(text.kind, text.path), []).append(text)
    return parts
