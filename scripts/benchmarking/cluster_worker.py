"""What `scripts/bench_cluster` runs in each process: exchanges of vectors, or training steps, on one core each.

    mpiexec -n N python -m benchmarking.cluster_worker exchange BYTES ROUNDS
    mpiexec -n N python -m benchmarking.cluster_worker step NETWORK REPLICAS ROUNDS
    mpiexec -n 1 python -m benchmarking.cluster_worker message ROUNDS

Process 0 prints the seconds of each round as JSON; of a step also those of the processors, all processes together.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numba
import numpy as np

from audioconv import architectures
from audioconv import layers as L
from audioconv.cluster.mpi import connect
from audioconv.cluster.processes import ALONE
from audioconv.cluster.tree import PairwiseSum
from audioconv.training.fitting import ArrayData
from audioconv.training.losses import SoftmaxCrossEntropy
from audioconv.training.optimizers import AdamW
from audioconv.training.schedules import Constant
from audioconv.training.trainer import Trainer, TrainerSettings

WARM_UP = 2
"""Steps that are not timed: kernels are compiled, memory is touched."""

BATCH, CLASSES, IN_SHAPE = 64, 10, (98, 40)
"""A replica's batch; the input of the default network for clips of one second."""


def exchange(size: str, rounds: str) -> list[float]:
    """Time sums of a vector of so many bytes, one replica a process."""
    ours = connect() or ALONE
    vector = np.random.default_rng(ours.rank).normal(size=int(size) // 4).astype(np.float32)
    seconds = []
    for _ in range(int(rounds)):
        own = PairwiseSum(ours.rank)
        own.add(vector.copy())
        ours.gather(b"")
        begun = time.perf_counter()
        ours.sum(own.nodes, ours.size)
        seconds.append(time.perf_counter() - begun)
    return seconds if ours.leads else []


def step(arch: str, replicas: str, rounds: str) -> list[list[float]]:
    """Time training steps of so many replicas, of which each process computes its share."""
    ours = connect() or ALONE
    network = architectures.build(arch, CLASSES)
    shape = IN_SHAPE if architectures.input_kind(arch) == "spectrogram-1d" else (*IN_SHAPE, 1)
    begin = L.flatten(network.init(shape, np.random.default_rng(0)))
    rng = np.random.default_rng(ours.rank)
    x, labels = rng.normal(size=(BATCH, *shape)).astype(np.float32), rng.integers(CLASSES, size=BATCH)
    own = [ArrayData(x, labels) for _ in ours.share(int(replicas))]
    settings = TrainerSettings(1, BATCH, AdamW(), Constant(1e-3), SoftmaxCrossEntropy(), 5.0, None, 0)
    trainer = Trainer(network, own, begin, settings, ours)
    seconds = []
    for number in range(WARM_UP + int(rounds)):
        ours.gather(b"")
        begun, busy = time.perf_counter(), time.process_time()
        trainer.run_epoch(number + 1, None, lambda _: None)  # one batch for each replica: one step
        wall, busy = time.perf_counter() - begun, time.process_time() - busy
        seconds.append([wall, sum(ours.gather_json(busy))])
    return seconds[WARM_UP:] if ours.leads else []


def message(rounds: str) -> list[float]:
    """Time the sending and receiving of a message of 64 bytes within a process: what a message costs a core."""
    from mpi4py import MPI

    world, count = MPI.COMM_WORLD, 64
    here = np.zeros((2, count, 16), np.float32)
    seconds = []
    for _ in range(int(rounds)):
        begun = time.perf_counter()
        requests = [world.Irecv(part, 0, 1) for part in here[0]] + [world.Isend(part, 0, 1) for part in here[1]]
        while not MPI.Request.Testall(requests):
            pass
        seconds.append((time.perf_counter() - begun) / count)
    return seconds


def main() -> None:
    """Run a measurement on a core of this process's own, as far as there are enough."""
    cores = sorted(os.sched_getaffinity(0))
    rank = int(os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")))
    os.sched_setaffinity(0, {cores[rank % len(cores)]})
    numba.set_num_threads(1)
    found = {"exchange": exchange, "step": step, "message": message}[sys.argv[1]](*sys.argv[2:])
    if found:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
