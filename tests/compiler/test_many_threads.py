"""A training step on 64 threads, on however many cores: the same bits as on one, and work for each thread."""

from __future__ import annotations

import os
import subprocess
import sys

from audioconv.kernels.jit import THREADING_LAYER

THREADS = 64

PROGRAM = """
import numba, numpy as np
from compared import Compared, draw_params
from audioconv import layers as L, ops, geometry
from audioconv.kernels import opcodes
from audioconv.runtime import executable

executable.MIN_WORK = 0
network = L.Chain([
    L.Conv(8, 3, padding=1), L.BatchNorm(), L.ReLU(), L.Conv(9, 3, padding=1), L.DepthwiseConv(3), L.MaxPool(2),
    L.GlobalAvgPool(), L.Dense(3),
])
x = np.random.default_rng(0).standard_normal((130, 32, 33, 2), np.float32)
step = Compared(network, draw_params(network, x.shape[1:], 0), x)
weight, window = np.ones((3, 3, 2, 8), np.float32), geometry.window((3, 3), axes=2)
dy = np.random.default_rng(1).standard_normal((130, 30, 31, 8), np.float32)

def bits():
    step.vector.gradient[:] = np.nan
    logits = step.passes.forward(step.vector.values, x, step.tracked, np.random.default_rng(0)).tobytes()
    step.passes.backward(step.dy, step.vector.gradient)
    return logits, step.vector.gradient.tobytes(), ops.conv_weight_gradient(x, dy, window).tobytes()

found = []
for threads in (1, 7, numba.config.NUMBA_NUM_THREADS):
    numba.set_num_threads(threads)
    found.append(bits())
print(len(set(found)))
phases = step.passes._program.program.phases
print(*[phase[opcodes.PHASE_TASKS] for phase in phases if phase[opcodes.PHASE_KIND] == opcodes.EXAMPLES])
"""


def test_sixty_four_threads_have_tasks_and_give_the_bits_of_one():
    threads = str(THREADS if THREADING_LAYER != "workqueue" else 8)
    environment = {**os.environ, "NUMBA_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    different, tasks = done.stdout.splitlines()
    assert different == "1"
    assert all(int(count) >= THREADS for count in tasks.split()), tasks
