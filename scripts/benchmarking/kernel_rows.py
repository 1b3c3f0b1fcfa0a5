"""Single kernels: convolution with its gradients, log-mel spectrograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from audioconv import geometry, ops
from audioconv.audio import LogMel
from audioconv.features import librosa_package
from benchmarking.checks import check_array
from benchmarking.ours import BATCH
from benchmarking.session import Bench, NoPeerError
from benchmarking.timing import Candidate, Row

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
    return bench.race(name, candidates, 2 * BATCH * H * W * 9 * C * K, x.nbytes + weight.nbytes + dy.nbytes)


def log_mel(batch: int, bench: Bench) -> list[Row]:
    """Measure the log-mel spectrograms of clips of one second."""
    if not bench.has("librosa"):
        raise NoPeerError("librosa")
    librosa = librosa_package.load()

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
