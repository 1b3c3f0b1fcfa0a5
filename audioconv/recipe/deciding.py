"""The decision of a model, chosen on clips that it has not learned: which scores are accepted, in clips and streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.decision.calibration import calibrate
from audioconv.decision.classes import is_word
from audioconv.decision.curve import Curve
from audioconv.decision.decision import Decision, odds
from audioconv.model import BATCH_SIZE, Model
from audioconv.pipeline import sharing
from audioconv.recipe.operating_points import Heldout, measure_curve
from audioconv.recipe.rejection import CALIBRATION_NEGATIVES, FOLDS_NEGATIVES, Rejection
from audioconv.recipe.settings import Settings
from audioconv.streaming.detector import LISTENING_THRESHOLD

MAX_MISSED = 0.05
"""Share of the words that the threshold for streams may miss where no recordings tell the false accepts an hour. It is
a share of those that the threshold for clips finds in streams. With few clips the scores of new clips are low."""

MIN_HELD_OUT = 20
"""With fewer words that were held out, all clips of the words choose the decision beside a bank, and the threshold is
what the negatives need. docs/experiments/speech-embedding.md has figures."""

HARDEST = 0.3
"""Share of a bank's calibration negatives, those that are likest a word, that choose gate and threshold. Read speech is
easier to reject than single words by other people; docs/experiments/speech-embedding.md has figures."""


@dataclass(frozen=True, eq=False)
class Watched:
    """Examples and a model that predicts them; it has not learned them, unless something else is said.

    Attributes
    ----------
    model : Model
    x : array (N, *model.example_shape) float32, or Windows
        Examples.
    codes : array (N,) int64
        Their classes.
    """

    model: Model
    x: Array | Windows
    codes: NDArray[np.integer]

    def words(self) -> Watched:
        """Return those that are words."""
        of_words = np.array([is_word(label) for label in self.model.labels])[self.codes]
        x = self.x.select(of_words) if isinstance(self.x, Windows) else self.x[of_words]
        return Watched(self.model, x, self.codes[of_words])


def decide(
    watched: Sequence[Watched],
    rejection: Rejection | None,
    settings: Settings,
    processes: Processes = ALONE,
    *,
    learned: Watched | None = None,
) -> tuple[Decision, Curve | None]:
    """Return the decision that fits examples which models have not learned, and the curve of all thresholds.

    The curve is measured with a bank of negatives, which has hours of recordings, and of a cross-validation; the
    decision has the first kind only.

    Parameters
    ----------
    watched : sequence of Watched
        Held-out examples of one model, or of each model of a cross-validation; all have the same labels.
    rejection : Rejection, optional
        The source of negatives, if the models learn to reject.
    settings : Settings
        Has the share of negatives, and the number of false accepts an hour, that the thresholds may accept.
    processes : Processes
        Processes that share the predictions. Default: this one alone.
    learned : Watched, optional
        Examples that the first network has learned; see `too_few`.
    """
    watched = [one for one in watched if len(one.x)]
    auxiliary = () if rejection is None else rejection.auxiliary
    if learned is not None:
        learned = learned.words()
        watched = watched or [learned]
    if not watched:
        return Decision(auxiliary=auxiliary), None
    bank = None if rejection is None else rejection.bank
    count = CALIBRATION_NEGATIVES if len(watched) == 1 else FOLDS_NEGATIVES // len(watched)
    wants_curve = bank is not None or (settings.folds is not None and watched[0].model.kind == "audio")
    found = [_logits(one, rejection, count, processes) for one in watched]
    labels = watched[0].model.labels
    logits = [logits for some in found for logits in some[:2]]
    codes = [codes for _, _, codes in found]
    is_learned = [np.full(len(some), learned is watched[0]) for some in codes]
    if learned is not None and learned is not watched[0]:
        logits.append(sharing.logits(learned.model, learned.x, processes))
        codes.append(learned.codes)
        is_learned.append(np.ones(len(learned.codes), bool))
    decision = calibrate(
        labels,
        np.concatenate(logits),
        np.concatenate(codes),
        auxiliary=auxiliary,
        false_accepts=None if all(map(is_word, labels)) else settings.false_accept_rate,
        negative_hardness_ratio=1.0 if rejection is None else rejection.negative_hardness_ratio,
        score="odds" if bank is not None else "logit",
        given_up=None if rejection is None else rejection.given_up,
        missed_by_clear=None if rejection is None else rejection.missed_by_clear,
        learned=None if learned is None else np.concatenate(is_learned),
    )
    if bank is not None:
        decision = replace(decision, basis={**decision.basis, "hardest_share": HARDEST})
    words = [one.words() for one in watched]
    if not wants_curve or decision.gate is None or not any(len(one.x) for one in words):
        return decision, None
    # One network listens to the recordings: they are long, and the others are like it.
    recordings = [() if bank is None else bank.calibration, *[()] * (len(words) - 1)]
    curve = Curve.join(
        measure_curve(one.model, decision, Heldout(one.x, one.codes, negatives, some), processes)
        for one, (_, negatives, _), some in zip(words, found, recordings, strict=True)
    )
    if bank is None:
        return replace(decision, stream_threshold=listening_threshold(curve, decision.threshold)), curve
    threshold = curve.threshold_for_rate(settings.false_accepts_per_hour) or 1.0
    return replace(decision, curve=curve, stream_threshold=threshold), curve


def too_few(watched: Sequence[Watched], rejection: Rejection | None) -> bool:
    """Return whether fewer words than `MIN_HELD_OUT` were held out, while there are recordings.

    Recorded negatives say how high a threshold must be, whatever the words. Words that were learned can then stand for
    the missing ones in the curve from scores to probabilities.
    """
    if rejection is None or rejection.bank is None:
        return False
    return sum(len(one.words().x) for one in watched if len(one.x)) < MIN_HELD_OUT


def listening_threshold(curve: Curve, lowest: float) -> float:
    """Return the threshold for streams where there are no recordings that would tell the false accepts an hour.

    It is `LISTENING_THRESHOLD`, or lower where that would miss more than `MAX_MISSED` of the words that `lowest` finds.
    """
    wanted = (1 - MAX_MISSED) * curve.at(lowest)["found"]
    enough = [
        threshold
        for threshold, found in zip(curve.thresholds, curve.found, strict=True)
        if lowest <= threshold <= LISTENING_THRESHOLD and found >= wanted
    ]
    return max(enough, default=min(lowest, LISTENING_THRESHOLD))


def _logits(
    watched: Watched, rejection: Rejection | None, count: int, processes: Processes
) -> tuple[Array, Array, NDArray[np.integer]]:
    """Return logits of examples and of negatives, and the classes of both; of so many from a bank, the hardest ones."""
    model, x, codes = watched.model, watched.x, watched.codes
    logits = sharing.logits(model, x, processes)
    if rejection is None:
        return logits, logits[:0], codes
    generated = rejection.for_calibration(x, codes, count)
    negatives = processes.rows(
        generated.count, BATCH_SIZE, lambda part: model.predict_logits(generated.samples(len(x), part))
    )
    if rejection.bank is not None:
        negatives = hardest(negatives, np.array([is_word(label) for label in model.labels]))
    return logits, negatives, np.concatenate([codes, np.full(len(negatives), generated.label, np.int64)])


def hardest(logits: Array, words: NDArray[np.bool_]) -> Array:
    """Return the share `HARDEST` of logits (N, classes), those with the highest odds of a word, in their order.

    >>> hardest(np.arange(12.0).reshape(6, 2) * [1, 0], np.array([True, False]))
    array([[ 8.,  0.],
           [10.,  0.]])
    """
    order = np.argsort(-odds(logits, words), kind="stable")
    return logits[np.sort(order[: max(1, round(HARDEST * len(logits)))])]
