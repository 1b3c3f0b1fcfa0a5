"""Into how many tasks an instruction is divided when the threads share one example. The bits do not depend on it."""

from __future__ import annotations

from audioconv.kernels import opcodes
from audioconv.kernels.tile import ROWS
from audioconv.kernels.winograd_transforms import TILE
from audioconv.runtime.program import Instruction

TASK_WORK = 1e5
"""The least operations of a task: it takes some microseconds, many times as long as taking it."""

SWEEP_ELEMENTS = 2e4
"""The least elements of a task that reads each of them once."""


def task_count(instruction: Instruction, most: int) -> int:
    """Return the number of tasks to divide an instruction into, at most `most`; 1 for what is not divided."""
    opcode, i = instruction.opcode, instruction.integers
    if opcode == opcodes.CORRELATE:
        # Each task reads all of the weights (or of the output's gradient), so few rows are few tasks.
        units, most = i["rows"] // ROWS, min(most, max(8, i["rows"] // (6 * ROWS)))
        work = 2 * i["columns"] * i["rows"] * i["terms"]
    elif opcode == opcodes.WINOGRAD:
        tiles = -(-i["out_height"] // TILE) * -(-i["out_width"] // TILE)
        units, work = tiles // 3, 72 * i["channels"] * i["filters"] * tiles
    elif opcode == opcodes.WINOGRAD_1D:
        tiles = -(-i["out_width"] // TILE)
        units, work = tiles // 6, 12 * i["blocks"] * i["channels"] * i["filters"] * tiles
    elif opcode == opcodes.FEW_CHANNELS:
        tiles = -(-i["out_height"] // TILE)
        units, work = tiles // 2, 36 * i["channels"] * i["filters"] * i["out_width"] * tiles
    elif opcode == opcodes.DEPTHWISE:
        units, work = i["out_height"] // 2, 18 * i["channels"] * i["out_height"] * i["out_width"]
    elif opcode in (opcodes.ADD, opcodes.NORM_ACTIVATION_POOL):
        size = i["channels"] * i["in_height"] * i["in_width"]
        # Lines are divided, or the pixels of a single one.
        units = i["out_height"] if i["out_height"] > 1 else i["out_width"]
        work = int(size / SWEEP_ELEMENTS * TASK_WORK)
    else:
        return 1
    return int(max(1, min(most, units, work // TASK_WORK)))
