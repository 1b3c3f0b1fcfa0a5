"""``audioconv train``: from a folder of clips to a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from audioconv.cli.options import MODEL_NAME, Json, Strict, examples
from audioconv.cli.terminal import list_failures, write_json, write_next
from audioconv.cli.training import UNREADABLE_NAME, make_room, report_as_json, show_report, train_into
from audioconv.errors import ConfigError

ARCHITECTURES = ("cnn", "cs231n", "ds-cnn-s", "tc-resnet8", "m5")
"""The names of `architectures.NAMES`, for the help: their module takes too long to import for that."""

HEARS, LEARNS, RUNS = "What the network hears", "How it learns", "The run"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(
        epilog=examples(
            "audioconv train recordings -o model",
            "audioconv train recordings -o model --epochs 60 --noise street.wav",
            "audioconv train list.csv -o model --arch ds-cnn-s --seed 1",
            "audioconv train recordings -o model --resume",
        )
    )(train)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None or "0" in match.groups():
        raise typer.BadParameter(f"{text!r} is no size; write it as 28 or as HEIGHTxWIDTH, such as 32x48")
    return int(match[1]), int(match[2] or match[1])


def train(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|MANIFEST",
            help="A folder with one subfolder a class, or a CSV manifest path,label[,speaker][,split].",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the model, the history and checkpoints.")
    ],
    arch: Annotated[
        str, typer.Option(help=f"The network: {', '.join(ARCHITECTURES)}.", rich_help_panel=LEARNS)
    ] = "cnn",
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through the clips.", rich_help_panel=LEARNS)] = 30,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips a step.", rich_help_panel=LEARNS)] = 64,
    learning_rate: Annotated[
        float, typer.Option(help="The greatest of the one-cycle schedule.", rich_help_panel=LEARNS)
    ] = 5e-3,
    augment: Annotated[
        bool,
        typer.Option(
            "--augment/--no-augment",
            help="Change clips at random: shift, gain, speed, noise, rooms, masks.",
            rich_help_panel=LEARNS,
        ),
    ] = True,
    noise: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Recordings to mix in, instead of synthetic noise.",
            show_default=False,
            rich_help_panel=LEARNS,
        ),
    ] = None,
    validation_fraction: Annotated[
        float,
        typer.Option(
            help="Share of the clips that watch the training, where no split says which; whole speakers.",
            rich_help_panel=LEARNS,
        ),
    ] = 0.1,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop after so many epochs that brought nothing better.",
            show_default=False,
            rich_help_panel=LEARNS,
        ),
    ] = None,
    refit: Annotated[
        bool | None,
        typer.Option(
            "--refit/--no-refit",
            help="Train once more, with the validation clips. By default where few speakers are known.",
            show_default=False,
            rich_help_panel=LEARNS,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Of everything random: the same seed gives the same bits.", rich_help_panel=LEARNS),
    ] = 0,
    front_end: Annotated[
        str | None,
        typer.Option(
            help="log-mel, mfcc or raw. By default what the network takes.", show_default=False, rich_help_panel=HEARS
        ),
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            help="In Hz. By default 16000, or lower where most clips are.", show_default=False, rich_help_panel=HEARS
        ),
    ] = None,
    clip_seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of a clip. By default 1, or longer where most are.", show_default=False, rich_help_panel=HEARS
        ),
    ] = None,
    image_size: Annotated[
        Any,
        typer.Option(
            parser=_size,
            metavar="SIZE",
            help="Of pictures, such as 28 or 32x48. By default theirs, at most 96.",
            show_default=False,
            rich_help_panel=HEARS,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted run, to the same bits as without the break.",
            rich_help_panel=RUNS,
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Begin anew where DIR already holds a model.", rich_help_panel=RUNS)
    ] = False,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Train a classifier on recordings or pictures, a folder a class.

    A tenth of the clips watches the training (whole speakers, where they are known) and chooses the best epoch. Rows of
    a manifest whose split is `test` are never trained on: they tell the accuracy at the end. Unreadable files are
    skipped, counted and listed.
    """
    settings = {
        "arch": arch,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "front_end": front_end,
        "sample_rate": sample_rate,
        "clip_seconds": clip_seconds,
        "image_size": image_size,
        "augment": augment,
        "noise": noise,
        "validation_fraction": validation_fraction,
        "patience": patience,
        "refit": refit,
        "seed": seed,
    }
    if resume and force:
        raise ConfigError("--resume goes on and --force begins anew; give one of them")
    from audioconv.datasets import open_collection

    collection = open_collection(source)
    make_room(out, resume=resume, force=force)
    classifier = train_into(out, collection, resume=resume, strict=strict, **settings)
    report = classifier.report_
    assert report is not None
    if as_json:
        write_json(report_as_json(out, report))
        list_failures(report.failures, len(collection), out / UNREADABLE_NAME)
        return
    show_report(out, classifier, collection)
    model = out / MODEL_NAME
    commands: list[list[str | Path]] = [["audioconv", "classify", model, collection.paths[0]]]
    if report.test is not None:
        commands.append(["audioconv", "evaluate", model, source, "--split", "test"])
    write_next(*commands, ["audioconv", "info", model])
