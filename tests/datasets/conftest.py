"""What the tests of data sets share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    folder = os.environ.get("AUDIOCONV_TEST_DATA")
    if not folder:
        pytest.skip("real recordings: set AUDIOCONV_TEST_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def mirror() -> Path:
    folder = os.environ.get("AUDIOCONV_MIRROR")
    if not folder:
        pytest.skip("real archives: set AUDIOCONV_MIRROR to a folder that holds them")
    return Path(folder)
