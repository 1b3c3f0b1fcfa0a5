"""Programs: memory plans, and the offset tables of convolutions."""

from __future__ import annotations

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audioconv import geometry
from audioconv.errors import ShapeError
from audioconv.kernels import opcodes
from audioconv.runtime import memory_plan
from audioconv.runtime.memory_plan import assemble
from audioconv.runtime.offsets import gradient_border, input_gradients, rows
from audioconv.runtime.program import ALIGNMENT, Buffer, Instruction, Memory, Phase, Tables, round_up_to_cache_lines


@st.composite
def windows(draw):
    """Draw (window, input size, output size) of a convolution that has an output."""
    each = {"min_size": 2, "max_size": 2}
    kernel = draw(st.lists(st.integers(1, 4), **each))
    padding = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), **each))
    window = geometry.window(
        kernel,
        axes=2,
        stride=draw(st.lists(st.integers(1, 4), **each)),
        dilation=draw(st.lists(st.integers(1, 3), **each)),
        padding=padding,
    )
    size = tuple(draw(st.lists(st.integers(1, 9), **each)))
    try:
        return window, size, window.out_size(size)
    except ShapeError:
        assume(False)


def ways(window, in_size, out_size, axis):
    """Return (input, tap, output) wherever a tap of an output meets an input, along one axis."""
    before = window.padding[axis][0]
    return {
        (p * window.stride[axis] - before + r * window.dilation[axis], r, p)
        for p, r in itertools.product(range(out_size[axis]), range(window.kernel[axis]))
        if 0 <= p * window.stride[axis] - before + r * window.dilation[axis] < in_size[axis]
    }


@given(windows())
def test_input_gradients_go_every_way_once(case):
    window, in_size, out_size = case
    wanted = {
        (h, w, r, s, p, q)
        for (h, r, p), (w, s, q) in itertools.product(
            ways(window, in_size, out_size, 0), ways(window, in_size, out_size, 1)
        )
    }
    top, bottom, left, right = gradient_border(window, in_size, out_size)
    found = []
    for part in input_gradients(window, *in_size):
        for u, v, (r, s, down, along) in itertools.product(range(part.height), range(part.width), part.taps):
            h, w = part.corner[0] + u * window.stride[0], part.corner[1] + v * window.stride[1]
            p, q = u + down, v + along
            assert -top <= p < out_size[0] + bottom
            assert -left <= q < out_size[1] + right
            if 0 <= p < out_size[0] and 0 <= q < out_size[1]:
                found.append((h, w, r, s, p, q))
    assert len(found) == len(set(found))
    assert set(found) == wanted


@given(windows())
def test_every_input_has_a_gradient(case):
    window, in_size, _ = case
    places = [
        (part.corner[0] + u * window.stride[0], part.corner[1] + v * window.stride[1])
        for part in input_gradients(window, *in_size)
        for u, v in itertools.product(range(part.height), range(part.width))
    ]
    assert sorted(places) == list(itertools.product(range(in_size[0]), range(in_size[1])))


def test_behind_rows_the_last_is_repeated():
    table = np.arange(8, dtype=np.int32).reshape(4, 2)
    np.testing.assert_array_equal(rows(table), [*table, table[-1], table[-1], table[-1]])


def test_a_table_is_kept_once():
    tables = Tables()
    first = tables.add(np.array([[1, 2], [3, 4]], np.int32))
    other = tables.add(np.array([[5, 6]], np.int32))
    assert tables.add(np.array([[1, 2], [3, 4]], np.int32)) == first
    kept = tables.array()
    np.testing.assert_array_equal(kept[first : first + 4], [1, 2, 3, 4])
    np.testing.assert_array_equal(kept[other : other + 2], [5, 6])


def using(*operands):
    """Return an instruction with one to three operands; its operation does not matter here."""
    fields = opcodes.operation_of(opcodes.DEPTHWISE_GRADIENT)
    places = dict(zip(fields.operands, [*operands, operands[-1], operands[-1]], strict=False))
    return Instruction(opcodes.DEPTHWISE_GRADIENT, **places, **dict.fromkeys(fields.integers, 0))


def address(word, number):
    """Return base, offset and stride of an operand."""
    begin = opcodes.FIRST_OPERAND + opcodes.OPERAND_WORDS * number
    return tuple(word[begin : begin + opcodes.OPERAND_WORDS])


def test_what_outlives_its_phase_is_made_in_scratch_and_carried_once():
    early, late, short = (Buffer((5, 3, 10), (1, 0, 0, 2)) for _ in range(3))
    examples = 7
    phases = [
        Phase(opcodes.EXAMPLES, 4, [
            using(short.at(), early.at()),
            using(early.at(1, 2)),
            using(short.at(), short.at()),
        ]),
        Phase(opcodes.EXAMPLES, 4, [using(early.at(), late.at())]),
        Phase(opcodes.LINES, 2, [using(late.at(), early.at(1))]),
    ]  # fmt: skip
    with mock.patch.object(memory_plan, "MIN_SPILL_BYTES", 4 * early.size * examples):
        program = assemble(phases, examples, Memory())
    made = [opcodes.DEPTHWISE_GRADIENT.code] * len(program.words)
    made[2] = made[5] = opcodes.SPILL.code
    assert program.words[:, opcodes.CODE].tolist() == made
    bases = [[address(word, number)[0] for number in range(2)] for word in program.words]
    assert bases[0] == [opcodes.SCRATCH] * 2
    assert bases[1][0] == opcodes.SCRATCH
    assert bases[2] == bases[5] == [opcodes.SCRATCH, opcodes.ARENA]
    assert bases[4] == [opcodes.ARENA, opcodes.SCRATCH]
    assert bases[6] == [opcodes.ARENA] * 2
    for word in (program.words[2], program.words[5]):
        assert word[opcodes.FIRST_INTEGER + opcodes.SPILL.size] == early.size
        (_, source, _), (_, target, stride) = (address(word, n) for n in (opcodes.SPILL.source, opcodes.SPILL.target))
        assert all(number % ALIGNMENT == 0 for number in (source, target, stride))
    with mock.patch.object(memory_plan, "MIN_SPILL_BYTES", 4 * early.size * examples + 1):
        program = assemble(phases, examples, Memory())
    assert opcodes.SPILL.code not in program.words[:, opcodes.CODE]


@given(st.lists(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), max_size=4), min_size=1, max_size=4))
def test_buffers_that_live_at_the_same_time_do_not_meet(program):
    examples = 3
    buffers = [Buffer((1 + n % 3, 2 + n, 1 + n)) for n in range(10)]
    phases = [
        Phase(opcodes.EXAMPLES, 4, [using(*(buffers[n].at(0, 0) for n in use)) for use in phase]) for phase in program
    ]
    memory = Memory()
    words = assemble(phases, examples, memory).words
    uses: dict[int, list[tuple[int, int]]] = {}
    places = {}
    row = 0
    for number, phase in enumerate(program):
        for index, use in enumerate(phase):
            for i, n in enumerate(use):
                uses.setdefault(n, []).append((number, index))
                places.setdefault(n, set()).add(address(words[row], i))
            row += 1
    assert all(len(found) == 1 for found in places.values())  # always at the same place
    extents = {}
    for n, found in places.items():
        base, offset, stride = next(iter(found))
        several = uses[n][0][0] != uses[n][-1][0]
        assert base == (opcodes.ARENA if several else opcodes.SCRATCH)
        assert stride == (round_up_to_cache_lines(buffers[n].size) if several else 0)
        end = offset + (round_up_to_cache_lines(buffers[n].size) * examples if several else buffers[n].size)
        assert end <= (memory.arena if several else memory.scratch)
        lives = (uses[n][0][0], uses[n][-1][0]) if several else (uses[n][0], uses[n][-1])
        extents[n] = base, offset, end, lives
    for a, b in itertools.combinations(extents.values(), 2):
        if a[0] == b[0] and (a[0] == opcodes.ARENA or a[3][0][0] == b[3][0][0]):
            together = a[3][0] <= b[3][1] and b[3][0] <= a[3][1]
            assert not together or a[2] <= b[1] or b[2] <= a[1]


@pytest.mark.parametrize("border", [(0, 0, 0, 0), (1, 2, 3, 4)])
def test_places_in_a_buffer(border):
    buffer = Buffer((5, 6, 7), border)
    top, bottom, left, right = border
    assert buffer.size == (5 + top + bottom) * (6 + left + right) * 7
    assert buffer.at(-top, -left).offset == 0
    assert buffer.at(4 + bottom, 5 + right, 6).offset == buffer.size - 1
