"""A model as operations: front end, normalisation, network, decision."""

from __future__ import annotations

import math

import numpy as np

from audioconv._types import Array
from audioconv.decision.classes import is_word
from audioconv.decision.decision import Decision, Gate
from audioconv.errors import ExportError
from audioconv.export.layers import add_layer
from audioconv.export.operations import (
    Answer,
    Arithmetic,
    Convolution,
    Function,
    Graph,
    GraphBuilder,
    Linear,
    Odds,
    Reduce,
    Reshape,
    Softmax,
    Tensor,
    single,
)
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.features.librosa_front_end import Librosa
from audioconv.features.normalisation import MIN_DEVIATION, Normalisation
from audioconv.features.spectrogram import cosine_basis, hann_window
from audioconv.geometry import window as window_of
from audioconv.model import Model

OUT = -1e9
"""What is added to a logit so that it has no part in a softmax or a maximum: finite in any precision's range."""

DECIBELS = 10 / math.log(10)
"""Decibels for a natural logarithm of 1."""


def describe(model: Model, *, from_features: bool = False) -> Graph:
    """Return `model` as a list of operations, from samples, features or pixels to probabilities and answer.

    Parameters
    ----------
    model : Model
    from_features : bool
        Begin with the features that the front end gives, not yet normalised, instead of samples. Default: False.

    Raises
    ------
    ExportError
        If the model has a layer or a front end that is not described; names it.
    """
    graph = GraphBuilder()
    if model.front_end is None or from_features:
        start = features = graph.tensor("pixels" if model.front_end is None else "features", model.feature_shape)
    else:
        start = graph.tensor("samples", model.example_shape)
        features = add_front_end(graph, model.front_end, start)
    # The channel axis comes before the normalisation: files with channels first need no exchange of axes then.
    x = features if features.shape == model.input_shape else _reshaped(graph, features, model.input_shape)
    if model.normalisation is not None:
        has_channel = model.input_shape != model.feature_shape
        x = add_normalisation(graph, model.normalisation, x, -2 if has_channel else -1)
    network_input = x
    logits = add_layer(graph, model.network, model.params, x, "network")
    probabilities, answer = add_decision(graph, model.decision, model.labels, logits)
    return Graph(start, graph.steps, network_input, logits, {"probabilities": probabilities, "answer": answer})


def _reshaped(graph: GraphBuilder, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return graph.add(Reshape(shape), "input", x)


# --- front end ---


def check_front_end(front_end: object) -> None:
    """Raise `ExportError` unless exported files can compute the features of `front_end`."""
    if isinstance(front_end, Librosa):
        raise ExportError(
            f"the front end {front_end.name} is computed by librosa, which exported files cannot contain; export the "
            "network alone, which takes its features (from_features, --features), or train with the front end "
            "log-mel, mfcc or raw"
        )
    if type(front_end) not in (LogMel, Mfcc, RawSamples):
        raise ExportError(f"the front end {front_end!r} is not one of audioconv's; its models cannot be exported")


def add_front_end(graph: GraphBuilder, front_end: object, samples: Tensor) -> Tensor:
    """Add a front end, from samples (T,) to features (frames, bands); `ExportError` for one that is not known."""
    place = "front_end"
    if type(front_end) is RawSamples:
        return graph.add(Reshape((*samples.shape, 1)), place, samples)
    check_front_end(front_end)
    assert isinstance(front_end, LogMel)
    x = graph.add(Reshape((*samples.shape, 1)), place, samples)
    return add_bands(graph, front_end, add_power_spectrum(graph, front_end, x, place), place)


def add_bands(graph: GraphBuilder, front_end: LogMel, energy: Tensor, place: str) -> Tensor:
    """Add what follows the power spectrum (..., bins): mel bands in decibels, and the cosine transform of `Mfcc`."""
    energy = graph.add(Linear(single(front_end.mel_filters().T)), place, energy)
    energy = graph.add(Function("clip", (front_end.floor, math.inf)), place, energy)
    decibels = graph.add(Arithmetic("multiply", single(DECIBELS)), place, graph.add(Function("log"), place, energy))
    if isinstance(front_end, Mfcc):
        basis = single(cosine_basis(front_end.mel_bands, front_end.coefficients))
        return graph.add(Linear(basis), place, decibels)
    return decibels


def add_power_spectrum(graph: GraphBuilder, front_end: LogMel, x: Tensor, place: str) -> Tensor:
    """Add two convolutions with windowed cosines and sines and the sum of their squares: (T, 1) to (frames, bins)."""
    length, hop = front_end.fft_length, front_end.hop_length
    waves = windowed_waves(front_end)
    taps = len(waves[0])
    frames = front_end.frame_count(x.shape[0])
    before = length // 2 - (length - taps) // 2
    after = max(0, (frames - 1) * hop + taps - before - x.shape[0])
    where = window_of(taps, axes=1, stride=hop, padding=((before, after),))
    squares = []
    for wave in waves:
        part = graph.add(Convolution(wave[:, None, :], None, where), place, x)
        squares.append(graph.add(Function("square"), place, part))
    return graph.add(Arithmetic("add"), place, *squares)


def windowed_waves(front_end: LogMel) -> tuple[Array, Array]:
    """Return cosines and sines under the window, each (window_length, bins) float32."""
    length = front_end.fft_length
    window = hann_window(front_end.window_length, length)
    taps = np.arange(front_end.window_length) + (length - front_end.window_length) // 2
    phases = 2 * np.pi * np.outer(taps, np.arange(length // 2 + 1)) / length
    return single(window[taps, None] * np.cos(phases)), single(window[taps, None] * np.sin(phases))


def add_normalisation(graph: GraphBuilder, scale: Normalisation, x: Tensor, bands: int) -> Tensor:
    """Add the normalisation of features whose axis `bands`, counted from the end, is that of the bands."""
    place = "normalisation"
    mean, std = (single(array).reshape(-1, *(1,) * (-1 - bands)) for array in (scale.mean, scale.std))
    if not scale.by_clip:
        return graph.add(Arithmetic("divide", std), place, graph.add(Arithmetic("subtract", mean), place, x))
    time = (bands - 1,)
    centred = graph.add(Arithmetic("subtract"), place, x, graph.add(Reduce("mean", time), place, x))
    variance = graph.add(Reduce("mean", time), place, graph.add(Function("square"), place, centred))
    spread = graph.add(Function("sqrt"), place, variance)
    spread = graph.add(Arithmetic("add", np.float32(MIN_DEVIATION) * std), place, spread)
    return graph.add(Arithmetic("divide"), place, centred, spread)


# --- decision ---


def add_decision(
    graph: GraphBuilder, decision: Decision, labels: tuple[str, ...], logits: Tensor
) -> tuple[Tensor, Tensor]:
    """Add temperature, softmax and gate; return the probabilities (labels,) and the answer ()."""
    place = "decision"
    words = np.array([is_word(label) for label in labels])
    scaled = logits
    if decision.temperature != 1:
        scaled = graph.add(Arithmetic("multiply", single(1 / decision.temperature)), place, logits)
    if decision.gate is None or words.all() or not words.any():
        probabilities = graph.add(Softmax(), place, scaled)
    else:
        probability = add_gate(graph, decision.gate, words, logits, place)
        shares = []
        for which, share in (
            (words, probability),
            (~words, graph.add(Arithmetic("add", single(1.0)), place, _times(graph, place, probability, -1.0))),
        ):
            within = graph.add(Softmax(), place, _only(graph, place, scaled, which))
            shares.append(graph.add(Arithmetic("multiply"), place, within, share))
        probabilities = graph.add(Arithmetic("add"), place, *shares)
    possible = np.zeros(len(labels), bool)
    possible[decision.answer_codes(labels)] = True
    return probabilities, graph.add(Answer(possible, words, decision.threshold), place, probabilities)


def add_gate(graph: GraphBuilder, gate: Gate, words: np.ndarray, logits: Tensor, place: str) -> Tensor:
    """Add the probability (1,) that an example is one of the words."""
    if gate.score == "odds":
        score = graph.add(Odds(words), place, logits)
    elif gate.score == "logit":
        score = graph.add(Reduce("max", (-1,)), place, _only(graph, place, logits, words))
    else:
        raise ExportError(f"the gate's score {gate.score!r} is not one that is exported")
    score = graph.add(Arithmetic("add", single(gate.offset)), place, _times(graph, place, score, gate.scale))
    return graph.add(Function("sigmoid"), place, score)


def _times(graph: GraphBuilder, place: str, x: Tensor, factor: float) -> Tensor:
    return graph.add(Arithmetic("multiply", single(factor)), place, x)


def _only(graph: GraphBuilder, place: str, logits: Tensor, which: np.ndarray) -> Tensor:
    """Return logits of which those of other classes are far below."""
    return graph.add(Arithmetic("add", np.where(which, np.float32(0), np.float32(OUT))), place, logits)
