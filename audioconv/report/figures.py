"""Figures of a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from audioconv._types import Array
from audioconv.evaluation import Calibration, Detection, LongPoint, LongResult, other_words, percent
from audioconv.evaluation.curves import Curve
from audioconv.evaluation.other_words import parts
from audioconv.report.html import Html, join, tag
from audioconv.report.svg import Axis, Plot, logarithmic, logit, probit, shares
from audioconv.report.text import rounded
from audioconv.training.history import History

_DET_TICKS = (0.0001, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
_WIDE_DET_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95)
HISTOGRAM_BINS = 40
_SCORES = (0.03, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
"""Ticks of the scores, in equal steps of their logits or so; what lies beyond the ends is drawn there."""
_NAMES_AT = 0.04
WIDE, NARROW = 920, 440
"""Widths of figures that fill the page. The wide one, scaled to a telephone, would have letters that are too small."""


def figure(title: str, drawing: Html, *caption: Html | str, class_: str = "") -> Html:
    """Return a drawing with its title above and its caption below."""
    below = tag("p", *caption, class_="caption") if caption else None
    head = tag("figcaption", tag("h3", title), below)
    return tag("figure", head, drawing, class_=f"figure {class_}".strip())


def roc(detection: Detection) -> Html:
    """Draw hits against false accepts."""
    curve, chosen = detection.curve, detection.chosen
    plot = Plot(shares(title=f"{_others(detection)} accepted"), shares(title="words accepted"))
    plot.line([0, 1], [0, 1], "guide")
    x, hits = _drawn(curve, plot, lambda misses: 1 - misses)
    plot.area([*x, 1], [0] * (len(x) + 1), [*hits, 1], "words")
    # Beyond the lowest threshold nothing can be accepted: only the sum of the area goes on there.
    plot.line([x[-1], 1], [hits[-1], 1], "words faint")
    plot.line(x, hits, "words")
    _mark(plot, chosen.false_accepts.value, 1 - chosen.misses.value, detection)
    return plot.render(
        f"ROC curve of words against {detection.against}. Area under the curve {detection.area:.4f}. At the threshold "
        f"{percent(chosen.false_accepts.value)} of the {_others(detection)} and "
        f"{percent(1 - chosen.misses.value)} of the words are accepted."
    )


def det(detection: Detection) -> Html:
    """Draw misses against false accepts, both on the scale of the normal distribution."""
    curve, chosen, error = detection.curve, detection.chosen, detection.equal_error_rate
    high = 0.6 if max(error, chosen.false_accepts.value, chosen.misses.value) < 0.55 else 0.95
    x = _error_axis(len(detection.others), high, f"{_others(detection)} accepted")
    y = _error_axis(len(detection.targets), high, "words missed")
    plot = Plot(x, y)
    lowest = max(x.low, y.low)
    plot.line([lowest, high], [lowest, high], "guide")
    plot.line(*_drawn(curve, plot, lambda misses: misses, high), "words")
    plot.dot(error, error, "hollow")
    _mark(plot, chosen.false_accepts.value, chosen.misses.value, detection)
    return plot.render(
        f"DET curve of words against {detection.against}, both axes on a normal-deviate scale. Equal error rate "
        f"{percent(error)}. At the threshold {percent(chosen.false_accepts.value)} falsely accepted, "
        f"{percent(chosen.misses.value)} missed."
    )


def _drawn(curve: Curve, plot: Plot, height: Callable[[Array], Array], high: float = 1.0) -> tuple[Array, Array]:
    """Return the points of a curve of rates up to `high` that are to be seen, of as many as there may be.

    They are false accept rates, and what `height` makes of miss rates.
    """
    found = []
    for begin in range(0, len(curve), other_words.CHUNK):
        _, x, misses = curve.points(np.arange(begin, min(begin + other_words.CHUNK, len(curve))))
        inside = (x <= high) & (misses <= high)
        x, y = x[inside], height(misses[inside])
        apart = plot.are_apart(x, y)
        found.append((x[apart], y[apart]))
    x, y = (np.concatenate(some) for some in zip(*found, strict=True))
    return x, y


def scores(detection: Detection) -> Html:
    """Draw how the scores of words lie above those of the others, with the threshold between them."""
    return join(_scores(detection, WIDE, "wide-only"), _scores(detection, NARROW, "narrow-only"))


def _scores(detection: Detection, width: int, class_: str) -> Html:
    low, high = _SCORES[0], _SCORES[-1]
    ends = logit(np.array([low, high]))
    odds = np.exp(np.linspace(ends[0], ends[1], HISTOGRAM_BINS + 1))
    edges = odds / (1 + odds)
    edges[0], edges[-1] = low, high
    counts = [
        sum(np.histogram(np.clip(some, low, high), edges)[0] for some in parts(found)) / len(found)
        for found in (detection.targets, detection.others)
    ]
    # By the square root, rare scores can be seen beside frequent ones.
    heights = [np.sqrt(count) for count in counts]
    top = max(float(max(height.max() for height in heights)), 1e-6) * 1.12
    x = Axis(low, high, [(score, f"{100 * score:g}%") for score in _SCORES[1:]], "score of the answer", logit)
    plot = Plot(x, Axis(-top, top, []), width, 300, left=24, right=30)
    plot.bars(edges, np.zeros(HISTOGRAM_BINS), heights[0], "words")
    plot.bars(edges, np.zeros(HISTOGRAM_BINS), -heights[1], "others")
    plot.line([low, high], [0, 0], "axis")
    plot.write(_NAMES_AT, top * 0.82, "words", "start", "strong words")
    plot.write(_NAMES_AT, -top * 0.92, _others(detection), "start", "strong others")
    plot.rule(detection.threshold, f"threshold {percent(detection.threshold)}")
    chosen = detection.chosen
    return plot.render(
        f"Histograms of scores: words above, {_others(detection)} below. {percent(1 - chosen.misses.value)} of the "
        f"words and {percent(chosen.false_accepts.value)} of the {_others(detection)} lie above the threshold of "
        f"{percent(detection.threshold)}.",
        class_,
    )


def reliability(calibration: Calibration) -> Html:
    """Draw how often answers are right beside the score that they have, and below how many have it."""
    plot = Plot(shares(), shares(title="are right"), height=300, bottom=30)
    plot.line([0, 1], [0, 1], "guide")
    filled = [bin for bin in calibration.bins if bin.right.whole]
    for bin in filled:
        plot.whisker(bin.mean_score, *bin.right.interval, kind="words")
    for bin in filled:
        # A larger dot stands for more clips, so that points of few clips do not stand out.
        plot.dot(bin.mean_score, bin.right.value, "words", 2.5 + 3.5 * (bin.right.whole / calibration.count) ** 0.5)
    counts = np.array([bin.right.whole for bin in calibration.bins])
    top = float(counts.max(initial=1))
    below = Plot(shares(title="score"), Axis(0, top, [(top, f"{int(top):,}")], "clips"), height=122, bottom=50, top=8)
    below.bars([0.0, *(bin.high for bin in calibration.bins)], np.zeros(len(counts)), counts, "words")
    told = "; ".join(
        f"score {percent(bin.mean_score)}: {percent(bin.right.value)} of {bin.right.whole} right" for bin in filled
    )
    return join(
        plot.render(f"Reliability diagram, score against share of right answers. {told}."),
        below.render(f"How many clips have which score: {', '.join(map(str, counts.tolist()))} from 0 to 100%."),
    )


def per_hour(long: LongResult) -> Html:
    """Draw false accepts an hour over misses, or over thresholds where there were no words to miss."""
    return join(_per_hour(long, WIDE, "wide-only"), _per_hour(long, NARROW, "narrow-only"))


def _per_hour(long: LongResult, width: int, class_: str) -> Html:
    used, operating = long.in_use, long.chosen
    rates = np.array([point.false_accepts_per_hour for point in long.points])
    least = 1 / long.hours  # less than one false accept in all cannot be seen
    low, high = (
        10 ** math.floor(math.log10(least / 2)),
        10 ** math.ceil(math.log10(max(float(rates.max()), least) * 1.1)),
    )
    powers = range(round(math.log10(low)), round(math.log10(high)) + 1)
    ticks = [(10.0**power, f"{10.0**power:g}" if place else "0") for place, power in enumerate(powers)]
    y = Axis(low, high, ticks, "false accepts an hour", logarithmic)

    def across(point: LongPoint) -> float:
        return point.threshold if point.miss_rate is None else point.miss_rate

    plot = Plot(shares(title="words missed" if long.words else "threshold"), y, width)
    plot.line(np.array([across(point) for point in long.points]), rates, "others")
    plot.dot(across(operating), max(operating.false_accepts_per_hour, low), "hollow")
    place = across(used), max(used.false_accepts_per_hour, low)
    plot.dot(*place, "chosen", 5)
    plot.note(*place, [f"threshold {percent(used.threshold)}", f"{rounded(used.false_accepts_per_hour)} an hour"])
    missed = "" if used.miss_rate is None else f", {percent(used.miss_rate)} of the words missed"
    gives = f"{rounded(used.false_accepts_per_hour)} an hour{missed}"
    return plot.render(
        f"False accepts an hour against {'misses' if long.words else 'the threshold'}, over {rounded(long.hours)} "
        f"hours. At the threshold of {percent(used.threshold)}: {gives}.",
        class_,
    )


def training(history: History, final: History | None) -> list[Html]:
    """Draw loss and accuracy, epoch by epoch."""
    runs = [("training", history, "others"), ("second run", final, "final")]
    return [
        figure(
            "Loss",
            _epochs("loss", [(n, [(r.epoch, r.train_loss) for r in h], k) for n, h, k in runs if h]
                    + _watched(history, "validation_loss"), history),
        ),
        figure(
            "Accuracy",
            _epochs("accuracy", [(n, [(r.epoch, r.train_accuracy) for r in h], k) for n, h, k in runs if h]
                    + _watched(history, "validation_accuracy"), history),
        ),
    ]  # fmt: skip


Line = tuple[str, list[tuple[int, float]], str]


def _watched(history: History, name: str) -> list[Line]:
    values = [(row.epoch, getattr(row, name)) for row in history if getattr(row, name) is not None]
    return [("validation", values, "words")] if values else []


def _epochs(what: str, lines: Sequence[Line], history: History) -> Html:
    """Draw lines over epochs; the one whose parameters were kept has a rule."""
    longest = max(epoch for _, values, _ in lines for epoch, _ in values)
    step = max(1, round(longest / 5))
    numbered = sorted({1, *range(step, longest + 1, step)})
    x = Axis(1, max(longest, 2), [(float(epoch), str(epoch)) for epoch in numbered], "epoch")
    everything = [value for _, values, _ in lines for _, value in values if math.isfinite(value)]
    if what == "accuracy":
        y = shares()
    else:
        high = _round_up(max(everything, default=1.0))
        y = Axis(0, high, [(high * i / 4, f"{high * i / 4:.2g}") for i in range(5)])
    plot = Plot(x, y, left=48)
    if len(lines) > 1:
        plot.rule(history.best_epoch, f"best: {history.best_epoch}", at_top=what == "loss")
    for _, values, kind in lines:
        shown = [(epoch, value) for epoch, value in values if math.isfinite(value)]
        plot.line([e for e, _ in shown], [v for _, v in shown], kind)
    told = "; ".join(f"{name} {rounded(values[0][1], 3)} at first, {rounded(values[-1][1], 3)} at last"
                     for name, values, _ in lines)  # fmt: skip
    legend = tag("p", [tag("span", name, class_=f"key {kind}") for name, _, kind in lines], class_="legend")
    return join(plot.render(f"{what.capitalize()} over {longest} epochs: {told}."), legend)


def _mark(plot: Plot, x: float, y: float, detection: Detection) -> None:
    plot.dot(x, y, "chosen", 5)
    lines = [f"threshold {percent(detection.threshold)}"] if detection.threshold else ["no threshold"]
    plot.note(x, y, lines)


def _others(detection: Detection) -> str:
    return detection.against


def _error_axis(count: int, high: float, title: str) -> Axis:
    """Return a scale of normal deviates down to what one error among `count` would be."""
    low = max(min(0.5 / count, 0.02), 0.0001)
    all_ticks = _DET_TICKS if high < 0.9 else _WIDE_DET_TICKS
    ticks = [(tick, percent(tick).replace(".0%", "%")) for tick in all_ticks if low <= tick <= high]
    return Axis(low, high, ticks, title, probit)


def _round_up(value: float) -> float:
    """Return a number a little above `value` that quarters well."""
    if value <= 0:
        return 1.0
    unit = 10 ** math.floor(math.log10(value))
    return float(next(step * unit for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * unit >= value))
