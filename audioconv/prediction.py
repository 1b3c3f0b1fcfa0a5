"""What a classifier answers: one `Prediction` an example, and the list of them that scikit-learn's scorers can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from audioconv.model import Model


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one example.

    Attributes
    ----------
    label : str
        The likeliest class.
    score : float
        Its probability, 0 to 1.
    scores : dict of str to float
        The probability of every class, likeliest first.
    accepted : bool
        Whether it is likely enough to be the answer; otherwise that is "none of these".
    """

    label: str
    score: float
    scores: dict[str, float]
    accepted: bool = True

    @property
    def answer(self) -> str | None:
        """The label, or None for "none of these"."""
        return self.label if self.accepted else None


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


def describe(model: Model, probabilities: NDArray[Any], values: Mapping[str, Any] | None = None) -> Predictions:
    """Return each row of `probabilities` (N, labels of the model) as a `Prediction`; `values` as for `Predictions`."""
    labels, given = model.labels, set(model.given_labels)
    answers = model.decide(probabilities)
    predictions = Predictions(values=values)
    for row, code, accepted in zip(probabilities, answers.codes, answers.accepted, strict=True):
        scores = {labels[i]: float(row[i]) for i in np.argsort(-row, kind="stable") if labels[i] in given}
        label = labels[code]
        predictions.append(Prediction(label, scores[label], scores, bool(accepted)))
    return predictions
