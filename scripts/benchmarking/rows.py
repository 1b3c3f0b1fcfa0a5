"""What is measured: each function checks the results, then times them and returns its rows."""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numba
import numpy as np

from audioconv import architectures, geometry, ops
from audioconv.audio import LogMel
from benchmarking import backends, memory, ours
from benchmarking.checks import WrongResultError, check_array, check_training
from benchmarking.ours import BATCH, CHECKED_STEPS
from benchmarking.tile import tile_work
from benchmarking.timing import Candidate, Effort, Row, compare, take_turns

SHAPES = {
    "1-16-40x101": (1, 16, 40, 101),
    "16-32-20x50": (16, 32, 20, 50),
    "32-64-10x25": (32, 64, 10, 25),
    "64-64-10x25": (64, 64, 10, 25),
    "64-64-20x50": (64, 64, 20, 50),
}
"""Convolutions of 3 x 3 with padding 1: input channels, kernels, height and width."""

DIRECTIONS = ("forward", "input-grad", "weight-grad")
SAMPLE_RATE = 16000
DECIBEL_TOLERANCE = 1e-3  # librosa's filters are float32
MEMORY_STEPS = 10


class NoPeerError(Exception):
    """Nothing to stand beside is installed."""


@dataclass
class Bench:
    """How to measure, and what is noticed on the way.

    Attributes
    ----------
    effort : Effort
        How long to look.
    threads : int
        Of everybody.
    compiles : bool
        Whether to try ``torch.compile``.
    say : callable
        Takes a line for the reader.
    missing : list of str
        Peers that are not installed.
    first_seconds : dict of str to float
        What each one's making and first calls took together: loading, compiling, planning.
    tile_gflops : list of float
        Peaks of the register tile, one for each row that was measured beside it.
    variants, shares : dict of str to str, to float
        By row: the variant of the peer that was fastest; our share of the tile's peak.
    """

    effort: Effort
    threads: int
    compiles: bool
    say: Callable[[str], None]
    missing: list[str]
    first_seconds: dict[str, float] = field(default_factory=dict)
    tile_gflops: list[float] = field(default_factory=list)
    variants: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)

    def has(self, *peers: str) -> bool:
        """Tell whether all these peers are installed."""
        return not set(peers) & set(self.missing)

    def first(self, who: str, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, and keep how long that took."""
        begun = time.perf_counter()
        try:
            return make()
        finally:
            self.first_seconds[who] = self.first_seconds.get(who, 0.0) + time.perf_counter() - begun

    @property
    def tile_peak(self) -> float | None:
        """Peak of the register tile in GFLOP/s: the median of one measurement a row; None before the first."""
        return statistics.median(self.tile_gflops) if self.tile_gflops else None

    def race(self, name: str, candidates: list[Candidate], operations: int = 0) -> list[Row]:
        """Time ours and its peers, whose results have been checked; with `operations`, beside the tile as well."""
        work, tile_operations = tile_work() if operations else (lambda: None, 0)
        tile = [Candidate("tile", work)] if operations else []
        best = take_turns([*candidates, *tile], self.effort)
        mine = best.pop("ours")
        if operations:
            peak = tile_operations / best.pop("tile").median
            self.tile_gflops.append(peak / 1e9)
            self.shares[name] = operations / mine.median / peak
        for peer, candidate in best.items():
            if candidate.variant:
                self.variants[f"{name} {peer}"] = candidate.variant
        return [compare(name, mine.seconds, peer, theirs.seconds) for peer, theirs in best.items()]


def names() -> dict[str, Callable[[Bench], list[Row]]]:
    """Return all that can be measured, by name, in the order of the table."""
    found: dict[str, Callable[[Bench], list[Row]]] = {}
    for network in architectures.NAMES:
        found[f"train/{network}"] = functools.partial(train, network)
    for batch in (BATCH, 1):
        for network in architectures.NAMES:
            found[f"forward-{batch}/{network}"] = functools.partial(forward, network, batch)
    for shape in SHAPES:
        for direction in DIRECTIONS:
            found[f"conv/{shape}/{direction}"] = functools.partial(convolution, shape, direction)
    for batch in (1, BATCH):
        found[f"logmel/{batch}"] = functools.partial(log_mel, batch)
    return {**found, "threads/cnn": threads, "memory/cnn": peak_memory}


# --- networks --------------------------------------------------------------------------------------------------------


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
    return bench.race(name, candidates, case.step_operations)


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
        for _ in range(min(bench.effort.least_rounds, 5)):
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


# --- single kernels --------------------------------------------------------------------------------------------------


def convolution(shape: str, direction: str, bench: Bench) -> list[Row]:
    """Measure a convolution of 64 images, 3 x 3 with padding 1, or one of its gradients."""
    if not bench.has("torch"):
        raise NoPeerError("torch")
    from benchmarking import torch_peer

    name, (C, K, H, W) = f"conv/{shape}/{direction}", SHAPES[shape]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, H, W, C), np.float32)
    weight = rng.standard_normal((3, 3, C, K), np.float32)
    dy = rng.standard_normal((BATCH, H, W, K), np.float32)
    window = geometry.window((3, 3), axes=2, padding=1)

    def run() -> Any:
        if direction == "forward":
            return ops.conv(x, weight, None, window)
        if direction == "input-grad":
            return ops.conv_input_gradient(dy, weight, x.shape, window)
        return ops.conv_weight_gradient(x, dy, window)

    arrays = [np.moveaxis(x, -1, 1).copy(), weight.transpose(3, 2, 0, 1).copy(), np.moveaxis(dy, -1, 1).copy()]
    doubles = [array.astype(np.float64) for array in arrays]
    reference = torch_peer.convolution(direction, *doubles, "channels first")()
    result = bench.first("ours", run)
    result = result.transpose(3, 2, 0, 1) if direction == "weight-grad" else np.moveaxis(result, -1, 1)
    check_array(f"{name}, ours", result, reference)
    candidates = [Candidate("ours", run)]
    for layout in ("channels first", "channels last"):
        theirs = torch_peer.convolution(direction, *arrays, layout)
        check_array(f"{name}, torch {layout}", bench.first("torch", theirs), reference)
        candidates.append(Candidate("torch", theirs, layout))
    return bench.race(name, candidates, 2 * BATCH * H * W * 9 * C * K)


def log_mel(batch: int, bench: Bench) -> list[Row]:
    """Measure the log-mel spectrograms of clips of one second."""
    if not bench.has("librosa"):
        raise NoPeerError("librosa")
    import librosa

    name, front_end = f"logmel/{batch}", LogMel.for_rate(SAMPLE_RATE)
    rng = np.random.default_rng(0)
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    pitches = rng.uniform(100, 4000, (batch, 1))
    clips = 0.3 * np.sin(2 * np.pi * pitches * seconds) + 0.01 * rng.standard_normal((batch, SAMPLE_RATE))
    clips = clips.astype(np.float32)

    def theirs(samples: Any) -> Any:
        power = librosa.feature.melspectrogram(
            y=samples,
            sr=front_end.sample_rate,
            n_fft=front_end.fft_length,
            win_length=front_end.window_length,
            hop_length=front_end.hop_length,
            n_mels=front_end.mel_bands,
            pad_mode="constant",
        )
        return librosa.power_to_db(power, amin=front_end.floor, top_db=None)

    reference = np.moveaxis(theirs(clips.astype(np.float64)), -2, -1)
    check_array(f"{name}, ours", bench.first("ours", lambda: front_end(clips)), reference, DECIBEL_TOLERANCE)
    whole = bench.first("librosa", lambda: theirs(clips))
    check_array(f"{name}, librosa", np.moveaxis(whole, -2, -1), reference, DECIBEL_TOLERANCE)
    candidates = [Candidate("ours", lambda: front_end(clips)), Candidate("librosa", lambda: theirs(clips), "at once")]
    if batch > 1:
        candidates.append(Candidate("librosa", lambda: [theirs(clip) for clip in clips], "clip by clip"))
    return bench.race(name, candidates)
