"""The prose of pages, docstrings, help texts and messages: `scripts/prose` finds no case that is not in its list."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not (ROOT / "scripts" / "prose").is_file(), reason="the scripts are not beside the tests"
)


@pytest.fixture(scope="module")
def prose():
    loader = SourceFileLoader("prose", str(ROOT / "scripts" / "prose"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prose", loader))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
        yield module
    finally:
        sys.dont_write_bytecode = before


def found(prose, path, source):
    return [(case.rule, case.sentence) for text in prose.texts(path, source) for case in prose.find(text)]


def test_there_is_no_case_that_is_not_allowed(prose):
    assert [f"{case.path}:{case.line}: {case.rule}: {case.sentence}" for case in prose.new_cases()] == []


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("Of the samples, in Hz.", "of"),
        ("Of course it works.", None),
        ("Whoever changes one changes the other.", "who"),
        ("Who passes it on has to keep the licence.", "who"),
        ("Who speaks?", None),
        ("The speakers who test train nothing.", None),
        ("It labels a clip that is none of the words.", "noun"),
        ("A model that never fires is no stranger here.", "noun"),
        ("How often the model is asked.", "what"),
        ("How do I begin?", None),
        ("The network knows these voices.", "person"),
        ("The person knows these voices.", None),
        (" ".join(["word"] * 30) + ".", None),
        (" ".join(["word"] * 31) + ".", "long"),
    ],
)
def test_rules(prose, sentence, rule):
    assert [name for name, _ in found(prose, "page.md", sentence)] == ([rule] if rule else [])


def test_prose_of_a_page(prose):
    page = "# Of a head\n\n- One [link](to.md).\n- Two `Of code`\n  goes on.\n\n```\nOf code.\n```\n"
    page += "\n| an | Of a cell. |\n|--|--|\n"
    assert [text.content for text in prose.texts("page.md", page)] == [
        "One link.", "Two `code` goes on.", "an", "Of a cell.",
    ]  # fmt: skip


SOURCE = '''
"""Module of a test."""

def f(rate):
    """Return one.

    Parameters
    ----------
    rate : int
        Of the samples,
        in Hz.

    Examples
    --------
    >>> f(1)
    1
    """
    raise ValueError(f"{rate} is none of the words" " of the model")


option(help="Whoever wants it.")
'''


def test_prose_of_a_module(prose):
    texts = {(text.kind, text.content) for text in prose.texts("module.py", SOURCE)}
    assert ("docstring", "Module of a test.") in texts
    assert ("docstring", "Of the samples, in Hz.") in texts
    assert ("message", "X is none of the words of the model") in texts
    assert not any("f(1)" in content for _, content in texts)


def test_table(prose):
    now = prose.texts("page.md", "One two three. Four was added here.")
    lines = prose.table(now, prose.texts("page.md", "One two three four.")).splitlines()
    assert lines[2] == "| page.md | 1 → 2 | 4.0 → 3.5 | 0.0% → 0.0% | 0% → 50% | 0 → 0 |"
