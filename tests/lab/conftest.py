"""What the tests of the lab share."""

from __future__ import annotations

import pytest

for module in ("starlette", "uvicorn", "websockets", "httpx"):
    pytest.importorskip(module, reason="needs the extras: pip install 'audioconv[lab]'")

import labs  # noqa: E402


@pytest.fixture
def page(tmp_path):
    """Return a lab with an empty folder."""
    with labs.in_thread(tmp_path / "project") as page:
        yield page
