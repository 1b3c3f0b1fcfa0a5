"""Compiled networks are compared with plain layers that compute direct sums, and not by the same algorithms."""

from __future__ import annotations

import pytest
from compared import direct_sums


@pytest.fixture(scope="module", autouse=True)
def plain_layers_compute_direct_sums():
    with direct_sums():
        yield
