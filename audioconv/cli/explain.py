"""``audioconv explain``: saliency and feature maps of an example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audioconv.cli.options import Json, Model, add_command, model_path
from audioconv.cli.terminal import json_path, printable, write, write_json
from audioconv.io.files import display_path

LAYERS = 6
"""Default number of convolutions on the sheet."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        explain,
        "audioconv explain model clip.wav -o clip.png",
        "audioconv explain model clip.wav -o clip.svg --label yes --layers 10",
        "audioconv explain model clip.wav --json",
    )


def explain(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording, or a picture.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PICTURE", help="Draw it: a .png, .svg or .pdf file.", show_default=False
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Explain this label instead of the answer.", show_default=False),
    ] = None,
    layers: Annotated[int, typer.Option(min=0, metavar="N", help="Number of convolutions to draw.")] = LAYERS,
    as_json: Json = False,
) -> None:
    r"""Show the parts of a recording or a picture that a decision depends on.

    Parts of the spectrogram are hidden, one at a time; where the odds of the label fall, the answer depends on them.
    The picture shows that on the spectrogram, the scores of all labels, and the kernels and feature maps of the layers.

    Drawing needs the extra `plots`: pip install 'audioconv\[plots]'.
    """
    from audioconv.explaining import explain as explain_example
    from audioconv.explaining.text import findings, verdict
    from audioconv.kernels import precompile
    from audioconv.model import Model as TrainedModel

    if output is not None:
        from audioconv.io.figures import check_drawable

        check_drawable(output)  # before there is much to compute
    trained = TrainedModel.load(model_path(model))
    precompile.start(precompile.USE)
    explanation = explain_example(trained, file, label)
    if output is not None:
        from audioconv.explaining.figure import draw

        draw(explanation, output, layers, title=display_path(file.name))
    if as_json:
        picture = None if output is None else json_path(output)
        write_json({"path": json_path(file), **explanation.to_json(), "picture": picture})
        return
    write(printable(verdict(explanation)), style="bold")
    for line in findings(explanation):
        write(printable(line))
    if output is not None:
        write(f"picture: {display_path(output)}")
