"""Listening as C: where windows lie, how they are averaged, and how events are picked, all as numbers of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioconv.audio import endpoints
from audioconv.export.c99 import text
from audioconv.export.facts import HOP_SECONDS
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.model import Model
from audioconv.streaming.detector import chosen_threshold
from audioconv.streaming.frames import row_stream
from audioconv.streaming.picker import APART, CONFIRM_SECONDS, REFRACTORY, RISE, WAIT
from audioconv.streaming.scorer import Listener

STATE_ALIGNMENT = 8

INTEGERS = ("refractory_rows", "has_best", "has_last", "filled", "row_slot", "level_slot", "probability_slot")
"""Fields of the state."""


@dataclass(frozen=True)
class StreamCode:
    """Listening as source.

    Attributes
    ----------
    numbers : dict
        Of macros.
    tables : list of str
    routines : list of str
    fields : list of (str, str, int, int)
        Of the state: type, name, numbers and bytes of one; no number where it is no array.
    hop_samples : int
        From one window to the next.
    flush_events : int
        The most events at the end of a stream.
    constant_bytes : int
    extent_memory : int
        Numbers of scratch memory.
    """

    numbers: dict[str, object]
    tables: list[str]
    routines: list[str]
    fields: list[tuple[str, str, int, int]]
    hop_samples: int
    flush_events: int
    constant_bytes: int
    extent_memory: int


def lower(model: Model) -> StreamCode | None:
    """Return what listening for the words of a model needs; None if it has no words or is of pictures."""
    if model.front_end is None or model.clip_samples is None or not model.words:
        return None
    listener = Listener(model, None, HOP_SECONDS, None)
    grid, rows = listener.grid, row_stream(model.front_end, model.clip_samples)
    row_seconds = grid.row_samples / grid.sample_rate
    level_rows = grid.window_rows + (grid.smoothing - 1) // 2 * grid.hop_rows
    place = endpoints.WINDOW.background / 100 * (grid.window_rows - 1)
    numbers: dict[str, object] = {
        "HOP_ROWS": grid.hop_rows,
        "ROW_BEFORE": grid.before,
        "ROW_AFTER": grid.after,
        "SMOOTHING": grid.smoothing,
        "SMOOTHING_MIDDLE": (grid.smoothing - 1) // 2,
        "LEVEL_ROWS": level_rows,
        "SILENCE_LEVEL": text.number(listener.silence_level),
        "THRESHOLD": text.number(at_least(chosen_threshold(model))),
        "RISE": text.double(RISE),
        "CONFIRM": grid.windows_in(CONFIRM_SECONDS),
        "WAIT": grid.windows_in(WAIT * grid.window_seconds),
        "APART": grid.windows_in(APART * grid.window_seconds),
        "REFRACTORY_ROWS": round(REFRACTORY * grid.window_seconds * grid.sample_rate / grid.row_samples),
        "EXTENT_ROW": int(place),
        "EXTENT_PART": text.number(place - int(place)),
        "EXTENT_STEP": text.number(endpoints.WINDOW.share),
        "EXTENT_CONTRAST": text.number(endpoints.MIN_CONTRAST),
        "EXTENT_SMOOTHING": max(1, round(endpoints.WINDOW.smoothed_frames * endpoints.FRAME_SECONDS / row_seconds)),
        "EXTENT_PAUSE": _pause_rows(row_seconds),
    }
    raw = isinstance(model.front_end, RawSamples)
    tables, constant_bytes, kept = [], 0, []
    if raw:
        held = ("int16_t", "rows", grid.window_rows * grid.row_samples, 2)
        delay = 0
    else:
        assert isinstance(model.front_end, LogMel)
        width = len(rows.silence)
        cepstral = isinstance(model.front_end, Mfcc)
        numbers["LEVEL_WIDTH"] = 1 if cepstral else width
        numbers["LEVEL_DIVISOR"] = text.number(model.front_end.mel_bands**0.5 if cepstral else width)
        tables.append(text.array("float", "silence", rows.silence))
        constant_bytes = 4 * width
        held = ("float", "rows", grid.window_rows * width, 4)
        kept = [("int16_t", "kept", model.front_end.fft_length, 2)]
        delay = model.front_end.fft_length // 2
    labels = len(model.labels)
    fields = [
        ("int64_t", "sample_count", 0, 8),
        ("int64_t", "row_count", 0, 8),
        ("int64_t", "window_count", 0, 8),
        ("audioconv_candidate", "best", 0, 48),
        ("audioconv_candidate", "last", 0, 48),
        ("int64_t", "last_end_of", labels, 8),
        ("float", "threshold", 0, 4),
        *(("int32_t", name, 0, 4) for name in INTEGERS),
        ("float", "scores", labels, 4),
        ("float", "probabilities", grid.smoothing * labels, 4),
        ("float", "levels", level_rows, 4),
        *([] if raw else [held]),
        ("float", "scratch", 0, 4),  # its size is known when the network is
        *([held] if raw else kept),
    ]
    # Windows that are not yet complete when the stream ends, and the word that was waiting for a better window.
    late = grid.window_rows - grid.window_rows // 2 + delay // grid.row_samples + 1
    return StreamCode(
        numbers=numbers,
        tables=tables,
        routines=["stream_samples" if raw else "stream_frames", "extent", "stream"],
        fields=fields,
        hop_samples=grid.hop_rows * grid.row_samples,
        flush_events=late // grid.hop_rows + 2,
        constant_bytes=constant_bytes,
        extent_memory=2 * grid.window_rows,
    )


def at_least(threshold: float) -> float:
    """Return the smallest float32 that is not below a threshold.

    >>> at_least(0.5), at_least(0.95) >= 0.95
    (0.5, True)
    """
    single = np.float32(threshold)
    return float(single if float(single) >= threshold else np.nextafter(single, np.float32(2)))


def _pause_rows(row_seconds: float) -> int:
    """Return the longest pause inside of a word, in rows."""
    rows = 0
    while (rows + 1) * row_seconds <= endpoints.WINDOW.pause_seconds:
        rows += 1
    return rows
