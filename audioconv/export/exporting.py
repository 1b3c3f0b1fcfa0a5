"""`export`: a trained model as a file of another program, checked before it is written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import StrPath
from audioconv.errors import ConfigError, ExportError
from audioconv.export import heads, onnx_file, tflite
from audioconv.export.c99 import writing as c99
from audioconv.export.c99.header import Sizes
from audioconv.export.calibration import Accuracy, Calibration, accuracy, candidates, distance
from audioconv.export.check import (
    TOLERANCE,
    Check,
    Inputs,
    check,
    check_roughly,
    difference,
    examples_for,
    made_inputs,
    stored_inputs,
)
from audioconv.export.description import describe
from audioconv.export.facts import facts
from audioconv.export.operations import Graph
from audioconv.export.tflite_file import schema
from audioconv.export.web import folder as web_folder
from audioconv.export.web import runtime as web_runtime
from audioconv.io.files import display_path, make_folder, write_atomic
from audioconv.model import Model

FORMATS = {".onnx": "onnx", ".tflite": "tflite", ".c": "c"}
"""Formats of one file by the ending of its name."""

C = "c"
"""The format of C source: a file, or a folder, with a header and JSON beside it."""

HEADS = "openwakeword"
"""The format of a folder with a file for each word: heads for openWakeWord."""

WEB = "web"
"""The format of a folder with a web page."""

NO_FEATURES = {HEADS: "a head takes embeddings", WEB: "a page takes sound"}
"""Formats that cannot leave the front end out, and why."""

WRITERS: dict[str, Any] = {"onnx": onnx_file, "tflite": tflite}
"""The module of each format, with `write` and `Runner`."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    format : str
    files : tuple of Path
    bytes : int
        Size of all files.
    check : Check or None
        How they were compared with the model; None of C source where there is no C compiler.
    accuracy : Accuracy or None
        With 8-bit integers, what they cost; None where no example with a label of the model was left to measure it.
    sizes : Sizes or None
        Of C source, the memory that it takes.
    """

    format: str
    files: tuple[Path, ...]
    bytes: int
    check: Check | None
    accuracy: Accuracy | None = None
    sizes: Sizes | None = None


def export(
    model: Model | StrPath,
    path: StrPath,
    *,
    format: str | None = None,
    from_features: bool = False,
    int8: bool = False,
    calibration: StrPath | None = None,
    offline: StrPath | None = None,
) -> Exported:
    """Write a trained model as a file of another program.

    The file takes a batch of samples (N, clip_samples) float32 at the model's rate with full scale 1, or pixels
    (N, height, width, channels) from 0 to 1. It gives ``probabilities`` (N, labels) and ``answer`` (N,): the number of
    the label, or -1 for "none of these". It is compared with the model first, and nothing is written if it differs.

    Parameters
    ----------
    model : Model or path-like
    path : path-like
        The file; of the format ``"openwakeword"`` a folder, of ``"c"`` the source or a folder.
    format : str, optional
        ``"onnx"``, ``"tflite"``; ``"openwakeword"``: a head for each word in both formats, which takes the embeddings
        that openWakeWord computes, see `heads.check_headed`; ``"c"``: C99 source with a header and JSON beside it,
        which takes a stream; or ``"web"``: a page that finds the words in a browser. Default: by the ending of `path`.
    from_features : bool
        Leave the front end out: the file takes features (N, frames, bands) as `Model.features` gives them. Default:
        False.
    int8 : bool
        Compute the network in 8-bit integers, with a scale for each channel of the weights; front end, normalisation
        and decision stay float32. Of TFLite; in C only the weights are 8-bit integers. Default: False.
    calibration : path-like, optional
        A data set of the model's labels: 300 examples of it choose the ranges of the integers, and others measure the
        accuracy; for C the others alone are used. Default: the features that the model keeps choose the ranges, and no
        accuracy is measured.
    offline : path-like, optional
        A folder with the npm package onnxruntime-web, whose files are copied beside a page. Default: the page loads
        them from a content delivery network.

    Returns
    -------
    Exported

    Raises
    ------
    ConfigError
        If there is no such format, the model has no front end to leave out, there are no examples for the ranges of
        8-bit integers, or `offline` is given for another format than ``"web"``.
    ExportError
        If the format cannot hold the model, which names the layer, or the file computes something else.
    DataError
        If the file cannot be written, or the data set cannot be read.
    MissingExtraError
        If a package is missing; the message names the extra.
    """
    kind = chosen_format(path, format)
    check_integers(kind, int8, calibration)
    check_offline(kind, offline)
    trained = model if isinstance(model, Model) else Model.load(model)
    if from_features and (kind in NO_FEATURES or trained.front_end is None):
        what = NO_FEATURES.get(kind, "a model of pictures has none")
        raise ConfigError(f"features are what a front end makes of sound; {what}")
    _check_folder(path)
    if kind == HEADS:
        return _export_heads(trained, Path(path))
    if kind == C:
        settings: dict[str, Any] = {"from_features": from_features, "int8": int8, "calibration": calibration}
        made = c99.write(trained, path, facts(trained), **settings)
        return Exported(C, made.files, made.bytes, made.check, made.accuracy, made.sizes)
    if kind == WEB:
        return _export_page(trained, Path(path), offline)
    graph = describe(trained, from_features=from_features)
    metadata = facts(trained)
    if int8:
        return _export_integers(trained, graph, metadata, Path(path), calibration, from_features)
    content = WRITERS[kind].write(graph, metadata)
    runner = WRITERS[kind].Runner(content)
    compared = check(trained, runner, runner.program, made_inputs(trained, from_features=from_features))
    if (stored := stored_inputs(trained)) is not None:
        if trained.front_end is not None and not from_features:
            network = describe(trained, from_features=True)
            runner = WRITERS[kind].Runner(WRITERS[kind].write(network, metadata))
        compared = compared.joined(check(trained, runner, runner.program, stored))
    with write_atomic(path) as file:
        file.write(content)
    return Exported(kind, (Path(path),), len(content), compared)


def check_integers(kind: str, int8: bool, calibration: StrPath | None) -> None:
    """Raise `ConfigError` unless 8-bit integers and their calibration go together, in a format that has them."""
    if int8 and kind not in ("tflite", C):
        raise ConfigError(
            f"8-bit integers are for TFLite files and C; leave int8 out, or write a .tflite or .c instead of {kind}"
        )
    if calibration is not None and not int8:
        raise ConfigError(
            "calibration chooses the ranges of 8-bit integers; give int8 (--int8) as well, or leave it out"
        )


def check_offline(kind: str, offline: StrPath | None) -> None:
    """Raise `ConfigError` if a folder of ONNX Runtime Web is given for another format than a page."""
    if offline is not None and kind != WEB:
        raise ConfigError(f"offline copies ONNX Runtime Web beside a page; leave it out for {kind}, or give format web")


def _export_integers(
    model: Model,
    graph: Graph,
    metadata: Mapping[str, Any],
    path: Path,
    folder: StrPath | None,
    from_features: bool,
) -> Exported:
    """Write a TFLite file whose network computes in 8-bit integers; with ranges of the stored features, or a folder."""
    schema()
    calibration = None if folder is None else Calibration.read(model, folder)
    stored = stored_inputs(model)
    if calibration is not None:
        features = model.features(calibration.for_ranges)
    elif stored is not None:
        features = stored.features
    else:
        raise ConfigError(
            "8-bit integers need examples to choose their ranges by, and this model has none: give calibration, a data "
            "set such as the one that the model was trained with (--calibration FOLDER)"
        )
    metadata, takes_samples = {**metadata, "int8": True}, model.front_end is not None and not from_features
    network = describe(model, from_features=True) if takes_samples else graph
    # The ranges are those with which the probabilities of these examples are nearest to the model's.
    ranges = min(
        candidates(model, network, features),
        key=lambda one: distance(model, tflite.Runner(tflite.write(network, metadata, one)), features),
    )
    content = tflite.write(network, metadata, ranges)
    runner = tflite.Runner(content)
    compared = check_roughly(model, runner, runner.program, Inputs(features, features))
    if takes_samples:
        content = tflite.write(graph, metadata, ranges)
        runner = tflite.Runner(content)
        compared = compared.joined(
            check_roughly(model, runner, runner.program, made_inputs(model, from_features=False))
        )
    found = None if calibration is None else accuracy(model, runner, calibration.rest, from_features=from_features)
    with write_atomic(path) as file:
        file.write(content)
    return Exported("tflite", (path,), len(content), compared, found)


def _export_heads(model: Model, folder: Path) -> Exported:
    """Write a head for each word into `folder`, which is made if need be; all are compared before the first."""
    heads.check_headed(model, heads.find_published())
    words = [label for label in model.words if label in model.answer_labels]
    names = [_file_name(word) for word in words]
    if len(set(names)) < len(names):
        raise ExportError(f"words must differ in their letters and digits to be names of files; got {', '.join(words)}")
    examples = examples_for(model)
    embeddings, wanted = heads.embeddings_of(model, examples), model.predict(examples)
    metadata, contents, largest = facts(model), {}, 0.0
    programs: dict[str, None] = {}
    for word, name in zip(words, names, strict=True):
        graph = heads.describe_head(model, word)
        for kind, module in WRITERS.items():
            content = module.write(graph, {**metadata, "word": word}, any_batch=False)
            runner = module.Runner(content)
            found = np.stack([runner(one[None])["probability"][0, 0] for one in embeddings])
            largest = max(largest, difference(found, wanted[:, model.labels.index(word)], TOLERANCE, runner.program))
            contents[folder / f"{name}.{kind}"] = content
            programs[runner.program] = None
    write_folder(folder, contents)
    compared = Check(", ".join(programs), len(examples), largest, len(examples))
    return Exported(HEADS, tuple(contents), sum(map(len, contents.values())), compared)


def _export_page(model: Model, folder: Path, offline: StrPath | None) -> Exported:
    """Write a web page into `folder`, which is made if need be; it is compared before the first file."""
    runtime = web_runtime.published() if offline is None else web_runtime.copied(offline)
    contents = web_folder.contents(model, facts(model), runtime)
    runner = web_folder.Runner(model, contents)
    compared = check(model, runner, runner.program, made_inputs(model, from_features=False))
    if (stored := stored_inputs(model)) is not None:
        compared = compared.joined(check(model, runner.network, runner.program, stored))
    files = {folder / name: content for name, content in contents.items()}
    write_folder(folder, files)
    return Exported(WEB, tuple(files), sum(map(len, files.values())), compared)


def _file_name(word: str) -> str:
    """Return a word as the name of a file.

    >>> _file_name("Hey Jarvis!")
    'hey_jarvis'
    """
    return re.sub(r"\W+", "_", word.casefold()).strip("_") or "word"


def chosen_format(path: StrPath, format: str | None) -> str:
    """Return the format that is asked for, or that of the ending of `path`; `ConfigError` if there is none."""
    known = [*sorted(set(FORMATS.values())), HEADS, WEB]
    if format is not None:
        if format not in known:
            raise ConfigError(f"there is no format {format!r}; there are {', '.join(known)}")
        return format
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise ConfigError(
            f"{display_path(path)}: models are exported to {', '.join(FORMATS)}; end the name so, "
            "or give a format (--format)"
        )
    return FORMATS[ending]


def _check_folder(path: StrPath) -> None:
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise ConfigError(f"{display_path(path)}: there is no folder {display_path(folder)}; make it first")


def write_folder(folder: Path, contents: Mapping[Path, bytes]) -> None:
    """Write files into a folder and those in it, which are made if need be; `DataError` if one cannot be."""
    for parent in dict.fromkeys((folder, *(path.parent for path in contents))):
        make_folder(parent)
    for path, content in contents.items():
        with write_atomic(path) as file:
            file.write(content)
