"""``audioconv listen``: words from the microphone or a pipe, as they are spoken."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.detect import clock
from audioconv.cli.options import FalseAcceptsPerHour, Hop, Json, Model, Threshold, add_command, flag, model_path
from audioconv.cli.saving import Save, SaveLimit, saving
from audioconv.cli.terminal import add_row, new_table, printable, results, say, write, write_json
from audioconv.errors import DataError

if TYPE_CHECKING:
    from audioconv.streaming import Detection, Detector


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        listen,
        "audioconv listen model",
        "audioconv listen --list-devices",
        "audioconv listen model --device 3 --threshold 0.8",
        "audioconv listen model --save heard",
        "ffmpeg -v error -i talk.mp3 -f s16le -ac 1 -ar 16000 - | audioconv listen model - --json",
    )


def _list_devices(wanted: bool) -> None:
    if not wanted:
        return
    from audioconv.streaming.microphone import devices

    found = devices()
    if not found:
        raise DataError("there is no device that records; plug in a microphone")
    table = new_table("device", "name", "channels", "rate", "", right=["device", "channels", "rate"])
    for one in found:
        add_row(
            table, one.number, one.name, one.channels, f"{one.sample_rate:g} Hz", "default" if one.is_default else ""
        )
    results().print(table)
    raise typer.Exit


def listen(
    model: Model,
    source: Annotated[
        str | None,
        typer.Argument(metavar="-", help="A dash reads raw PCM or WAV from standard input, not the microphone."),
    ] = None,
    stdin: Annotated[bool, flag("--stdin", "The same as the dash.", "Standard input")] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1000,
            metavar="HZ",
            help="Its sample rate, where it is raw PCM. Default: 16000.",
            show_default=False,
            rich_help_panel="Standard input",
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Its channels, interleaved, where it is raw PCM. Default: 1.",
            show_default=False,
            rich_help_panel="Standard input",
        ),
    ] = None,
    sample_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="s16|f32",
            help="Its samples, where it is raw PCM: 16-bit integers (default) or 32-bit floating point, little-endian.",
            show_default=False,
            rich_help_panel="Standard input",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|NAME",
            help="The microphone, by its number or name.",
            show_default=False,
            rich_help_panel="Microphone",
        ),
    ] = None,
    list_devices: Annotated[
        bool,
        typer.Option(
            "--list-devices",
            metavar="",
            callback=_list_devices,
            is_eager=True,
            help="Show the microphones and exit.",
            rich_help_panel="Microphone",
        ),
    ] = False,
    threshold: Threshold = None,
    false_accepts_per_hour: FalseAcceptsPerHour = None,
    hop: Hop = 0.1,
    save: Save = None,
    save_limit: SaveLimit = None,
    as_json: Json = False,
) -> None:
    r"""Detect a model's words in sound from the microphone or from a pipe.

    In a terminal the level and the score of each word are shown; elsewhere, a line for each word, written at once.
    With --json one object a line: label, start, end (in seconds since the beginning), score. The microphone needs the
    extra `live`: pip install 'audioconv\[live]'. Ctrl-C stops.

    Sound is kept only with --save: a clip of 2 s of each detection and of each near miss, whose score is at least half
    the threshold. `audioconv review` goes through them.
    """
    import numpy as np

    from audioconv.kernels import precompile
    from audioconv.model import Model as LoadedModel
    from audioconv.streaming import Detector

    if source not in (None, "-"):
        raise typer.BadParameter(
            f"{source!r} is not the dash that stands for standard input; recordings are for audioconv detect",
            param_hint="'[-]'",
        )
    loaded = LoadedModel.load(model_path(model))
    if false_accepts_per_hour is not None:
        if threshold is not None:
            raise typer.BadParameter("a threshold and a number of false accepts exclude each other; give one of them")
        loaded = replace(loaded, decision=loaded.decision.at(false_accepts_per_hour=false_accepts_per_hour))
    precompile.start(precompile.USE)
    options: dict[str, Any] = {"threshold": threshold, "hop_seconds": hop}
    if stdin or source == "-":
        if sys.stdin.isatty():
            raise typer.BadParameter(
                "standard input is a terminal; pipe raw PCM into it, or leave the dash out for the microphone",
                param_hint="'[-]'",
            )
        from audioconv.streaming.pcm import read_pipe

        blocks = read_pipe(sys.stdin.buffer, rate, sample_format, channels)
        for note in blocks.notes:
            say(note, style="yellow")
        name = f"standard input, {blocks.sample_rate} Hz"
        with saving(save, save_limit, loaded) as kept:
            detector = Detector(loaded, sample_rate=blocks.sample_rate, **options, **kept.options("standard input"))
            _hear(detector, blocks, name, as_json=as_json)
        if kept.failed:
            raise typer.Exit(1)
        return
    from audioconv.streaming.microphone import Microphone

    microphone = Microphone(_number_or_name(device))
    # Compiling kernels delays the first windows, so it is done before the microphone starts.
    first = Detector(loaded, sample_rate=microphone.sample_rate, **options)
    first.push(np.zeros(2 * microphone.sample_rate, np.float32))
    name = f"{microphone.name}, {microphone.sample_rate} Hz"
    try:
        with saving(save, save_limit, loaded) as kept:
            detector = Detector(loaded, sample_rate=microphone.sample_rate, **options, **kept.options(microphone.name))
            with microphone:
                _hear(detector, microphone, name, as_json=as_json)
        if kept.failed:
            raise typer.Exit(1)
    finally:
        if microphone.lost:
            say(f"{microphone.lost} blocks of sound were lost: this computer was too busy", style="yellow")


def _number_or_name(device: str | None) -> int | str | None:
    return int(device) if device is not None and device.isdecimal() else device


def _hear(detector: Detector, blocks: Iterable[Any], name: str, *, as_json: bool) -> None:
    """Detect words until the blocks end; after an error of the device, the pending words are shown first."""
    from audioconv.cli.live_view import LiveView

    watched = sys.stdout.isatty() and not as_json
    if not watched:
        say(f"listening to {printable(name)}; Ctrl-C stops")
    with LiveView(detector, name) if watched else contextlib.nullcontext() as view:
        try:
            for block in blocks:
                found = detector.push(block)
                if view is not None:
                    view.show(block, found)
                else:
                    _tell(found, as_json=as_json)
        except DataError as error:
            _tell(detector.flush(), as_json=as_json)
            place = f"after {detector.seconds:.1f} s: " if detector.seconds else ""
            raise DataError(f"{place}{error}") from None
        except BaseException:  # Ctrl-C ends most streams, and a reader that has gone ends others
            detector.finish_clips()
            raise
        _tell(detector.flush(), as_json=as_json)


def _tell(found: list[Detection], *, as_json: bool) -> None:
    """Write each word at once, for a program behind a pipe."""
    for one in found:
        if as_json:
            write_json(one.to_json(), indent=None)
        else:
            write(describe(one))
        sys.stdout.flush()


def describe(one: Detection) -> str:
    """Return a detection as a line for a person."""
    return f"{clock(one.start):>11}  {printable(one.label)}  {one.score:.1%}"
