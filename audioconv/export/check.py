"""Whether an exported file computes what its model computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from audioconv._types import Array
from audioconv.errors import ExportError
from audioconv.model import Model

TOLERANCE, RELATIVE_TOLERANCE, MAX_TOLERANCE = 1e-4, 2e-6, 1e-3
"""Bounds of `tolerance_for`. Named networks differ by about 1e-6 on recordings, deep ones of pictures by some 1e-5; a
file with an error differs by far more."""

MIN_SAME = 0.5
"""Least share of the labels that are the model's, with 8-bit integers; with fewer, the file has an error."""

LEVELS_DB = (-80.0, -50.0, -20.0, -3.0)
"""Of noise, below full scale."""

NOISE_DB = -66.0
"""Of what is recorded with other sounds: of a pure tone alone, bands 100 dB below it differ by 0.01 dB, for the front
end of a model computes in double precision and that of a file does not."""

PICTURES = 4

Run = Callable[[Array], Mapping[str, Array]]
"""From a batch (N, ...) to ``probabilities`` (N, labels) and ``answer`` (N,)."""


@dataclass(frozen=True)
class Check:
    """How a file was compared with its model.

    Attributes
    ----------
    program : str
        What ran the file.
    examples : int
    largest_difference : float
        Of a probability.
    answers : int
        Examples with the same answer.
    """

    program: str
    examples: int
    largest_difference: float
    answers: int

    def joined(self, other: Check | None) -> Check:
        """Return both comparisons as one; None has none."""
        if other is None:
            return self
        largest = max(self.largest_difference, other.largest_difference)
        return Check(self.program, self.examples + other.examples, largest, self.answers + other.answers)


class Inputs(NamedTuple):
    """Examples of a comparison.

    Attributes
    ----------
    features : array (N, *feature_shape) float32
        As `Model.features` gives them.
    x : array (N, ...) float32
        The same examples as the file takes them.
    """

    features: Array
    x: Array


def made_inputs(model: Model, *, from_features: bool) -> Inputs:
    """Return the examples of `examples_for` for a file that takes features, samples or pixels."""
    examples = examples_for(model)
    features = model.features(examples)
    return Inputs(features, features if from_features else examples)


def stored_inputs(model: Model) -> Inputs | None:
    """Return the training examples that the model keeps, for a file that takes features or pixels."""
    if model.stored_features is None:
        return None
    features = model.stored_features.features()
    return Inputs(features, features)


def examples_for(model: Model, seed: int = 0) -> Array:
    """Return examples (N, *example_shape) float32: silence, noise, a glide and pulses, or pictures of noise."""
    rng = np.random.default_rng(seed)
    if model.front_end is None or model.clip_samples is None:
        return rng.random((PICTURES, *model.example_shape), np.float32)
    length, rate = model.clip_samples, model.front_end.sample_rate
    time = np.arange(length) / rate
    noises = [10 ** (level / 20) * rng.uniform(-1, 1, length) for level in LEVELS_DB]
    # With all its harmonics.
    glide = (np.cumsum(np.geomspace(80, 400, length) / rate) % 1 - 0.5) * np.hanning(length)
    # As a voice: pulses at 120 Hz, louder and softer four times a second, with a recording's noise.
    pulses = (np.diff(np.floor(120 * time), prepend=0.0) > 0) * np.square(np.sin(4 * np.pi * time)) * 0.5
    recorded = [clip + 10 ** (NOISE_DB / 20) * rng.uniform(-1, 1, length) for clip in (glide, pulses)]
    return np.stack([np.zeros(length), *noises, *recorded]).astype(np.float32)


def check(model: Model, run: Run, program: str, inputs: Inputs) -> Check:
    """Compare a file with its model.

    Parameters
    ----------
    model : Model
    run : callable
        Runs the file.
    program : str
        What runs it.
    inputs : Inputs

    Raises
    ------
    ExportError
        If a probability differs by more than `tolerance_for` allows, or an answer that is not within that of another.
    """
    x = inputs.x
    logits = model.logits(inputs.features)
    wanted = model.decision.probabilities(model.labels, logits)
    tolerance = tolerance_for(logits)
    together, alone = run(x), run(x[:1])
    found = together["probabilities"]
    if found.shape != wanted.shape or alone["probabilities"].shape != wanted[:1].shape:
        raise ExportError(f"the file gives probabilities of shape {found.shape}, the model {wanted.shape}")
    both = np.concatenate([found, alone["probabilities"]])
    largest = difference(both, np.concatenate([wanted, wanted[:1]]), tolerance, program)
    same = answers_of(model, wanted) == together["answer"]
    unsure = np.array([is_unsure(model, row, tolerance) for row in wanted])
    if not (same | unsure).all():
        raise ExportError(
            f"the file gives another answer than the model for {np.count_nonzero(~(same | unsure))} of {len(same)} "
            f"examples ({program}); nothing was written"
        )
    return Check(program, len(x), largest, int(np.count_nonzero(same)))


def check_roughly(model: Model, run: Run, program: str, inputs: Inputs) -> Check:
    """Compare a file that computes in 8-bit integers with its model; parameters as of `check`.

    Raises
    ------
    ExportError
        If less than the share `MIN_SAME` of the likeliest labels is the same.
    """
    wanted = model.probabilities(inputs.features)
    outputs = run(inputs.x)
    found = outputs["probabilities"]
    same = float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    if not (np.isfinite(found).all() and same >= MIN_SAME):
        raise ExportError(
            f"in 8-bit integers only {same:.0%} of {len(found)} examples have the model's label ({program}); "
            "nothing was written. Export the model without int8, or give another data set as calibration"
        )
    answers = int(np.count_nonzero(answers_of(model, wanted) == outputs["answer"]))
    return Check(program, len(found), float(np.abs(found - wanted).max()), answers)


def tolerance_for(logits: Array) -> float:
    """Return the largest difference of a probability that a file may have.

    The rounding of a network is relative to its numbers, so the bound grows with the largest logit from 50 on.
    """
    return max(TOLERANCE, min(MAX_TOLERANCE, RELATIVE_TOLERANCE * float(np.abs(logits).max())))


def difference(found: Array, wanted: Array, tolerance: float, program: str) -> float:
    """Return the largest difference of probabilities; `ExportError` if it is above the tolerance, or no number."""
    differences = np.abs(found - wanted)
    largest = float(differences.max()) if np.isfinite(differences).all() else float("inf")
    if not largest <= tolerance:
        raise ExportError(
            f"the file's probabilities differ from the model's by up to {largest:.2g}, more than {tolerance:.2g} "
            f"({program}); nothing was written"
        )
    return largest


def answers_of(model: Model, probabilities: Array) -> Array:
    """Return the answers (N,) int64 as exported files give them: the label's number, -1 for "none of these"."""
    answers = model.decide(probabilities)
    return np.where(answers.accepted, answers.codes, -1)


def is_unsure(model: Model, probabilities: Array, tolerance: float) -> bool:
    """Tell whether rounding may change the answer for probabilities (labels,)."""
    possible = np.sort(probabilities[model.decision.answer_codes(model.labels)])
    near_another = possible[-1] - possible[-2] <= 2 * tolerance
    return bool(near_another or abs(possible[-1] - model.decision.threshold) <= tolerance)
