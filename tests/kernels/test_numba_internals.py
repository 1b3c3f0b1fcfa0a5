"""The private names of Numba and llvmlite that kernels are compiled with, and doing without them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import audioconv
from audioconv.kernels import numba_internals

PACKAGE = Path(audioconv.__file__).parent
PYPROJECT = PACKAGE.parent / "pyproject.toml"
MODULES = sorted(PACKAGE.rglob("*.py"))
KERNELS = sorted((PACKAGE / "kernels").glob("*.py"))

PUBLIC = {"numba", "numba.extending", "numba.types", "llvmlite", "llvmlite.ir", "llvmlite.binding"}

PLAIN = {numba_internals.VARIABLE: "1"}


def run(program, **environment):
    found = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=400
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip(), found.stderr


def test_numba_has_the_private_names_with_the_parameters_that_are_relied_on():
    """A later Numba may change them: the upper bound in `pyproject.toml` says up to which they are known."""
    assert numba_internals.difference() is None
    assert not numba_internals.PLAIN or os.environ.get(numba_internals.VARIABLE) == "1"


def test_there_is_an_upper_bound_above_the_numba_that_is_installed():
    dependencies = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    (bounds,) = (text.removeprefix("numba").split(",") for text in dependencies if text.startswith("numba"))
    lower, upper = (tuple(map(int, bound.lstrip("<>=").split("."))) for bound in bounds)
    assert bounds[0].startswith(">=")
    assert bounds[1].startswith("<")
    assert lower <= tuple(map(int, version("numba").split(".")[:2])) < upper


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_module_imports_or_uses_a_private_name(path):
    if path.name == "numba_internals.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.partition(".")[0] in ("numba", "llvmlite"):
                assert name in PUBLIC, f"{path}:{node.lineno}"
        # `from numba import core`, `import_module("numba.core...")`
        if isinstance(node, ast.ImportFrom) and node.module in ("numba", "llvmlite"):
            assert not {alias.name for alias in node.names} & {"core", "np", "cpython", "parfors"}, path
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith(("numba.core", "numba.np")), f"{path}:{node.lineno}"


def calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func, {keyword.arg for keyword in node.keywords}


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.name)
def test_no_pointer_has_a_type(path):
    """In a later llvmlite all pointers are opaque: loads and offsets name the type of their elements."""
    for function, keywords in calls(path):
        of_builder = isinstance(function.value, ast.Name) and function.value.id == "builder"
        place = f"{path.name}:{function.lineno}"
        if of_builder and function.attr in ("load", "load_atomic"):
            assert "typ" in keywords, place
        if function.attr == "gep":
            assert "source_etype" in keywords, place
        if path.name != "numba_internals.py":  # which does so where llvmlite's pointers still have a type
            assert function.attr != "as_pointer", place
    assert ".pointee" not in path.read_text()


# Kernels that call functions of theirs, and a worker: the spectrogram.
PROGRAM = """
import numpy as np
from audioconv.audio import LogMel
from audioconv.kernels import numba_internals, optimizers
value, gradient, velocity = (np.full(5, number, np.float32) for number in (1, 2, 0))
optimizers.sgd(value, gradient, velocity, 5, np.float32(0.5), np.float32(0.9), True, np.float32(0.1))
features = LogMel(mel_bands=16)(np.random.default_rng(0).standard_normal((2, 8000), np.float32))
print(value.tolist(), velocity.tolist(), features.sum(), numba_internals.PLAIN, sep="|")
"""


@pytest.mark.slow
def test_kernels_compiled_through_public_names_alone_give_the_same_results(tmp_path):
    fast, said = run(PROGRAM, AUDIOCONV_CACHE_DIR=str(tmp_path), AUDIOCONV_PLAIN_COMPILATION="0")
    assert "takes longer" not in said
    plain, said = run(PROGRAM, AUDIOCONV_CACHE_DIR=str(tmp_path), **PLAIN)
    assert "takes longer" not in said  # the user has asked for it
    assert fast.split("|")[:3] == plain.split("|")[:3]
    assert (fast.split("|")[3], plain.split("|")[3]) == ("False", "True")
    again, said = run(PROGRAM, AUDIOCONV_CACHE_DIR=str(tmp_path), **PLAIN)
    assert again == plain
    assert said == ""
    assert len(list((tmp_path / "kernels").iterdir())) == 2  # what is compiled differently is kept apart


CHANGES = {
    "a name is gone": "from numba.core import compiler, typed_passes; del typed_passes.AnnotateTypes",
    "parameters have changed": """
from numba.core import caching
caching.FunctionCache.save_overload = lambda self, *everything: None
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_where_a_private_name_differs_one_line_says_so_and_kernels_are_compiled_all_the_same(change, tmp_path):
    program = f"""
{CHANGES[change]}
import numpy as np
from audioconv import ops
from audioconv.kernels import numba_internals
print(ops.dropout(np.ones(6, np.float32), 1, 0.0).sum(), numba_internals.PLAIN)
"""
    found, said = run(program, AUDIOCONV_CACHE_DIR=str(tmp_path), AUDIOCONV_PLAIN_COMPILATION="0")
    assert found == "6.0 True"
    lines = [line for line in said.splitlines() if "takes longer" in line]
    assert len(lines) == 1
    assert "numba.core." in lines[0]


# llvmlite reads them when it is imported: 0.44 the first one, later versions the second.
OPAQUE = {"LLVMLITE_ENABLE_OPAQUE_POINTERS": "1", "LLVMLITE_ENABLE_IR_LAYER_TYPED_POINTERS": "0"}


@pytest.mark.slow
def test_kernels_are_the_same_with_opaque_pointers_alone(tmp_path):
    typed, _ = run(PROGRAM)
    opaque, _ = run(PROGRAM, AUDIOCONV_CACHE_DIR=str(tmp_path), **OPAQUE)
    assert opaque == typed
