"""What `scripts/bench_live` measures: each in a process of its own, on one core.

    python -m benchmarking.live real-time MODEL RAW       seconds of the processor per second of sound
    python -m benchmarking.live memory MODEL HOURS        memory after ten minutes and after HOURS
    python -m benchmarking.live hops                      time a hop of networks: whole windows, and what is new of them
    python -m benchmarking.live agreement MODEL RAW       whether windows that are not evaluated alone say the same
    python -m benchmarking.live latency MODEL WORDS N     from the end of a word to its event

MODEL is a model file, RAW 16-bit samples at 16 kHz, WORDS a folder of folders of words. Each prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from audioconv import architectures
from audioconv import layers as L
from audioconv.audio.read import read
from audioconv.compiler.execution import inference
from audioconv.explaining.receptive_fields import receptive_fields
from audioconv.model import Model
from audioconv.streaming import Detector

RATE, BLOCK_SECONDS = 16000, 0.1

WARM_UP_SECONDS = 10

NETWORKS = ("cnn", "ds-cnn-s", "tc-resnet8", "ds-cnn-l", "m5")

FRAMES, BANDS, HOP_FRAMES = 101, 40, 10
"""Of the networks whose hops are timed: one second, asked every 100 ms."""


def real_time(model: str, raw: str) -> float:
    """Return how long the processor works on a second of sound, in blocks of 100 ms."""
    samples = np.fromfile(raw, "<i2")
    detector = Detector(model, sample_rate=RATE)
    length = round(BLOCK_SECONDS * RATE)
    blocks = [samples[begin : begin + length] for begin in range(0, len(samples), length)]
    for block in blocks[: round(WARM_UP_SECONDS / BLOCK_SECONDS)]:
        detector.push(block)
    begun = time.process_time()
    for block in blocks:
        detector.push(block)
    return (time.process_time() - begun) / (len(samples) / RATE)


def memory(model: str, hours: float) -> dict[str, float]:
    """Return the process's memory in MiB after ten minutes of sound and after `hours`, and how fast they went by."""
    detector = Detector(model, sample_rate=RATE)
    block = np.random.default_rng(0).normal(0, 0.01, 60 * RATE).astype(np.float32)
    begun, early = time.perf_counter(), 0.0
    for minute in range(round(60 * hours)):
        detector.push(block)
        if minute == 9:
            early = _resident_mib()
    seconds = time.perf_counter() - begun
    return {"hours": hours, "early": early, "late": _resident_mib(), "times_real_time": 3600 * hours / seconds}


def hops() -> list[dict[str, Any]]:
    """Return what a hop of several networks takes, in ms: the whole window, and the least of a windowed evaluation.

    The least is the network on as many frames as its new outputs see: what is pooled and the dense layer come on top.
    """
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    for name in NETWORKS:
        network = architectures.build(name, 6)
        kind = architectures.input_kind(name)
        scale = 160 if kind == "samples" else 1
        shape = {"spectrogram-2d": (FRAMES, BANDS, 1), "spectrogram-1d": (FRAMES, BANDS)}.get(kind, (RATE, 1))
        assert isinstance(network, L.Chain)
        stride, seen = reach(network, shape)
        new = -(-HOP_FRAMES * scale // stride)
        needed = min(shape[0], seen + (new - 1) * stride)
        params = network.init(shape, rng)
        row: dict[str, Any] = {"network": name, "frames": shape[0], "needed": needed, "stride": stride}
        for what, length in (("whole", shape[0]), ("least", needed)):
            part = (length, *shape[1:])
            run = inference(network, params, part)
            x = rng.standard_normal((1, *part), np.float32)
            row[what] = _median_ms(lambda run=run, x=x: run(x))  # type: ignore[misc]
        rows.append(row)
    return rows


def agreement(model: str, raw: str) -> dict[str, float]:
    """Return how often windows have the same likeliest label, where their trunk's outputs know what is around them.

    That is what a windowed evaluation would give: the trunk goes over all frames once, and what each window pools are
    its own outputs. Evaluated by itself, a window has zeros around it.
    """
    loaded = Model.load(model)
    assert loaded.front_end is not None
    scale = loaded.normalisation
    assert scale is not None
    network = loaded.network
    assert isinstance(network, L.Chain)
    # As if the windows were not normalised one by one, which no trunk's outputs could be shared for.
    frames = (loaded.front_end(np.fromfile(raw, "<i2")[: 60 * RATE] / np.float32(32768))[0] - scale.mean) / scale.std
    end = _trunk_length(network)
    trunk, head = L.Chain(network.layers[:end]), L.Chain(network.layers[end:])
    # A layer's parameters have its number as their name, in the head as in the whole network.
    head_params = {str(int(name) - end): value for name, value in loaded.params.items() if int(name) >= end}
    stride, _ = reach(trunk, loaded.input_shape)
    outputs = trunk.forward(loaded.params, frames.reshape(1, -1, *loaded.input_shape[1:]).astype(np.float32), L.Pass())[
        0
    ]
    width = trunk.out_shape(loaded.input_shape)[0]
    run = inference(network, loaded.params, loaded.input_shape)
    same, differences = [], []
    for begin in range(0, len(frames) - loaded.input_shape[0], stride):
        x = np.require(
            frames[begin : begin + loaded.input_shape[0]].reshape(1, *loaded.input_shape), np.float32, ["C", "A"]
        )
        whole = loaded.decision.probabilities(loaded.labels, run(x))[0]
        part = np.ascontiguousarray(outputs[:, begin // stride : begin // stride + width])
        windowed = loaded.decision.probabilities(loaded.labels, head.forward(head_params, part, L.Pass())[0])[0]
        same.append(whole.argmax() == windowed.argmax())
        differences.append(np.abs(whole - windowed).max())
    return {
        "windows": len(same),
        "same": float(np.mean(same)),
        "largest_difference_median": float(np.median(differences)),
    }


def latency(model: str, words: str, count: int) -> dict[str, Any]:
    """Return how long after the end of a word its event comes, in seconds, of words spliced into noise.

    Sound comes in blocks of 10 ms, at two rates: a resampler has a delay of its own. The end of a word is where its
    energy, over 25 ms, falls below a hundredth of its loudest for good. What the computation takes comes on top.
    """
    loaded = Model.load(model)
    rng = np.random.default_rng(0)
    clips = [(folder.name, path) for folder in sorted(Path(words).iterdir()) for path in sorted(folder.iterdir())]
    clips = [clip for clip in clips if clip[0] in loaded.words]
    chosen = [clips[int(place)] for place in rng.permutation(len(clips))[:count]]
    found: dict[str, Any] = {"words": len(chosen)}
    for rate in (RATE, 48000):
        delays = []
        samples = rng.normal(0, 0.002, 2 * rate * (len(chosen) + 1)).astype(np.float32)
        ends = []
        for number, (_, path) in enumerate(chosen):
            clip = read(path, rate)[:rate]
            begin = 2 * rate * number + rate // 2 + int(rng.integers(rate // 10))
            samples[begin : begin + len(clip)] += clip
            energy = np.convolve(np.square(clip, dtype=np.float64), np.ones(rate // 40), "same")
            ends.append((begin + int(np.flatnonzero(energy > 0.01 * energy.max())[-1])) / rate)
        detector = Detector(loaded, sample_rate=rate)
        length = rate // 100
        for begin in range(0, len(samples), length):
            for event in detector.push(samples[begin : begin + length]):
                number = min(range(len(ends)), key=lambda n: abs(ends[n] - event.end))
                if event.label == chosen[number][0] and abs(ends[number] - event.end) < 1:
                    delays.append(detector.seconds - ends[number])
        found[str(rate)] = {
            "found": len(delays),
            **dict(zip(("q10", "q50", "q90"), np.quantile(delays, [0.1, 0.5, 0.9]).tolist(), strict=True)),
        }
    return found


def reach(network: L.Chain, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return stride and receptive field along time, up to where a network pools over all of it."""
    fields = receptive_fields(L.Chain(network.layers[: _trunk_length(network)]), shape)
    # The layers' fields along time grow from the first to the last.
    along = [field[0] for field in fields.values()]
    return max(field.step for field in along), max(field.end - field.begin for field in along)


def _trunk_length(network: L.Chain) -> int:
    """Return how many layers come before the one that pools over all of time."""
    pooling = L.GlobalAvgPool | L.GlobalMaxPool | L.Flatten
    return next((n for n, layer in enumerate(network.layers) if isinstance(layer, pooling)), len(network.layers))


def _median_ms(call: Any) -> float:
    for _ in range(20):
        call()
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return 1000 * float(np.median(times))


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    measured: Any
    match what:
        case "real-time":
            measured = real_time(*arguments)
        case "memory":
            measured = memory(arguments[0], float(arguments[1]))
        case "hops":
            measured = hops()
        case "agreement":
            measured = agreement(*arguments)
        case "latency":
            measured = latency(arguments[0], arguments[1], int(arguments[2]))
        case _:
            sys.exit(f"nothing is called {what}")
    print(json.dumps(measured))
