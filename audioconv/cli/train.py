"""``audioconv train``: from a folder of clips to a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.completion import complete_from
from audioconv.cli.options import MODEL_NAME, Json, Strict, add_command, flag
from audioconv.cli.terminal import list_failures, write_json, write_next
from audioconv.cli.training_run import (
    UNREADABLE_NAME,
    list_negative_failures,
    make_room,
    no_empty_folder,
    report_as_json,
    resumable,
    show_report,
    train_into,
)
from audioconv.errors import ConfigError

if TYPE_CHECKING:
    from audioconv.classifier import Classifier
    from audioconv.datasets import Collection

ARCHITECTURES = (
    "cnn", "tc-cnn", "tc-cnn-l", "tc-cnn-events", "cs231n", "ds-cnn-s", "ds-cnn-m", "ds-cnn-l", "tc-resnet8",
    "tc-resnet14", "bc-resnet-1", "bc-resnet-1.5", "bc-resnet-2", "bc-resnet-3", "bc-resnet-6", "bc-resnet-8",
    "matchboxnet-3x1x64", "matchboxnet-3x2x64", "m5", "m5-32", "m11", "speech-embedding", "yamnet",
    "resnet20", "inception-v3",
)  # fmt: skip
"""The names of `architectures.NAMES`, for the help: their module takes too long to import for that."""

RUN, TRAINING, REJECTION, INPUT = "Run", "Training", "Rejection", "Input"

FALSE_ACCEPT_RATE, FALSE_ACCEPTS_PER_HOUR, STORED_FEATURES, AUTO = 0.05, 0.5, 200, "auto"
"""The defaults of `recipe.settings.Settings`, which takes too long to import for the help."""

EPOCHS, EMBEDDING_EPOCHS, YAMNET_EPOCHS = 60, 12, 20
BATCH_SIZE, PUBLISHED_BATCH_SIZE, LEARNING_RATE, PUBLISHED_LEARNING_RATE = 64, 32, 0.005, 0.003
"""The defaults of `recipe.plan`, for the help."""

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
        "audioconv train recordings -o model --tts-language en",
        "audioconv train recordings -o model --negatives other-speech",
        "audioconv train ten-clips-a-word -o mine --init model/model.safetensors",
        "audioconv train words -o model --init speech-embedding",
        "audioconv train sounds -o model --init yamnet",
        "audioconv train words -o model --init network.onnx --init-layer conv5",
        "audioconv train recordings -o better --reviewed heard",
        "audioconv train recordings -o model --resume",
        "mpiexec -n 4 audioconv train recordings -o model --replicas 8",
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
        bool,
        flag("--resume", "Continue an interrupted run; the result has the same bits as an uninterrupted one.", RUN),
    ] = False,
    force: Annotated[bool, flag("--force", "Replace the model in DIR.", RUN)] = False,
    epochs: Annotated[
        int | None,
        _option(
            f"Number of epochs. Default: {EPOCHS}, from speech-embedding {EMBEDDING_EPOCHS}, from yamnet "
            f"{YAMNET_EPOCHS}; more for few clips.",
            RUN,
            metavar="N",
            min=1,
        ),
    ] = None,
    budget: Annotated[
        Any,
        _option(
            "Time that training may take, such as 90s, 5m or 1h; sets the number of epochs.",
            RUN,
            metavar="TIME",
            parser=_seconds,
        ),
    ] = None,
    patience: Annotated[
        int | None, _option("Stop after N epochs without a better validation result.", RUN, metavar="N", min=1)
    ] = None,
    validation_fraction: Annotated[
        float,
        _option("Share of the clips that validates; whole speakers. Default: 0.1.", RUN, metavar="SHARE"),
    ] = 0.1,
    folds: Annotated[
        int | None,
        _option(
            "Cross-validate in N parts, for few clips: N networks, each without one part, give the accuracy and choose "
            "the threshold; the model is trained on all clips. Default: one part validates.",
            RUN,
            metavar="N",
            min=2,
        ),
    ] = None,
    refit: Annotated[
        bool | None,
        _option(
            "Train once more with the validation clips included. Default: if fewer than 20 speakers are known, "
            "or with at most five clips a word.",
            RUN,
            "--refit/--no-refit",
            metavar="",
        ),
    ] = None,
    averaged_runs: Annotated[
        int,
        _option(
            "Average the parameters of N runs that begin with the same pretrained network: fewer other words are "
            "accepted, and the model is as fast. Default: 1.",
            RUN,
            metavar="N",
            min=1,
        ),
    ] = 1,
    ensemble_size: Annotated[
        int,
        _option(
            "Train N networks and average them: more words are found in noise, in N times the time.",
            RUN,
            metavar="N",
            min=1,
        ),
    ] = 1,
    stored_features: Annotated[
        int,
        _option(
            "Keep the features of N training clips, at most 0.5 MB, in the model, for export. Default: 200.",
            RUN,
            metavar="N",
            min=0,
        ),
    ] = STORED_FEATURES,
    replicas: Annotated[
        int,
        _option(
            "Replicas of the network that train together, each on --batch-size clips a step. Start N processes, any "
            "number that divides V, by mpiexec -n N; the model is the same for every N. Default: 1.",
            RUN,
            metavar="V",
            min=1,
        ),
    ] = 1,
    seed: Annotated[
        int, _option("Seed of all random numbers; the same seed gives the same bits.", RUN, metavar="N", min=0)
    ] = 0,
    arch: Annotated[
        str,
        _option(
            f"Network: {', '.join(ARCHITECTURES)}. Default: auto, chosen by the data.",
            TRAINING,
            metavar="NAME",
            autocompletion=complete_from(*ARCHITECTURES),
        ),
    ] = "auto",
    init: Annotated[
        str,
        _option(
            "Start from pretrained layers, below a new last layer: those of a model that this command wrote; of "
            "speech-embedding, Google's network for words (Apache License 2.0), downloaded if need be; of yamnet, "
            "Google's network for sounds (likewise); of openwakeword, the speech embedding unchanged, for export to "
            "openWakeWord; or of a network in an ONNX, Keras or Caffe file. Or start from nothing. Default: auto. "
            "Words start from speech-embedding if it is here, else fewer than 500 clips of them from one that learned "
            "synthetic speech. Other sounds start from yamnet if it is here.",
            TRAINING,
            metavar="FILE|speech-embedding|yamnet|openwakeword|nothing|auto",
        ),
    ] = AUTO,
    init_layer: Annotated[
        str | None,
        _option(
            "Where to cut the network of --init, of another framework: keep its layers up to this one. Default: all, "
            "without the dense layer at its end.",
            TRAINING,
            metavar="NAME",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        _option(
            f"Clips a step. Default: {BATCH_SIZE}, from speech-embedding or yamnet {PUBLISHED_BATCH_SIZE}.",
            TRAINING,
            metavar="N",
            min=1,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        _option(
            f"Maximum of the one-cycle schedule. Default: {LEARNING_RATE}, from speech-embedding or yamnet "
            f"{PUBLISHED_LEARNING_RATE}.",
            TRAINING,
            metavar="RATE",
        ),
    ] = None,
    mixup: Annotated[
        float | None,
        _option("Mix pairs of clips, with a share from Beta(ALPHA, ALPHA). Default: off.", TRAINING, metavar="ALPHA"),
    ] = None,
    no_augment: Annotated[
        bool,
        flag("--no-augment", "Train on the clips as they are: no shift, gain, speed, noise, room or mask.", TRAINING),
    ] = False,
    noise: Annotated[
        Path | None,
        _option("Recordings to mix into the clips, instead of synthetic noise.", TRAINING, metavar="FILE|FOLDER"),
    ] = None,
    reject: Annotated[
        bool | None,
        _option(
            'Learn to answer "none of these". Default: on with a bank of negatives; without one, on for words and '
            "windows up to 2 s, off if fewer than 20 speakers are known.",
            REJECTION,
            "--reject/--no-reject",
            metavar="",
        ),
    ] = None,
    keep_classes: Annotated[
        bool,
        flag(
            "--keep-classes",
            "Treat classes named other, noise, silence and the like as classes, not as negatives.",
            REJECTION,
        ),
    ] = False,
    negatives: Annotated[
        str,
        _option(
            "Recordings to learn to reject; those whose transcripts have one of the words are left out. Default: auto; "
            "the folder in AUDIOCONV_NEGATIVES, or else what `audioconv data get negatives` brought, if anything.",
            REJECTION,
            metavar="FOLDER|auto|none",
        ),
    ] = AUTO,
    tts_language: Annotated[
        str | None,
        _option(
            "Add synthetic speech in this language, such as en: the words, and common other words as negatives.",
            REJECTION,
            metavar="LANGUAGE",
        ),
    ] = None,
    reviewed: Annotated[
        Path | None,
        _option(
            "Clips of audioconv listen --save that audioconv review has gone through: more examples of the words, and "
            "negatives.",
            TRAINING,
            metavar="DIR",
        ),
    ] = None,
    false_accept_rate: Annotated[
        float,
        _option(
            f"Share of the negatives that may be accepted; sets the threshold. Default: {FALSE_ACCEPT_RATE}.",
            REJECTION,
            metavar="SHARE",
        ),
    ] = FALSE_ACCEPT_RATE,
    false_accepts_per_hour: Annotated[
        float,
        _option(
            "False accepts in an hour of speech without the words; sets the threshold for streams. Default: "
            f"{FALSE_ACCEPTS_PER_HOUR}.",
            REJECTION,
            metavar="NUMBER",
        ),
    ] = FALSE_ACCEPTS_PER_HOUR,
    front_end: Annotated[
        str | None,
        _option(
            "log-mel, mfcc or raw; of librosa cqt, chroma, pcen or another feature's name. Default: what the network "
            "takes.",
            INPUT,
            metavar="NAME",
        ),
    ] = None,
    sample_rate: Annotated[
        int | None,
        _option("Sample rate of the model. Default: 16000, or lower if most clips are.", INPUT, metavar="HZ"),
    ] = None,
    clip_seconds: Annotated[
        float | None,
        _option("Length of the window. Default: chosen from the recordings.", INPUT, metavar="SECONDS"),
    ] = None,
    normalise_clips: Annotated[
        bool | None,
        _option(
            "Normalise each band by the clip's own mean and deviation. Default: chosen from the recordings.",
            INPUT,
            "--normalise-clips/--no-normalise-clips",
            metavar="",
        ),
    ] = None,
    image_size: Annotated[
        Any,
        _option(
            "Size of pictures, such as 28 or 32x48. Default: theirs, at most 96.", INPUT, metavar="SIZE", parser=_size
        ),
    ] = None,
) -> None:
    """Train a classifier on recordings or pictures, a folder a class.

    A tenth of the clips, in whole speakers if they are known, validates and sets the threshold. Rows of a manifest
    whose split is `test` are never trained on; they give the accuracy at the end. Unreadable files are skipped,
    counted and listed.
    """
    settings = {
        "arch": arch,
        "init": None if init == NOTHING else init,
        "init_layer": init_layer,
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
        "negatives": negatives,
        "tts_language": tts_language,
        "reviewed": reviewed,
        "false_accept_rate": false_accept_rate,
        "false_accepts_per_hour": false_accepts_per_hour,
        "validation_fraction": validation_fraction,
        "folds": folds,
        "patience": patience,
        "refit": refit,
        "averaged_runs": averaged_runs,
        "ensemble_size": ensemble_size,
        "stored_features": stored_features,
        "replicas": replicas,
        "seed": seed,
    }
    if resume and force:
        raise ConfigError("--resume goes on and --force begins anew; give one of them")
    from audioconv.cli.together import remove_remains, together
    from audioconv.datasets import open_collection
    from audioconv.kernels import precompile

    with no_empty_folder(out), together() as processes:
        collection = open_collection(source)
        if processes.leads:
            make_room(out, resume=resume, force=force)
            remove_remains(out)
        precompile.start(precompile.TRAIN_ON_IMAGES if collection.kind == "images" else precompile.TRAIN_ON_SOUNDS)
        with resumable(out, "go on with the same command and --resume"):
            classifier = train_into(out, collection, resume=resume, strict=strict, processes=processes, **settings)
        if processes.leads:
            _show(out, classifier, collection, source, as_json=as_json)


def _show(out: Path, classifier: Classifier, collection: Collection, source: Path, *, as_json: bool) -> None:
    """Write what came of training."""
    report = classifier.report_
    assert report is not None
    if as_json:
        write_json(report_as_json(out, report, classifier.model_))
        list_failures(report.failures, len(collection), out / UNREADABLE_NAME)
        list_negative_failures(report, classifier, out)
        return
    show_report(out, classifier, collection)
    model = out / MODEL_NAME
    commands: list[list[str | Path]] = [["audioconv", "classify", model, collection.paths[0]]]
    if report.test is not None:
        commands.append(["audioconv", "evaluate", model, source, "--split", "test"])
    if collection.kind == "audio":
        commands.append(["audioconv", "listen", out])
    write_next(*commands, ["audioconv", "info", model])
