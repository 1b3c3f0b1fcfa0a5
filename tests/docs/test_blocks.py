"""Every block of every page runs in a test, or says why it does not."""

from __future__ import annotations

import doctest
import re

import documentation
import pytest
import sandbox
import test_guides
import test_tutorials

ELSEWHERE = {
    ("convolution.md", "pycon"): "tests/test_convolution_page.py",
    ("explaining.md", "pycon"): "tests/explaining/test_page.py",
    ("export.md", "c"): "tests/export/test_c_streams.py",
    ("front_ends.md", "pycon"): "tests/test_librosa_models.py",
    ("guides/other-frameworks.md", "bash"): "tests/interop/test_other_frameworks_page.py",
    ("guides/other-frameworks.md", "python"): "tests/interop/test_other_frameworks_page.py",
    ("serve.md", "bash"): "tests/serving/test_serve_docs.py",
    ("serve.md", "python"): "tests/serving/test_serve_docs.py",
}
"""Blocks by page and language that other tests run."""

DOCTESTS = ["concepts/spectrograms.md"]

RUN = {
    **dict.fromkeys([*test_guides.GUIDES, *test_guides.LONGER, *test_tutorials.TUTORIALS], ("bash", "python")),
    **dict.fromkeys(DOCTESTS, ("pycon",)),
}


@pytest.mark.parametrize("page", documentation.PAGES)
def test_every_block_runs_or_says_why_not(page):
    text = (documentation.DOCS / page).read_text("utf-8")
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(documentation.blocks(page))
    for block in documentation.blocks(page):
        if block.not_run:
            assert len(block.not_run) > 10, f"{page}:{block.line}"
        elif block.language not in documentation.SHOWN and block.language not in RUN.get(page, ()):
            runner = ELSEWHERE.get((page, block.language))
            assert runner, f"{page}:{block.line}: no test runs this block of {block.language or 'no language'}"
            assert page.rpartition("/")[2] in (sandbox.ROOT / runner).read_text("utf-8")


@pytest.mark.parametrize("page", documentation.PAGES)
def test_every_page_says_whom_it_is_for(page):
    head, _, rest = (documentation.DOCS / page).read_text("utf-8").partition("\n")
    assert head.startswith("# ")
    assert rest.startswith("\n**For:** ")


@pytest.mark.parametrize("page", DOCTESTS)
def test_examples_give_what_they_say(page):
    failed, count = doctest.testfile(str(documentation.DOCS / page), module_relative=False)
    assert count > 2
    assert failed == 0


@pytest.mark.parametrize(("page", "lines"), [("architecture.md", 250), ("recipes.md", 120)])
def test_pages_that_must_stay_short(page, lines):
    assert len((documentation.DOCS / page).read_text("utf-8").splitlines()) <= lines
