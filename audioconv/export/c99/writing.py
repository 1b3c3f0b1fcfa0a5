"""A model as three files, compared with the model before they are written: header, source, and what is known of it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.errors import ConfigError, ExportError
from audioconv.export.c99 import compiler, program
from audioconv.export.c99.compiler import Runner
from audioconv.export.c99.header import Sizes, with_code
from audioconv.export.calibration import Accuracy, Calibration, accuracy
from audioconv.export.check import (
    Check,
    check,
    check_roughly,
    difference,
    examples_for,
    made_inputs,
    stored_inputs,
    tolerance_for,
)
from audioconv.export.facts import HOP_SECONDS
from audioconv.io.files import display_path, make_folder, write_atomic
from audioconv.model import Model
from audioconv.streaming.picker import EventPicker, LevelTrack, Likeliest
from audioconv.streaming.scorer import Listener

DEFAULT_NAME = "model"

RESERVED = {"assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "limits", "locale", "math", "setjmp",
            "signal", "stdarg", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string", "tgmath", "time", "wchar",
            "wctype"}  # fmt: skip
"""Headers of the standard library, in whose place a model's would be found."""

ROWS_APART = 2
"""By how many rows the place of a word may differ: levels are rounded otherwise."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    files : tuple of Path
        Source, header, JSON.
    bytes : int
    sizes : Sizes
    check : Check or None
        How the code was compared with the model; None where there is no C compiler.
    accuracy : Accuracy or None
        What 8-bit weights cost, where there were recordings to measure it.
    """

    files: tuple[Path, ...]
    bytes: int
    sizes: Sizes
    check: Check | None
    accuracy: Accuracy | None


def write(
    model: Model,
    path: StrPath,
    facts: Mapping[str, Any],
    *,
    from_features: bool = False,
    int8: bool = False,
    calibration: StrPath | None = None,
) -> Written:
    """Write a model as C.

    Parameters
    ----------
    model : Model
    path : path-like
        The source, whose name ends with ``.c``; header and JSON are written beside it. Or a folder for the three, which
        is made if need be.
    facts : mapping
        Goes into the JSON.
    from_features, int8 : bool
        As of `program.write`.
    calibration : path-like, optional
        A data set on which the accuracy of 8-bit weights is measured.

    Raises
    ------
    ConfigError
        If the name is none that C programs can include.
    ExportError
        If a layer has no C code, or the code computes something else than the model.
    DataError
        If a file cannot be written, or the data set cannot be read.
    """
    source = Path(path) if Path(path).suffix.lower() == ".c" else Path(path) / f"{DEFAULT_NAME}.c"
    name = source.stem
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name) or name.lower() in RESERVED:
        raise ConfigError(
            f"{display_path(source)}: C programs include a header of this name; use letters, digits, _, - and ., "
            "and no name of a header of the standard library"
        )
    made = program.write(model, name, from_features=from_features, int8=int8)
    known = Calibration.read(model, calibration) if calibration is not None else None
    sizes, compared, cost = made.sizes, None, None
    found = compiler.find()
    if found is not None:
        with (
            tempfile.TemporaryDirectory(prefix="audioconv-c-") as folder,
            tempfile.TemporaryDirectory(prefix="audioconv-c-") as inner,
        ):
            runner = Runner(made, found, Path(folder))
            compared = _compare(model, runner, from_features, int8)
            if (stored := stored_inputs(model)) is not None:
                network = runner
                if runner.listens:
                    made_network = program.write(model, name, from_features=True, int8=int8)
                    network = Runner(made_network, found, Path(inner))
                compare = check_roughly if int8 else check
                compared = compared.joined(compare(model, network, network.program, stored))
            if known is not None:
                cost = accuracy(model, runner, known.rest, from_features=from_features)
        measured = compiler.code_size(made, found)
        if measured is not None:
            sizes = replace(sizes, code=measured[0], compiled_by=measured[1])
    metadata = {**facts, "c": {**asdict(sizes), "int8": int8, "checked": compared is not None}}
    contents = {
        source: made.source,
        source.with_suffix(".h"): with_code(made.header, sizes),
        source.with_suffix(".json"): json.dumps(metadata, indent=2, ensure_ascii=False) + "\n",
    }
    if source.parent != Path(path).parent:
        make_folder(source.parent)
    for file, content in contents.items():
        with write_atomic(file, "w") as opened:
            opened.write(content)
    total = sum(len(content.encode()) for content in contents.values())
    return Written(tuple(contents), total, sizes, compared, cost)


def _compare(model: Model, runner: Runner, from_features: bool, int8: bool) -> Check:
    """Compare windows and, where the code listens, a stream with the model."""
    compare = check_roughly if int8 else check
    compared = compare(model, runner, runner.program, made_inputs(model, from_features=from_features))
    if runner.listens:
        examples = examples_for(model)
        check_stream(model, runner, examples, None if int8 else tolerance_for(model.predict_logits(examples)))
    return compared


def check_stream(model: Model, runner: Runner, examples: Array, tolerance: float | None) -> None:
    """Compare the code with what a `Detector` does in a stream.

    Parameters
    ----------
    model : Model
    runner : Runner
    examples : array (N, T) float32
        Come one behind the other, and then one of silence.
    tolerance : float, optional
        Largest difference of a score. Default: the scores are not compared.

    Raises
    ------
    ExportError
        If a score differs by more, or if other events are picked from the same scores.
    """
    samples = np.concatenate([*examples, np.zeros(examples.shape[1], np.float32)])
    integers = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    listener = Listener(model, None, HOP_SECONDS, None)
    heard = list(listener.push(integers))
    wanted = np.concatenate([one.probabilities for one in heard])
    # Of the words that are likeliest in half of the windows, some are events.
    threshold = float(np.median(Likeliest.among(model.decision, model.labels, wanted).scores.clip(0)))
    found = runner.listen(integers, listener.grid.row_samples, threshold)
    if found.scores.shape != wanted.shape:
        raise ExportError(f"the code has {len(found.scores)} windows, the model {len(wanted)}; nothing was written")
    if tolerance is not None:
        difference(found.scores, wanted, tolerance, runner.program)
    levels = LevelTrack(listener.grid, listener.silence_level, keep=True)
    for one in heard:
        levels.append(one.levels, 0)
    picker = EventPicker(model.labels, listener.grid, levels, float(np.float32(threshold)))
    events = picker.push(Likeliest.among(model.decision, model.labels, found.scores))
    rate, apart = listener.grid.sample_rate, ROWS_APART * listener.grid.row_samples
    same = len(events) == len(found.events)
    for event, own in zip(map(picker.describe, events), found.events, strict=False):
        places = abs(event.start * rate - own.begin) <= apart and abs(event.end * rate - own.end) <= apart
        same = same and event.label == model.labels[own.label] and places
    if not same:
        raise ExportError(
            f"the code picks other events than the model from the same scores ({len(found.events)} and {len(events)}, "
            f"{runner.program}); nothing was written"
        )
