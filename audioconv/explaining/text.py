"""Sentences of an explanation."""

from __future__ import annotations

from typing import Any

from audioconv.explaining.explanation import Explanation


def verdict(explanation: Explanation) -> str:
    """Return the answer as text."""
    if explanation.accepted:
        return f"\u201c{explanation.answer}\u201d, {percent(explanation.score(explanation.answer))}"
    nearest = explanation.nearest
    return f"none of these (nearest: \u201c{nearest}\u201d, {percent(explanation.score(nearest))})"


def findings(explanation: Explanation) -> list[str]:
    """Return in a few lines what the label rests on."""
    label, found = explanation.label, explanation.region
    if found is None:
        return [f"nothing speaks for \u201c{label}\u201d"]
    score = explanation.score(label)
    return [
        f"what speaks most for \u201c{label}\u201d:",
        where(found.bounds),
        f"with it hidden, {percent(score)} become {percent(found.score_without)}",
        f"({found.evidence:.1f} bits: odds {_odds(found.evidence)})",
    ]


def where(bounds: dict[str, Any]) -> str:
    """Return the bounds of a region as text.

    >>> where({"begin_seconds": 0.2, "end_seconds": 0.35, "lowest_hz": 200.0, "highest_hz": 1234.0})
    '0.20 to 0.35 s, 200 to 1,230 Hz'
    """
    if "left" in bounds:
        return f"columns {bounds['left']} to {bounds['right']}, rows {bounds['top']} to {bounds['bottom']}"
    if "begin_seconds" not in bounds:
        return f"rows {bounds['top']} to {bounds['bottom']}"
    text = f"{bounds['begin_seconds']:.2f} to {bounds['end_seconds']:.2f} s"
    if "lowest_note" in bounds:
        text += f", {_range('note', bounds['lowest_note'], bounds['highest_note'])}"
    if "lowest_hz" in bounds:
        text += f", {round(bounds['lowest_hz'], -1):,.0f} to {round(bounds['highest_hz'], -1):,.0f} Hz"
    if "first_coefficient" in bounds:
        text += f", coefficients {bounds['first_coefficient']} to {bounds['last_coefficient']}"
    if "first_pitch_class" in bounds:
        text += f", {_range('pitch class', bounds['first_pitch_class'], bounds['last_pitch_class'])}"
    if "first_value" in bounds:
        text += f", {_range('value', bounds['first_value'], bounds['last_value'])}"
    return text


def _range(what: str, first: object, last: object) -> str:
    """Return a range as text, such as ``notes C4 to E4``, or the one that it is.

    >>> _range("pitch class", "D", "D"), _range("value", 0, 2)
    ('pitch class D', 'values 0 to 2')
    """
    if first == last:
        return f"{what} {first}"
    return f"{what}{'es' if what.endswith('s') else 's'} {first} to {last}"


def percent(score: float) -> str:
    """Return a probability in per cent, with more places where it is nearly certain, or nearly none.

    >>> percent(0.5), percent(0.9996), percent(0.999999), percent(0.00004)
    ('50 %', '99.96 %', '> 99.99 %', '< 0.01 %')
    """
    if 0.01 <= score <= 0.99:
        return f"{100 * score:.0f} %"
    if score < 0.0001:
        return "< 0.01 %"
    return "> 99.99 %" if score > 0.9999 else f"{100 * score:.2f} %"


def _odds(bits: float) -> str:
    """Return what becomes of odds that lose so many bits."""
    fall = "fall" if bits > 0 else "rise"
    factor = 2.0 ** min(abs(bits), 30)
    if factor > 1e6:
        return f"{fall} over a million-fold"
    return f"{fall} {factor:.1f}-fold" if factor < 10 else f"{fall} {float(f'{factor:.2g}'):,.0f}-fold"
