"""``audioconv train``: from a folder of clips to a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from audioconv.cli.options import MODEL_NAME, Json, Strict, add_command, flag
from audioconv.cli.terminal import list_failures, write_json, write_next
from audioconv.cli.training_run import UNREADABLE_NAME, make_room, report_as_json, resumable, show_report, train_into
from audioconv.errors import ConfigError

ARCHITECTURES = (
    "cnn", "tc-cnn", "tc-cnn-l", "tc-cnn-events", "cs231n", "ds-cnn-s", "ds-cnn-m", "ds-cnn-l", "tc-resnet8",
    "tc-resnet14", "bc-resnet-1", "bc-resnet-1.5", "bc-resnet-2", "bc-resnet-3", "bc-resnet-6", "bc-resnet-8",
    "matchboxnet-3x1x64", "matchboxnet-3x2x64", "m5", "m5-32", "m11", "resnet20", "inception-v3",
)  # fmt: skip
"""The names of `architectures.NAMES`, for the help: their module takes too long to import for that."""

RUN, LEARNS, SAYS_NO, HEARS = "The run", "How it learns", "What it says no to", "What the network hears"

FALSE_ACCEPTS, AUTO = 0.05, "auto"
"""Those of `settings.Settings`, which takes too long to import for the help."""

NOTHING = "nothing"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        train,
        "audioconv train recordings -o model",
        "audioconv train recordings -o model --epochs 60 --noise street.wav",
        "audioconv train list.csv -o model --arch ds-cnn-s --seed 1",
        "audioconv train recordings -o model --budget 5m",
        "audioconv train recordings -o model --speak en",
        "audioconv train ten-clips-a-word -o mine --init model/model.safetensors",
        "audioconv train recordings -o model --resume",
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None or "0" in match.groups():
        raise typer.BadParameter(f"{text!r} is no size; write it as 28 or as HEIGHTxWIDTH, such as 32x48")
    return int(match[1]), int(match[2] or match[1])


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", text.strip())
    if match is None or float(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no time; write it as 90s, 5m or 1.5h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[match[2]]


def _option(help: str, panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


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
    strict: Strict = False,
    as_json: Json = False,
    resume: Annotated[
        bool, flag("--resume", "Go on with an interrupted run, to the same bits as without the break.", RUN)
    ] = False,
    force: Annotated[bool, flag("--force", "Begin anew where DIR already holds a model.", RUN)] = False,
    epochs: Annotated[
        int | None,
        _option(
            "How often to go through the clips. By default 60, and more where they are few.", RUN, metavar="N", min=1
        ),
    ] = None,
    budget: Annotated[
        Any,
        _option("Train as well as so much time allows, such as 90s, 5m or 1h.", RUN, metavar="TIME", parser=_seconds),
    ] = None,
    patience: Annotated[
        int | None, _option("Stop after N epochs that brought nothing better.", RUN, metavar="N", min=1)
    ] = None,
    validation_fraction: Annotated[
        float,
        _option("Share of the clips, in whole speakers, that watches the training.", RUN, metavar="SHARE"),
    ] = 0.1,
    refit: Annotated[
        bool | None,
        _option(
            "Train once more, with the watching clips. By default where few speakers are known.",
            RUN,
            "--refit/--no-refit",
            metavar="",
        ),
    ] = None,
    members: Annotated[
        int,
        _option(
            "Train N networks that decide together: more is found in noise, in N times the time.",
            RUN,
            metavar="N",
            min=1,
        ),
    ] = 1,
    seed: Annotated[int, _option("The same seed gives the same bits.", RUN, metavar="N", min=0)] = 0,
    arch: Annotated[
        str,
        _option(
            f"The network: {', '.join(ARCHITECTURES)}; or auto, which chooses by what it hears.",
            LEARNS,
            metavar="NAME",
        ),
    ] = "auto",
    init: Annotated[
        str,
        _option(
            "Begin with this model and its network, for other labels; or with nothing. By default few words begin with "
            "a network that knows synthetic voices.",
            LEARNS,
            metavar="MODEL|nothing|auto",
        ),
    ] = AUTO,
    batch_size: Annotated[int, _option("Clips a step.", LEARNS, metavar="N", min=1)] = 64,
    learning_rate: Annotated[
        float | None,
        _option("The greatest of the one-cycle schedule. By default 0.005.", LEARNS, metavar="RATE"),
    ] = None,
    mixup: Annotated[
        float | None,
        _option(
            "Mix clips with each other, by a share from Beta(ALPHA, ALPHA). By default not.", LEARNS, metavar="ALPHA"
        ),
    ] = None,
    no_augment: Annotated[
        bool, flag("--no-augment", "Leave clips as they are: no shift, gain, speed, noise, rooms, masks.", LEARNS)
    ] = False,
    noise: Annotated[
        Path | None, _option("Recordings to mix in, instead of synthetic noise.", LEARNS, metavar="FILE|FOLDER")
    ] = None,
    reject: Annotated[
        bool | None,
        _option(
            'Learn to say "none of these", with other sounds made of the words. By default for words.',
            SAYS_NO,
            "--reject/--no-reject",
            metavar="",
        ),
    ] = None,
    keep_classes: Annotated[
        bool,
        flag("--keep-classes", "Listen for classes called other, noise, silence and the like, too.", SAYS_NO),
    ] = False,
    others: Annotated[
        Path | None,
        _option("Recordings of anything that is none of the words, to learn from.", SAYS_NO, metavar="FILE|FOLDER"),
    ] = None,
    speak: Annotated[
        str | None,
        _option(
            "A language, such as en: synthetic voices say the words, and many others that are none, to learn from.",
            SAYS_NO,
            metavar="LANGUAGE",
        ),
    ] = None,
    false_accepts: Annotated[
        float,
        _option("Share of other sounds that may be taken for a word; sets the threshold.", SAYS_NO, metavar="SHARE"),
    ] = FALSE_ACCEPTS,
    front_end: Annotated[
        str | None, _option("log-mel, mfcc or raw. By default what the network takes.", HEARS, metavar="NAME")
    ] = None,
    sample_rate: Annotated[
        int | None, _option("By default 16000, or lower where most clips are.", HEARS, metavar="HZ")
    ] = None,
    clip_seconds: Annotated[
        float | None,
        _option("Length of the window. By default that of the words, or of sounds.", HEARS, metavar="SECONDS"),
    ] = None,
    normalise_clips: Annotated[
        bool | None,
        _option(
            "Shift and scale each clip's bands by their own mean and deviation. By default if they change, as words.",
            HEARS,
            "--normalise-clips/--no-normalise-clips",
            metavar="",
        ),
    ] = None,
    image_size: Annotated[
        Any,
        _option(
            "Of pictures, such as 28 or 32x48. By default theirs, at most 96.", HEARS, metavar="SIZE", parser=_size
        ),
    ] = None,
) -> None:
    """Train a classifier on recordings or pictures, a folder a class.

    A tenth of the clips watches the training (whole speakers, where they are known) and chooses the threshold. Rows of
    a manifest whose split is `test` are never trained on: they tell the accuracy at the end. Unreadable files are
    skipped, counted and listed.
    """
    settings = {
        "arch": arch,
        "init": None if init == NOTHING else init,
        "epochs": epochs,
        "budget": budget,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "mixup": mixup,
        "front_end": front_end,
        "sample_rate": sample_rate,
        "clip_seconds": clip_seconds,
        "image_size": image_size,
        "normalise_clips": normalise_clips,
        "augment": not no_augment,
        "noise": noise,
        "reject": reject,
        "keep_classes": keep_classes,
        "others": others,
        "speak": speak,
        "false_accepts": false_accepts,
        "validation_fraction": validation_fraction,
        "patience": patience,
        "refit": refit,
        "members": members,
        "seed": seed,
    }
    if resume and force:
        raise ConfigError("--resume goes on and --force begins anew; give one of them")
    from audioconv.datasets import open_collection

    collection = open_collection(source)
    make_room(out, resume=resume, force=force)
    with resumable(out, "go on with the same command and --resume"):
        classifier = train_into(out, collection, resume=resume, strict=strict, **settings)
    report = classifier.report_
    assert report is not None
    if as_json:
        write_json(report_as_json(out, report, classifier.model_.decision))
        list_failures(report.failures, len(collection), out / UNREADABLE_NAME)
        return
    show_report(out, classifier, collection)
    model = out / MODEL_NAME
    commands: list[list[str | Path]] = [["audioconv", "classify", model, collection.paths[0]]]
    if report.test is not None:
        commands.append(["audioconv", "evaluate", model, source, "--split", "test"])
    write_next(*commands, ["audioconv", "info", model])
