"""Machines with AVX-512 have vectors of 16 numbers, others of 8: hold the width that this one has not to the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import llvmlite.binding as llvm

real = llvm.get_host_cpu_features

def of_the_other_machine():
    features = real()
    features["avx512f"] = not features.get("avx512f", False)
    return features

llvm.get_host_cpu_features = of_the_other_machine
from audioconv.kernels import jit
llvm.get_host_cpu_features = real  # LLVM itself compiles for the machine that it runs on
assert jit.LANES == int(sys.argv[1])

import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


def test_tile_and_convolution_with_vectors_of_the_other_width():
    """Vectors of 8 also store what is left of one in a way of their own (see `kernels.vector`)."""
    from audioconv.kernels.jit import LANES

    names = {
        "test_tile.py": [
            "test_any_number_of_rows_columns_and_terms",
            "test_blocks_of_columns_and_of_terms_have_no_seam",
        ],
        "test_conv.py": ["test_forward", "test_gradients", "test_dense_is_a_matrix_product"],
    }
    tests = [f"{Path(__file__).with_name(file)}::{name}" for file, found in names.items() for name in found]
    arguments = [str({8: 16, 16: 8}[LANES]), *tests]
    found = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "64 passed" in found.stdout
