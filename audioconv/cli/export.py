"""``audioconv export``: a trained model as a file of another program."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from audioconv.cli.options import Json, Model, add_command, flag, model_path
from audioconv.cli.terminal import json_path, megabytes, say, write, write_json, write_next
from audioconv.io.files import display_path


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        export,
        "audioconv export model -o model.onnx",
        "audioconv export model -o model.onnx --features",
        "audioconv export model -o model.tflite --int8 --calibration words",
        "audioconv export model -o heads --format openwakeword",
        "audioconv export model -o model.c",
        "audioconv export model -o page --format web",
    )


def export(
    model: Model,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Write this file: .onnx, .tflite or .c; or this folder, for openwakeword, c and web.",
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="onnx, tflite, c, openwakeword (a head for each word), or web (a page). By default that of the file's "
            "ending.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        bool, flag("--features", "Leave the front end out: the file takes features, not samples.")
    ] = False,
    int8: Annotated[bool, flag("--int8", "Compute the network in 8-bit integers; in C only its weights.")] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A data set: some of it chooses the ranges of 8-bit integers, the rest measures the accuracy. "
            "Default: the features that the model keeps choose them.",
            show_default=False,
        ),
    ] = None,
    offline: Annotated[
        Path | None,
        typer.Option(
            metavar="RUNTIME",
            help="For web: copy ONNX Runtime Web beside the page, from this folder of the npm package onnxruntime-web.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Write a model as a file that other programs run.

    The file takes a batch of samples at the model's rate, or of pixels, and gives the probability of each label and the
    number of the answer, -1 for "none of these". Labels, rate, thresholds, provenance and licences are in its metadata.
    It is compared with the model before it is written.

    The format openwakeword writes an ONNX and a TFLite file for each word of a model that was trained with
    --init openwakeword. It takes 16 embeddings, as openWakeWord and Home Assistant compute them.

    The format c writes C99 source without dependencies: one call takes 16-bit samples and gives words, as listen does.
    A header and a JSON file are written beside it. A C compiler compares it with the model, if there is one.

    The format web writes a page that finds words in sound of the microphone or a recording, in the browser. Any web
    server serves it, such as python -m http.server. It loads ONNX Runtime Web from a content delivery network, or with
    --offline from its own folder.

    Needs the extra `export`, except for C: pip install 'audioconv\[export]'.
    """
    from audioconv.export import export as export_model
    from audioconv.export.exporting import WEB, check_integers, check_offline, chosen_format
    from audioconv.kernels import precompile

    kind = chosen_format(output, format)  # before there is much to load
    check_integers(kind, int8, calibration)
    check_offline(kind, offline)
    path = model_path(model)
    precompile.start(precompile.USE)
    exported = export_model(
        path, output, format=format, from_features=features, int8=int8, calibration=calibration, offline=offline
    )
    check, cost, sizes = exported.check, exported.accuracy, exported.sizes
    if as_json:
        write_json(
            {
                "files": [json_path(file) for file in exported.files],
                "format": exported.format,
                "bytes": exported.bytes,
                "program": None if check is None else check.program,
                "examples": None if check is None else check.examples,
                "largest_difference": None if check is None else check.largest_difference,
                "same_answers": None if check is None else check.answers,
                "accuracy": None if cost is None else asdict(cost),
                "sizes": None if sizes is None else asdict(sizes),
            }
        )
        return
    if check is None:
        say("not compared with the model: there is no C compiler (cc, gcc, clang, or that of the variable CC)")
    else:
        say(
            f"compared by {check.program}: {check.examples} examples, largest difference of a probability "
            f"{check.largest_difference:.1e}, {check.answers} of {check.examples} answers the same"
        )
    if cost is not None:
        say(
            f"accuracy in 8-bit integers: {cost.after:.2%} of {cost.examples:,} examples that chose no ranges, "
            f"{cost.before:.2%} in float32; {cost.same:.2%} have the same label"
        )
    if sizes is not None:
        code = "" if sizes.code is None else f", code {sizes.code:,} bytes ({sizes.compiled_by})"
        write(f"flash: constants {sizes.constants:,} bytes{code}")
        stream = f"a stream {sizes.state:,} bytes, " if sizes.state else ""
        write(f"RAM: {stream}audioconv_classify {sizes.scratch:,} bytes if it is called")
    if kind == WEB:
        write(f"{display_path(output)}: {len(exported.files)} files, {megabytes(exported.bytes)}")
        write_next(["python", "-m", "http.server", "--bind", "127.0.0.1", "--directory", output])
        return
    for file in exported.files:
        write(f"{display_path(file)}: {megabytes(file.stat().st_size)}")
