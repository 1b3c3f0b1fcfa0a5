"""From logits to an answer: one of the words, or "none of these"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.decision.classes import is_word
from audioconv.decision.curve import Curve
from audioconv.errors import ConfigError

ROWS = 1 << 12
"""Examples that are decided about at a time."""


class Table(Protocol):
    """An array (N, columns), or what gives rows of one."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows (n, columns)."""
        ...


@dataclass(frozen=True)
class Gate:
    """The probability that an example is one of the words, given a score of it.

    ``1 / (1 + exp(-(scale * score + offset)))``: Platt's scaling. The largest logit detects new out-of-vocabulary words
    better than the odds where the negatives of the training were generated: the class of negatives has then learned
    only those. The odds are better where the negatives were recordings of speech.

    Parameters
    ----------
    scale, offset : float
    score : {"logit", "odds"}
        The largest logit of a word; or its odds, what it is above the logarithm of the sum of the exponentials of all
        other logits. Default: "logit".

    Raises
    ------
    ConfigError
        If there is no such score.

    References
    ----------
    J. Platt, Probabilistic outputs for support vector machines, 1999; S. Vaze et al., Open-set recognition: a good
    closed-set classifier is all you need, ICLR 2022 (the largest logit).
    """

    scale: float
    offset: float
    score: str = "logit"

    def __post_init__(self) -> None:
        """Check the score."""
        if self.score not in SCORES:
            raise ConfigError(f"a gate's score is one of {', '.join(SCORES)}; got {self.score!r}")

    def __call__(self, logits: Array, words: NDArray[np.bool_]) -> Array:
        """Return the probability (N,) for logits (N, classes), of which `words` (classes,) are those of words."""
        scores = SCORES[self.score](logits, words)
        probability: Array = 1 / (1 + np.exp(-np.clip(self.scale * scores + self.offset, -500, 500)))
        return probability


def largest_logit(logits: Array, words: NDArray[np.bool_]) -> Array:
    """Return the largest logit of a word, (N,)."""
    largest: Array = logits[:, words].max(axis=1, initial=-np.inf)
    return largest


def odds(logits: Array, words: NDArray[np.bool_]) -> Array:
    """Return the logarithm of the likeliest word's odds against all other classes, (N,)."""
    logits = np.asarray(logits, np.float64)
    likeliest = np.flatnonzero(words)[logits[:, words].argmax(axis=1)]
    rows = np.arange(len(logits))
    rest = logits.copy()
    rest[rows, likeliest] = -np.inf
    against: Array = logits[rows, likeliest] - np.logaddexp.reduce(rest, axis=1)
    return against


SCORES: dict[str, Callable[[Array, NDArray[np.bool_]], Array]] = {"logit": largest_logit, "odds": odds}
"""What a gate may take as the score of an example."""


@dataclass(frozen=True)
class Decision:
    """From logits to an answer.

    Parameters
    ----------
    temperature : float
        Divisor of the logits, which calibrates the probabilities.
    threshold : float
        Lowest probability with which a word is accepted.
    false_accepts : float, optional
        False accept rate on negatives that the threshold was chosen for; None if it was not chosen.
    auxiliary : tuple of str
        Classes without examples of the user's, such as ``_unknown_`` with generated negatives: they take their share of
        the probability and are never the answer.
    basis : mapping
        The basis of the threshold, JSON-compatible: numbers of words and of negatives, and the accepted shares of them.
    gate : Gate, optional
        Whether an example is a word at all, if there are classes such as ``_unknown_``; the softmax decides which word.
    stream_threshold : float, optional
        Lowest probability with which a word in a stream is an event; None if it was not chosen.
    curve : Curve, optional
        What other thresholds cost, on clips and recordings that trained nothing.

    Raises
    ------
    ConfigError
        If a number is out of its range.

    References
    ----------
    C. Guo et al., On calibration of modern neural networks, ICML 2017 (temperature).
    """

    temperature: float = 1.0
    threshold: float = 0.0
    false_accepts: float | None = None
    auxiliary: tuple[str, ...] = ()
    basis: Mapping[str, Any] = field(default_factory=dict)
    gate: Gate | None = None
    stream_threshold: float | None = None
    curve: Curve | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.stream_threshold is not None and not 0 <= self.stream_threshold <= 1:
            raise ConfigError(f"the stream's threshold must lie between 0 and 1, got {self.stream_threshold}")
        object.__setattr__(self, "auxiliary", tuple(self.auxiliary))
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"the temperature must be above 0, got {self.temperature}")
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"the threshold must lie between 0 and 1, got {self.threshold}")
        if self.gate is not None and not np.isfinite([self.gate.scale, self.gate.offset]).all():
            raise ConfigError(f"the gate must have finite numbers, got {self.gate}")

    def probabilities(self, labels: Sequence[str], logits: Array) -> Array:
        """Return the probability of each class, (N, classes) float32, of `logits` (N, classes)."""
        scaled = np.asarray(logits, np.float64) / self.temperature
        words = np.array([is_word(label) for label in labels])
        if self.gate is None or words.all() or not words.any():
            return _softmax(scaled).astype(np.float32)
        probabilities = np.empty_like(scaled)
        is_one = self.gate(np.asarray(logits, np.float64), words)[:, None]
        probabilities[:, words] = is_one * _softmax(scaled[:, words])
        probabilities[:, ~words] = (1 - is_one) * _softmax(scaled[:, ~words])
        return probabilities.astype(np.float32)

    def answer_codes(self, labels: Sequence[str]) -> list[int]:
        """Return the places in `labels` of the classes that may be an answer."""
        return [i for i, label in enumerate(labels) if label not in self.auxiliary]

    def decide(self, labels: Sequence[str], probabilities: Array | Table) -> Answers:
        """Return the answers for `probabilities` (N, classes) of the classes `labels`."""
        possible = np.array(self.answer_codes(labels))
        codes, scores = np.zeros(len(probabilities), np.int64), np.zeros(len(probabilities), probabilities.dtype)
        for begin in range(0, len(probabilities), ROWS):  # there is no copy of all of them
            rows = slice(begin, begin + ROWS)
            some = probabilities[rows][:, possible]
            likeliest = some.argmax(axis=1)
            codes[rows], scores[rows] = possible[likeliest], some[np.arange(len(some)), likeliest]
        words = np.array([is_word(label) for label in labels])
        return Answers(codes, scores, words[codes] & (scores >= self.threshold))

    def at(self, *, false_accept_rate: float | None = None, false_accepts_per_hour: float | None = None) -> Self:
        """Return the decision at another point of its curve.

        Parameters
        ----------
        false_accept_rate : float, optional
            Share of negatives that may be accepted; chooses the threshold for clips.
        false_accepts_per_hour : float, optional
            False accepts in an hour of speech; chooses the threshold for streams.

        Raises
        ------
        ConfigError
            If the model has no curve, or no threshold has so few false accepts.
        """
        if self.curve is None:
            raise ConfigError(
                "the model has no curve of false accepts, which training with recorded negatives gives "
                "(train --negatives FOLDER); give a threshold instead"
            )
        changed: dict[str, Any] = {}
        if false_accept_rate is not None:
            changed["threshold"] = self.curve.threshold_for_share(false_accept_rate)
        if false_accepts_per_hour is not None:
            changed["stream_threshold"] = self.curve.threshold_for_rate(false_accepts_per_hour)
        if None in changed.values():
            asked = next(value for value in (false_accept_rate, false_accepts_per_hour) if value is not None)
            raise ConfigError(f"no threshold of the model has at most {asked:g} false accepts; ask for more")
        return replace(self, **changed)

    def to_json(self) -> dict[str, Any]:
        """Return the decision as JSON-compatible data; `from_json` is its inverse."""
        described = {**asdict(self), "auxiliary": list(self.auxiliary), "basis": dict(self.basis)}
        return {_KEYS.get(name, name): value for name, value in described.items()}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Self:
        """Return the decision that `to_json` described.

        Missing keys, as in files of older versions, have their defaults. Unknown keys, as in files of newer versions
        with the same format number, are ignored.

        Raises
        ------
        ConfigError
            If a value is of a wrong type or out of its range; names the key.
        """
        _check_types("decision", described, _DECISION_TYPES)
        known = {key: value for key, value in described.items() if key in _DECISION_TYPES}
        if "made" in known:
            known["auxiliary"] = known.pop("made")
        if known.get("curve") is not None:
            known["curve"] = Curve.from_json(known["curve"])
        gate = known.pop("gate", None)
        if gate is None:
            return cls(**known)
        _check_types("gate", gate, _GATE_TYPES)
        missing = [key for key in ("scale", "offset") if key not in gate]
        if missing:
            raise ConfigError(f"the gate has no {missing[0]!r}")
        return cls(**known, gate=Gate(**{key: gate[key] for key in _GATE_TYPES if key in gate}))


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a model for N examples.

    Attributes
    ----------
    codes : array (N,) int64
        The likeliest class that may be an answer.
    scores : array (N,) float32
        Its probability.
    accepted : array (N,) bool
        Whether it is a word whose probability reaches the threshold; otherwise the answer is "none of these".
    """

    codes: NDArray[np.int64]
    scores: NDArray[np.float32]
    accepted: NDArray[np.bool_]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


_KEYS = {"auxiliary": "made"}
"""Keys of a model file that are not called like the field."""

_Types = Mapping[str, tuple[str, Callable[[Any], bool]]]

_DECISION_TYPES: _Types = {
    "temperature": ("a number", _is_number),
    "threshold": ("a number", _is_number),
    "false_accepts": ("a number or null", lambda value: value is None or _is_number(value)),
    "made": ("a list of labels", _is_names),
    "basis": ("an object", _is_mapping),
    "gate": ("an object or null", lambda value: value is None or _is_mapping(value)),
    "stream_threshold": ("a number or null", lambda value: value is None or _is_number(value)),
    "curve": ("an object or null", lambda value: value is None or _is_mapping(value)),
}
_GATE_TYPES: _Types = {
    "scale": ("a number", _is_number),
    "offset": ("a number", _is_number),
    "score": ("a name", lambda value: isinstance(value, str)),
}


def _check_types(name: str, described: Any, types: _Types) -> None:
    """Raise `ConfigError` for a value of a wrong type; keys that are not in `types` are not looked at."""
    if not isinstance(described, Mapping):
        raise ConfigError(f"the {name} must be an object, got {described!r}")
    for key, (what, fits) in types.items():
        if key in described and not fits(described[key]):
            raise ConfigError(f"the {name}'s {key} must be {what}, got {described[key]!r}")


def _softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    softmax: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return softmax
