"""What all tests share. Pytest puts this folder on the import path, so that tests can ``import reference``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# A kernel's first use takes seconds, so no deadline; CI draws the same examples every time.
settings.register_profile("audioconv", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.load_profile("audioconv")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
