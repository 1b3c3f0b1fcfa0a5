"""Models as compiled C programs."""

from __future__ import annotations

import pytest
from c_programs import compiler

from audioconv.export.c99 import program
from audioconv.export.c99.compiler import Runner


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return a function that writes a model as C and returns its `Runner`; the same code is compiled once."""
    folder, runners = tmp_path_factory.mktemp("compiled"), {}

    def make(model, name="gcc", flags=("-O1",), command=(), **settings):
        made = program.write(model, "model", **settings)
        key = made, compiler(name), flags, command
        if key not in runners:
            own = folder / str(len(runners))
            own.mkdir()
            runners[key] = Runner(made, compiler(name), own, flags, command)
        return runners[key]

    return make
