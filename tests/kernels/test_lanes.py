"""Vectors of 8 and of 16 numbers, on any processor: the width that this one has not is held to the same tests.

`.ci/run` runs all tests of kernels, machine, compiler, operations, layers and streaming with both.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audioconv import layers as L
from audioconv.audio import LogMel
from audioconv.features.normalisation import Normalisation
from audioconv.kernels.lanes import LANES, VARIABLE, WIDTHS
from audioconv.model import Model

HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}
"""What Numba compiles for instead of this processor, if that has more: AVX2, and not AVX-512."""

needs_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="compiles for another processor")

OTHER = {8: 16, 16: 8}[LANES]

WIDTH_PROGRAM = "from audioconv.kernels.jit import LANES, cache_folder; print(LANES, cache_folder().name)"

PREDICT = """
import sys
import numpy as np
from audioconv.kernels.jit import LANES
from audioconv.model import Model

model = Model.load(sys.argv[1])
clips = np.random.default_rng(1).standard_normal((5, model.clip_samples), np.float32)
np.save(sys.argv[2], model.probabilities(model.front_end(clips)))
print(LANES)
"""


def run(program, *arguments, timeout=400, **environment):
    """Run a program without the variables that choose a width, but for those given."""
    others = {name: value for name, value in os.environ.items() if name not in (VARIABLE, *HASWELL)}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**others, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_the_variable_chooses_the_width_and_each_has_its_own_folder_of_kernels():
    found = [run(WIDTH_PROGRAM, **{VARIABLE: str(width)}).stdout.split() for width in WIDTHS]
    assert [int(width) for width, _ in found] == list(WIDTHS)
    assert found[0][1] != found[1][1]


@needs_x86
@pytest.mark.parametrize("width", ["", *map(str, WIDTHS)])
def test_a_processor_without_avx_512_has_vectors_of_8_unless_16_are_asked_for(width):
    found = run(WIDTH_PROGRAM, **HASWELL, **{VARIABLE: width})
    assert found.stdout.split()[0] == (width or "8")


@needs_x86
def test_no_avx_at_all_is_no_avx_512():
    assert run(WIDTH_PROGRAM, NUMBA_ENABLE_AVX="0").stdout.split()[0] == "8"


@pytest.mark.parametrize("width", ["4", "16.0", "wide"])
def test_another_width_is_refused(width):
    program = """
from audioconv.errors import ConfigError
try:
    import audioconv.kernels.jit
except ConfigError as error:
    print(error)
"""
    wanted = f"AUDIOCONV_VECTOR_LANES must be 8 or 16; got {width!r}: change or unset it"
    assert run(program, **{VARIABLE: width}).stdout.strip() == wanted


@pytest.mark.slow
def test_tile_and_convolution_with_vectors_of_the_other_width():
    """Vectors of 8 also store what is left of one in a way of their own (see `kernels.llvm_vectors`)."""
    names = {
        "test_tile.py": [
            "test_any_number_of_rows_columns_and_terms",
            "test_blocks_of_columns_and_of_terms_have_no_seam",
        ],
        "test_conv.py": ["test_forward", "test_gradients", "test_dense_is_a_matrix_product"],
        "test_spectral.py": ["test_transform_is_numpys", "test_powers_are_numpys", "test_decibels_are_numpys"],
    }
    tests = [f"{Path(__file__).with_name(file)}::{name}" for file, some in names.items() for name in some]
    program = "import sys, pytest; sys.exit(pytest.main(['-v', '-p', 'no:cacheprovider', *sys.argv[1:]]))"
    found = run(program, *tests, **{VARIABLE: str(OTHER)})
    assert found.returncode == 0, found.stdout + found.stderr
    for test in tests:
        assert f"::{test.rpartition(':')[2]}" in found.stdout, test
    assert "skipped" not in found.stdout.splitlines()[-1]


NETWORK = L.Chain(
    [
        L.Conv(10, 3, padding="same"), L.BatchNorm(), L.ReLU(), L.Conv(9, 3, padding="same"), L.LeakyReLU(0.1),
        L.MaxPool(2), L.Residual(L.Chain([L.DepthwiseConv(3, padding="same"), L.Conv(9, 1), L.SiLU()])),
        L.SubSpectralNorm(4), L.Conv(24, 3, stride=2, padding=1, groups=3), L.Sigmoid(), L.Conv(20, 3, padding="same"),
        L.Dropout(0.3), L.AvgPool(2, stride=1), L.Tanh(), L.GlobalAvgPool(), L.Dense(6),
    ]
)  # fmt: skip
"""Each way to compute a convolution of pictures, each kind of layer, and channels that fill no vector."""


ALONG_A_LINE = L.Chain(
    [L.Conv(12, 9, stride=2, padding=4), L.BatchNorm(), L.ReLU(), L.Conv(24, 3, padding="same"), L.MaxPool(2),
     L.DepthwiseConv(3, padding="same"), L.Conv(16, 1), L.LeakyReLU(0.1), L.GlobalMaxPool(), L.Dense(6)]
)  # fmt: skip


@pytest.mark.parametrize(("network", "axes"), [(NETWORK, (1,)), (ALONG_A_LINE, ())], ids=["2d", "1d"])
def test_a_model_file_gives_the_same_probabilities_with_vectors_of_both_widths(network, axes, tmp_path):
    rng = np.random.default_rng(0)
    front_end = LogMel(mel_bands=32)
    in_shape = (*front_end.out_shape(8000), *axes)
    params = L.flatten(network.init(in_shape, rng))
    for path, array in params.items():
        if path.endswith("running_mean"):
            array += rng.standard_normal(array.shape).astype(np.float32)
    scale = Normalisation(np.full(32, -10, np.float32), np.full(32, 8, np.float32))
    model = Model(network, L.unflatten(params), tuple("abcdef"), in_shape, front_end, 8000, scale)
    # Let each clip have an answer of its own.
    logits = model.logits(front_end(rng.standard_normal((20, 8000), np.float32)))
    dense, spread = model.params[str(len(network.layers) - 1)], logits.std(axis=0).max()
    dense["weight"] /= spread
    dense["bias"] -= logits.mean(axis=0) / spread
    model.save(tmp_path / "model.safetensors")
    found = {}
    for width in WIDTHS:
        ran = run(PREDICT, tmp_path / "model.safetensors", tmp_path / f"{width}.npy", **{VARIABLE: str(width)})
        assert ran.stdout.strip() == str(width), ran.stderr
        found[width] = np.load(tmp_path / f"{width}.npy")
    np.testing.assert_allclose(found[8], found[16], rtol=0, atol=1e-5)
    assert found[8].max() > 0.3
    assert np.ptp(found[8], axis=0).max() > 0.1


@needs_x86
def test_doctor_shows_the_width_that_is_used():
    program = "from audioconv.cli.diagnostics import find_processor; print(find_processor().vector_bits)"
    assert run(program, **HASWELL).stdout.strip() == "256"
    assert run(program, **{VARIABLE: "8"}).stdout.strip() in ("128", "256")


def test_a_wrong_width_is_one_line_of_the_command_line(tmp_path):
    program = "import sys; from audioconv.cli import run; sys.exit(run(sys.argv[1:]))"
    found = run(program, "classify", tmp_path / "model", "a.wav", **{VARIABLE: "4"})
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("audioconv: error: AUDIOCONV_VECTOR_LANES must be 8 or 16; got '4'")
    assert found.stderr.count("\n") == 1
