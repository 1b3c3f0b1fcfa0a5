"""Axes of the drawings of features: seconds, and what the bands stand for, in the order and terms of librosa."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.features import librosa_package
from audioconv.features.front_ends import FrontEnd, LogMel, Mfcc
from audioconv.features.librosa_front_end import Librosa
from audioconv.io.figures import GRID, INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)

_ENERGIES = ("cqt", "hybrid_cqt", "pseudo_cqt", "vqt", "melspectrogram")
"""Features of librosa in decibels."""


@dataclass(frozen=True)
class BandAxis:
    """The axis of the bands of a drawing, band 0 at 0.

    Attributes
    ----------
    label : str
    positions : sequence of float
    texts : sequence of str
        At the positions.
    """

    label: str
    positions: Sequence[float] = ()
    texts: Sequence[str] = ()


def band_axis(front_end: FrontEnd, bands: int) -> BandAxis:
    """Return the axis of features with so many bands: notes at each C, pitch classes of C major, or Hz.

    What stands for none of these, such as coefficients, has numbers.
    """
    if isinstance(front_end, Librosa) and front_end.axis == "pitch classes":
        return _pitch_class_axis(front_end, bands)
    if isinstance(front_end, Librosa) and front_end.axis == "notes":
        return _note_axis(front_end, bands)
    edges = mel_edges_of(front_end)
    if edges is None:
        return BandAxis("coefficient" if isinstance(front_end, Mfcc) else "value")
    # Between the centres of bands there is as good as a straight line.
    centres = edges[1:-1]
    ticks = [hertz for hertz in TICKS_HZ if centres[0] <= hertz <= centres[-1]]
    return BandAxis("Hz", np.interp(ticks, centres, np.arange(len(centres))).tolist(), [f"{hz:,}" for hz in ticks])


def _note_axis(front_end: Librosa, bands: int) -> BandAxis:
    librosa = librosa_package.load()

    frequencies = note_frequencies(front_end, bands)
    cs = [hz for hz in librosa.note_to_hz([f"C{octave}" for octave in range(12)]) if _within(hz, frequencies)]
    positions = np.interp(np.log2(cs), np.log2(frequencies), np.arange(bands))
    return BandAxis("note", positions.tolist(), [str(librosa.hz_to_note(hz)) for hz in cs])


def _pitch_class_axis(front_end: Librosa, bands: int) -> BandAxis:
    librosa = librosa_package.load()

    degrees = librosa.key_to_degrees("C:maj")
    return BandAxis(
        "pitch class", (degrees * bands / 12).tolist(), [pitch_class(front_end, d * bands / 12, bands) for d in degrees]
    )


def draw_band_axis(axes: Axes, front_end: FrontEnd, bands: int) -> None:
    """Put the axis of the bands on the left of a drawing."""
    axis = band_axis(front_end, bands)
    if axis.positions:
        axes.set_yticks(list(axis.positions), list(axis.texts))
    axes.set_ylabel(axis.label, color=MUTED)
    axes.tick_params(color=GRID, labelcolor=INK, labelsize=8)


def extent_of(front_end: LogMel | Librosa, shape: tuple[int, ...], begin: float) -> tuple[float, float, float, float]:
    """Return left and right (seconds), bottom and top (bands) of features, whose frames are centred."""
    step = front_end.hop_length / front_end.sample_rate
    return begin - step / 2, begin + (shape[0] - 0.5) * step, -0.5, shape[1] - 0.5


def in_decibels(front_end: FrontEnd) -> bool:
    """Tell whether features are energies in decibels."""
    if isinstance(front_end, Librosa):
        return front_end.name in _ENERGIES
    return isinstance(front_end, LogMel) and not isinstance(front_end, Mfcc)


def bounds_of_bands(front_end: FrontEnd, bands: slice, count: int) -> dict[str, Any]:
    """Return what some of `count` bands stand for, by name: the lowest and the highest of them."""
    last = bands.stop - 1
    if isinstance(front_end, Librosa) and front_end.axis == "pitch classes":
        return {
            "first_pitch_class": pitch_class(front_end, bands.start, count),
            "last_pitch_class": pitch_class(front_end, last, count),
        }
    if isinstance(front_end, Librosa) and front_end.axis == "notes":
        librosa = librosa_package.load()

        frequencies = note_frequencies(front_end, count)
        half = 2 ** (0.5 / front_end.keywords.get("bins_per_octave", 12))
        return {
            "lowest_note": str(librosa.hz_to_note(frequencies[bands.start])),
            "highest_note": str(librosa.hz_to_note(frequencies[last])),
            "lowest_hz": float(frequencies[bands.start] / half),
            "highest_hz": float(frequencies[last] * half),
        }
    edges = mel_edges_of(front_end)
    if edges is not None:
        return {"lowest_hz": float(edges[bands.start]), "highest_hz": float(edges[bands.stop + 1])}
    what = "coefficient" if isinstance(front_end, Mfcc) else "value"
    return {f"first_{what}": bands.start, f"last_{what}": last}


def mel_edges_of(front_end: FrontEnd) -> NDArray[np.float64] | None:
    """Return where mel bands begin, peak and end, (bands + 2,) in Hz; None of features that are no mel bands."""
    if isinstance(front_end, Librosa) and front_end.axis == "mel":
        librosa = librosa_package.load()

        found = front_end.keywords
        top = found.get("fmax") or front_end.sample_rate / 2
        edges: NDArray[np.float64] = librosa.mel_frequencies(
            found.get("n_mels", 128) + 2, fmin=found.get("fmin", 0.0), fmax=top, htk=found.get("htk", False)
        )
        return edges
    if isinstance(front_end, LogMel) and not isinstance(front_end, Mfcc):
        return front_end.band_edges()
    return None


def note_frequencies(front_end: Librosa, bands: int) -> Array:
    """Return the frequencies of the notes of a constant-Q transform, (bands,) in Hz."""
    librosa = librosa_package.load()

    found = front_end.keywords
    frequencies: Array = librosa.interval_frequencies(
        bands,
        fmin=found.get("fmin") or librosa.note_to_hz("C1"),
        intervals=found.get("intervals", "equal"),
        bins_per_octave=found.get("bins_per_octave", 12),
        tuning=found.get("tuning") or 0.0,
    )
    return frequencies


def pitch_class(front_end: Librosa, band: float, bands: int) -> str:
    """Return the name of the pitch class at a band; of bands between two, the lower one."""
    librosa = librosa_package.load()

    first = 0 if front_end.keywords.get("base_c", True) else 9  # the first band is C, or A
    return str(librosa.midi_to_note(int(12 * band / bands) + first, octave=False))


def _within(hertz: float, frequencies: Array) -> bool:
    tolerance = 1e-6
    return bool(frequencies[0] * (1 - tolerance) <= hertz <= frequencies[-1] * (1 + tolerance))
