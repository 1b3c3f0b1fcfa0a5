"""Figure of a check: classes, levels, lengths and speakers."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audioconv.datasets.check.check import Report
from audioconv.datasets.check.findings import shared_speakers
from audioconv.datasets.check.measure import Picture, Sound
from audioconv.io.figures import BLUE, GRID, INK, MUTED, check_drawable, drawing, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_CLASSES = 100
"""Classes that are shown; of more, the smallest and the largest."""

MAX_SPEAKERS = 24
"""Speakers that have a bar of their own."""

MIN_LEVEL_DB = -80.0
"""dBFS; what is quieter is drawn there."""

_PERCENTILES = "median, middle half, 5 to 95 %"
_RED = "#c92a2a"
_COLOURS = {"train": BLUE, "validation": "#f2a33a", "test": "#d9480f", None: "#7d8aa0"}
_INCHES_PER_CLASS = 0.21
_MAX_PANEL_INCHES = 5.0
_GAPS: Any = {"w_pad": 0.12, "h_pad": 0.12, "wspace": 0.03, "hspace": 0.03}
"""Round the panels: inches, and shares of their width and height."""


def draw(report: Report, path: str | os.PathLike[str]) -> None:
    """Draw the numbers of a report.

    Clips by class and split, the levels (of pictures: the brightness) of each class, the lengths (sizes), and the
    clips of each speaker.

    Parameters
    ----------
    report : Report
        Result of `check`.
    path : path-like
        A .png, .svg or .pdf file; it is replaced.

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
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    labels = _shown_classes(report)
    height = max(6.0, 1.7 + _INCHES_PER_CLASS * len(labels))
    with drawing():
        figure = Figure(figsize=(13, height), dpi=110, facecolor="white", layout=ConstrainedLayoutEngine(**_GAPS))
        # On a tall sheet the two panels at the right stay at the top.
        below = height - 2 * _MAX_PANEL_INCHES
        heights = (_MAX_PANEL_INCHES, _MAX_PANEL_INCHES, below) if below > 0 else (1, 1)
        grid = figure.add_gridspec(len(heights), 3, width_ratios=(1.15, 1, 1.15), height_ratios=heights)
        classes = figure.add_subplot(grid[:, 0])
        levels = figure.add_subplot(grid[:, 1], sharey=classes)
        _draw_classes(classes, report, labels)
        _draw_levels(levels, report, labels)
        lengths, speakers = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
        if report.collection.kind == "images":
            _draw_sizes(lengths, report.pictures)
        else:
            _draw_lengths(lengths, report.sounds)
        _draw_speakers(speakers, report)
        _title(figure, report)
        write_figure(figure, path)


def _title(figure: Any, report: Report) -> None:
    what = "pictures" if report.collection.kind == "images" else "recordings"
    found = [_count(findings, word) for findings, word in ((report.errors, "error"), (report.warnings, "warning"))]
    text = f"{report.collection.name}: {len(report.collection):,} {what}, {' and '.join(found)}"
    figure.suptitle(text, fontsize=13, fontweight="bold", x=0.01, ha="left")


def _count(findings: Sequence[object], word: str) -> str:
    return f"{len(findings)} {word}" + ("" if len(findings) == 1 else "s")


def _shown_classes(report: Report) -> list[str]:
    """Return the labels from the bottom to the top of the sheet."""
    labels = list(report.clips)
    if len(labels) > MAX_CLASSES:
        by_size = sorted(labels, key=report.collection.counts.__getitem__)
        kept = {*by_size[: MAX_CLASSES // 2], *by_size[-(MAX_CLASSES // 2) :]}
        labels = [label for label in labels if label in kept]
    return labels[::-1]


def _draw_classes(axes: Axes, report: Report, labels: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    few = len(labels) < len(report.clips)
    _frame(axes, "clips by class", f"clips\nonly the largest and smallest of {len(report.clips)}" if few else "clips")
    left = np.zeros(len(labels))
    for split in report.splits:
        counts = np.array([report.clips[label][split] for label in labels])
        axes.barh(
            range(len(labels)), counts, left=left, height=0.72, color=_colour(split, report), label=split or "no split"
        )
        left += counts
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    if report.splits != (None,):
        _legend(axes, len(report.splits))


def _draw_levels(axes: Axes, report: Report, labels: Sequence[str]) -> None:
    """Draw for each class the median, the middle half, and all but the outermost twentieths."""
    measured, is_images = report.measured, report.collection.kind == "images"
    levels = measured.table["brightness"] if is_images else np.maximum(measured.table["loudness"], MIN_LEVEL_DB)
    if is_images:
        _frame(axes, "brightness by class", f"mean of the pixels, 0 to 1\n{_PERCENTILES}")
    else:
        _frame(axes, "loudness by class", f"root mean square, dBFS\n{_PERCENTILES}")
    for row, label in enumerate(labels):
        values = levels[measured.is_readable & report.collection.labels.equals(label)]
        if not len(values):
            continue
        low, first, middle, third, high = np.percentile(values, [5, 25, 50, 75, 95])
        axes.plot([low, high], [row, row], color="#9dbcd8", lw=1.4, solid_capstyle="butt", zorder=2)
        axes.plot([first, third], [row, row], color=BLUE, lw=5, solid_capstyle="butt", zorder=3)
        axes.plot([middle], [row], "o", color="white", mec=INK, mew=0.9, ms=5, zorder=4)
    axes.tick_params(axis="y", labelleft=False, length=0)


def _draw_lengths(axes: Axes, sounds: Sequence[Sound]) -> None:
    _frame(axes, "lengths", "seconds", "recordings (log)")
    seconds = np.array([sound.seconds for sound in sounds])
    if not len(seconds):
        return
    low, high = float(seconds.min()), float(seconds.max())
    # One length only still needs a bar of some width.
    margin = 0.5 * high if high - low < 0.02 * high else 0.0
    axes.hist(seconds, bins=40, range=(low - margin, high + margin), color=BLUE, log=True)
    axes.set_ylim(bottom=0.7)
    _plain_log(axes)


def _draw_sizes(axes: Axes, pictures: Sequence[Picture]) -> None:
    _frame(axes, "sizes", "width in pixels", "height in pixels")
    sizes = Counter((picture.width, picture.height) for picture in pictures)
    if not sizes:
        return
    widths, heights = zip(*sizes, strict=True)
    counts = np.array(list(sizes.values()))
    axes.scatter(widths, heights, s=20 + 380 * counts / counts.max(), color=BLUE, alpha=0.55, lw=0)
    axes.set_xlim(0, 1.25 * max(widths))
    axes.set_ylim(0, 1.25 * max(heights))


def _draw_speakers(axes: Axes, report: Report) -> None:
    clips: defaultdict[str, Counter[str | None]] = defaultdict(Counter)
    for speaker, split in zip(report.collection.speakers, report.collection.splits, strict=True):
        if speaker:
            clips[speaker][split] += 1
    if not clips:
        _frame(axes, "speakers", "")
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no speakers are known", transform=axes.transAxes, ha="center", color=MUTED)
    elif len(clips) <= MAX_SPEAKERS:
        _draw_each_speaker(axes, report, clips)
    else:
        _draw_many_speakers(axes, report, clips)


def _draw_each_speaker(axes: Axes, report: Report, clips: Mapping[str, Counter[str | None]]) -> None:
    _frame(axes, "clips by speaker", "clips")
    names = sorted(clips, reverse=True)
    left = np.zeros(len(names))
    for split in report.splits:
        counts = np.array([clips[name][split] for name in names])
        axes.barh(range(len(names)), counts, left=left, height=0.72, color=_colour(split, report))
        left += counts
    axes.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=8)
    shared = shared_speakers(report.collection)
    for name, text in zip(names, axes.get_yticklabels(), strict=True):
        text.set_color(_RED if name in shared else INK)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    _note_shared(axes, report, clips)


def _draw_many_speakers(axes: Axes, report: Report, clips: Mapping[str, Counter[str | None]]) -> None:
    """Draw how many speakers have how many clips, by split; those in several in red."""
    from matplotlib.ticker import MaxNLocator

    _frame(axes, "clips by speaker", "clips of one speaker", "speakers")
    shared = shared_speakers(report.collection)
    parts: dict[str, list[int]] = {}
    colours: list[str] = []
    for split in report.splits:
        totals = [sum(counts.values()) for name, counts in clips.items() if name not in shared and split in counts]
        if totals:
            where = "" if report.splits == (None,) else f"{split or 'no split'}: "
            parts[f"{where}{len(totals):,} speakers"] = totals
            colours.append(_colour(split, report))
    if shared:
        parts[f"in several: {len(shared):,} speakers"] = [sum(clips[name].values()) for name in shared]
        colours.append(_RED)
    most = max(max(totals) for totals in parts.values())
    step = max(1, -(-most // 40))
    bins = np.arange(0.5, most + step + 0.5, step)
    axes.hist(list(parts.values()), bins=bins.tolist(), stacked=True, color=colours, label=list(parts), rwidth=0.86)
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _note_shared(axes: Axes, report: Report, clips: Mapping[str, object]) -> None:
    shared = len(shared_speakers(report.collection))
    if shared:
        text = f"{shared} of {len(clips)} in more than one split"
        axes.text(1, 1.02, text, transform=axes.transAxes, ha="right", fontsize=8, color=_RED)


# --- how all panels look ---


def _colour(split: str | None, report: Report) -> str:
    return BLUE if report.splits == (None,) else _COLOURS[split]


def _frame(axes: Axes, title: str, across: str, up: str = "") -> None:
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)
    axes.set_xlabel(across, color=MUTED)
    axes.set_ylabel(up, color=MUTED)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(color=GRID, labelcolor=INK)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, lw=0.7)


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(
        frameon=False, fontsize=8, ncols=columns, loc="lower right", bbox_to_anchor=(1.01, 0.995), borderaxespad=0,
        handlelength=0.9, handleheight=0.9, columnspacing=1, handletextpad=0.4,
    )  # fmt: skip


def _plain_log(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else ""))
    axes.tick_params(axis="y", which="both", length=0)
    axes.yaxis.set_minor_formatter(NullFormatter())


def _short(name: str, most: int = 24) -> str:
    """Return `name` without its middle if it is long: names that begin alike differ at the end."""
    half = most // 2
    return name if len(name) <= most else name[:half] + "\N{HORIZONTAL ELLIPSIS}" + name[1 - half :]
