"""What Kokoro calls the sounds of its languages: its letters, and how espeak-ng's become these.

The table of letters is that of the network's ``config.json``. The changes are those of misaki, the converter that
Kokoro is published with (https://github.com/hexgrad/misaki, ``espeak.py``). For Japanese and Chinese misaki does not
ask espeak-ng, whose sounds do not serve: it reads kana only and calls a kanji "Chinese letter", and it writes the first
and the fourth tone of Chinese alike.
"""

from __future__ import annotations

import re
import unicodedata

BRITISH, AMERICAN, SPANISH, FRENCH, HINDI, ITALIAN, PORTUGUESE = "baefhip"
"""The first letter of a voice, such as that of ``ff_siwis``, is the accent that it is of."""

ACCENTS = {
    AMERICAN: "gmw/en-US",
    BRITISH: "gmw/en",
    SPANISH: "roa/es",
    FRENCH: "roa/fr",
    HINDI: "inc/hi",
    ITALIAN: "roa/it",
    PORTUGUESE: "roa/pt-BR",
}
"""espeak-ng's voice for each accent."""

ENGLISH = (AMERICAN, BRITISH)
LANGUAGES = {
    "en": ENGLISH, "en-us": (AMERICAN,), "en-gb": (BRITISH,), "es": (SPANISH,), "fr": (FRENCH,), "fr-fr": (FRENCH,),
    "hi": (HINDI,), "it": (ITALIAN,), "pt": (PORTUGUESE,), "pt-br": (PORTUGUESE,),
}  # fmt: skip
"""The language tags, and the accents that speak each."""

# The letters for English, and their numbers.
LETTERS = {
    **dict(zip(";:,.!?", range(1, 7), strict=True)), " ": 16, "A": 24, "I": 25, "O": 31, "Q": 33, "W": 39, "Y": 41,
    "ᵊ": 42, "a": 43, "b": 44, "d": 46, "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56,
    "p": 58, "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "z": 68, "ɑ": 69, "ɒ": 71, "æ": 72, "ɔ": 76, "ð": 81,
    "ʤ": 82, "ə": 83, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ɾ": 125, "ʃ": 131,
    "ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147, "ˈ": 156, "ˌ": 157, "ː": 158, "ᵻ": 177,
}  # fmt: skip

# Those that the other languages have besides.
ALL_LETTERS = LETTERS | {
    "\u0303": 17, "ʣ": 18, "ʦ": 20, "S": 35, "c": 45, "e": 47, "o": 57, "q": 59, "r": 60, "x": 66, "y": 67, "ɐ": 70,
    "β": 75, "ç": 78, "ɖ": 80, "ɚ": 85, "ɟ": 90, "ɨ": 101, "ʝ": 103, "ɣ": 139, "ɳ": 113, "ɲ": 114, "ø": 116,
    "œ": 120, "ʁ": 128, "ɽ": 129, "ʂ": 130, "ʈ": 132, "ʋ": 136, "χ": 142, "ʎ": 143, "ʔ": 148, "ʰ": 162, "ʲ": 164,
}  # fmt: skip

PAUSES = ";:,.!?"

# espeak-ng's letters in the network's, in this order. The network has one letter for each diphthong and affricate.
_SOUNDS = (
    ("e^ɪ", "A"), ("a^ɪ", "I"), ("a^ʊ", "W"), ("ɔ^ɪ", "Y"), ("t^ʃ", "ʧ"), ("d^ʒ", "ʤ"), ("ʔn\u0329", "tᵊn"),
    ("n\u0329", "ᵊn"), ("ə^l", "ᵊl"), ("ʔ", "t"), ("ɐ", "ə"), ("r", "ɹ"), ("x", "k"),
)  # fmt: skip
_AMERICAN_SOUNDS = (
    ("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɚɹ", "əɹ"), ("ɚ", "əɹ"), ("i^əɹ", "iɹ"), ("oː", "ɔ"), ("ː", ""),
)  # fmt: skip
_BRITISH_SOUNDS = (("ə^ʊ", "Q"), ("e^ə", "ɛː"), ("i^ə", "ɪə"), ("ʊ^ə", "ʊə"))
_OTHER_SOUNDS = (
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^z", "ʣ"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ə^ʊ", "Q"), ("s^s", "S"),
    ("t^s", "ʦ"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"),
)  # fmt: skip


def sounds_of(accent: str) -> tuple[tuple[str, str], ...]:
    """Return what of espeak-ng's letters becomes what, in this order, in an accent."""
    if accent not in ENGLISH:
        return _OTHER_SOUNDS
    return _SOUNDS + (_BRITISH_SOUNDS if accent == BRITISH else _AMERICAN_SOUNDS)


def to_letters(ipa: str, accent: str) -> str:
    """Return espeak-ng's International Phonetic Alphabet in the network's letters, without what it does not know.

    >>> to_letters("zˈi^əɹo^ʊ", "a"), to_letters("wˌʌn", "b"), to_letters("nˈɐ̃^ʊ̃", "p")
    ('zˈiɹO', 'wˈʌn', 'nˈɐ̃ʊ̃')
    """
    for theirs, ours in sounds_of(accent):
        ipa = ipa.replace(theirs, ours)
    letters = LETTERS if accent in ENGLISH else ALL_LETTERS
    if accent not in ENGLISH:  # "ũ" may be one character, and is two letters here; "ç" is one
        ipa = "".join(letter if letter in letters else unicodedata.normalize("NFD", letter) for letter in ipa)
    if "ˈ" not in ipa:  # a word alone is stressed
        ipa = ipa.replace("ˌ", "ˈ", 1) if "ˌ" in ipa else f"ˈ{ipa}"
    known = "".join(letter for letter in ipa if letter in letters and letter not in PAUSES)
    return re.sub(" +", " ", known).strip()
