"""The examples in the docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import audioconv

MODULES = ["audioconv", *(info.name for info in pkgutil.walk_packages(audioconv.__path__, "audioconv."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # examples may write files
    assert doctest.testmod(importlib.import_module(name), verbose=False).failed == 0
