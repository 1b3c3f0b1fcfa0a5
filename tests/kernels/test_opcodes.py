"""The instruction set: one table of fields, which the interpreter reads by name alone."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType

import pytest

from audioconv.kernels import batch_statistics, interpreter, opcodes, operands, routines
from audioconv.kernels.launch import STACK_WORDS

OPCODES = {name: value for name, value in vars(opcodes).items() if isinstance(value, ModuleType) and name != "IMAGE"}
TREE = ast.parse("\n".join(map(inspect.getsource, (operands, batch_statistics, routines, interpreter))))
READERS = {"operand": "operands", "doubles": "operands", "stride": "operands"}
ROWS = {"i": "integers", "real": "reals"}
RECORDS = {"i", "real", "word", "phase", "fields", "arguments", "call"}


def test_every_opcode_is_in_the_table():
    assert sorted(opcode.code for opcode in OPCODES.values()) == list(range(len(opcodes.OPERATIONS)))
    for name, opcode in OPCODES.items():
        operation = opcodes.operation_of(opcode)
        assert operation.name == name.lower()
        numbers = {**operation.operands, **operation.integers, **operation.reals}
        assert {field: getattr(opcode, field) for field in numbers} == numbers
        assert operation.optional <= operation.operands.keys()


def test_no_field_is_there_twice():
    for operation in opcodes.OPERATIONS:
        kinds = [operation.operands, operation.integers, operation.reals]
        assert len({name for kind in kinds for name in kind}) == sum(map(len, kinds))
        for kind in kinds:
            assert len(set(kind.values())) == len(kind)
        assert max(operation.operands.values()) < opcodes.OPERANDS
        assert opcodes.FIRST_INTEGER + max(operation.integers.values()) < opcodes.WORDS
        assert max(operation.reals.values(), default=-1) < opcodes.REALS
    assert opcodes.numbered("x _ y", "size") == [{"x": 0, "y": 2}, {"size": 0}]
    for doubled in (["x size x"], ["x size", "size"]):
        with pytest.raises(ValueError, match="doubled fields: "):
            opcodes.numbered(*doubled)


def test_operations_from_image_to_image_share_positions():
    shared = vars(opcodes.IMAGE)
    for opcode in opcodes.FROM_IMAGE:
        operation = opcodes.operation_of(opcode)
        for name, number in {**operation.operands, **operation.integers}.items():
            assert shared.get(name, number) == number
    for opcode in (opcodes.IMAGE, opcodes.CLEAR_BORDER):  # kernels read the four one behind the other
        sides = [getattr(opcode, f"border_{side}") for side in ("top", "bottom", "left", "right")]
        assert sides == list(range(sides[0], sides[0] + 4))


def test_the_interpreter_executes_every_opcode():
    compared = [
        node.comparators[0].value.id
        for node in ast.walk(TREE)
        if isinstance(node, ast.Compare) and getattr(node.comparators[0], "attr", None) == "code"
    ]
    assert sorted(compared) == sorted(OPCODES)


def test_the_interpreter_has_no_bare_number_as_a_subscript():
    for node in ast.walk(TREE):
        if isinstance(node, ast.Subscript):
            assert not isinstance(node.slice, ast.Constant), ast.unparse(node)
            if getattr(node.value, "id", None) in RECORDS:
                assert not any(isinstance(part, ast.Constant) for part in ast.walk(node.slice)), ast.unparse(node)


def branches(node, opcode=None):
    """Yield each node of the interpreter with the opcode of the branch in which it stands."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith(".code"):
        for part in node.body:
            yield from branches(part, node.test.comparators[0].value.id)
        for part in node.orelse:
            yield from branches(part, opcode)
        return
    yield node, opcode
    for part in ast.iter_child_nodes(node):
        yield from branches(part, opcode)


def test_the_interpreter_reads_each_field_as_its_kind_and_in_its_own_branch():
    checked = set()
    for node, opcode in branches(TREE):
        field = None
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", None) in ROWS:
            field, kind = node.slice, ROWS[node.value.id]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in READERS:
            field, kind = next(a for a in node.args if isinstance(a, ast.Attribute)), READERS[node.func.id]
        if field is None:
            continue
        assert isinstance(field, ast.Attribute), ast.unparse(node)
        owner = field.value.id
        if owner == "IMAGE":
            assert field.attr in vars(opcodes.IMAGE)
            continue
        assert opcode in (owner, None), ast.unparse(node)
        assert field.attr in getattr(opcodes.operation_of(OPCODES[owner]), kind), ast.unparse(node)
        checked.add(owner)
    assert checked >= OPCODES.keys() - {name for name, one in OPCODES.items() if one in opcodes.FROM_IMAGE}


def test_each_operation_has_one_routine_at_most_and_its_arguments_have_room():
    codes = [operation.code for _, operations in routines.ROUTINES.values() for operation in operations]
    assert len(codes) == len(set(codes))
    assert routines.CALL_PARTS < STACK_WORDS
    needed = routines.ROUTINES["depthwise"][1][0].code
    addresses = routines.routine_addresses({needed, opcodes.CORRELATE.code})
    assert addresses[needed] != 0
    assert addresses[opcodes.CORRELATE.code] == 0  # of the interpreter itself
    assert len(set(addresses.tolist())) == 2  # no other one was compiled
