"""`explain`: answer, saliency and word position of one example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.decision.classes import is_word
from audioconv.explaining.axes import bounds_of_bands
from audioconv.explaining.occlusion import evidence, hide, label_code, places_of, saliency
from audioconv.features.front_ends import FrontEnd, RawSamples
from audioconv.model import Model
from audioconv.pipeline import inputs
from audioconv.pipeline.predict import decisive_clip


@dataclass(frozen=True)
class Region:
    """The part of an example that speaks most for a label.

    Attributes
    ----------
    box : tuple of slice
        Which frames and bands, samples, or rows and columns.
    bounds : dict of str to float
        The same in seconds and Hz, coefficients or pixels: `begin` and `end`, `lowest` and `highest`, or `left`,
        `right`, `top` and `bottom`; see `to_json` of an `Explanation`.
    evidence : float
        Bits that are lost when all of it is hidden: with one, the odds of the label fall by half.
    score_without : float
        The label's probability then.
    """

    box: tuple[slice, ...]
    bounds: dict[str, float]
    evidence: float
    score_without: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Scores of a model for one example, and the parts of the example that support a label.

    Attributes
    ----------
    model : Model
    example : (samples,) or (H, W, C) float32 array
        The clip at the front end's rate, the model's input, or the picture.
    begin_seconds : float
        Begin of the clip in the recording; below 0 where silence was put before it.
    features : (*feature_shape) float32 array
        Features of the clip; the picture itself.
    probabilities : (labels,) float32 array
        Probability of each label.
    answer : str
        The likeliest label that may be an answer.
    nearest : str
        The likeliest word.
    accepted : bool
        Whether the answer holds; otherwise it is "none of these".
    label : str
        The label that is explained.
    evidence : float
        Bits by which the model prefers it to all others; see `occlusion.evidence`.
    saliency : float64 array
        Which places speak for it; see `occlusion.saliency`.
    region : Region or None
        The part that speaks most for it; None if none does.
    """

    model: Model
    example: Array
    begin_seconds: float
    features: Array
    probabilities: Array
    answer: str
    nearest: str
    accepted: bool
    label: str
    evidence: float
    saliency: Array
    region: Region | None

    def score(self, label: str) -> float:
        """Return the probability of `label`."""
        return float(self.probabilities[label_code(self.model, label)])

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON-compatible data, without the arrays."""
        found = self.region
        order = np.argsort(-self.probabilities, kind="stable")
        return {
            "label": self.answer,
            "score": self.score(self.answer),
            "accepted": self.accepted,
            "nearest": self.nearest,
            "threshold": self.model.decision.threshold,
            "scores": {self.model.labels[i]: float(self.probabilities[i]) for i in order},
            "explained": self.label,
            "evidence_bits": self.evidence,
            "region": None
            if found is None
            else {**found.bounds, "evidence_bits": found.evidence, "score_without": found.score_without},
        }


def explain(model: Model, example: StrPath | Array, label: str | None = None) -> Explanation:
    """Return the scores of `model` for a recording or a picture, and the parts that support a label.

    Parameters
    ----------
    model : Model
    example : path-like or array
        A file; samples (T,) at the front end's rate; or pixels (H, W[, C]).
    label : str, optional
        Label to explain. Default: the answer, or, where that is "none of these", the likeliest word.

    Raises
    ------
    DataError
        If the file cannot be read or samples are not usable; `ShapeError` for arrays of a wrong shape.
    ConfigError
        If the model has no such label.
    """
    if label is not None:
        label_code(model, label)  # before the file is read
    clip, begin_seconds = decisive_clip(model, inputs.of_model(model), example)
    features = model.features(clip[np.newaxis])[0]
    probabilities = model.probabilities(features[None])
    answers = model.decide(probabilities)
    answer, accepted = model.labels[answers.codes[0]], bool(answers.accepted[0])
    words = [code for code, name in enumerate(model.labels) if is_word(name)]
    nearest = model.labels[max(words, key=lambda code: probabilities[0, code])] if words else answer
    explained = label or (answer if accepted else nearest)
    places = saliency(model, features, explained)
    bits = float(evidence(model, features[None], explained)[0])
    box = strongest(places)
    region = None if box is None else _region(model, features, explained, bits, box, begin_seconds)
    return Explanation(
        model, clip, begin_seconds, features, probabilities[0], answer, nearest, accepted, explained, bits, places,
        region,
    )  # fmt: skip


def strongest(places: Array) -> tuple[slice, ...] | None:
    """Return the box round the strongest place and all round it that is at least half as strong; None if none is > 0.

    Examples
    --------
    >>> strongest(np.array([[0.0, 1.0, 2.0, 0.5, 1.5]]))
    (slice(0, 1, None), slice(1, 3, None))
    """
    from scipy import ndimage

    peak = places.max()
    if not peak > 0:
        return None
    parts, _ = ndimage.label(places >= peak / 2)
    part: int = parts.flat[places.argmax()]
    box: tuple[slice, ...] = ndimage.find_objects(parts)[part - 1]
    return box


def seconds(front_end: FrontEnd, frames: slice, clip_samples: int) -> tuple[float, float]:
    """Return where in the clip some frames, or samples, begin and end: halfway to the next."""
    if isinstance(front_end, RawSamples):
        return frames.start / front_end.sample_rate, frames.stop / front_end.sample_rate
    begin, end = ((frame - 0.5) * front_end.hop_length for frame in (frames.start, frames.stop))
    return max(0.0, begin) / front_end.sample_rate, min(clip_samples, end) / front_end.sample_rate


def _region(
    model: Model, features: Array, label: str, bits: float, box: tuple[slice, ...], begin_seconds: float
) -> Region:
    hidden = hide(model, features, box)[None]
    without = float(model.probabilities(hidden)[0, label_code(model, label)])
    lost = bits - float(evidence(model, hidden, label)[0])
    return Region(box, _bounds(model, box, begin_seconds), lost, without)


def _bounds(model: Model, box: tuple[slice, ...], begin_seconds: float) -> dict[str, Any]:
    front_end = model.front_end
    if front_end is None or model.clip_samples is None:
        names = (("top", "bottom"), ("left", "right"))[: len(places_of(model.feature_shape))]
        return {
            name: edge
            for pair, part in zip(names, box, strict=True)
            for name, edge in zip(pair, (part.start, part.stop), strict=True)
        }
    begin, end = seconds(front_end, box[0], model.clip_samples)
    bounds = {"begin_seconds": begin_seconds + begin, "end_seconds": begin_seconds + end}
    if isinstance(front_end, RawSamples):
        return bounds
    return {**bounds, **bounds_of_bands(front_end, box[1], model.feature_shape[1])}
