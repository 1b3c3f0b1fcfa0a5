"""`Evaluation`: accuracy, confusions and rejection of classified examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.decision.classes import is_word
from audioconv.decision.decision import Answers, Decision
from audioconv.errors import DataError
from audioconv.evaluation.curves import NEGATIVES, OTHER_WORDS, Detection
from audioconv.evaluation.intervals import Share
from audioconv.evaluation.other_words import OtherWords
from audioconv.evaluation.reliability import Calibration
from audioconv.evaluation.renamed import accepts_old_keyword, warn_of_old_name
from audioconv.evaluation.scores import ClassScore, Outcomes, Scored


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of classifying labelled examples.

    In an evaluation made by `compare`, which has no probabilities, all that needs them is None, also `negatives` and
    `scored`.

    Attributes
    ----------
    classes : tuple of str
        The labels that may be an answer, in the order of `confusion`.
    confusion : array (classes, classes) int64
        Number of examples of each class (row) whose likeliest class is each class (column).
    failures : tuple of DataError
        Files that could not be read and are not counted.
    labels : tuple of str
        All labels of the model: the columns of probabilities.
    decision : Decision
        The model's.
    scored : Scored or None
        The examples in `confusion`.
    negatives : Scored or None
        Examples that are none of the words: those whose class is no word, such as ``_silence_``, and others that were
        given. Their names are the class, or the place that they are from.
    about : mapping
        Description of the data: name, counts and so on, JSON-compatible.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    failures: tuple[DataError, ...] = ()
    labels: tuple[str, ...] = ()
    decision: Decision = field(default_factory=Decision)
    scored: Scored | None = None
    negatives: Scored | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def compare(
        cls,
        classes: Sequence[str],
        wanted: NDArray[np.integer],
        given: NDArray[np.integer],
        failures: tuple[DataError, ...] = (),
    ) -> Evaluation:
        """Count how often each class was given each label; both are (N,) class numbers."""
        return cls(tuple(classes), _count(len(classes), wanted, given), failures)

    @classmethod
    @accepts_old_keyword("outsiders", "negatives")
    def judge(
        cls,
        labels: Sequence[str],
        decision: Decision,
        labelled: Scored,
        negatives: Scored | None = None,
        failures: tuple[DataError, ...] = (),
        about: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """Compare probabilities with labels.

        Parameters
        ----------
        labels, decision
            The model's.
        labelled : Scored
            Named by their labels. Words must be among `labels`; other classes, such as ``_silence_``, need not.
        negatives : Scored, optional
            More examples that are none of the words, named by where they are from.
        """
        answers = [labels[i] for i in decision.answer_codes(labels)]
        places = {label: i for i, label in enumerate(answers)}
        labelled_negatives = labelled.select(~labelled.names.are(is_word))
        scored = labelled.select(labelled.names.are(places.__contains__))
        # Class numbers among all labels become those among the labels that may be an answer.
        among = np.zeros(len(labels), np.int64)
        among[decision.answer_codes(labels)] = np.arange(len(answers))
        wanted = scored.names.numbers(places)
        given = among[decision.decide(labels, scored.table).codes]
        return cls(
            tuple(answers),
            _count(len(answers), wanted, given),
            failures,
            tuple(labels),
            decision,
            scored,
            labelled_negatives if negatives is None else Scored.join(labelled_negatives, negatives),
            dict(about or {}),
        )

    @property
    def outsiders(self) -> Scored | None:
        """The former name of `negatives`."""
        warn_of_old_name("outsiders", "negatives")
        return self.negatives

    # --- the likeliest class, whatever the threshold ---

    @property
    def count(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())

    @property
    def right(self) -> Share:
        """Share of the examples that were given their own label."""
        return Share(int(np.trace(self.confusion)), self.count)

    @property
    def accuracy(self) -> float:
        """Share of the examples that were given their own label."""
        return self.right.value

    @property
    def per_class(self) -> dict[str, ClassScore]:
        """Count, precision, recall and F1 of each class."""
        right = np.diag(self.confusion)
        given, wanted = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return {
            label: ClassScore(
                int(wanted[i]),
                float(right[i] / max(given[i], 1)),
                float(right[i] / max(wanted[i], 1)),
                float(2 * right[i] / max(given[i] + wanted[i], 1)),
            )
            for i, label in enumerate(self.classes)
        }

    @property
    def calibration(self) -> Calibration | None:
        """Scores beside how often they are right, over the examples in `confusion`."""
        if self.scored is None:
            return None
        answers = self.answers(self.scored)
        return Calibration.measure(answers.scores, self._is_right(self.scored, answers))

    # --- at the threshold ---

    @property
    def outcomes(self) -> Outcomes | None:
        """Outcomes of the clips of words at the model's threshold."""
        return None if self.scored is None else self._outcomes(self.scored)

    @property
    def outcomes_by_class(self) -> dict[str, Outcomes]:
        """The same for each word; empty without probabilities."""
        if self.scored is None:
            return {}
        scored = self.scored
        return {
            label: self._outcomes(scored.select(scored.names.equals(label))) for label in self.classes if is_word(label)
        }

    @property
    def false_accepts(self) -> Share | None:
        """Share of the negatives that is accepted as a word at the model's threshold; None without negatives."""
        return Share(*map(sum, zip(*found, strict=True))) if (found := self.false_accepts_by_name.values()) else None

    @property
    def false_accepts_by_name(self) -> dict[str, Share]:
        """The same for each class or place that negatives are from."""
        if self.negatives is None:
            return {}
        accepted = self.answers(self.negatives).accepted
        names = self.negatives.names
        return {name: Share(int(accepted[names.equals(name)].sum()), count) for name, count in names.counts().items()}

    @property
    def detection(self) -> Detection | None:
        """Error rates at all thresholds: words against negatives, or without any each word against the others.

        Against negatives, a clip's score is that of its answer, and 0 where that can never be accepted; a word that is
        taken for another is missed. None where there is nothing to compare the words with.
        """
        if self.scored is None:
            return None
        words = self.scored.select(self.scored.names.are(is_word))
        if not len(words):
            return None
        threshold = self.decision.threshold
        if self.negatives:
            scores = np.where(self._is_right(words, self.answers(words)), self.acceptance(words), 0.0)
            return Detection(scores, self.acceptance(self.negatives), threshold, NEGATIVES)
        columns = [i for i, label in enumerate(self.labels) if label in self.classes and is_word(label)]
        if len(columns) < 2:
            return None
        numbers = words.names.numbers({self.labels[i]: place for place, i in enumerate(columns)})
        others = OtherWords(words.table, np.array(columns), numbers)
        return Detection(others.own(), others, threshold, OTHER_WORDS)

    def answers(self, scored: Scored) -> Answers:
        """Return the model's answers for examples."""
        return self.decision.decide(self.labels, scored.table)

    def acceptance(self, scored: Scored) -> NDArray[np.float64]:
        """Return the highest threshold at which each example is accepted as a word, (N,); 0 where it never is."""
        answers = replace(self.decision, threshold=0.0).decide(self.labels, scored.table)
        return np.where(answers.accepted, answers.scores, 0.0).astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return all results as JSON-compatible data; None for those that need probabilities or negatives."""
        outcomes, calibration, detection = self.outcomes, self.calibration, self.detection
        false_accepts = self.false_accepts
        return {
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.right.interval),
            "count": self.count,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "per_class": {label: vars(score) for label, score in self.per_class.items()},
            "decision": None if self.scored is None else self.decision.to_json(),
            "at_threshold": None if outcomes is None else {**vars(outcomes), "interval": list(outcomes.hits.interval)},
            "false_accepts": None if false_accepts is None else false_accepts.to_json(),
            "false_accepts_by_name": {name: share.to_json() for name, share in self.false_accepts_by_name.items()},
            "calibration": None if calibration is None else calibration.to_json(),
            "detection": None if detection is None else detection.to_json(),
            "data": _with_old_key(self.about),
            "unreadable": [str(failure) for failure in self.failures],
        }

    def _is_right(self, scored: Scored, answers: Answers) -> NDArray[np.bool_]:
        is_right: NDArray[np.bool_] = answers.codes == scored.names.numbers(
            {label: code for code, label in enumerate(self.labels)}
        )
        return is_right

    def _outcomes(self, scored: Scored) -> Outcomes:
        words = scored.select(scored.names.are(is_word))
        answers = self.answers(words)
        right = self._is_right(words, answers)
        return Outcomes(
            int(np.sum(answers.accepted & right)),
            int(np.sum(answers.accepted & ~right)),
            int(np.sum(~answers.accepted)),
        )


Evaluation.__init__ = accepts_old_keyword("outsiders", "negatives")(Evaluation.__init__)  # type: ignore[method-assign]


def _with_old_key(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of the data, with its negatives also under their former key, for a release."""
    return {**about, "outsiders": about["negatives"]} if "negatives" in about else dict(about)


def _count(size: int, wanted: NDArray[np.integer], given: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how often each of `size` classes (row) was given each label (column)."""
    pairs = np.asarray(wanted) * size + given
    return np.bincount(pairs, minlength=size * size).reshape(size, size).astype(np.int64)
