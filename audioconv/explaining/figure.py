"""Figure of an explanation: example, saliency, scores and layers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from audioconv._types import Array
from audioconv.explaining.axes import draw_band_axis, extent_of, in_decibels
from audioconv.explaining.canvas import Paper, gradient, short, tinted
from audioconv.explaining.explanation import Explanation
from audioconv.explaining.layers import draw_layers, height_of_layers
from audioconv.explaining.text import findings, percent, verdict
from audioconv.features.front_ends import FrontEnd, LogMel, Mfcc, RawSamples
from audioconv.features.librosa_front_end import Librosa
from audioconv.io.figures import BLUE, GRID, INK, MUTED, ORANGE, check_drawable, drawing, write_figure
from audioconv.recipe.choose_input import MIN_ENERGY

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LAYERS = 6
"""Number of convolutions that are shown by default."""

MAX_LABELS = 12
"""Labels that have a bar; of more, the likeliest."""

RANGE_DB = 70.0
"""Range of a spectrogram below its loudest place; levels further below are drawn as silence."""

_LEFT, _WIDE, _RIGHT, _SIDE = 0.85, 7.4, 9.7, 3.0
"""Inches: where the panels of the example begin and how wide they are, and the same for the scores."""


def draw(explanation: Explanation, path: str | os.PathLike[str], layers: int = LAYERS, title: str = "") -> None:
    """Draw an explanation.

    At the top the example (of sound, its samples and its spectrogram), what in it speaks for and against the label, and
    the scores of the labels; below, for some of the network's convolutions, kernels and what they make of the example.

    Parameters
    ----------
    explanation : Explanation
    path : path-like
        A .png, .svg or .pdf file; it is replaced, by the whole drawing or not at all.
    layers : int
        Number of convolutions to show, evenly drawn from the first to the last.
    title : str
        Name of the example.

    Raises
    ------
    ConfigError
        If the name ends in none of these.
    DataError
        If the file cannot be written.
    MissingExtraError
        If Matplotlib is not installed (extra ``plots``).
    """
    check_drawable(path)
    with drawing():
        is_picture = explanation.model.kind == "images"
        head = 4.3 if is_picture else 6.1
        paper = Paper(13, head + height_of_layers(explanation, layers))
        _draw_title(paper, explanation, title)
        if is_picture:
            _draw_picture(paper, explanation)
        else:
            _draw_sound(paper, explanation)
        _draw_scores(paper, paper.axes(_RIGHT, 1.1, _SIDE, 1.55 if is_picture else 2.6), explanation)
        _draw_findings(paper, explanation, 3.15 if is_picture else 4.35)
        draw_layers(paper, explanation, layers, head)
        write_figure(paper.figure, path)


# --- the head of the sheet ---


def _draw_title(paper: Paper, explanation: Explanation, title: str) -> None:
    name = f"{short(title, 44)}: " if title else ""
    paper.text(_LEFT, 0.42, f"{name}{short(verdict(explanation), 50)}", size=15, wide=11.8, weight="bold")


def _draw_sound(paper: Paper, explanation: Explanation) -> None:
    model, begin = explanation.model, explanation.begin_seconds
    front_end = model.front_end
    assert front_end is not None
    rate = front_end.sample_rate
    length = len(explanation.example) / rate
    heard = _for_people(front_end)
    loudness = explanation.features if isinstance(heard, Librosa) else heard(explanation.example)[0]

    wave = paper.axes(_LEFT, 1.1, _WIDE, 0.7)
    paper.title(wave, "samples")
    _plain(wave)
    wave.set_axis_off()
    _draw_samples(wave, explanation.example, begin, length)

    spectrogram = paper.axes(_LEFT, 2.1, _WIDE, 1.55)
    if isinstance(heard, Librosa):
        paper.title(spectrogram, heard.name, "as librosa computes it, dark is low")
    else:
        paper.title(spectrogram, "spectrogram", "loudness of the mel bands, dark is silent")
    spectrogram.imshow(
        loudness.T, origin="lower", aspect="auto", cmap="magma", vmax=loudness.max(),
        vmin=loudness.max() - RANGE_DB if in_decibels(heard) else loudness.min(),
        extent=extent_of(heard, loudness.shape, begin), interpolation="nearest",
    )  # fmt: skip
    draw_band_axis(spectrogram, heard, loudness.shape[1])

    overlay = paper.axes(_LEFT, 4.0, _WIDE, 1.55)
    paper.title(
        overlay,
        "what the decision looked at",
        f"orange speaks for \u201c{short(explanation.label, 24)}\u201d, blue against it",
    )
    if isinstance(front_end, RawSamples):
        of, shown = heard, loudness
        evidence = _per_frame(explanation.saliency[:, 0], heard, len(loudness))[:, None]
    else:
        of, shown = front_end, explanation.features
        evidence = explanation.saliency
    extent = extent_of(of, shown.shape, begin)
    draw_band_axis(overlay, of, shown.shape[1])
    if in_decibels(of):
        grey = np.clip((shown - shown.max() + RANGE_DB) / RANGE_DB, 0, 1)
    elif isinstance(of, Librosa) and of.axis != "numbers":
        grey = _stretched(shown)
    else:
        grey = _stretched(shown / (np.abs(shown).max(axis=0) + 1e-9))
    overlay.imshow(
        np.swapaxes(tinted(grey, np.broadcast_to(evidence, grey.shape)), 0, 1),
        origin="lower", aspect="auto", extent=extent, interpolation="nearest",
    )  # fmt: skip
    if explanation.region is not None:
        bounds, bands = explanation.region.bounds, explanation.region.box[1]
        low, high = (
            (extent[2], extent[3]) if isinstance(front_end, RawSamples) else (bands.start - 0.5, bands.stop - 0.5)
        )
        _outline(overlay, bounds["begin_seconds"], low, bounds["end_seconds"], high)
    for axes in (wave, spectrogram, overlay):
        axes.set_xlim(begin, begin + length)
        for spine in axes.spines.values():
            spine.set_color(GRID)
    spectrogram.tick_params(axis="x", labelbottom=False)
    overlay.set_xlabel("seconds", color=MUTED)


def _draw_samples(axes: Axes, samples: Array, begin: float, length: float) -> None:
    """Draw the highest and the lowest sample of each of as many pieces as can be told apart."""
    count = min(len(samples), 900)
    starts = np.linspace(0, len(samples), count, endpoint=False).astype(int)
    highest, lowest = np.maximum.reduceat(samples, starts), np.minimum.reduceat(samples, starts)
    time = begin + length * starts / len(samples)
    axes.fill_between(time, lowest, highest, color=BLUE, lw=0.6)
    most = max(float(np.abs(samples).max()), 1e-6)
    axes.set_ylim(-most, most)


def _draw_picture(paper: Paper, explanation: Explanation) -> None:
    pixels = np.clip(explanation.example.reshape(*explanation.example.shape[:2], -1), 0, 1)
    height, width = pixels.shape[:2]
    scale = min(3.4 / width, 2.75 / height)
    colours = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    for place, title in enumerate(("what the model sees", "what the decision looked at")):
        axes = paper.axes(_LEFT + 3.9 * place, 1.1, scale * width, scale * height)
        _plain(axes)
        axes.set_xticks([])
        axes.set_yticks([])
        if place == 0:
            paper.title(axes, title, f"{width} \u00d7 {height} pixels")
            axes.imshow(colours, aspect="auto", interpolation="nearest")
            continue
        paper.title(axes, title, f"orange: for \u201c{short(explanation.label, 10)}\u201d")
        grey = 1 - colours @ np.array([0.299, 0.587, 0.114])  # what is dark stays dark
        axes.imshow(tinted(grey, explanation.saliency), aspect="auto", interpolation="nearest")
        if explanation.region is not None:
            rows, columns = explanation.region.box
            _outline(axes, columns.start - 0.5, rows.start - 0.5, columns.stop - 0.5, rows.stop - 0.5)


def _draw_scores(paper: Paper, axes: Axes, explanation: Explanation) -> None:
    model = explanation.model
    order = np.argsort(-explanation.probabilities, kind="stable")[:MAX_LABELS]
    labels = [model.labels[code] for code in order]
    rows = range(len(labels))
    chosen = explanation.answer if explanation.accepted else None
    colours = [ORANGE if label == chosen else MUTED if label in model.words else GRID for label in labels]
    axes.barh(rows, explanation.probabilities[order], height=0.66, color=colours)
    for row, label in zip(rows, labels, strict=True):
        score = explanation.score(label)
        inside = score > 0.75
        axes.text(
            score + (-0.015 if inside else 0.015), row, percent(score), va="center", ha="right" if inside else "left",
            color="white" if inside and label in model.words else INK, fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(rows, [short(label, 14) for label in labels])
    for text, label in zip(axes.get_yticklabels(), labels, strict=True):
        text.set_fontweight("bold" if label == explanation.label else "normal")
    axes.set_ylim(max(len(labels), 4) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    _plain(axes)
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines["left"].set_visible(True)
    axes.spines["left"].set_color(GRID)
    threshold, more = model.decision.threshold, len(model.labels) - len(labels)
    notes = [f"accepted from {percent(threshold)} (dashed)"] if threshold > 0 else []
    notes += [f"{more} more labels"] if more else []
    paper.title(axes, "scores", "; ".join(notes))
    if threshold > 0:
        axes.axvline(threshold, color=INK, lw=1, ls=(0, (4, 3)))


def _draw_findings(paper: Paper, explanation: Explanation, top: float) -> None:
    lines = findings(explanation)
    for row, line in enumerate(lines):
        paper.text(_RIGHT, top + 0.2 * row, short(line, 60), weight="bold" if row == 1 else "normal", wide=3.2,
                   color=INK if row < 3 else MUTED)  # fmt: skip
    bar = paper.axes(_RIGHT, top + 0.2 * len(lines) + 0.1, 1.7, 0.12)
    bar.imshow(gradient()[None], aspect="auto", extent=(-1, 1, 0, 1))
    bar.set_yticks([])
    bar.set_xticks([-1, 0, 1], ["against", "0", "for"])
    bar.tick_params(length=0, labelcolor=MUTED, labelsize=8)
    _plain(bar)


# --- axes ---


def _for_people(front_end: FrontEnd) -> LogMel | Librosa:
    """Return the front end of the spectrogram that is shown: the model's, or a usual one where it has none."""
    if isinstance(front_end, Librosa):
        return front_end
    if isinstance(front_end, Mfcc):
        return LogMel(**{name: getattr(front_end, name) for name in LogMel.__dataclass_fields__})
    return front_end if isinstance(front_end, LogMel) else LogMel.for_rate(front_end.sample_rate, floor=MIN_ENERGY)


def _per_frame(values: Array, front_end: LogMel | Librosa, frames: int) -> Array:
    """Return the mean of a number for each sample, (T,), round the centre of each frame."""
    edges = np.clip(np.round((np.arange(frames + 1) - 0.5) * front_end.hop_length), 0, len(values)).astype(int)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    means: Array = (sums[edges[1:]] - sums[edges[:-1]]) / np.maximum(edges[1:] - edges[:-1], 1)
    return means


def _stretched(values: Array) -> Array:
    low, high = np.percentile(values, [1, 99])
    stretched: Array = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return stretched


def _outline(axes: Axes, left: float, bottom: float, right: float, top: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=INK, lw=1.3))


def _plain(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
