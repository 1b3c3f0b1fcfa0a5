"""Single convolutions by the algorithms of compiled networks: what is chosen, and how large the errors are."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import reference
from compared import difference

from audioconv import geometry, ops
from audioconv.kernels import opcodes
from audioconv.kernels.jit import LANES
from audioconv.ops import programs
from audioconv.runtime import executable
from audioconv.runtime.convolution import Convolution
from audioconv.runtime.idle import IdleWorkspaces
from audioconv.runtime.sums import LEAST_PARTS, MAX_PARTS, SHARED_PARTS, WORK_OF_PART, part_count

LARGEST_ERROR = 1.2e-6
"""The norm of an algorithm's error as a share of the norm of the exact result, as `ops.conv2d` states it."""

# Spatial size, channels, filters, kernel, groups; around full vectors, full tiles and strips of them.
CASES = {
    "planes": ((20, 21), 16, 24, (3, 3), 1),
    "planes of odd channels": ((9, 13), 17, 9, (3, 3), 1),
    "planes of whole tiles": ((8, 8), 2 * LANES, LANES, (3, 3), 1),
    "few channels": ((15, 19), 5, 7, (3, 3), 1),
    "few filters": ((12, 12), 16, 3, (3, 3), 1),
    "depthwise": ((7, 9), 19, 19, (3, 3), 19),
    "line": ((41,), 24, 8, (3,), 1),
    "line of long kernels": ((60,), 9, 17, (9,), 1),
    "tile": ((9, 8), 3, 8, (5, 2), 1),
}
SPECIAL = {
    opcodes.WINOGRAD.code, opcodes.WINOGRAD_1D.code, opcodes.FEW_CHANNELS.code, opcodes.DEPTHWISE.code,
}  # fmt: skip


def drawn(name, examples):
    """Return x, weight, the gradient by the output, window and groups."""
    size, channels, filters, kernel, groups = CASES[name]
    rng = np.random.default_rng(0)
    window = geometry.window(kernel, axes=len(size), padding=1)
    x = rng.standard_normal((examples, *size, channels), np.float32)
    weight = rng.standard_normal((*kernel, channels // groups, filters), np.float32)
    dy = rng.standard_normal((examples, *window.out_size(size), filters), np.float32)
    return x, weight, dy, window, groups


def passes(x, weight, dy, window, groups, **settings):
    return {
        "forward": ops.conv(x, weight, None, window, groups, **settings),
        "input gradient": ops.conv_input_gradient(dy, weight, x.shape, window, groups, **settings),
        "weight gradient": ops.conv_weight_gradient(x, dy, window, groups, **settings),
    }


@pytest.mark.parametrize("examples", [1, 3, 19])
@pytest.mark.parametrize("name", CASES)
def test_errors_are_as_small_as_stated(name, examples):
    x, weight, dy, window, groups = drawn(name, examples)
    settings = {"padding": 1, "groups": groups}
    wanted = {
        "forward": reference.conv(x, weight, **settings),
        "input gradient": reference.conv_input_gradient(dy, weight, x.shape, **settings),
        "weight gradient": reference.conv_weight_gradient(x, dy, weight.shape[:-2], **settings),
    }
    for kind, found in passes(x, weight, dy, window, groups).items():
        assert found.dtype == np.float32
        assert difference(found, wanted[kind]) < LARGEST_ERROR, kind
    for kind, found in passes(x, weight, dy, window, groups, direct=True).items():
        assert difference(found, wanted[kind]) < LARGEST_ERROR, kind


def codes(name, direct):
    """Return the codes of the operations of the forward pass."""
    size, channels, filters, kernel, groups = CASES[name]
    lifted = size if len(size) == 2 else (1, *size)
    window = geometry.window(kernel, axes=len(size), padding=1).lifted()
    conv = Convolution((*lifted, channels), window, filters, groups, direct)
    return {instruction.opcode.code for instruction in programs.forward(conv, False).section.instructions}


@pytest.mark.parametrize("name", CASES)
def test_direct_sums_are_those_of_the_register_tile(name):
    assert bool(codes(name, False) & SPECIAL) == (name != "tile")
    assert not codes(name, True) & SPECIAL
    assert opcodes.CORRELATE.code in codes(name, True)


@pytest.mark.parametrize("name", ["planes", "few channels", "depthwise", "line"])
@pytest.mark.parametrize("examples", [1, 35])
def test_several_threads_give_the_same_bits_as_one(monkeypatch, name, examples):
    monkeypatch.setattr(executable, "MIN_WORK", 0)
    case = drawn(name, examples)
    threads = numba.get_num_threads()
    together = passes(*case)
    try:
        numba.set_num_threads(1)
        alone = passes(*case)
    finally:
        numba.set_num_threads(threads)
    for kind, found in together.items():
        np.testing.assert_array_equal(found, alone[kind], err_msg=kind)


def test_sums_are_divided_for_many_threads_and_without_regard_to_them():
    work = WORK_OF_PART * 1000
    parts = {1: 1, 2: 2, SHARED_PARTS: SHARED_PARTS, 2 * SHARED_PARTS - 1: SHARED_PARTS}
    parts |= {2 * SHARED_PARTS: 2 * SHARED_PARTS, MAX_PARTS - 1: MAX_PARTS // 2, MAX_PARTS: MAX_PARTS, 1000: MAX_PARTS}
    assert {examples: part_count(examples, 1000, work) for examples in parts} == parts
    # Less work of each weight, fewer parts; more weights, less memory of each.
    assert part_count(MAX_PARTS, 1000, work // 2) == MAX_PARTS // 2
    assert part_count(MAX_PARTS, 1000, 1000) == SHARED_PARTS
    assert part_count(10**6, 2**24, 2**40) == part_count(4, 2**30, 2**40) == LEAST_PARTS


def test_memory_is_kept_for_the_next_call_and_not_without_end():
    x, weight, _, window, _ = drawn("planes", 2)
    program = programs.forward(Convolution(x.shape[1:], window, weight.shape[-1]), False)._program
    kept = IdleWorkspaces(3, 10**9)
    with kept.lend(program, 1) as space, kept.lend(program, 1) as other:
        assert space is not other
    assert len(kept) == 2
    with kept.lend(program, 1) as again:
        assert again in (space, other)
    with kept.lend(program, 2) as larger:
        assert larger.threads == 2
    with kept.lend(program, 1) as smaller:
        assert smaller.threads >= 1
    assert len(kept) == 3
    with kept.lend(program, 4):
        pass
    assert len(kept) == 3
    few = IdleWorkspaces(3, space.nbytes - 1)
    with few.lend(program, 1):
        pass
    assert len(few) == few.nbytes == 0
