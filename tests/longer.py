"""The mark of tests that take minutes, and that run on request: with the environment variable AUDIOCONV_LONG_TESTS."""

from __future__ import annotations

import os

import pytest

LONG = pytest.mark.skipif("AUDIOCONV_LONG_TESTS" not in os.environ, reason="takes minutes: set AUDIOCONV_LONG_TESTS")
