"""Instructions are written by the names of their fields, and can be read by them."""

from __future__ import annotations

import numpy as np
import pytest

from audioconv.kernels import opcodes
from audioconv.runtime.memory_plan import assemble
from audioconv.runtime.program import UNLIMITED, Buffer, Fixed, Instruction, Memory, Phase

IMAGE = Buffer((3, 4, 5))
SPILL = {"source": IMAGE.at(), "target": Fixed(opcodes.OUTPUT, 7, 60).at(1), "size": 60}


def filled(opcode, **fields):
    """Return an instruction with something in every field."""
    operation = opcodes.operation_of(opcode)
    values = dict.fromkeys(operation.operands, IMAGE.at())
    values |= {name: 100 + number for name, number in operation.integers.items()}
    values |= {name: 0.5 + number for name, number in operation.reals.items()}
    return Instruction(opcode, **{**values, **fields})


def every_opcode():
    return [value for value in vars(opcodes).values() if hasattr(value, "code")]


def test_a_forgotten_field_is_an_error():
    for opcode in every_opcode():
        whole = filled(opcode)
        fields = {**whole.operands, **whole.integers, **whole.reals}
        for name in fields:
            rest = {other: value for other, value in fields.items() if other != name}
            with pytest.raises(TypeError, match=f"'{opcode.__name__}' takes .*: missing {name}; unknown none"):
                Instruction(opcode, **rest)


def test_an_unknown_field_is_an_error():
    with pytest.raises(TypeError, match=r"'spill' takes .*: missing none; unknown count"):
        Instruction(opcodes.SPILL, **SPILL, count=1)
    with pytest.raises(TypeError, match=r"'spill' takes .*: missing size; unknown sise"):
        Instruction(opcodes.SPILL, source=IMAGE.at(), target=IMAGE.at(), sise=60)
    with pytest.raises(TypeError, match="unknown count"):
        Instruction(opcodes.SPILL, **SPILL).replaced(count=1)


def test_a_doubled_field_is_an_error():
    with pytest.raises(TypeError, match="multiple values for keyword argument 'size'"):
        Instruction(opcodes.SPILL, **SPILL, **{"size": 60})


@pytest.mark.parametrize(
    ("name", "value"),
    [("source", 3), ("source", None), ("size", 1.5), ("size", None), ("size", IMAGE.at()), ("size", "60")],
)
def test_a_value_of_another_kind_is_an_error(name, value):
    with pytest.raises(TypeError, match=f"field '{name}' of an instruction 'spill' cannot be "):
        Instruction(opcodes.SPILL, **{**SPILL, name: value})


def test_only_an_optional_operand_may_be_missing():
    assert filled(opcodes.ADD, second=None).operands["second"] is None
    with pytest.raises(TypeError, match="field 'x' of an instruction 'add' cannot be None"):
        filled(opcodes.ADD, x=None)


def test_a_replaced_field_leaves_the_others():
    one = filled(opcodes.CORRELATE)
    other = one.replaced(rows=np.int64(3), slope=0)
    assert (other.integers["rows"], other.reals["slope"]) == (3, 0.0)
    assert other.replaced(rows=one.integers["rows"], slope=one.reals["slope"]) == one


def test_each_field_stands_in_a_word_of_its_own():
    for opcode in every_opcode():
        program = assemble([Phase(opcodes.EXAMPLES, UNLIMITED, [filled(opcode)])], 1, Memory())
        (word,), (real,) = program.words, program.reals
        operation = opcodes.operation_of(opcode)
        assert word[opcodes.CODE] == opcode.code
        for number in operation.integers.values():
            assert word[opcodes.FIRST_INTEGER + number] == 100 + number
        for number in operation.reals.values():
            assert real[number] == 0.5 + number
        for number in operation.operands.values():
            begin = opcodes.FIRST_OPERAND + opcodes.OPERAND_WORDS * number
            assert word[begin + opcodes.OPERAND_BASE] == opcodes.SCRATCH


def test_a_listing_names_every_field():
    phases = [
        Phase(opcodes.EXAMPLES, UNLIMITED, [Instruction(opcodes.SPILL, **SPILL)]),
        Phase(opcodes.INSTRUCTIONS, 0, [
            Instruction(
                opcodes.REDUCE, source=Fixed(opcodes.PARTIAL, 16).at(3), target=Fixed(opcodes.GRADIENTS).at(),
                size=9, tasks=2,
            ),
        ]),
    ]  # fmt: skip
    assert assemble(phases, 1, Memory(partial=32)).listing().splitlines() == [
        "phase 0: a task each, examples",
        "  spill source=scratch[0] target=output[8 + 60 n] size=60",
        "phase 1: tasks=1, instructions",
        "  reduce source=partial[19 + 32 n] target=gradients[0] size=9 tasks=2",
    ]
