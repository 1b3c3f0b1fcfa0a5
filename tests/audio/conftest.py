from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of real recordings; they are not part of the repository."""
    folder = os.environ.get("AUDIOCONV_TEST_DATA")
    if not folder:
        pytest.skip("set AUDIOCONV_TEST_DATA to the folder of real recordings to run this test")
    return Path(folder)
