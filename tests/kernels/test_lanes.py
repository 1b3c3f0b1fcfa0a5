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


def test_convolution_with_vectors_of_the_other_width():
    from audioconv.kernels.jit import LANES

    tests = Path(__file__).with_name("test_conv.py")
    names = ["test_forward", "test_gradients", "test_dense_is_a_matrix_product"]
    arguments = [str({8: 16, 16: 8}[LANES]), *(f"{tests}::{name}" for name in names)]
    found = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "3 passed" in found.stdout
