"""Words and sentences in many scripts: the same word is the same however it was typed, and another one is not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audioconv.datasets.build.sentences import WordList, normalise, single_word
from audioconv.errors import ConfigError, DataError


def span(first: str, last: str) -> str:
    return "".join(chr(c) for c in range(ord(first), ord(last) + 1) if unicodedata.category(chr(c))[0] == "L")


# Letters of a script and the marks that go onto them, where these make another word.
SCRIPTS = {
    "Latin": ("abcdefghijklmnopqrstuvwxyz\u00e6\u00f8\u0142\u00df", "\u0300\u0301\u0302\u0303\u0308\u030c\u0327"),
    "Arabic": (span("\u0627", "\u063a") + span("\u0641", "\u064a") + "\u067e\u06a9\u06af\u06cc", "\u0653\u0654"),
    "Devanagari": (span("\u0905", "\u0939"), "\u093e\u093f\u0940\u0941\u0947\u094b\u094d\u0902\u093c"),
    "Cyrillic": (span("\u0430", "\u044f") + "\u0451\u0456\u0491", "\u0301\u0308\u0306"),
    "Chinese": (span("\u4e00", "\u4fff"), ""),
    "Greek": (span("\u03b1", "\u03c9"), "\u0301\u0308"),
    "Hebrew": (span("\u05d0", "\u05ea"), ""),
    "Thai": (span("\u0e01", "\u0e2e"), "\u0e31\u0e34\u0e35\u0e48\u0e49"),
    "Hangul": (span("\uac00", "\uafff"), ""),
    "Bengali": (span("\u0995", "\u09a8"), "\u09be\u09bf\u09cd\u0982"),
}
OPTIONAL = {
    "Arabic": "\u064b\u064c\u064e\u064f\u0650\u0651\u0652\u0670\u0640",
    "Hebrew": "\u05b0\u05b4\u05b7\u05b8\u05bc\u05c1",
}
WRAPPED = [
    *[("", "."), ("\u201c", "!\u201d"), ("\u00ab ", " \u00bb"), ("\u00bf", "?"), ("", "\u3002"), ("", "\u061f")],
    *[
        ("\u200f", "\u200e"),
        ("\ufeff ", "\u00a0"),
        ("", " \u0964"),
        ("(", ")\n"),
        ("\u300c", "\u300d"),
        ("- ", "\u2026"),
    ],
]
INVISIBLE = "\u00ad\u200b\u2060\u200e"


@st.composite
def words(draw, script=None):
    """Draw a script and a word in it, of letters with none or a few marks each."""
    script = draw(st.sampled_from(sorted(SCRIPTS))) if script is None else script
    letters, marks = SCRIPTS[script]
    count = draw(st.integers(1, 4))
    word = ""
    for _ in range(count):
        word += draw(st.sampled_from(letters))
        if marks:
            word += "".join(draw(st.lists(st.sampled_from(marks), max_size=2)))
    return script, word


@given(words(), st.data())
def test_the_same_word_however_it_was_typed(drawn, data):
    script, word = drawn
    key = single_word(word)
    assert key == normalise(word) == normalise(key)
    before, after = data.draw(st.sampled_from(WRAPPED))
    form = data.draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
    case = data.draw(st.sampled_from([str, str.upper, str.title, str.casefold, str.swapcase]))
    typed = case(word)
    assume(normalise(typed.casefold()) == key)  # case itself loses a few letters, such as the dot of i with accents
    position = data.draw(st.integers(0, len(typed)))
    extra = data.draw(st.sampled_from(INVISIBLE + OPTIONAL.get(script, "")))
    typed = unicodedata.normalize(form, typed[:position] + extra + typed[position:])
    assert single_word(before + typed + after) == key
    assert WordList([word]).label(before + typed + after) == word


@given(words(), words())
def test_two_words_are_not_one(first, second):
    text = f"{first[1]} {second[1]}"
    assert single_word(text) is None
    assert WordList([first[1]]).label(text) is None
    assert WordList([text]).label(f"{first[1]},  {second[1]}!") == text
    if normalise(first[1]) != normalise(second[1]):
        assert WordList([first[1]]).label(second[1]) is None


@given(words(), st.data())
def test_a_mark_makes_another_word(drawn, data):
    script, word = drawn
    marks = SCRIPTS[script][1]
    assume(marks)
    mark = data.draw(st.sampled_from(marks))
    other = word + mark
    assume(unicodedata.normalize("NFKD", other.casefold()) != unicodedata.normalize("NFKD", word.casefold()))
    assert normalise(other) != normalise(word)


@given(st.text())
def test_any_text(text):
    key = normalise(text)
    assert normalise(key) == key
    assert unicodedata.is_normalized("NFC", key)
    assert key == " ".join(key.split())
    assert normalise(unicodedata.normalize("NFD", text)) == key


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("Firefox.", "firefox"),
        ("\u201cYES!\u201d", "yes"),
        ("don\u2019t", "dont"),
        ("l'eau", "leau"),
        ("e-mail", None),
        ("3", "3"),
        ("\u0663", "3"),
        ("\uff13", "3"),
        ("\u0968", "2"),
        ("\u0646\u064e\u0639\u064e\u0645\u0652\u061f", "\u0646\u0639\u0645"),
        ("\u0646\u0640\u0640\u0639\u0645", "\u0646\u0639\u0645"),
        ("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
        ("\u0939\u093e\u0901\u0964", "\u0939\u093e\u0901"),
        ("\u0414\u0410.", "\u0434\u0430"),
        ("\u0439", "\u0439"),
        ("\u0438\u0306", "\u0439"),
        ("\u662f\u3002", "\u662f"),
        ("\u4f60\u597d", "\u4f60\u597d"),
        ("\u6211\u4eca\u5929\u5f88\u9ad8\u5174", None),
        ("\u0e44\u0e21\u0e48", "\u0e44\u0e21\u0e48"),
        ("\uc608", "\uc608"),
        ("\u1103\u116e\u11af", "\ub458"),
        ("\u0130K\u0130", "iki"),
        ("DI\u015eARI", "di\u015fari"),
        ("d\u0131\u015far\u0131", "di\u015fari"),
        ("STRASSE", "strasse"),
        ("stra\u00dfe", "strasse"),
        ("\u039f\u03a7\u0399", "\u03bf\u03c7\u03b9"),
        ("\u03cc\u03c7\u03b9", "\u03cc\u03c7\u03b9"),
        ("na\u00efve", "na\u00efve"),
        ("", None),
        ("...", None),
        ("\u0301", None),
        ("yes yes", None),
    ],
)
def test_sentences(sentence, word):
    assert single_word(sentence) == word


# --- lists ---


def test_classes():
    words = WordList({"yes": "agree", "Yeah!": "agree", "no": "disagree"})
    assert words.labels == ("agree", "disagree")
    assert [words.label(text) for text in ("YEAH", "no.", "stop")] == ["agree", "disagree", None]
    assert words.as_json() == {"no": "disagree", "yeah": "agree", "yes": "agree"}
    assert WordList([" Ja ", "ja"]).labels == ("Ja",)


@pytest.mark.parametrize("words", [[], ["..."], {"yes": ""}, {"yes": "a\nb"}, {"yes": "a", "YES": "b"}])
def test_lists_that_cannot_be(words):
    with pytest.raises(ConfigError):
        WordList(words)


def test_files(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# comment\n\nja\tyes\n  doch , yes\nnein\n\u0906\u092a,you\n", "utf-8")
    words = WordList.read(path)
    assert words.labels == ("yes", "nein", "you")
    assert words.label("Doch!") == "yes"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no words; write one in each line"),
        (b"# nothing\n", "holds no words"),
        (b"a,b,c\n", "line 1: expected a word, and perhaps its class, got 'a,b,c'"),
        (b"yes\n...\n", r"line 2: expected a word"),
        (b"yes,a\nyes,b\n", "line 2: 'yes' has another class in an earlier line"),
        (b"caf\xe9\n", "is not UTF-8; save it as UTF-8 text"),
    ],
)
def test_files_that_cannot_be(tmp_path, content, message):
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"words\.txt.*{message}"):
        WordList.read(tmp_path / "words.txt")
    with pytest.raises(DataError, match=r"gone\.txt: the list of words cannot be read"):
        WordList.read(tmp_path / "gone.txt")
