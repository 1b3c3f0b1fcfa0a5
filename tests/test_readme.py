"""The README's commands and code, run as they are printed, one after the other, in the folder of `sandbox`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sandbox

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [*ROOT.glob("*.md"), ROOT / "data" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [(language, code) for _, language, code in sandbox.FENCE.findall(README.read_text("utf-8")) if language]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder that looks like a clone beside which its reader has put recordings and pictures."""
    return sandbox.fill(tmp_path_factory.mktemp("readme"))


@pytest.mark.parametrize(("language", "code"), BLOCKS, ids=[code.splitlines()[0] for _, code in BLOCKS])
def test_the_readme_runs(folder, language, code):
    sandbox.run(folder, language, code)


def test_every_block_says_what_it_is():
    text = README.read_text("utf-8")
    assert text.count("```") == 2 * len(sandbox.FENCE.findall(text))
    assert [language for language, _ in BLOCKS] == ["bash", "bash", "python", "bash"]
    assert len(text.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, link
