"""Rows of a figure: kernels and feature maps of some convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audioconv._types import Array
from audioconv.explaining.activations import convolutions, feature_maps, kernels, leaves
from audioconv.explaining.canvas import SIGNED, Paper
from audioconv.explaining.explanation import Explanation
from audioconv.explaining.receptive_fields import Field, receptive_fields
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.features.librosa_front_end import Librosa
from audioconv.io.figures import BLUE, GRID, MUTED
from audioconv.layers import BatchNorm, Conv, Layer, LeakyReLU, ReLU, Sigmoid, SiLU, SubSpectralNorm, Tanh
from audioconv.model import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes


CHANNELS = 8
"""Feature maps in a row."""

MAX_KERNELS_SHOWN = 32
"""Kernels of the first layer that are shown together."""

MAX_POINTS = 200
"""Number of points of a curve; more could not be distinguished."""

BRIGHTEST = 0.995
"""Share of the numbers of a row up to which brightness grows."""

_AFTER = BatchNorm | SubSpectralNorm | ReLU | LeakyReLU | SiLU | Sigmoid | Tanh
"""Layers that belong to the convolution before them: what the next one gets is what they return."""

_LEFT, _PITCH = 0.85, 1.49
_ROW, _STRIP, _FOOT = 1.2, 1.2, 0.5
_KERNEL, _MAP, _HIGH = 0.36, 0.98, 0.68
"""Inches: widths of a kernel and a map, and their height."""


@dataclass(frozen=True)
class Row:
    """A convolution and what it makes of the example.

    Attributes
    ----------
    path, label : str
    weight : (*kernel, C/groups, filters) array
    maps : (*spatial, filters) array
        Input of the next layer: its output behind the normalisation and activation that follow.
    behind : str
        The last of these.
    fields : tuple of Field
    """

    path: str
    label: str
    weight: Array
    maps: Array
    behind: str
    fields: tuple[Field, ...]

    def liveliest(self, count: int = CHANNELS) -> Array:
        """Return the channels whose maps differ most from place to place, strongest first."""
        spread = self.maps.reshape(-1, self.maps.shape[-1]).std(axis=0)
        return np.argsort(-spread, kind="stable")[:count]


def rows_of(explanation: Explanation, count: int) -> list[Row]:
    """Return `count` of the network's convolutions, evenly drawn, the first and the last among them."""
    model = explanation.model
    found = convolutions(model)
    if not found or count < 1:
        return []
    chosen = sorted({round(i) for i in np.linspace(0, len(found) - 1, min(count, len(found)))})
    maps, weights = feature_maps(model, explanation.features), kernels(model)
    fields, behind = receptive_fields(model.network, model.input_shape), _behind(model)
    return [
        Row(
            path, short_label(layer, weights[path]), weights[path], maps[behind[path][0]], behind[path][1], fields[path]
        )
        for path, layer, _ in (found[i] for i in chosen)
    ]


def height_of_layers(explanation: Explanation, count: int) -> float:
    """Return how many inches `draw_layers` takes."""
    shown = min(count, len(convolutions(explanation.model)))
    return _STRIP + _ROW * shown + _FOOT if shown > 0 else 0.0


def draw_layers(paper: Paper, explanation: Explanation, count: int, top: float) -> None:
    """Draw the kernels of the first convolution, and `count` rows."""
    rows = rows_of(explanation, count)
    if not rows:
        return
    _draw_strip(paper, explanation.model, rows[0], top)
    for number, row in enumerate(rows):
        _draw_row(paper, explanation.model, row, top + _STRIP + number * _ROW)
    _draw_foot(paper, explanation.model, rows, top + _STRIP + _ROW * len(rows) - 0.1)


def reach(model: Model, fields: tuple[Field, ...]) -> str:
    """Return how much of the input one number depends on: ``45 ms x 3 bands (294 to 2,094 Hz wide)``."""
    sizes = [one.size(inputs) for one, inputs in zip(fields, model.input_shape, strict=False)]
    front_end = model.front_end
    if front_end is None or model.clip_samples is None:
        return _by(sizes) + (" pixels" if len(sizes) == 2 else " places")
    if isinstance(front_end, RawSamples):
        return _milliseconds(sizes[0], front_end.sample_rate)
    if isinstance(front_end, Librosa):
        # How much sound a number of librosa depends on differs from band to band.
        frames = f"{sizes[0]} frames of {_milliseconds(front_end.hop_length, front_end.sample_rate)}"
        return f"{frames} \u00d7 {_values(front_end, sizes, model.feature_shape[1])}"
    samples = min((sizes[0] - 1) * front_end.hop_length + front_end.window_length, model.clip_samples)
    return f"{_milliseconds(samples, front_end.sample_rate)} \u00d7 {_bands(front_end, sizes)}"


def short_label(layer: Layer, weight: Array) -> str:
    """Return what a convolution is: ``Conv 3 x 3, 16 kernels, stride 2 x 1``."""
    *kernel, channels, filters = weight.shape
    settings = {name: getattr(layer, name) for name in ("stride", "dilation")}
    spread = [
        f"{name} {_by(value if isinstance(value, tuple) else (value,))}"
        for name, value in settings.items()
        if set(value if isinstance(value, tuple) else (value,)) != {1}
    ]
    groups = layer.groups if isinstance(layer, Conv) else filters
    kind = "depthwise Conv" if channels == 1 and groups == filters and groups > 1 else "Conv"
    divided = [f"{groups} groups"] if groups > 1 and kind == "Conv" else []
    return ", ".join([f"{kind} {_by(kernel)}", f"{filters} kernels", *spread, *divided])


def _by(sizes: Sequence[int]) -> str:
    return " \u00d7 ".join(map(str, sizes))


def _milliseconds(samples: int, rate: int) -> str:
    milliseconds = 1000 * samples / rate
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"


def _bands(front_end: LogMel, sizes: list[int]) -> str:
    """Return how many bands that is, and how many Hz from the lowest to the highest of so many."""
    what = "coefficients" if isinstance(front_end, Mfcc) else "bands"
    all_of_them = front_end.coefficients if isinstance(front_end, Mfcc) else front_end.mel_bands
    if len(sizes) == 1 or sizes[1] >= all_of_them:
        return f"all {what}"
    if isinstance(front_end, Mfcc):
        return f"{sizes[1]} {what}"
    edges = front_end.band_edges()
    widths = edges[sizes[1] + 1 :] - edges[: -sizes[1] - 1]
    return f"{sizes[1]} {what if sizes[1] > 1 else 'band'} ({widths.min():,.0f} to {widths.max():,.0f} Hz wide)"


def _values(front_end: Librosa, sizes: list[int], count: int) -> str:
    what = {"notes": "notes", "pitch classes": "pitch classes", "mel": "bands", "numbers": "values"}[front_end.axis]
    return f"all {what}" if len(sizes) == 1 or sizes[1] >= count else f"{sizes[1]} {what}"


def _behind(model: Model) -> dict[str, tuple[str, str]]:
    """Return for each convolution the path and kind of the last layer that belongs to it; itself, where none does."""
    found: dict[str, tuple[str, str]] = {}
    owner, parent = "", ""
    convolution_paths = {path for path, _, _ in convolutions(model)}
    for path, layer, _ in leaves(model.network, model.input_shape):
        if path in convolution_paths:
            owner, parent = path, path.rpartition(".")[0]
            found[owner] = (path, "")
        elif owner and isinstance(layer, _AFTER) and path.rpartition(".")[0] == parent:
            found[owner] = (path, type(layer).__name__)
        else:
            owner = ""
    return found


# --- drawing ---


def _draw_strip(paper: Paper, model: Model, row: Row, top: float) -> None:
    count = row.weight.shape[-1]
    shown = min(count, MAX_KERNELS_SHOWN)
    paper.text(_LEFT, top + 0.2, "kernels of the first layer", 11, weight="bold")
    note = f"all {count}" if shown == count else f"{shown} of {count}"
    if model.front_end is not None and not isinstance(model.front_end, RawSamples):
        note += "; time to the right, frequency upwards"
    paper.text(_LEFT + 2.35, top + 0.2, note, color=MUTED)
    width = min(0.5, 11.9 / shown)
    for place in range(shown):
        axes = paper.axes(_LEFT + place * width, top + 0.32, width - 0.06, 0.44)
        draw_kernel(axes, row.weight[..., place], model)


def _draw_row(paper: Paper, model: Model, row: Row, top: float) -> None:
    paper.text(_LEFT, top, f"{row.path}  {row.label}", 9, weight="bold")
    size = _by(row.maps.shape)
    after = f" after {row.behind}" if row.behind else ""
    detail = f"{size}{after}; each number sees {reach(model, row.fields)}"
    paper.text(12.75, top, detail, 9, MUTED, ha="right")
    chosen = row.liveliest()
    shown = row.maps[..., chosen]
    # The few brightest places are cut off, so that the others are not all dark.
    low, high = min(float(shown.min()), 0.0), max(float(np.quantile(shown, BRIGHTEST)), 1e-9)
    for place, channel in enumerate(chosen):
        left = _LEFT + place * _PITCH
        draw_kernel(paper.axes(left, top + 0.1, _KERNEL, _KERNEL), row.weight[..., channel], model)
        paper.text(left + _KERNEL / 2, top + 0.1 + _HIGH - 0.06, str(channel), 8, MUTED, ha="center")
        axes = paper.axes(left + _KERNEL + 0.05, top + 0.1, _MAP, _HIGH)
        draw_map(axes, shown[..., place], low, high, is_picture=model.kind == "images")


def _draw_foot(paper: Paper, model: Model, rows: list[Row], top: float) -> None:
    total = len(convolutions(model))
    every = f"all {total} convolutions" if len(rows) == total else f"{len(rows)} of {total} convolutions, evenly drawn"
    lines = [
        f"{every}. Of each, the {CHANNELS} channels whose output differs most from place to place, by their numbers; "
        "one scale a layer, bright is high.",
        "Kernels: orange above zero, blue below. Of a kernel over several channels, the weights of the channel that "
        "counts most; of one along time alone or of one place, those of all channels, upwards.",
    ]
    for number, line in enumerate(lines):
        paper.text(_LEFT, top + 0.1 + 0.19 * number, line, 8, MUTED)


def draw_kernel(axes: Axes, weight: Array, model: Model) -> None:
    """Draw one kernel, (*kernel, C): as a picture, of samples as a curve."""
    _bare(axes)
    channels = weight.shape[-1]
    if weight.ndim == 2 and channels == 1:
        most = max(float(np.abs(weight).max()), 1e-12)
        axes.axhline(0, color=GRID, lw=0.6)
        axes.plot(weight[:, 0], color=BLUE, lw=0.8)
        axes.set_ylim(-1.1 * most, 1.1 * most)
        return
    if weight.ndim == 3 and weight.shape[:2] != (1, 1):
        if channels == 3 and model.kind == "images" and weight.shape[-1] == model.input_shape[-1]:
            axes.imshow(
                0.5 + 0.5 * weight / max(float(np.abs(weight).max()), 1e-12), interpolation="nearest", aspect="auto"
            )
            return
        weight = weight[..., int(np.square(weight).sum(axis=(0, 1)).argmax())]
        picture = weight if model.kind == "images" else weight.T[::-1]
    else:
        picture = weight.reshape(-1, channels).T[::-1]
    from matplotlib.colors import LinearSegmentedColormap

    most = max(float(np.abs(picture).max()), 1e-12)
    axes.imshow(
        picture, cmap=LinearSegmentedColormap.from_list("signed", SIGNED), vmin=-most, vmax=most, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip


def draw_map(axes: Axes, values: Array, low: float, high: float, *, is_picture: bool) -> None:
    """Draw what one channel makes of the example: a picture, (T, F) with time to the right, or a curve, (T,)."""
    _bare(axes)
    if values.ndim == 1:
        edges = np.unique(np.linspace(0, len(values), min(len(values), MAX_POINTS), endpoint=False).astype(int))
        highest, lowest = np.maximum.reduceat(values, edges), np.minimum.reduceat(values, edges)
        axes.fill_between(edges, np.minimum(lowest, 0), np.maximum(highest, 0), color=BLUE, lw=0, step="mid")
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.set_ylim(low, 1.05 * high)
        return
    axes.imshow(
        values if is_picture else values.T[::-1], cmap="magma", vmin=low, vmax=high, interpolation="nearest",
        aspect="equal" if is_picture else "auto",
    )  # fmt: skip
    axes.set_anchor("W")


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GRID)
        spine.set_linewidth(0.6)
