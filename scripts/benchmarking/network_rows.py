"""Whole networks: training steps, forward passes, threads, memory."""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from audioconv import architectures
from audioconv import layers as L
from audioconv.compiler.execution import training_passes
from audioconv.runtime.weights import WeightVector
from benchmarking import backends, memory, ours
from benchmarking.checks import WrongResultError, check_array, check_training
from benchmarking.ours import CHECKED_STEPS
from benchmarking.session import Bench, NoPeerError
from benchmarking.timing import Candidate, Row, compare

Array = NDArray[Any]

MEMORY_STEPS = 10

BRANCHES_BATCH = 8


def train(network: str, bench: Bench) -> list[Row]:
    """Measure a training step: forward, loss, backward, AdamW."""
    if not bench.has("torch"):
        raise NoPeerError("torch")
    from benchmarking import torch_peer

    name, case = f"train/{network}", ours.case(network)
    mine = _checked_training(bench, network)
    candidates = [Candidate("ours", mine.step)]

    def add(layout: str, compiled: bool) -> None:
        steps = torch_peer.training(case, layout, compiled)
        losses = [steps.step()]
        gradients = torch_peer.gradients_of(steps)
        losses += [steps.step() for _ in range(CHECKED_STEPS - 1)]
        check_training(f"{name}, torch {layout}", losses, gradients, *torch_peer.reference_training(network))
        candidates.append(Candidate("torch", steps.step, _variant(layout, compiled)))

    _add_torch(bench, name, torch_peer.layouts(case), add, candidates)
    return bench.race(name, candidates, case.step_operations, ours.training_traffic(case))


def _checked_training(bench: Bench, network: str) -> ours.Training:
    """Return our training steps, whose first few were right, if PyTorch is there to say so."""
    case = ours.case(network)

    def first_steps() -> tuple[ours.Training, list[float], dict[str, Any]]:
        steps = ours.Training(case)
        losses = [steps.step()]
        gradients = {path: array.copy() for path, array in steps.first_gradients().items()}
        return steps, [*losses, *(steps.step() for _ in range(CHECKED_STEPS - 1))], gradients

    steps, losses, gradients = bench.first("ours", first_steps)
    if bench.has("torch"):
        from benchmarking import torch_peer

        gradients = ours.channels_first(case, gradients)
        check_training(f"train/{network}, ours", losses, gradients, *torch_peer.reference_training(network))
    return steps


def forward(network: str, batch: int, bench: Bench) -> list[Row]:
    """Measure the forward pass of a trained network: from features to logits."""
    name, case = f"forward-{batch}/{network}", ours.case(network)
    candidates: list[Candidate] = []
    reference: Any = None
    if bench.has("torch"):
        from benchmarking import torch_peer

        reference = torch_peer.reference_logits(network)[:batch]

        def add(layout: str, compiled: bool) -> None:
            classify = torch_peer.forward(case, batch, layout, compiled)
            check_array(f"{name}, torch {layout}", classify(), reference)
            candidates.append(Candidate("torch", classify, _variant(layout, compiled)))

        _add_torch(bench, name, torch_peer.layouts(case), add, candidates)
    if bench.has("onnxruntime", "onnx"):
        from benchmarking import onnx_peer

        for threads in sorted({1, bench.threads} if batch == 1 else {bench.threads}):
            classify = bench.first("onnxruntime", functools.partial(onnx_peer.forward, case, batch, threads))
            logits = classify()
            reference = logits if reference is None else reference
            check_array(f"{name}, onnxruntime", logits, reference)
            variant = f"{threads} thread{'s' * (threads > 1)}"
            candidates.append(Candidate("onnxruntime", classify, variant if batch == 1 else ""))
    if not candidates:
        raise NoPeerError("torch, onnxruntime")
    classify = ours.forward(case, batch)
    check_array(f"{name}, ours", bench.first("ours", classify), reference)
    return bench.race(name, [Candidate("ours", classify), *candidates], batch * case.forward_operations)


def _add_torch(
    bench: Bench, name: str, layouts: tuple[str, ...], add: Callable[[str, bool], None], candidates: list[Candidate]
) -> None:
    """Add PyTorch's candidates: each layout, and the faster one compiled, where that works."""
    for layout in layouts:
        bench.first("torch", functools.partial(add, layout, False))
    if not bench.compiles:
        return
    plain = [candidate for candidate in candidates if candidate.name == "torch"]
    fastest = min(range(len(layouts)), key=lambda number: _quick_median(plain[number]))
    try:
        bench.first("torch.compile", functools.partial(add, layouts[fastest], True))
    except WrongResultError:
        raise
    except Exception as error:  # no compiler, a version of Python that it does not know, and many more
        bench.say(f"{name}: torch.compile does not work here: {type(error).__name__}: {str(error).splitlines()[0]}")


def _quick_median(candidate: Candidate, calls: int = 3) -> float:
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        candidate.run()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _variant(layout: str, compiled: bool) -> str:
    return f"{layout}, compiled" if compiled else layout


def beside_layers(bench: Bench) -> list[Row]:
    """Measure forward and backward pass of `inception-v3`, compiled, beside the same layer by layer.

    Its branches end in a concatenation, so it is the network in which the compiler has the most to place.
    """
    name, rng = "compiled/inception-v3", np.random.default_rng(0)
    network, in_shape = architectures.build("inception-v3", ours.CLASSES), (139, 139, 1)
    arrays = L.flatten(network.init(in_shape, rng))
    weights = WeightVector({path: array for path, array in arrays.items() if L.is_trained(path)})
    x = rng.standard_normal((BRANCHES_BATCH, *in_shape), np.float32)
    dy = rng.standard_normal((BRANCHES_BATCH, ours.CLASSES), np.float32)

    def passes(compiled: bool) -> Callable[[], Array]:
        found = training_passes(network, weights, arrays, in_shape, len(x), compiled=compiled)

        def run() -> Array:
            logits = found.forward(x, np.random.default_rng(0))  # of the dropout
            found.backward(dy)
            return logits

        return run

    mine, theirs = passes(True), passes(False)
    # Not the gradients: at such a depth they differ by some per cent if the batch differs by 1e-7.
    check_array(f"{name}: logits", bench.first("ours", mine).copy(), theirs(), 2e-3)
    operations = 2 * len(x) * (3 * network.multiply_adds(in_shape) - network.layers[0].multiply_adds(in_shape))
    return bench.race(name, [Candidate("ours", mine), Candidate("layer by layer", theirs)], operations)


def threads(bench: Bench) -> list[Row]:
    """Measure our training step of `cnn` on all threads beside one thread."""
    name, count = "threads/cnn", bench.threads
    if count == 1:
        raise NoPeerError("a second processor core")
    steps = _checked_training(bench, "cnn")
    arrays = steps.trainer.arrays

    def on(number: int, training: ours.Training) -> float:
        numba.set_num_threads(number)
        try:
            return training.step()
        finally:
            numba.set_num_threads(count)

    other = ours.Training(ours.case("cnn"))
    for _ in range(CHECKED_STEPS):
        on(1, other)
    for path, array in other.trainer.arrays.items():
        if array.tobytes() != arrays[path].tobytes():
            raise WrongResultError(f"{name}: one thread and {count} threads give different bits for {path}")
    candidates = [Candidate("ours", lambda: on(count, steps)), Candidate("1 thread", lambda: on(1, steps))]
    return bench.race(name, candidates)


def peak_memory(bench: Bench) -> list[Row]:
    """Measure the peak memory of processes that train `cnn`, in MiB: ours, and PyTorch's in its thriftier layout."""
    if not bench.has("torch"):
        raise NoPeerError("torch")
    if sys.platform == "win32":
        raise NoPeerError("a system that counts a process's peak memory as Unix does")
    from benchmarking import torch_peer

    name, case = "memory/cnn", ours.case("cnn")
    mine: list[float] = []
    theirs: dict[str, list[float]] = {}
    expected, _ = torch_peer.reference_training("cnn")
    with tempfile.TemporaryDirectory() as folder:
        files = {layout: str(Path(folder) / layout) for layout in torch_peer.layouts(case)}
        for layout, file in files.items():
            backends.torch.save(torch_peer.frozen_copy(case, layout), file)
        memory.measure("ours", "cnn", CHECKED_STEPS, bench.threads)  # so that the kernels are compiled
        for _ in range(bench.effort.processes):
            runs = {"ours": memory.measure("ours", "cnn", MEMORY_STEPS, bench.threads)}
            for layout, file in files.items():
                runs[layout] = memory.measure("torch", file, MEMORY_STEPS, bench.threads)
            for who, run in runs.items():
                losses = np.array(run["losses"][: len(expected)])
                check_array(f"{name}, {who}: losses", losses, np.array(expected), 1e-3)
                (mine if who == "ours" else theirs.setdefault(who, [])).append(run["mib"])
    layout = min(theirs, key=lambda layout: statistics.median(theirs[layout]))
    bench.variants[f"{name} torch"] = layout
    return [compare(name, mine, "torch", theirs[layout], scale=1.0)]
