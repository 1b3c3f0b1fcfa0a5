"""Sections on the likeliest class: confusions, each class, calibration."""

from __future__ import annotations

import math

from audioconv.evaluation import Evaluation, Share, percent
from audioconv.report import figures
from audioconv.report.html import Html, join, table, tag
from audioconv.report.text import interval

NOTHING = "\N{EN DASH}"

NUMBERED_FROM = 13
"""Classes from which on the columns of the confusion matrix stand upright and close together."""

MAX_MATRIX_CLASSES = 60
"""Classes up to which there is a matrix; of more, the most frequent mistakes are listed alone."""


def confusion(evaluation: Evaluation) -> Html | None:
    """Return the confusion matrix as a table whose cells are coloured by their share of the row."""
    if not evaluation.count:
        return None
    classes, matrix = evaluation.classes, evaluation.confusion
    if len(classes) > MAX_MATRIX_CLASSES:
        return _frequent(evaluation, most=40)
    rows = []
    for i, label in enumerate(classes):
        whole = int(matrix[i].sum())
        cells = [_cell(int(matrix[i, j]), whole, label, given, i == j) for j, given in enumerate(classes)]
        rows.append(tag("tr", tag("th", label, scope="row"), cells))
    heads = [tag("th", tag("span", label), scope="col") for label in classes]
    corner = tag("td", tag("span", "is ↓  taken for →", class_="corner"))
    caption = "Confusion matrix: rows are what clips are, columns what they are taken for"
    size = "dense" if len(classes) >= NUMBERED_FROM else None
    drawn = tag(
        "table",
        tag("caption", caption, class_="unseen"),
        tag("thead", tag("tr", corner, heads)),
        tag("tbody", rows),
        class_=f"confusion {size or ''}".strip(),
    )
    said = "Each clip counts for its likeliest class, whatever the threshold. Darker is a larger share of the row."
    box = tag("div", drawn, class_="wide", tabindex=0, role="region", aria_label=caption)
    return join(tag("p", said), box, _frequent(evaluation))


def classes(evaluation: Evaluation) -> Html | None:
    """Return a table of precision, recall and F1, and of what is accepted."""
    if not evaluation.count:
        return None
    outcomes = evaluation.outcomes_by_class
    rows = []
    for label, score in evaluation.per_class.items():
        accepted = outcomes[label].hits if label in outcomes else None
        right = Share(round(score.recall * score.count), score.count)
        rows.append(
            [
                label,
                f"{score.count:,}",
                *(_measured(share) if score.count else NOTHING for share in (score.precision, score.recall)),
                interval(right) if score.count else NOTHING,
                _measured(score.f1) if score.count else NOTHING,
                _measured(accepted.value) if accepted and accepted.whole else NOTHING,
            ]
        )
    heads = ["class", "clips", "precision", "recall", "95% interval", "F1", "accepted and right"]
    said = (
        "Precision is how many of the clips given a label have it, recall how many of the clips that have it were "
        "given it, F1 the harmonic mean of both. The last column is at the threshold."
    )
    return join(tag("p", said), table(heads, rows, "Precision, recall and F1 of each class"))


def calibration(evaluation: Evaluation) -> Html | None:
    """Return the reliability diagram with a sentence."""
    found = evaluation.calibration
    if not found or not found.count:
        return None
    apart = found.mean_score - found.accuracy
    if abs(apart) < 0.01:
        how = "On the whole the model is neither overconfident nor underconfident."
    else:
        how = f"On the whole the model is {'overconfident' if apart > 0 else 'underconfident'}."
    said = (
        f"Of answers with a score of 80%, 80% should be right. The scores here are off by "
        f"{percent(found.expected_error)} on average (the expected calibration error). Their "
        f"mean is {percent(found.mean_score)}, and {percent(found.accuracy)} are right. {how}"
    )
    temperature = evaluation.decision.temperature
    if temperature != 1:
        said += f" The model divides its logits by {temperature:.3g} for that, a temperature fitted in training."
    told = "Dots on the line would be perfect; large ones are of many clips. Uprights are 95% intervals."
    drawn = figures.figure("Reliability", figures.reliability(found), told)
    rows = [
        (f"{bin.low:.0%} to {bin.high:.0%}", f"{bin.right.whole:,}", percent(bin.mean_score),
         percent(bin.right.value), interval(bin.right))
        for bin in found.bins if bin.right.whole
    ]  # fmt: skip
    numbers = table(("score", "clips", "mean score", "right", "95% interval"), rows, "Reliability in numbers")
    return join(tag("p", said), tag("div", drawn, numbers, class_="pair"))


def _cell(part: int, whole: int, label: str, given: str, is_right: bool) -> Html:
    share = part / whole if whole else 0.0
    strength = _strength(share)
    kind = "hit" if is_right else "miss"
    told = f"{label} taken for {given}: {part:,} of {whole:,}, {percent(share)}"
    return tag(
        "td",
        tag("span", f"{part:,}") if part else tag("span", "·", class_="none"),
        class_=f"{kind}{' strong' if strength > 0.5 else ''}",
        style=f"--share:{strength:.3f}" if part else None,
        title=told,
    )


def _strength(share: float) -> float:
    """Return how strong the colour of a share is, 0 to 1.

    By the square root, so that a few mistakes are seen beside many right answers; and with no shade in the middle,
    on which neither dark nor light numbers could be read.
    """
    root = math.sqrt(share)
    return 0.72 * root if share < 0.5 else 0.9 + 0.2 * (share - 0.5)


def _frequent(evaluation: Evaluation, most: int = 8) -> Html | None:
    """Return the most frequent mistakes, where the matrix is too large to see them at once."""
    classes, matrix = evaluation.classes, evaluation.confusion
    if len(classes) < NUMBERED_FROM:
        return None
    mistakes = sorted(
        ((int(matrix[i, j]), wanted, given) for i, wanted in enumerate(classes) for j, given in enumerate(classes)
         if i != j and matrix[i, j]),
        key=lambda mistake: -mistake[0],
    )[:most]  # fmt: skip
    if not mistakes:
        return None
    totals = {label: int(row.sum()) for label, row in zip(classes, matrix, strict=True)}
    rows = [(wanted, given, f"{part:,}", percent(part / totals[wanted])) for part, wanted, given in mistakes]
    return table(("is", "taken for", "clips", "share"), rows, "The most frequent mistakes", class_="named")


def _measured(share: float) -> Html:
    """Return a share with a small bar."""
    return tag("span", percent(share), class_="measured", style=f"--share:{share:.3f}")
