"""The pictures of docs/convolution.md. Each function returns its sheet and the arrays that it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv import geometry, ops
from audioconv.audio import LogMel
from drawing.canvas import BLUE, GREY, INK, MUTED, ORANGE, SOUND, Canvas, minus, signed, stretched
from drawing.examples import KERNELS, convolved, grey_photo, per_channel, photo, spectrogram
from drawing.utterance import SAMPLE_RATE

Array = NDArray[Any]
Drawn = tuple[Canvas, dict[str, Array]]

WIDTH, MARGIN, PANEL, GAP = 1100, 20, 256, 12
COLUMNS = [MARGIN + n * (PANEL + GAP) for n in range(4)]
BAND_ZOOM = 5  # dots a frame and a band of a spectrogram


def convolution() -> Drawn:
    """Draw one place of the picture, its pixels, the kernel, and the sums."""
    row, column, size = 110, 189, 7
    patch = np.round(grey_photo()[row : row + size, column : column + size], 2)
    kernel = KERNELS[2]
    result = convolved(patch, kernel, padding=0)
    sheet, top = Canvas(WIDTH, 410), 62
    sheet.image(photo(), MARGIN, top)
    sheet.box(MARGIN + column - 3, top + row - 3, size + 6, size + 6, ORANGE, 2)
    cell, left = 42, 322
    sheet.line([MARGIN + column + size + 3, left], [top + row - 3, top], ORANGE, 0.8)
    sheet.line([MARGIN + column + size + 3, left], [top + row + size + 3, top + size * cell], ORANGE, 0.8)
    sheet.cells(patch, left, top, cell, GREY(0.15 + 0.85 * patch)[..., :3], 9, "{:.2f}")
    i, j = 1, 2
    sheet.box(left + j * cell, top + i * cell, 3 * cell, 3 * cell, ORANGE, 2.6)
    kernel_left, kernel_top = 668, top + 84
    sheet.kernel(kernel, kernel_left, kernel_top, cell)
    out_left, out_cell = 860, 44
    sheet.cells(result, out_left, top + 37, out_cell, signed(result, 1.0), 9, "{:.2f}")
    sheet.box(out_left + j * out_cell, top + 37 + i * out_cell, out_cell, out_cell, ORANGE, 2.6)
    sheet.text(left + size * cell + 26, top + 147, "\u2217", 22, MUTED)
    sheet.text(kernel_left + 3 * cell + 33, top + 147, "=", 18, MUTED)
    for x, title in (
        (MARGIN + PANEL / 2, "the picture"),
        (left + size * cell / 2, f"{size} \u00d7 {size} of its pixels"),
        (kernel_left + 1.5 * cell, "the kernel"),
        (out_left + 2.5 * out_cell, "the sums"),
    ):
        sheet.text(x, 30, title, 13, weight="bold")
    terms = [
        f"({w:g})\u00b7{p:.2f}" if w < 0 else f"{w:g}\u00b7{p:.2f}"
        for w, p in zip(kernel.ravel(), patch[i : i + 3, j : j + 3].ravel(), strict=True)
        if w
    ]
    total = minus(f"s = {' + '.join(terms)} + b = {result[i, j]:.2f}")
    sheet.text(WIDTH - MARGIN, top + size * cell + 30, total + "     (with bias b = 0)", 11, ORANGE, ha="right")
    return sheet, {"pixels": patch, "kernel": kernel, "sums": result}


def kernels_picture() -> Drawn:
    """Draw what the three kernels make of the photograph, of red, green and blue alike."""
    results = [per_channel(photo(), kernel) for kernel in KERNELS]
    sheet = Canvas(WIDTH, 640)
    top, zoom_top, zoom = 200, 474, 4
    rows, columns = slice(112, 146), slice(44, 108)
    sheet.text(COLUMNS[0] + PANEL / 2, 24, "the picture", 13, weight="bold")
    sheet.text(COLUMNS[0] + PANEL / 2, 118, "256 \u00d7 256 pixels,\n3 channels: red, green, blue", 11, MUTED)
    for n, (left, kernel) in enumerate(zip(COLUMNS[1:], KERNELS, strict=True), 1):
        sheet.text(left + PANEL / 2, 24, f"kernel {n}", 13, weight="bold")
        sheet.kernel(kernel, left + (PANEL - 3 * 44) / 2, 50, 44, 11)
    for left, pixels in zip(COLUMNS, [photo(), *map(stretched, results)], strict=True):
        sheet.image(pixels, left, top)
        sheet.box(left + columns.start, top + rows.start, 64, 34, ORANGE, 1.6)
        sheet.image(pixels[rows, columns], left, zoom_top, zoom)
        sheet.box(left, zoom_top, 64 * zoom - 1, 34 * zoom - 1, ORANGE, 1.6)
    return sheet, {"picture": photo(), **{f"kernel {n}": y for n, y in enumerate(results, 1)}}


def kernels_spectrogram() -> Drawn:
    """Draw what the three kernels make of a spectrogram."""
    x = spectrogram()
    results = [convolved(x, kernel) for kernel in KERNELS]
    sheet = Canvas(WIDTH, 714)
    tops, lefts = (130, 498), (58, 580)
    _sound(sheet, x, lefts[0], tops[0], SOUND, axes=True)
    sheet.text(lefts[0], tops[0] - 42, "the word \u201cseven\u201d", 13, weight="bold", ha="left")
    sheet.text(lefts[0], tops[0] - 18, "log-mel spectrogram, 101 frames \u00d7 40 bands", 11, MUTED, ha="left")
    places = [(lefts[1], tops[0]), (lefts[0], tops[1]), (lefts[1], tops[1])]
    for n, ((left, top), kernel, y) in enumerate(zip(places, KERNELS, results, strict=True), 1):
        sheet.kernel(kernel.T[::-1], left, top - 114, 34, 8.5)
        sheet.text(left + 118, top - 24, f"kernel {n}", 13, weight="bold", ha="left")
        _sound(sheet, stretched(y), left, top, SOUND)
    return sheet, {"spectrogram": x, **{f"kernel {n}": y for n, y in enumerate(results, 1)}}


def strides() -> Drawn:
    """Draw the kernel for edges in steps of 1, 2 and 3."""
    sheet = Canvas(WIDTH, 758)
    shown: dict[str, Array] = {}
    thirds = [MARGIN, 400, 780]
    for left, stride in zip(thirds, (1, 2, 3), strict=True):
        picture = convolved(grey_photo(), KERNELS[2], stride=stride)
        sound = convolved(spectrogram(), KERNELS[2], stride=stride)
        shown |= {f"picture, stride {stride}": picture, f"spectrogram, stride {stride}": sound}
        sheet.text(left, 24, f"stride {stride} \u00d7 {stride}", 13, weight="bold", ha="left")
        _windows(sheet, left, 52, stride)
        size = " \u00d7 ".join(map(str, picture.shape))
        sheet.text(left, 292, f"256 \u00d7 256 becomes {size}", 10.5, MUTED, ha="left")
        sheet.image(GREY(stretched(picture))[..., :3], left, 310)
        size = " \u00d7 ".join(map(str, sound.shape))
        sheet.text(left, 598, f"101 \u00d7 40 becomes {size}", 10.5, MUTED, ha="left")
        sheet.image(SOUND(stretched(sound.T[::-1]))[..., :3], left, 616, 3)
    return sheet, shown


def padding() -> Drawn:
    """Draw a small input with and without a ring of zeros."""
    x = np.round(grey_photo()[104:148:10, 176:220:10], 1)
    kernel = KERNELS[2]
    sheet = Canvas(WIDTH, 400)
    cell, shown = 42, {"pixels": x}
    for left, zeros in ((MARGIN, 0), (508, 1)):
        y = convolved(x, kernel, padding=zeros)
        shown[f"padding {zeros}"] = y
        size, ring = len(x), zeros * cell
        top = 62 + (1 - zeros) * cell
        around = np.pad(x, zeros)
        colours = GREY(0.15 + 0.85 * around)[..., :3]
        colours[(np.pad(np.ones_like(x), zeros)) == 0] = (0.93, 0.94, 0.96)
        sheet.cells(around, left, top, cell, colours, 9.5)
        sheet.box(left + ring, top + ring, size * cell, size * cell, INK, 1.4)
        sheet.box(left, top, 3 * cell, 3 * cell, ORANGE, 2.6)
        right = left + len(around) * cell
        sheet.arrow(right + 14, top + len(around) * cell / 2, right + 48, top + len(around) * cell / 2)
        out_left, out_top = right + 62, top + (len(around) - len(y)) * cell / 2
        sheet.cells(y, out_left, out_top, cell, signed(y, 1.2), 8.5, "{:.2f}")
        sheet.box(out_left, out_top, cell, cell, ORANGE, 2.6)
        title = "padding 1: a ring of zeros" if zeros else "no padding"
        sheet.text(left, 28, title, 13, weight="bold", ha="left")
        size_line = f"1 + ({size} \u2212 3 + 2\u00b7{zeros}) / 1 = {len(y)}"
        sheet.text(
            left, 380, f"{size} \u00d7 {size} becomes {len(y)} \u00d7 {len(y)}:  {size_line}", 10.5, MUTED, ha="left"
        )
    return sheet, shown


def output_size() -> Drawn:
    """Draw why 256 inputs, a kernel of 3, padding 1 and stride 3 give 86 outputs."""
    sheet = Canvas(WIDTH, 354)
    shown: dict[str, Array] = {}
    for top, zeros in ((56, 1), (240, 0)):
        count = geometry.output_size(256, 3, padding=zeros, stride=3)
        starts = np.arange(count) * 3 - zeros
        shown[f"first inputs, padding {zeros}"] = starts
        sheet.text(MARGIN, top - 28, f"W = 256,  K = 3,  P = {zeros},  S = 3", 13, weight="bold", ha="left")
        formula = (
            f"D = 1 + \u230a(256 \u2212 3 + 2\u00b7{zeros}) / 3\u230b = 1 + \u230a{253 + 2 * zeros} / 3\u230b = {count}"
        )
        sheet.text(WIDTH - MARGIN, top - 28, formula, 12, ORANGE, ha="right")
        cell = 44
        for left, first, last in ((MARGIN, -zeros, 8), (WIDTH - MARGIN - 10 * cell, 247, 255 + zeros)):
            left += 0 if first > 0 or zeros else cell
            left += (10 - (last - first + 1)) * cell if first > 0 else 0
            for n, place in enumerate(range(first, last + 1)):
                _place(sheet, left + n * cell, top, cell, place, used=place < starts[-1] + 3)
            for number, start in enumerate(starts):
                if start >= first and start + 2 <= last:
                    x = left + (start - first) * cell
                    colour = (ORANGE, BLUE)[number % 2]
                    begin, end, upper, lower = x + 4, x + 3 * cell - 4, top + cell + 8, top + cell + 20
                    sheet.line([begin, begin, end, end], [upper, lower, lower, upper], colour, 2)
                    sheet.text(x + 1.5 * cell, top + cell + 38, f"output {number + 1}", 10.5, colour, weight="bold")
        sheet.text(WIDTH / 2, top + cell / 2, "\u2026", 22, MUTED)
        sheet.text(WIDTH / 2, top + cell + 38, "\u2026", 16, MUTED)
        if not zeros:
            x = WIDTH - MARGIN - cell / 2
            sheet.text(x, top + cell + 20, "unused", 9.5, MUTED)
    return sheet, shown


def pooling_picture() -> Drawn:
    """Draw convolution, ReLU and both kinds of pooling, in numbers and on the picture."""
    sheet = Canvas(WIDTH, 590)
    rows = [[0.1, 0.7, 0.0, 0.2], [0.3, 0.1, 0.0, 0.6], [0.9, 0.8, 0.4, 0.0], [0.7, 0.8, 0.0, 0.0]]
    numbers = np.array(rows, np.float32)
    largest = ops.max_pool2d(numbers[None, :, :, None], 2)[0, :, :, 0]
    average = ops.avg_pool2d(numbers[None, :, :, None], 2)[0, :, :, 0]
    cell, top = 42, 62
    left = COLUMNS[1] + (PANEL - 4 * cell) / 2
    tints = [GREY(0.15 + 0.85 * v)[..., :3] for v in (numbers, largest, average)]
    sheet.cells(numbers, left, top, cell, tints[0], 10.5)
    for n in (0, 1):
        for m in (0, 1):
            sheet.box(left + 2 * n * cell + 1.5, top + 2 * m * cell + 1.5, 2 * cell - 3, 2 * cell - 3, ORANGE, 2)
    sheet.text(COLUMNS[0], 30, "in numbers", 13, weight="bold", ha="left")
    note = "Each region gives one number.\nThe stride is the region\u2019s size,\nso that no two overlap."
    sheet.text(COLUMNS[0], top + 2 * cell, note, 11, MUTED, ha="left", linespacing=1.5)
    sheet.text(left + 2 * cell, 30, "4 \u00d7 4", 11, MUTED)
    pooled = ((COLUMNS[2], largest, tints[1], "the largest of each"), (COLUMNS[3], average, tints[2], "their average"))
    for column, values, colours, title in pooled:
        x = column + PANEL / 2 - cell
        sheet.cells(values, x, top + cell, cell, colours, 10.5, "{:.2g}")
        sheet.text(column + PANEL / 2, 30, title, 11, MUTED)
    edges = convolved(grey_photo(), KERNELS[2])
    kept = np.maximum(edges, 0)
    pools = [pool(kept[None, :, :, None], 4)[0, :, :, 0] for pool in (ops.max_pool2d, ops.avg_pool2d)]
    bright = np.percentile(kept[1:-1, 1:-1], 99.5)
    panels = [GREY(stretched(edges)), GREY(kept / bright), GREY(pools[0] / bright), GREY(pools[1] / bright)]
    titles = ["convolution", "ReLU", "max pool 4 \u00d7 4", "average pool 4 \u00d7 4"]
    for column, title, pixels in zip(COLUMNS, titles, panels, strict=True):
        sheet.image(pixels[..., :3], column, 316, PANEL // len(pixels))
        sheet.text(column + PANEL / 2, 278, title, 13, weight="bold")
        size = f"{len(pixels)} \u00d7 {len(pixels)}"
        sheet.text(column + PANEL / 2, 300, size, 10.5, MUTED)
    return sheet, {"convolution": edges, "ReLU": kept, "max pool": pools[0], "average pool": pools[1]}


def pooling_spectrogram() -> Drawn:
    """Draw the same on the spectrogram, as the first layers of a network do it."""
    edges = convolved(spectrogram(), KERNELS[2])
    kept = np.maximum(edges, 0)
    pools = [pool(kept[None, :, :, None], 2)[0, :, :, 0] for pool in (ops.max_pool2d, ops.avg_pool2d)]
    bright = float(np.percentile(kept[1:-1, 1:-1], 99.5))
    sheet = Canvas(WIDTH, 574)
    steps = [
        ("convolution", stretched(edges), 1),
        ("ReLU", kept / bright, 1),
        ("max pool 2 \u00d7 2", pools[0] / bright, 2),
        ("average pool 2 \u00d7 2", pools[1] / bright, 2),
    ]
    for n, (title, values, pool) in enumerate(steps):
        left, top = (38, 558)[n % 2], (64, 346)[n // 2]
        sheet.text(left, top - 34, title, 13, weight="bold", ha="left")
        sheet.text(left, top - 14, f"{values.shape[0]} frames \u00d7 {values.shape[1]} bands", 10.5, MUTED, ha="left")
        _sound(sheet, values, left, top, SOUND, BAND_ZOOM * pool)
    return sheet, {"convolution": edges, "ReLU": kept, "max pool": pools[0], "average pool": pools[1]}


FIGURES: dict[str, Callable[[], Drawn]] = {
    "convolution": convolution,
    "kernels-picture": kernels_picture,
    "kernels-spectrogram": kernels_spectrogram,
    "strides": strides,
    "padding": padding,
    "output-size": output_size,
    "pooling-picture": pooling_picture,
    "pooling-spectrogram": pooling_spectrogram,
}
"""The pictures by their file's name."""


def _sound(
    sheet: Canvas, values: Array, left: int, top: int, colours: Any, zoom: int = BAND_ZOOM, axes: bool = False
) -> None:
    """Show (frames, bands) from 0 to 1, time to the right and frequency upwards."""
    sheet.image(colours(np.clip(values.T[::-1], 0, 1))[..., :3], left, top, zoom)
    if not axes:
        return
    bottom = top + values.shape[1] * zoom
    for seconds in (0, 0.25, 0.5, 0.75, 1):
        sheet.text(left + (100 * seconds + 0.5) * zoom, bottom + 12, f"{seconds:g}", 9, MUTED)
    sheet.text(left + 101 * zoom / 2, bottom + 30, "time (s)", 9.5, MUTED)
    # Where on Slaney's mel scale the bands have their centres.
    peaks = LogMel(SAMPLE_RATE).mel_filters().argmax(axis=1) * SAMPLE_RATE / 512
    for kilohertz in (0.5, 1, 2, 4):
        band = float(np.interp(1000 * kilohertz, peaks, np.arange(len(peaks))))
        sheet.text(left - 8, bottom - (band + 0.5) * zoom, f"{kilohertz:g}", 9, MUTED, ha="right")
    sheet.text(left - 40, (top + bottom) / 2, "frequency (kHz)", 9.5, MUTED, rotation=90)


def _windows(sheet: Canvas, left: int, top: int, stride: int) -> None:
    """Draw 9 x 9 inputs, where the kernel's centre goes, and its first three places."""
    cell, count = 24, 9
    for n in range(count + 1):
        sheet.line([left + n * cell] * 2, [top, top + count * cell])
        sheet.line([left, left + count * cell], [top + n * cell] * 2)
    for row in range(1, count - 1, stride):
        for column in range(1, count - 1, stride):
            x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell
            sheet.line([x], [y], MUTED, marker="o", markersize=4.5)
    for n, colour in enumerate((ORANGE, BLUE)):
        inset = 2 + 2 * n if stride < 3 else 2
        x = left + n * stride * cell
        sheet.box(x + inset, top + inset, 3 * cell - 2 * inset, 3 * cell - 2 * inset, colour, 2.4)
        sheet.line([x + 1.5 * cell], [top + 1.5 * cell], colour, marker="o", markersize=7)


def _place(sheet: Canvas, left: float, top: float, cell: int, place: int, used: bool) -> None:
    """Draw one input of the line, or one zero beside it."""
    zero = not 0 <= place <= 255
    plain = used and not zero
    fill = "white" if plain else "#eceef2" if zero else "#f7f7f7"
    sheet.box(left, top, cell, cell, INK if plain else MUTED, fill=True, fc=fill, ls="-" if plain else "--")
    text, size = ("zero", 9.5) if zero else (str(place), 10.5)
    sheet.text(left + cell / 2, top + cell / 2, text, size, INK if plain else MUTED)
