"""The instruction set: the fields of each operation, by name, and their positions in an instruction.

Only this table has positions. A writer gives each field by its name (`runtime.program.Instruction`); the interpreter
reads it by a constant of the same name, as in ``i[WINOGRAD.channels]``; a listing prints it by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

# The memory that an operand lies in: an array of the caller's, or memory of the program's own.
BASE_NAMES = (
    "input", "output", "output_gradient", "parameters", "gradients", "tracked", "tracked_next", "constants",
    "arena", "scratch", "partial", "statistics",
)  # fmt: skip
(INPUT, OUTPUT, OUTPUT_GRADIENT, PARAMETERS, GRADIENTS, TRACKED, TRACKED_NEXT, CONSTANTS,
 ARENA, SCRATCH, PARTIAL, STATISTICS) = range(len(BASE_NAMES))  # fmt: skip
BASES = len(BASE_NAMES)

# The value of a field `accumulate`: whether the operation adds to what is in its result.
NEVER, ALWAYS, UNLESS_FIRST = 0, 1, 2

# A phase: its first instruction, the one behind its last, its number of tasks, and what a task is.
PHASE_BEGIN, PHASE_END, PHASE_TASKS, PHASE_KIND = range(4)
PHASE_WORDS = 4
KIND_NAMES = ("examples", "instructions", "lines")
EXAMPLES, INSTRUCTIONS, LINES = range(len(KIND_NAMES))


@dataclass(frozen=True)
class Operation:
    """The fields of one operation.

    Attributes
    ----------
    name : str
    operands, integers, reals : mapping of str to int
        By the name of a field: its number among the fields of its kind.
    optional : set of str
        The operands that an instruction may have none of.
    """

    name: str
    operands: Mapping[str, int]
    integers: Mapping[str, int]
    reals: Mapping[str, int]
    optional: frozenset[str] = frozenset()


OPERATIONS: list[Operation] = []
"""All operations, each at its code."""


def operation_of(opcode: ModuleType) -> Operation:
    """Return the fields of an opcode, as ``operation_of(WINOGRAD)``."""
    code: int = opcode.code
    return OPERATIONS[code]


def numbered(*kinds: str) -> list[dict[str, int]]:
    """Return, for each kind of fields, the number of each name among those of its kind; a ``_`` only takes one.

    Raises
    ------
    ValueError
        If a name is there twice.
    """
    every = [name for fields in kinds for name in fields.split() if name != "_"]
    doubled = sorted({name for name in every if every.count(name) > 1})
    if doubled:
        raise ValueError(f"doubled fields: {', '.join(doubled)}")
    return [{name: n for n, name in enumerate(fields.split()) if name != "_"} for fields in kinds]


def _operation(name: str, operands: str, integers: str = "", reals: str = "", optional: str = "") -> ModuleType:
    """Add an operation to `OPERATIONS`; return its code and the numbers of its fields as constants."""
    slots = numbered(operands, integers, reals)
    code = len(OPERATIONS)
    OPERATIONS.append(Operation(name, slots[0], slots[1], slots[2], frozenset(optional.split())))
    return _constants(name, {"code": code} | slots[0] | slots[1] | slots[2])


def _constants(name: str, numbers: dict[str, int]) -> ModuleType:
    """Return an object with these attributes, of the one kind whose attributes are constants to Numba."""
    constants = ModuleType(name)
    vars(constants).update(numbers)
    return constants


# The fields that operations from image to image begin with: sizes and strides, the window, the output's border.
_SOURCE = "channels in_height in_width in_line in_pixel "
_IMAGES = _SOURCE + "out_height out_width out_line out_pixel "
_WINDOW = "kernel_height kernel_width stride_height stride_width padding_top padding_left "
_NO_WINDOW = "_ _ _ _ _ _ "
_BORDER = "border_top border_bottom border_left border_right "
_NO_BORDER = "_ _ _ _ "

IMAGE = _constants("image", {"x": 0, "y": 1} | numbered(_IMAGES + _WINDOW + _BORDER)[0])
"""The fields that all operations from image to image share, those of `FROM_IMAGE`: each at the same number."""

# --- convolution by the register tile (see `kernels.tile`) -----------------------------------------------------------

CORRELATE = _operation(
    "correlate",
    "a b bias c",
    "columns row_table rows term_table terms depthwise accumulate activate",
    "slope",
)

# --- convolution by other algorithms ---------------------------------------------------------------------------------

WINOGRAD = _operation(
    "winograd",
    "x U bias y V M zeros",
    "channels filters strip in_line in_pixel out_height out_width out_line out_pixel row_table term_table accumulate "
    "pooled",
    "slope",
)
WINOGRAD_GRADIENT = _operation(
    "winograd_gradient",
    "x dy sums gradient V M zeros",
    "channels filters strip in_line in_pixel out_height out_width out_line out_pixel row_table rows term_table",
)
WINOGRAD_KERNELS = _operation("winograd_kernels", "weight U", "size begin end")
WINOGRAD_1D = _operation(
    "winograd_1d",
    "x U bias y V M zeros",
    "channels filters blocks strip plane_stride out_width out_pixel row_table term_table accumulate",
    "slope",
)
WINOGRAD_1D_GRADIENT = _operation(
    "winograd_1d_gradient",
    "x dy sums gradient V M zeros",
    "channels filters blocks strip plane_stride out_width out_pixel row_table rows term_table",
)
WINOGRAD_1D_KERNELS = _operation("winograd_1d_kernels", "weight U", "size count begin end")
FEW_CHANNELS = _operation(
    "few_channels",
    "x U bias y V M zeros",
    "channels filters strip plane_stride in_line in_pixel out_height out_width out_line out_pixel row_table rows "
    "term_table accumulate pooled",
    "slope",
)
FEW_CHANNELS_GRADIENT = _operation(
    "few_channels_gradient",
    "x dy sums gradient V M",
    "channels filters strip plane_stride in_line in_pixel out_height out_width out_line out_pixel",
)
DEPTHWISE = _operation(
    "depthwise",
    "x weight bias y",
    "channels in_line in_pixel out_height out_width out_line out_pixel flipped accumulate",
    "slope",
)
DEPTHWISE_GRADIENT = _operation(
    "depthwise_gradient", "x dy sums", "channels in_line in_pixel out_height out_width out_line out_pixel"
)

# --- weights and gradients, for all examples together ----------------------------------------------------------------

PERMUTE = _operation("permute", "source target", "table size")
REDUCE = _operation(
    "reduce", "source target", "size tasks"
)  # over the partial sums of tasks; their distance is the stride of `source`
REDUCE_FLOAT64 = _operation("reduce_float64", "source target", "size")  # over the sums of examples
BATCH_STATISTICS = _operation(
    "batch_statistics",
    "moments parameters vectors tracked tracked_next inverse_deviation",
    "channels first_channel padded_channels pixels bias_distance variance_distance",
    "epsilon momentum",
)
BATCH_STATISTICS_BACKWARD = _operation(
    "batch_statistics_backward",
    "sums parameters factors gradients inverse_deviation",
    "channels first_channel padded_channels pixels bias_distance",
)

# --- elements of one example -----------------------------------------------------------------------------------------

SPILL = _operation("spill", "source target", "size")  # a copy with non-temporal stores
CLEAR_BORDER = _operation("clear_border", "y", "channels out_height out_width out_line out_pixel " + _BORDER)
DROPOUT = _operation(
    "dropout", "x y", "size period seed", "rate"
)  # elements at a distance of whole periods share a draw

# --- from image to image ---------------------------------------------------------------------------------------------

NORM_ACTIVATION_POOL = _operation("norm_activation_pool", "x y vectors", _IMAGES + _WINDOW + _BORDER, "slope low high")
NORM_ACTIVATION_POOL_BACKWARD = _operation(
    "norm_activation_pool_backward",
    "x dy vectors factors dx",
    _IMAGES + _WINDOW + _BORDER + "dx_line dx_pixel",
    "slope low high",
)
NORM_ACTIVATION_SUMS = _operation("norm_activation_sums", "x dy vectors sums", _IMAGES, "slope low high")
POOL_SELECT = _operation("pool_select", "x y vectors", _IMAGES + _WINDOW)
MOMENTS = _operation("moments", "x _ sums", _SOURCE)
CHANNEL_SUMS = _operation("channel_sums", "x _ sums", _SOURCE)
ADD = _operation(
    "add",
    "x y second",
    _IMAGES + _NO_WINDOW + _BORDER + "second_line second_pixel has_second",
    "slope",
    optional="second",
)
MULTIPLY = _operation("multiply", "x y second", _IMAGES + _NO_WINDOW + _BORDER + "second_line second_pixel")
AVERAGE = _operation("average", "x y", _IMAGES + _WINDOW + _BORDER, "share")
AVERAGE_BACKWARD = _operation("average_backward", "dy dx", _IMAGES + _WINDOW + _NO_BORDER + "accumulate", "share")
ACTIVATE = _operation("activate", "x y", _IMAGES + _NO_WINDOW + _BORDER + "kind", "slope shift")
ACTIVATE_BACKWARD = _operation(
    "activate_backward", "x dy dx", _IMAGES + _NO_WINDOW + _BORDER + "dx_line dx_pixel kind", "slope shift"
)

FROM_IMAGE = (
    NORM_ACTIVATION_POOL, NORM_ACTIVATION_POOL_BACKWARD, NORM_ACTIVATION_SUMS, POOL_SELECT, MOMENTS, CHANNEL_SUMS, ADD,
    MULTIPLY, AVERAGE, AVERAGE_BACKWARD, ACTIVATE, ACTIVATE_BACKWARD,
)  # fmt: skip

# --- where the fields stand ------------------------------------------------------------------------------------------

# An instruction is a row of int64 words: its code, its operands of three words each, its integers. Its real numbers
# stand in a row of a second table.
CODE = 0
FIRST_OPERAND = 1
OPERAND_BASE, OPERAND_OFFSET, OPERAND_STRIDE = range(3)
OPERAND_WORDS = 3


def _most(kind: str) -> int:
    return max(1 + max(getattr(operation, kind).values(), default=-1) for operation in OPERATIONS)


OPERANDS = _most("operands")
FIRST_INTEGER = FIRST_OPERAND + OPERAND_WORDS * OPERANDS
WORDS = -(-(FIRST_INTEGER + _most("integers")) // 8) * 8  # whole cache lines
REALS = _most("reals")
