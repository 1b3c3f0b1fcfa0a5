"""Results of a training run: what the clips say that its networks had not learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audioconv.audio.read import Segment
from audioconv.decision.classes import is_word
from audioconv.evaluation import Evaluation
from audioconv.model import Model
from audioconv.recipe.train import TrainingReport

MAX_MISTAKES = 100

FindClip = Callable[[str], Mapping[str, Any] | None]


def describe_results(
    report: TrainingReport, model: Model, project: Path, history: Sequence[Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    """Return what came of training as JSON-compatible data; clips are named by `clip_id`."""
    held, curve = report.held_out, report.curve
    found: dict[str, Any] = {
        "accuracy": None,
        "interval": None,
        "clips": 0,
        "held_out": _how(report),
        "confusion": None,
        "words_found": None,
        "false_accepts": None,
        "false_accepts_per_hour": None,
        "hours": None,
        "mistakes": [],
        "history": list(history),
        "seconds": seconds,
        "curve": None,
    }
    if held is not None and held.count:
        outcomes, accepts = held.outcomes, held.false_accepts
        found |= {
            "accuracy": held.accuracy,
            "interval": list(held.right.interval),
            "clips": held.count,
            "confusion": {"labels": list(held.classes), "counts": held.confusion.tolist()},
            "words_found": None if outcomes is None or not outcomes.count else outcomes.hits.value,
            "false_accepts": None if accepts is None or not accepts.whole else accepts.value,
            "mistakes": mistakes(held, project),
        }
    if curve is not None and model.kind == "audio":
        from audioconv.streaming.detector import chosen_threshold

        threshold = chosen_threshold(model)
        at = curve.at(threshold)
        rates = curve.false_accepts_per_hour if curve.hours else [None] * len(curve.thresholds)
        found |= {
            "words_found": at["found"],
            "false_accepts_per_hour": at["false_accepts_per_hour"] if curve.hours else None,
            "hours": curve.hours or None,
            "curve": {
                "threshold": threshold,
                "hours": curve.hours,
                "points": [
                    {"threshold": threshold, "found": share, "negatives": negatives, "false_accepts_per_hour": rate}
                    for threshold, share, negatives, rate in zip(
                        curve.thresholds, curve.found, curve.negatives, rates, strict=True
                    )
                ],
            },
        }
    return found


def mistakes(held: Evaluation, project: Path) -> list[dict[str, Any]]:
    """Return the clips whose answer is wrong, the surest mistakes first; the answer None is "none of these"."""
    found: list[dict[str, Any]] = []
    if held.scored is None:
        return found
    answers = held.answers(held.scored)
    labels = [held.labels[code] for code in answers.codes.tolist()]
    rows = zip(held.scored.examples, held.scored.names, labels, answers.scores.tolist(), answers.accepted, strict=True)
    for example, label, nearest, score, accepted in rows:
        answer = nearest if accepted or not is_word(nearest) else None
        is_right = answer == label or (not is_word(label) and (answer is None or not is_word(answer)))
        if not is_right:
            found.append({"clip": clip_id(example, project), "label": label, "answer": answer, "score": score})
    # A word that was rejected is the worse, the less it was like itself.
    found.sort(key=lambda one: -one["score"] if one["answer"] is not None else one["score"])
    return found[:MAX_MISTAKES]


def clip_id(example: object, project: Path) -> str:
    """Return which clip of a project an example is, as `Clip.id` has it."""
    from audioconv.datasets.collection import Item
    from audioconv.lab.clips import Clip, listed_path

    if isinstance(example, Segment):
        path = Path(example.path)
        item = Item(path, "", begin=example.begin, end=example.end)
    else:
        path = Path(str(example))
        item = Item(path, "")
    return Clip(item, listed_path(path, project)).id


def _how(report: TrainingReport) -> str:
    """Return in a sentence how clips were held out."""
    if report.held_out is None:
        return "no clips were held out"
    if report.folds:
        how = f"{report.folds} networks, each trained without one part of {report.folds}, answer for the clips of it"
    else:
        how = "a part of the clips trained nothing and gives the accuracy"
    if report.final_history is not None:
        how += "; the model itself is trained with all clips"
    return how + ("; no speaker is in two parts" if report.by_speaker else "; the same voices are in all parts")
