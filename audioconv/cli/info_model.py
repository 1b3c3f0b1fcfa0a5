"""``audioconv info`` of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioconv.cli.info_data import makers_lines, origin_line
from audioconv.cli.info_network import layers_table, shape_text
from audioconv.cli.terminal import json_path, megabytes, printable, results, write, write_json
from audioconv.cli.training_run import how_it_decides, origins_of_training
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.model import Model


def show_model(path: Path, *, as_json: bool) -> None:
    """Show the layers of a model, its input, its training data and its decision."""
    from audioconv.layers import summary
    from audioconv.model import Model

    model = Model.load(path)
    layers = summary(model.network, model.input_shape)
    if as_json:
        write_json(_model_as_json(path, model))
        return
    results().print(layers_table(layers))
    for name, value in _about_model(path, model):
        write(f"{name:<11} {printable(value)}")


def _about_model(path: Path, model: Model) -> list[tuple[str, str]]:
    """Return the lines about a model, each with its name; the file may hold anything as provenance, or nothing."""
    from audioconv.compiler.execution import how_it_runs

    known = model.provenance
    data = known["data"] if isinstance(known.get("data"), dict) else {}
    lines = [("file", f"{display_path(path)} ({megabytes(path.stat().st_size)})")]
    lines.append(("labels", f"{len(model.answer_labels)}: {', '.join(model.answer_labels)}"))
    lines.append(("input", _clip(model) if model.front_end else f"pictures of {shape_text(model.input_shape)}"))
    if how := how_it_runs(model.network, model.input_shape):
        lines.append(("runs", how))
    counts = data.get("counts")
    if isinstance(counts, dict) and counts:
        clips = ", ".join(f"{sum(classes.values()):,} {split}" for split, classes in counts.items())
        lines.append(("data", f"{data.get('name', 'unnamed')}: {clips}"))
    origins = data.get("origins")
    origins = origins if isinstance(origins, list) else []
    if len(origins) > 1:
        lines += [("source", origin_line(origin)) for origin in origins if isinstance(origin, dict)]
    else:
        lines += [(name, str(data[name])) for name in ("source", "licence") if data.get(name)]
    lines += makers_lines(origin.get("source") for origin in origins if isinstance(origin, dict))
    lines += origins_of_training(known)
    told = known["negatives"].get("attribution") if isinstance(known.get("negatives"), dict) else None
    lines += [("negatives by", line) for line in told.splitlines() if line] if isinstance(told, str) else []
    for name in ("validation", "test"):
        accuracy = known.get(f"{name}_accuracy")
        if isinstance(accuracy, float):
            lines.append((name, f"{accuracy:.1%} right"))
    lines += [("rejection", line) for line in how_it_decides(model.decision)]
    made = f"audioconv {known['audioconv']}" if "audioconv" in known else ""
    settings = known.get("settings")
    if made and isinstance(settings, dict) and settings.get("arch") not in (None, "", "auto"):
        made += f", network {settings['arch']}"
    if made and known.get("began_with"):
        made += f", beginning with {known['began_with']}"
    return [*lines, ("made by", made)] if made else lines


def _clip(model: Model) -> str:
    """Return length, rate and features of a model's clips."""
    from audioconv.features.front_ends import LogMel, Mfcc
    from audioconv.features.librosa_front_end import Librosa

    front_end, samples = model.front_end, model.clip_samples or 0
    assert front_end is not None
    clip = f"{samples / front_end.sample_rate:g} s at {front_end.sample_rate:,} Hz"
    if isinstance(front_end, Librosa):
        hop, values = 1000 * front_end.hop_length / front_end.sample_rate, model.feature_shape[1]
        settings = "".join(f", {name}={_short(value)}" for name, value in front_end.keywords.items())
        return f"{clip}, as {front_end.name} of librosa every {hop:g} ms ({values} values{settings})"
    if not isinstance(front_end, LogMel):
        return f"{clip}, the samples themselves"
    window, hop = (1000 * length / front_end.sample_rate for length in (front_end.window_length, front_end.hop_length))
    what = f"{front_end.mel_bands} mel bands"
    if isinstance(front_end, Mfcc):
        what = f"{front_end.coefficients} cepstral coefficients of {what}"
    return f"{clip}, as {what} of {window:g} ms every {hop:g} ms"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _model_as_json(path: Path, model: Model) -> dict[str, Any]:
    from audioconv.compiler.execution import how_it_runs
    from audioconv.features.front_ends import front_end_to_config
    from audioconv.layers import summary, to_config

    layers = summary(model.network, model.input_shape)
    return {
        "path": json_path(path),
        "bytes": path.stat().st_size,
        "labels": list(model.labels),
        "decision": model.decision.to_json(),
        "input_shape": list(model.input_shape),
        "front_end": None if model.front_end is None else front_end_to_config(model.front_end),
        "clip_samples": model.clip_samples,
        "parameters": layers.parameters,
        "multiply_adds": layers.multiply_adds,
        "layers": [vars(row) for row in layers.rows],
        "runs": how_it_runs(model.network, model.input_shape) or "compiled",
        "network": to_config(model.network),
        "provenance": dict(model.provenance),
    }
