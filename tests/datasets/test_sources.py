"""docs/data.md tells of each source what the table of sources tells."""

from pathlib import Path

import pytest

from audioconv.datasets.catalogue import SOURCES
from audioconv.datasets.licences import LICENCES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("## The sources")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", SOURCES)
def test_the_page_has_each_source(name):
    source = SOURCES[name]
    [row] = [line for line in SECTION.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
    _, names, what, spoken, licence, verified, _ = (cell.strip() for cell in row.split("|"))
    shown = {one.strip().replace(" ", "-").replace("CC0", "CC0-1.0") for one in licence.split(",")}
    assert set(source.licence.split(", ")) <= shown <= set(LICENCES)
    assert ("SHA-256" in verified) == (any(file.sha256 for file in source.files) or bool(source.content))
    assert ("MD5" in verified) == any(file.md5 for file in source.files)
    if source.count and names.count("`") == 2:
        assert f"{source.count:,}" in what
    assert bool(spoken) == bool(source.language)
