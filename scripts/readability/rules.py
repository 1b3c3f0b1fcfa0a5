"""Rules for plain technical English. Each finds sentences that a writer should look at again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from readability.sentences import split, word_count
from readability.texts import Text

MAX_WORDS = 30
"""Words of the longest sentence that passes."""

SOFTWARE = (
    "audioconv", "classifier", "command", "detector", "file", "kernel", "layer", "library", "machine", "model",
    "network", "package", "page", "program", "recipe", "script", "service", "software", "table", "test", "training",
)  # fmt: skip
"""Nouns that have no ears and no opinions."""

HUMAN = "forgets?|forgot|hears?|heard|knows?|knew|says?|said|thinks?|tells?|told|understands?|understood|wants?"


@dataclass(frozen=True)
class Finding:
    """A sentence that a rule has found.

    Attributes
    ----------
    path : str
        The file, relative to the repository.
    line : int
        The line at which its paragraph begins.
    rule : str
        A key of `RULES`.
    sentence : str
        The whole sentence.
    """

    path: str
    line: int
    rule: str
    sentence: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What the list of allowed cases has: rule, path, and the sentence's first 80 characters."""
        return self.rule, self.path, self.sentence[:80].strip()


def _is_long(sentence: str) -> bool:
    return word_count(sentence) > MAX_WORDS


def _begins_with_of(sentence: str) -> bool:
    return re.match(r"Of\b(?! course)", sentence) is not None


def _has_who_as_actor(sentence: str) -> bool:
    """Find "who" without the noun that it stands for; a question may begin with it."""
    if sentence.endswith("?"):
        return False
    return (
        re.search(
            r"\b[Ww]ho(?:m|so)?ever\b|^Who\b|[:;(—] ?who\b|\b(?:and|but|by|for|from|of|or|than|to|with) who\b", sentence
        )
        is not None
    )


def _avoids_the_noun(sentence: str) -> bool:
    return (
        re.search(
            r"\bnone of (?:the|its|our|your|their|these|those|his) (?:\w+ )?words\b|\b(?:is|are|be) none of\b|"
            r"\bwhat is (?:none|no word)|\bsay(?:s|ing)? no\b|\bno stranger\b|\bnobody\b|\bno longer told\b",
            sentence,
            re.IGNORECASE,
        )
        is not None
    )


def _opens_with_what(sentence: str) -> bool:
    return re.match(r"(?:What|How)\b", sentence) is not None and not sentence.endswith("?")


def _is_personified(sentence: str) -> bool:
    nouns = "|".join(SOFTWARE)
    return re.search(rf"\b(?:{nouns})s?,? (?:that |which )?(?:has |have |had )?(?:{HUMAN})\b", sentence) is not None


RULES: dict[str, Callable[[str], bool]] = {
    "long": _is_long,
    "of": _begins_with_of,
    "who": _has_who_as_actor,
    "noun": _avoids_the_noun,
    "what": _opens_with_what,
    "person": _is_personified,
}
"""Whether a rule finds a sentence, by the rule's name."""

MEANING = {
    "long": f"more than {MAX_WORDS} words",
    "of": 'begins with "Of"',
    "who": '"who" without its noun',
    "noun": '"none of the words", "says no", "nobody": use the noun of the field',
    "what": 'begins with "What" or "How" where a noun could stand',
    "person": "software that hears, says, knows, tells or wants",
}
"""What a rule finds, in words."""


def find(text: Text) -> Iterator[Finding]:
    """Yield what the rules find in a text."""
    for sentence in split(text.content):
        for rule, finds in RULES.items():
            if finds(sentence):
                yield Finding(text.path, text.line, rule, sentence)
