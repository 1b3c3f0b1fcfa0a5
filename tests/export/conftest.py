"""Models as compiled C programs."""

from __future__ import annotations

import itertools

import pytest
from c_programs import compiler

from audioconv.export.c99 import program
from audioconv.export.c99.compiler import Runner


@pytest.fixture
def compiled(tmp_path_factory):
    """Return a function that writes a model as C, compiles it and returns its `Runner`."""
    folder, numbers = tmp_path_factory.mktemp("compiled"), itertools.count()

    def make(model, name="gcc", flags=("-O1",), command=(), **settings):
        own = folder / str(next(numbers))
        own.mkdir()
        return Runner(program.write(model, "model", **settings), compiler(name), own, flags, command)

    return make
