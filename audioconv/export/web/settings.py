"""What the scripts of a page need of a model, beside the network: numbers of rows and windows, and rules."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from audioconv.audio import endpoints
from audioconv.export.facts import HOP_SECONDS
from audioconv.features.front_ends import LogMel, Mfcc
from audioconv.model import Model
from audioconv.pipeline.inputs import of_model
from audioconv.streaming.frames import row_stream
from audioconv.streaming.picker import APART, CONFIRM_SECONDS, REFRACTORY, RISE, WAIT
from audioconv.streaming.scorer import Listener
from audioconv.streaming.windows import Grid


def settings(model: Model) -> dict[str, Any]:
    """Return the settings of the scripts for a model of sounds with words, JSON-compatible.

    Returns
    -------
    dict
        ``features`` (shape of a window's features), ``content`` ("words" or "sounds"), ``grid``, ``rows``, ``picker``
        and ``endpoints``: the numbers of `Grid`, `row_stream`, `EventPicker`, and of `word_extent` and `find_words`.
    """
    grid = Listener(model, None, HOP_SECONDS, None).grid
    return {
        "features": list(model.feature_shape),
        "content": of_model(model).content,
        "grid": asdict(grid),
        "rows": _rows(model),
        "picker": {
            "rise": RISE,
            "apart_windows": grid.windows_in(APART * grid.window_seconds),
            "confirm_windows": grid.windows_in(CONFIRM_SECONDS),
            "wait_windows": grid.windows_in(WAIT * grid.window_seconds),
            "refractory_rows": round(REFRACTORY * grid.window_seconds * grid.sample_rate / grid.row_samples),
        },
        "endpoints": _endpoints(grid),
    }


def _rows(model: Model) -> dict[str, Any]:
    front_end, length = model.front_end, model.clip_samples
    assert front_end is not None
    assert length is not None
    rows = row_stream(front_end, length)
    if not isinstance(front_end, LogMel):
        return {"kind": "samples", "row_samples": rows.row_samples, "width": rows.row_samples, "clip_samples": length}
    is_cepstral = isinstance(front_end, Mfcc)
    width = len(rows.silence)
    return {
        "kind": "frames",
        "row_samples": rows.row_samples,
        "fft_length": front_end.fft_length,
        "window_length": front_end.window_length,
        "width": width,
        "silence": rows.silence.tolist(),
        # The level is the sum of so many of a row's numbers, divided by the next number.
        "level_bands": 1 if is_cepstral else width,
        "level_divisor": math.sqrt(front_end.mel_bands) if is_cepstral else width,
    }


def _endpoints(grid: Grid) -> dict[str, Any]:
    row_seconds = grid.row_samples / grid.sample_rate
    smoothed = max(1, round(endpoints.WINDOW.smoothed_frames * endpoints.FRAME_SECONDS / row_seconds))
    return {
        "window": {**_rule(endpoints.WINDOW), "smoothed_rows": smoothed},
        "min_contrast": endpoints.MIN_CONTRAST,
        "recording": _rule(endpoints.RECORDING),
        "frame_seconds": endpoints.FRAME_SECONDS,
        "frame_samples": max(1, round(endpoints.FRAME_SECONDS * grid.sample_rate)),
        "min_power": endpoints.MIN_POWER,
        "min_range": endpoints.MIN_RANGE,
        "digital_silence_db": endpoints.DIGITAL_SILENCE_DB,
        "steady_share": endpoints.STEADY_SHARE,
        "steady_range": endpoints.STEADY_RANGE,
        "min_seconds": endpoints.MIN_SECONDS,
        "max_seconds": endpoints.MAX_SECONDS,
        "max_phrase_seconds": endpoints.MAX_PHRASE_SECONDS,
        "max_phrase_recording_seconds": endpoints.MAX_PHRASE_RECORDING_SECONDS,
        "phrase_pause_seconds": endpoints.PHRASE_PAUSE_SECONDS,
        "min_words_among_sounds": endpoints.MIN_WORDS_AMONG_SOUNDS,
        "margin_seconds": endpoints.MARGIN_SECONDS,
        "rival": endpoints.RIVAL,
    }


def _rule(rule: endpoints.Rule) -> dict[str, Any]:
    """Return a rule as JSON-compatible data, which has no infinity."""
    return {**asdict(rule), "deepest": rule.deepest if math.isfinite(rule.deepest) else None}
