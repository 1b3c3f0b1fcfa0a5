"""Sections on the threshold and its alternatives."""

from __future__ import annotations

from typing import Any

from audioconv.decision.calibration import negatives_of, why_more_pass
from audioconv.decision.decision import Decision
from audioconv.evaluation import Detection, Evaluation, LongPoint, LongResult, percent
from audioconv.evaluation.curves import NEGATIVES
from audioconv.report import figures
from audioconv.report.facts import Facts
from audioconv.report.html import Html, join, table, tag
from audioconv.report.text import count, interval, of, rounded

RATES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
"""Shares of false accepts for which the threshold is shown."""


def outcomes(facts: Facts) -> Html | None:
    """Return what is accepted and what is rejected, as bars, with where the threshold comes from."""
    evaluation = facts.evaluation
    found, false_accepts = evaluation.outcomes, evaluation.false_accepts
    bars = []
    if found and found.count:
        parts = [("accepted and right", found.right, "right"), ("taken for another word", found.wrong, "wrong"),
                 ("rejected", found.rejected, "away")]  # fmt: skip
        bars.append(_bar(count(found.count, "word"), parts, found.count))
    if false_accepts:
        rejected = false_accepts.whole - false_accepts.part
        parts = [("rejected", rejected, "right"), ("accepted", false_accepts.part, "wrong")]
        bars.append(_bar(count(false_accepts.whole, "negative"), parts, false_accepts.whole))
    if not bars:
        return None
    detection = evaluation.detection
    spread = (
        None
        if detection is None
        else figures.figure(
            "Scores of words" + (" and of negatives" if detection.against == NEGATIVES else ", and of the other words"),
            figures.scores(detection),
            "Heights are square roots of shares, so that rare scores are visible."
            + (" A confused word counts with the lowest score." if detection.against == NEGATIVES else ""),
            class_="broad",
        )
    )
    return join(tag("p", _explained(evaluation)), tag("div", bars, class_="bars"), spread, _by_name(evaluation))


def curves(evaluation: Evaluation) -> Html | None:
    """Return ROC and DET curves, and a table of thresholds."""
    detection = evaluation.detection
    if detection is None:
        return None
    if detection.against == NEGATIVES:
        said = (
            "Every threshold trades missed words for accepted negatives. A word counts as accepted only with its own "
            "label: a confused word is missed."
        )
    else:
        said = (
            "There were no negatives to evaluate with, so each word is compared with the other words: how often its "
            "probability passes the threshold for clips of it, and for clips of the others. This does not measure the "
            "rejection of other sounds."
        )
    drawn = tag(
        "div",
        figures.figure("ROC", figures.roc(detection), f"Area under the curve {detection.area:.4f}; 1 is perfect."),
        figures.figure(
            "DET", figures.det(detection),
            f"The circle is where both errors are equal, {percent(detection.equal_error_rate)}. Lower left is better.",
        ),
        class_="pair",
    )  # fmt: skip
    return join(tag("p", said), drawn, _table(detection))


def long(result: LongResult) -> Html:
    """Return false accepts an hour against misses."""
    used, operating = result.in_use, result.chosen
    heard = f"{rounded(result.hours)} hours" if result.hours > 1 else f"{rounded(60 * result.hours)} minutes"
    said = f"In {heard} of recordings"
    said += f" with {count(result.words, 'word')} to find" if result.words else ""
    said += f", the threshold of {percent(used.threshold)} gives {_false_accepts(used)}."
    aim = f"{result.wanted:g} an hour"
    if not result.reaches:
        said += f" No threshold has as few as {aim}: the highest, {percent(operating.threshold)}, gives "
        said += f"{_false_accepts(operating)}."
    elif operating.threshold != used.threshold:
        what = "The fewest words are missed" if result.words else "The lowest threshold"
        said += f" {what} with at most {aim} at {percent(operating.threshold)}, which gives "
        said += f"{_false_accepts(operating)}."
    against = "misses" if result.words else "the threshold"
    return join(
        tag("p", said),
        figures.figure(
            f"False accepts an hour against {against}",
            figures.per_hour(result),
            f"The dot is the threshold in use; the circle the one for at most {aim}.",
            class_="broad",
        ),
    )


def _false_accepts(point: LongPoint) -> str:
    """Return what a threshold gives, as part of a sentence."""
    said = f"{count(point.false_accepts, 'false accept')} ({rounded(point.false_accepts_per_hour)} an hour)"
    return said if point.miss_rate is None else f"{said} and misses {percent(point.miss_rate)} of the words"


def _explained(evaluation: Evaluation) -> str:
    """Return the operating point in a sentence or two."""
    decision = evaluation.decision
    if not decision.threshold:
        return (
            "This model has no threshold: it answers with the likeliest class, however unlikely that is. "
            "Models trained with a stated share of false accepts have one."
        )
    said = f"An answer counts if its probability is at least {percent(decision.threshold)}; else it is “none of these”."
    if decision.false_accepts is not None:
        said += f" The threshold was chosen so that at most {percent(decision.false_accepts)} of the negatives pass."
        chosen_on = _basis(decision)
        said += f" {chosen_on}" if chosen_on else ""
    if decision.auxiliary:
        made = ", ".join(decision.auxiliary)
        said += f" Training made the class {made}; it is never the answer."
    return said


def _basis(decision: Decision) -> str | None:
    """Return a sentence on the clips that chose the threshold; None where the model lacks the fields of `calibrate`.

    A model may come from anywhere, and so may what stands there.
    """
    words, others = (decision.basis.get(name) for name in ("words", "others"))
    right, wrong = (decision.basis.get(name) for name in ("words_accepted_and_right", "others_accepted"))
    if not (isinstance(words, int) and isinstance(others, int)):
        return None
    if not (isinstance(right, float) and isinstance(wrong, float)):
        return None
    reason = f" ({told})" if (told := why_more_pass(decision)) else ""
    return (
        f"It was chosen on {count(others, negatives_of(decision))}, of which it accepts {percent(wrong)}{reason}, and "
        f"on {count(words, 'clip')} of words that had not trained the network, of which it accepts {percent(right)} "
        "with their own label."
    )


def _bar(name: str, parts: list[tuple[str, int, str]], whole: int) -> Html:
    """Return one bar of parts, and below it what each is."""
    filled = [
        tag("span", style=f"flex-grow:{part}", class_=kind, aria_hidden="true") for _, part, kind in parts if part
    ]
    told = [
        tag("li", tag("b", percent(part / whole)), f" {what} ", tag("span", f"{part:,}", class_="of"), class_=kind)
        for what, part, kind in parts
    ]
    return tag("div", tag("h3", name), tag("div", filled, class_="stack"), tag("ul", told), class_="outcome")


def _by_name(evaluation: Evaluation) -> Html | None:
    """Return a table of the accepted negatives by kind, where there are several."""
    found = evaluation.false_accepts_by_name
    if len(found) < 2:
        return None
    rows = [
        (name, f"{share.whole:,}", f"{share.part:,}", percent(share.value), interval(share))
        for name, share in found.items()
    ]
    return table(("negatives", "clips", "accepted", "share", "95% interval"), rows, "Negatives by their origin")


def _table(detection: Detection) -> Html:
    points = dict.fromkeys(detection.within(rate) for rate in RATES)
    rows = [_row(point.false_accepts.value, point.threshold, point) for point in points]
    chosen = detection.chosen
    rows.append(_row(chosen.false_accepts.value, chosen.threshold, chosen))
    ordered = sorted(rows, key=lambda row: (-row[0], row[1]))
    shown = [([tag("b", cell) for cell in cells] if point is chosen else cells) for _, _, point, cells in ordered]
    return table(
        (f"{detection.against} accepted", "", "threshold", "words missed", ""),
        shown,
        "What other thresholds give; the model's own is bold",
    )


def _row(rate: float, threshold: float, point: Any) -> tuple[float, float, Any, list[str]]:
    cells = [
        percent(point.false_accepts.value), of(point.false_accepts),
        percent(min(point.threshold, 1.0)), percent(point.misses.value), of(point.misses),
    ]  # fmt: skip
    return rate, threshold, point, cells
