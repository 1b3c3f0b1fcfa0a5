"""Choosing a model's decision on clips that it was not trained on: temperature, gate and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.decision.classes import is_word
from audioconv.decision.decision import SCORES, Decision, Gate

TEMPERATURES = (0.05, 20.0)

GIVEN_UP = 0.05
"""Share of new words that a threshold may reject although a lower one would have the false accept rate as well."""

MAX_COST, COMPROMISE = 0.1, 0.4
"""Share of the right words that the threshold may reject to reach the false accept rate; and the score that it falls
towards if it would reject more, fully from twice that share on. With few clips the generated negatives are as hard as
words, and the rate that was asked for would cost a third to a half of the words. At a score of 0.5 a word is as likely
as a negative; at 0.4 a missed word weighs one and a half times a false accept. Chosen with speakers kept apart:
docs/recipes.md."""

MAX_CLEAR = 0.2
"""`clear_threshold` raises no threshold above this score. New speakers' words score lower than those that validate."""

MIN_CLIPS, MIN_FOR_TEMPERATURE = 5, 20
"""With fewer words or fewer negatives than the first there is no gate, with fewer words than the second no temperature:
chance would choose them."""

TINY = 1e-7
"""Scores are kept so far from 0 and 1 for their log odds; those of float32 reach 1."""

RIDGE = 1e-3
"""Keeps the gate finite if the logits of words and negatives do not overlap."""


def calibrate(
    labels: Sequence[str],
    logits: Array,
    codes: NDArray[np.integer],
    *,
    auxiliary: Sequence[str] = (),
    false_accepts: float | None = None,
    negative_hardness_ratio: float = 1.0,
    score: str = "logit",
    given_up: float | None = None,
    missed_by_clear: float | None = None,
    learned: NDArray[np.bool_] | None = None,
) -> Decision:
    """Return the decision that fits clips which the network has not learned.

    Parameters
    ----------
    labels : sequence of str
        Names of the K classes.
    logits : array (N, K) float
        What the network gives for the clips.
    codes : array (N,) int
        The class of each clip.
    auxiliary : sequence of str
        Classes that may not be an answer.
    false_accepts : float, optional
        Share of the negatives that the threshold may accept; without it every clip is accepted. The threshold is higher
        if that rejects no more than `GIVEN_UP` of the words. It is lower if this share would reject more than
        `MAX_COST` of them.
    negative_hardness_ratio : float
        Ratio of the false accept rate on real negatives, which `false_accepts` limits, to that on these negatives.
    score : {"logit", "odds"}
        What the gate takes as the score of an example; see `decision.Gate`. Default: the largest logit.
    given_up : float, optional
        See `GIVEN_UP`, which is the default.
    missed_by_clear : float, optional
        Share of new words that `clear_threshold` may miss; the threshold is not lower than that, up to `MAX_CLEAR`.
        Default: no such limit.
    learned : array (N,) bool, optional
        Clips of words that the network has learned. Their scores stand for missing ones in the gate's curve alone. They
        are too high for a temperature, or for a threshold above what the negatives need.

    Returns
    -------
    Decision
        With what cannot be fitted, for lack of clips, left as it is by default.
    """
    words = np.array([is_word(label) for label in labels])
    of_words = words[codes] if len(codes) else np.zeros(0, bool)
    columns = words if not words.all() else np.ones(len(labels), bool)
    held = of_words if learned is None else of_words & ~learned
    temperature = _temperature(logits[held][:, columns], _renumbered(codes[held], columns))
    enough = of_words.sum() >= (MIN_CLIPS if learned is None else 1) and (~of_words).sum() >= MIN_CLIPS
    scored = SCORES[score](logits, words)
    gate = _gate(scored[of_words], scored[~of_words], score) if enough else None
    decision = Decision(temperature, auxiliary=tuple(auxiliary), gate=gate)
    if false_accepts is None or not enough:
        return decision
    answers = decision.decide(labels, decision.probabilities(labels, logits))
    of_word, is_right = words[answers.codes], answers.codes == codes
    right = np.sort(answers.scores[held & is_right])
    lowest = _threshold(
        answers.scores[~of_words & of_word], int((~of_words).sum()), false_accepts / negative_hardness_ratio
    )
    threshold = lowest
    if learned is None:
        threshold = _affordable(lowest, right, GIVEN_UP if given_up is None else given_up)
    if missed_by_clear is not None:
        threshold = max(threshold, min(MAX_CLEAR, clear_threshold(right, missed_by_clear)))
    passed = of_word & (answers.scores >= threshold)
    told = held if held.any() else of_words
    basis: dict[str, Any] = {
        "words": int(told.sum()),
        "others": int((~of_words).sum()),
        "words_that_the_share_would_cost": _cost(lowest, np.sort(answers.scores[told & is_right])),
        "words_accepted_and_right": float(np.mean((passed & is_right)[told])),
        "others_accepted": float(np.mean(passed[~of_words])),
    }
    if learned is not None:
        basis |= {"learned_words": int((of_words & learned).sum()), "words_are_learned": not held.any()}
    return replace(decision, threshold=threshold, false_accepts=false_accepts, basis=basis)


def negatives_of(decision: Decision) -> str:
    """Return the name of a negative that chose the threshold: a hardest one where others of the bank did not."""
    return "hardest negative" if "hardest_share" in decision.basis else "negative"


def words_of(decision: Decision) -> str:
    """Return the name of the words that a decision's shares are of: those that validate, or else those that train."""
    return "training words" if decision.basis.get("words_are_learned") else "validation words"


def why_more_pass(decision: Decision) -> str:
    """Return why more negatives pass the threshold than were asked for; empty if no more do, or if nothing is known."""
    asked = decision.false_accepts
    passed, cost = (decision.basis.get(name) for name in ("others_accepted", "words_that_the_share_would_cost"))
    if asked is None or not isinstance(passed, float) or not isinstance(cost, float) or passed <= asked:
        return ""
    if cost > MAX_COST:
        return f"at most {asked:.1%} of the negatives would reject {cost:.1%} of the words: more clips help"
    return f"made negatives are harder than recorded ones, of which about {asked:.1%} would pass"


def clear_threshold(scores: Array, missed: float) -> float:
    """Return a threshold that lies clearly below the scores of words.

    Where words and negatives lie far apart, the lowest threshold that rejects enough negatives is lower than any word
    needs. The log odds of the scores are taken as normal, with a mean and a deviation that are estimated from few
    clips. The threshold is the lower end of the prediction interval for a new word (Student's t).

    Parameters
    ----------
    scores : array (N,) float
        Those of words that are accepted and right, as probabilities.
    missed : float
        Share of new words that lies below the threshold.

    Returns
    -------
    float
        0 with fewer than `MIN_CLIPS` scores.

    Examples
    --------
    >>> clear = clear_threshold(np.array([0.99, 0.995, 0.999, 0.998, 0.997, 0.993]), 0.01)
    >>> unclear = clear_threshold(np.array([0.6, 0.995, 0.9, 0.7, 0.9999, 0.8]), 0.01)
    >>> round(clear, 2), round(unclear, 2)
    (0.93, 0.0)
    """
    if len(scores) < MIN_CLIPS:
        return 0.0
    from scipy.special import expit, logit
    from scipy.stats import t as student

    log_odds = logit(np.clip(scores.astype(np.float64), TINY, 1 - TINY))
    width = np.sqrt(1 + 1 / len(log_odds)) * log_odds.std(ddof=1)
    return float(expit(log_odds.mean() + student.ppf(missed, len(log_odds) - 1) * width))


def _renumbered(codes: NDArray[np.integer], columns: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Return the class numbers among those classes alone that `columns` marks."""
    places: NDArray[np.integer] = (np.cumsum(columns) - 1)[codes]
    return places


def _temperature(logits: Array, codes: NDArray[np.integer]) -> float:
    """Return the temperature under which the clips are likeliest."""
    if len(codes) < MIN_FOR_TEMPERATURE:
        return 1.0
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(codes)), codes]))

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def _gate(words: Array, negatives: Array, score: str) -> Gate:
    """Return the logistic curve between the scores of words and of negatives, both with equal weight."""
    from scipy.optimize import minimize

    centre, spread = (
        np.mean([words.mean(), negatives.mean()]),
        max(float(np.std(np.concatenate([words, negatives]))), 1e-9),
    )
    one, other = ((side.astype(np.float64) - centre) / spread for side in (words, negatives))

    def loss(numbers: Array) -> float:
        scale, offset = numbers
        wrong = np.logaddexp(0, -(scale * one + offset)).mean() + np.logaddexp(0, scale * other + offset).mean()
        return float(wrong + RIDGE * (scale**2 + offset**2))

    scale, offset = minimize(loss, np.array([1.0, 0.0])).x
    return Gate(float(scale / spread), float(offset - scale * centre / spread), score)


def _affordable(threshold: float, right: Array, given_up: float = GIVEN_UP) -> float:
    """Return the threshold, higher or lower by what it costs of the words with the scores `right`, in ascending order.

    See `GIVEN_UP` and `MAX_COST`.
    """
    if not len(right):
        return threshold
    cost = _cost(threshold, right)
    if cost <= MAX_COST:
        # Of n words the k-th lowest score is expected to lie above the share k / (n + 1) of new words.
        place = int(given_up * (len(right) + 1)) - 1
        return max(threshold, float(right[place])) if place >= 0 else threshold
    from scipy.special import expit, logit

    share = min(1.0, cost / MAX_COST - 1)
    lower = min(threshold, COMPROMISE)
    return float(expit((1 - share) * logit(min(threshold, 1 - 1e-6)) + share * logit(lower)))


def _cost(threshold: float, right: Array) -> float:
    """Return the share of the scores `right`, in ascending order, that lie below a threshold."""
    return float(np.searchsorted(right, threshold)) / max(1, len(right))


def _threshold(scores: Array, negatives: int, false_accepts: float) -> float:
    """Return the lowest threshold that accepts at most this share of so many negatives, some with these `scores`."""
    allowed = int(false_accepts * negatives)
    if len(scores) <= allowed:
        return 0.0
    # Just above the score of the first one that must not pass.
    return float(min(1.0, np.nextafter(np.sort(scores)[::-1][allowed], np.float32(2))))
