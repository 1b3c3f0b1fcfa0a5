"""Sections on training, speed, model and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audioconv.evaluation import percent
from audioconv.features.front_ends import FrontEnd
from audioconv.features.librosa_front_end import Librosa
from audioconv.layers import Summary, summary
from audioconv.recipe import spoken_words
from audioconv.recipe.settings import present_names
from audioconv.report import figures
from audioconv.report.facts import Facts
from audioconv.report.html import Content, Html, join, table, tag
from audioconv.report.text import count, rounded
from audioconv.training.progress import duration

MAX_LABELS = 60


def training(facts: Facts) -> Html | None:
    """Return the curves of training."""
    history, final = facts.history, facts.final_history
    if history is None:
        return None
    seconds = sum(row.seconds for run in (history, final) if run for row in run)
    said = f"{count(len(history), 'epoch')} in {duration(seconds)}"
    last = history[-1]
    if last.validation_accuracy is not None:
        said += f"; after the last, {percent(last.validation_accuracy)} of the clips that were kept apart to watch "
        said += "were right"
    said += ". Training clips are changed at random while they are learned from, so they may look harder."
    if final is not None:
        said += f" Then {count(len(final), 'epoch')} more, anew, with the clips that had watched."
    settings = present_names(_mapping(facts.model.provenance.get("settings")))
    members, runs = settings.get("ensemble_size"), settings.get("averaged_runs")
    if isinstance(runs, int) and runs > 1:
        said += f" These are the epochs of the first of {runs} runs whose parameters are averaged."
    if isinstance(members, int) and members > 1:
        said += f" These are the epochs of the first of {members} networks that decide together."
    return join(tag("p", said), tag("div", figures.training(history, final), class_="pair"))


def speed(facts: Facts) -> Html | None:
    """Return how fast the model is on this machine."""
    found = facts.speed
    if found is None:
        return None
    front_end, samples = facts.model.front_end, facts.model.clip_samples
    lines: list[tuple[str, Content]] = [
        ("one clip, from samples to answer", f"{rounded(found.milliseconds)} ms (median)"),
        ("19 of 20 take at most", f"{rounded(found.slow_milliseconds)} ms"),
        ("in batches", f"{rounded(found.per_second, 3)} clips a second, {found.batch} at a time"),
    ]
    if front_end is not None and samples:
        seconds = samples / front_end.sample_rate
        lines.append(
            ("faster than real time", f"{rounded(1000 * seconds / found.milliseconds)} times, one clip at a time")
        )
    lines.append(("on", f"{found.processor}, {count(found.cores, 'core')}"))
    return _list(lines)


def model(facts: Facts) -> Html:
    """Return the model's card."""
    described, known = facts.model, facts.model.provenance
    layers = summary(described.network, described.input_shape)
    settings = present_names(_mapping(known.get("settings")))
    arch = settings.get("arch")
    lines: list[tuple[str, Content]] = [
        ("labels", _labels(described.labels)),
        ("input", _input(facts)),
        ("network", f"{'of its own' if arch in (None, '', 'auto') else arch}: {layers.parameters:,} parameters, "
                    f"{layers.multiply_adds:,} multiply-adds"),
    ]  # fmt: skip
    decision = described.decision
    lines.append(("temperature", f"{decision.temperature:.3g}"))
    lines.append(("threshold", percent(decision.threshold) if decision.threshold else "none"))
    for split in ("validation", "test"):
        accuracy = known.get(f"{split}_accuracy")
        if isinstance(accuracy, float):
            lines.append((f"{split} accuracy then", percent(accuracy)))
    if facts.file_bytes:
        lines.append(("file", f"{facts.file_bytes / 1e3:,.0f} kB"))
    if "audioconv" in known:
        lines.append(("made by", f"audioconv {known['audioconv']}"))
    details = [tag("details", tag("summary", f"{len(layers.rows)} layers"), _layers(layers))]
    chosen = [(name.replace("_", " "), str(value)) for name, value in settings.items() if value is not None]
    if chosen:
        details.append(tag("details", tag("summary", "Settings of its training"), _list(chosen)))
    if described.front_end:
        fields = [(name.replace("_", " "), str(value)) for name, value in _fields(described.front_end).items()]
        kind = type(described.front_end).__name__
        details.append(tag("details", tag("summary", f"Front end: {kind}"), _list(fields)))
    return join(_list(lines), details)


def data(facts: Facts) -> Html:
    """Return the cards of the data: what the model learned from, and what it was evaluated with."""
    learned = _mapping(facts.model.provenance.get("data"))
    about = facts.evaluation.about
    parts = []
    if learned:
        lines = _source(learned)
        if spoken := spoken_words.describe(facts.model.provenance.get("spoken")):
            lines.append(("synthetic voices", spoken))
        if "unreadable" in learned:
            lines.append(("unreadable files", str(learned["unreadable"])))
        counts = {str(split): _mapping(found) for split, found in _mapping(learned.get("counts")).items()}
        parts += [tag("h3", "Trained with"), _list(lines), _counts(counts)]
    lines = _source(about)
    if about.get("split"):
        lines.append(("split", str(about["split"])))
    evaluated = _mapping(about.get("counts"))
    lines.append(("clips", f"{sum(evaluated.values()):,} of {count(len(evaluated), 'class', 'classes')}"))
    for name, files in _mapping(about.get("negatives")).items():
        lines.append((f"negatives: {name}", count(files, "file")))
    failures = facts.evaluation.failures
    lines.append(("unreadable files", f"{len(failures):,}"))
    parts += [tag("h3", "Evaluated with"), _list(lines)]
    return join(*parts)


def _source(about: Mapping[str, Any]) -> list[tuple[str, Content]]:
    """Return names, sources, licences and speakers of data; the file of a model may hold anything, or nothing."""
    lines: list[tuple[str, Content]] = [("name", str(about.get("name") or "unnamed"))]
    origins = [_mapping(origin) for origin in about.get("origins") or ()]
    if origins:
        told = [
            f"{origin.get('source') or 'source unknown'}, {origin.get('licence') or 'licence unknown'} "
            f"({_number(origin.get('clips'))} clips)"
            for origin in origins
        ]
        lines.append(("from", tag("ul", [tag("li", line) for line in told]) if len(told) > 1 else told[0]))
    else:
        lines.append(("from", "source and licence are not recorded"))
    if about.get("speakers"):
        lines.append(("speakers or sources", _number(about["speakers"])))
    return lines


def _counts(counts: Mapping[str, Mapping[str, Any]]) -> Html | None:
    """Return how many clips of each class each split has."""
    if not counts:
        return None
    labels = sorted({label for found in counts.values() for label in found})
    rows: list[list[Content]] = [
        [label, *(_number(found.get(label, 0)) for found in counts.values())] for label in labels
    ]
    whole = [sum(n for n in found.values() if isinstance(n, int)) for found in counts.values()]
    rows.append([tag("b", "all"), *(tag("b", _number(n)) for n in whole)])
    drawn = table(["class", *counts], rows, "Clips of each class in each split")
    return tag("details", tag("summary", "Clips of each class"), drawn, open=len(labels) <= 12)


def _layers(layers: Summary) -> Html:
    rows = [
        (row.path, row.label, _shape(row.out_shape),
         f"{row.parameters:,}", f"{row.multiply_adds:,}")
        for row in layers.rows
    ]  # fmt: skip
    return table(("", "layer", "output", "parameters", "multiply-adds"), rows, "Layers of the network", class_="named")


def _labels(labels: Sequence[str]) -> Html:
    shown = [tag("span", label, class_="label") for label in labels[:MAX_LABELS]]
    more = f" and {len(labels) - MAX_LABELS} more" if len(labels) > MAX_LABELS else None
    return join([join(label, " ") for label in shown], more)


def _input(facts: Facts) -> str:
    described = facts.model
    if described.front_end is None or described.clip_samples is None:
        return "pictures of " + _shape(described.input_shape)
    rate = described.front_end.sample_rate
    shape = _shape(described.feature_shape)
    kind = described.front_end.name if isinstance(described.front_end, Librosa) else type(described.front_end).__name__
    return f"{described.clip_samples / rate:g} s at {rate:,} Hz, as {kind} features ({shape})"


def _fields(front_end: FrontEnd) -> dict[str, Any]:
    """Return the settings of a front end by name; a function of librosa has settings of its own."""
    if isinstance(front_end, Librosa):
        return {"function": front_end.name, **front_end.keywords, "sample_rate": front_end.sample_rate,
                "hop_length": front_end.hop_length}  # fmt: skip
    return vars(front_end)


def _shape(shape: Sequence[int]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape))


def _list(lines: Sequence[tuple[str, Content]]) -> Html:
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in lines], class_="card")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
