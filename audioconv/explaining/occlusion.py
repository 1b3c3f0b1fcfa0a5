"""Saliency by occlusion: the evidence that is lost when a part of the input is hidden.

This is occlusion sensitivity (Zeiler and Fergus, 2014), measured as the weight of evidence of prediction difference
analysis (Robnik-Šikonja and Kononenko, 2008; Zintgraf et al., 2017). It was chosen over gradients because it
measures what people ask for (the score without a part of the input) and needs forward passes alone, so that it works
for every network, compiled or not, whatever its layers. Gradients measure the effect of an infinitely small change,
which is nearly zero where the scores are near 0 or 1, as those of a trained network are.

Log-odds are used, not probabilities, since these hardly move near 1: from 0.999 to 0.99 the odds fall tenfold.

References
----------
M. D. Zeiler and R. Fergus, Visualizing and understanding convolutional networks, ECCV 2014 (section 4.2).
M. Robnik-Šikonja and I. Kononenko, Explaining classifications for individual instances, IEEE Transactions on Knowledge
and Data Engineering 20(5), 2008 (weight of evidence).
L. M. Zintgraf et al., Visualizing deep neural network decisions: prediction difference analysis, ICLR 2017 (patches).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv._types import Array
from audioconv.errors import ConfigError, ShapeError
from audioconv.model import Model

PARTS = (3, 6, 12)
"""Into how many patches each axis is divided, one size of patches after the other."""

AT_ONCE = 64
"""Copies of the example, each with another patch hidden, that are in memory together."""


def evidence(model: Model, features: ArrayLike, label: str) -> NDArray[np.float64]:
    """Return the logarithm to base 2 of the odds that the model gives `label` against all other labels.

    Parameters
    ----------
    model : Model
    features : (N, *feature_shape) array
        As `Model.logits` takes them.
    label : str
        One of the model's.

    Returns
    -------
    (N,) float64 array
        In bits: 0 at even odds, one more for each doubling of them. Calibrated, as the model's probabilities are.

    Raises
    ------
    ConfigError
        If the model has no such label; `ShapeError` if the features are of another shape.
    """
    code = label_code(model, label)
    scaled = model.logits(features, AT_ONCE).astype(np.float64) / model.decision.temperature
    others = np.delete(scaled, code, axis=1)
    most = others.max(axis=1)
    against = most + np.log(np.exp(others - most[:, None]).sum(axis=1))
    bits: NDArray[np.float64] = (scaled[:, code] - against) / math.log(2)
    return bits


def saliency(model: Model, features: ArrayLike, label: str, parts: Sequence[int] = PARTS) -> NDArray[np.float64]:
    """Return how much each place of an example speaks for `label`.

    Patches are hidden, one at a time, by giving them the mean of their band or channel (see `hide`), which is what the
    network takes for nothing in particular. What the evidence loses is shared out evenly among the places of the patch.
    For each size of patches the input is divided four times (twice along one axis), with the borders moved by half a
    patch, so each place is hidden equally often; the result is the mean. So, if a network only adds up what its places
    say, the sum of the result is the whole evidence, however large the patches.

    Parameters
    ----------
    model : Model
    features : (*feature_shape) array
        One example: as the front end gives it, or a picture; not normalised.
    label : str
        One of the model's.
    parts : sequence of int
        For each size of patches, into how many each axis is divided.

    Returns
    -------
    float64 array
        Bits a place: above 0 where what is there speaks for the label, below 0 where it speaks against it. Of the shape
        of the features, ``(frames, bands)`` or ``(samples, 1)``; of a picture (H, W, C), whose channels are hidden
        together, ``(H, W)``.

    Raises
    ------
    ConfigError
        If the model has no such label, or a number of parts is below 1.
    ShapeError
        If the features are of another shape.
    """
    features = one_example(model, features)
    if not parts or min(parts) < 1:
        raise ConfigError(f"parts must be numbers of at least 1, got {list(parts)}")
    places = places_of(features.shape)
    whole = evidence(model, features[None], label)[0]
    total = np.zeros(places)
    for count in parts:
        tilings = list(_tilings(places, count))
        patches = [patch for tiling in tilings for patch in tiling]
        for start in range(0, len(patches), AT_ONCE):
            some = patches[start : start + AT_ONCE]
            left = evidence(model, np.stack([hide(model, features, patch) for patch in some]), label)
            for patch, bits in zip(some, whole - left, strict=True):
                total[patch] += bits / total[patch].size / len(tilings)
    return total / len(parts)


def hide(model: Model, features: Array, patch: tuple[slice, ...]) -> Array:
    """Return a copy of one example in which the places of `patch` hold the training mean.

    Where a model has no training mean, or normalises each clip by itself, it is the mean of the example.
    """
    *before, _ = features.shape
    scale = model.normalisation
    mean = features.mean(axis=tuple(range(len(before)))) if scale is None or scale.by_clip else scale.mean
    hidden = features.copy()
    hidden[patch] = np.broadcast_to(mean, features.shape)[patch]
    return hidden


def one_example(model: Model, features: ArrayLike) -> Array:
    """Return `features` as one example of the model's, float32; `ShapeError` if they are of another shape."""
    array = np.asarray(features, np.float32)
    if array.shape not in (model.feature_shape, model.input_shape):
        raise ShapeError(f"the model takes one example of shape {model.feature_shape}, got {array.shape}")
    return array.reshape(model.feature_shape)


def places_of(feature_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what can be hidden: the features', a picture's without its channels."""
    return feature_shape[:2] if len(feature_shape) == 3 else feature_shape


def label_code(model: Model, label: str) -> int:
    """Return the place of `label` among the model's; `ConfigError` that lists them if it is none."""
    if label not in model.labels:
        raise ConfigError(f"the model has no label {label!r}; it has {', '.join(model.labels)}")
    return model.labels.index(label)


def _tilings(places: tuple[int, ...], parts: int) -> Iterator[list[tuple[slice, ...]]]:
    """Yield divisions into patches of about 1 / `parts` of each axis, with borders moved by half a patch and not."""
    axes = []
    for size in places:
        patch = math.ceil(size / parts)
        moves = {0, patch // 2} if patch < size else {0}
        axes.append([_pieces(size, patch, move) for move in sorted(moves)])
    for divided in itertools.product(*axes):
        yield list(itertools.product(*divided))


def _pieces(size: int, patch: int, move: int) -> list[slice]:
    """Return an axis of `size` in pieces of `patch`, the first border at `move`."""
    borders = [0, *range(move or patch, size, patch), size]
    return [slice(begin, end) for begin, end in itertools.pairwise(borders)]
