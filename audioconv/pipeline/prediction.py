"""`Prediction`: the answer of a classifier for one example; and a list of them that scikit-learn's scorers can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from audioconv.model import Model
from audioconv.pipeline.predict import RecordingScores


@dataclass(frozen=True)
class WindowPrediction:
    """The answer of a classifier for a part of a recording.

    Attributes
    ----------
    begin, end : float
        In seconds.
    label : str
        The likeliest class.
    score : float
        Its probability, 0 to 1.
    accepted : bool
        Whether its probability reaches the threshold.
    """

    begin: float
    end: float
    label: str
    score: float
    accepted: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-compatible data; `label` is None for "none of these", and `nearest` the likeliest class."""
        answer = self.label if self.accepted else None
        return {"begin": self.begin, "end": self.end, "label": answer, "nearest": self.label, "score": self.score}


@dataclass(frozen=True)
class Prediction:
    """The answer of a classifier for one example.

    Attributes
    ----------
    label : str
        The likeliest class.
    score : float
        Its probability, 0 to 1.
    scores : dict of str to float
        The probability of every class, likeliest first.
    accepted : bool
        Whether its probability reaches the threshold; otherwise the answer is "none of these".
    windows : tuple of WindowPrediction
        The best windows of a recording that is longer than twice the model's window; empty for others.
    """

    label: str
    score: float
    scores: dict[str, float]
    accepted: bool = True
    windows: tuple[WindowPrediction, ...] = ()

    @property
    def answer(self) -> str | None:
        """The label, or None for "none of these"."""
        return self.label if self.accepted else None

    def to_json(self, top: int | None = None) -> dict[str, Any]:
        """Return it as JSON-compatible data, with the `top` likeliest classes only if that is given."""
        return {
            "label": self.answer,
            "nearest": self.label,
            "score": self.score,
            "scores": dict(list(self.scores.items())[:top]),
            "windows": [window.to_json() for window in self.windows],
        }


class Predictions(list[Prediction]):
    """A list of predictions whose array is that of their labels, as scikit-learn's scorers read it.

    Parameters
    ----------
    predictions : iterable of Prediction
    values : mapping, optional
        By label, the value that ``y`` had in training where that was a number. Default: the label itself.

    Examples
    --------
    >>> np.asarray(Predictions([Prediction("yes", 0.9, {"yes": 0.9, "no": 0.1})]))
    array(['yes'], dtype='<U3')
    """

    def __init__(self, predictions: Iterable[Prediction] = (), values: Mapping[str, Any] | None = None) -> None:
        super().__init__(predictions)
        self._values = dict(values or {})

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the labels (N,), each as ``y`` had it in training."""
        labels = [self._values.get(prediction.label, prediction.label) for prediction in self]
        return np.asarray(labels if labels else np.empty(0, "<U1"), dtype)


def describe(model: Model, scored: Sequence[RecordingScores], values: Mapping[str, Any] | None = None) -> Predictions:
    """Return what `model` makes of recordings or pictures as predictions; `values` as for `Predictions`."""
    labels, given = model.labels, set(model.answer_labels)
    rows = [row for one in scored for row in (one.probabilities, *(window.probabilities for window in one.windows))]
    answers = model.decide(np.stack(rows) if rows else np.empty((0, len(labels)), np.float32))
    answered = zip(answers.codes.tolist(), answers.accepted.tolist(), strict=True)
    predictions = Predictions(values=values)
    for one in scored:
        row, (code, accepted) = one.probabilities, next(answered)
        scores = {labels[i]: float(row[i]) for i in np.argsort(-row, kind="stable") if labels[i] in given}
        windows = []
        for window in one.windows:
            of_window, is_accepted = next(answered)
            score = float(window.probabilities[of_window])
            windows.append(WindowPrediction(window.begin, window.end, labels[of_window], score, is_accepted))
        predictions.append(Prediction(labels[code], scores[labels[code]], scores, accepted, tuple(windows)))
    return predictions
