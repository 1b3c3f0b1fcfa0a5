"""Arguments and options that several commands take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from audioconv.errors import ConfigError, ModelFileError
from audioconv.io.files import display_path

MODEL_NAME = "model.safetensors"
"""Name of the model in the folder that `audioconv train` writes."""

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The model: a .safetensors file, or the folder that `train` wrote.")
]


def flag(name: str, help: str, panel: str | None = None) -> Any:
    """Return an option that is there or not; its help shows no type."""
    return typer.Option(name, metavar="", help=help, rich_help_panel=panel)


Json = Annotated[bool, flag("--json", "Write JSON, for a program to read.")]
Strict = Annotated[bool, flag("--strict", "Stop at the first unreadable file, instead of skipping it.")]

Threshold = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, metavar="SCORE", help="The least score that counts; by default the model's.", show_default=False
    ),
]
FalseAcceptsPerHour = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Instead of a threshold: false accepts an hour, by the curve that the model has from its training.",
        show_default=False,
    ),
]
FalseAcceptRate = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="Share of other words that may be accepted, by the curve that the model has; by default its threshold.",
        show_default=False,
    ),
]
Hop = Annotated[float, typer.Option(metavar="SECONDS", help="Time between two windows.")]


def _shard(text: str) -> Any:
    from audioconv.cluster.shards import Shard

    try:
        return Shard.parse(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def shard_option(help: str) -> Any:
    """Return the option that chooses a part of a task, an `audioconv.cluster.shards.Shard` or None."""
    return typer.Option("--shard", metavar="I/N", parser=_shard, help=help, show_default=False)


RENAMED = {
    "train": {
        "--others": "--negatives",
        "--speak": "--tts-language",
        "--members": "--ensemble-size",
        "--false-accepts": "--false-accept-rate",
    },
    "evaluate": {"--outsiders": "--negatives"},
}
"""By command: options under their names of 0.1, which are no longer shown, and the present ones."""


def present_names(arguments: Sequence[str], say: Callable[[str], object]) -> list[str]:
    """Return the arguments of a command line with the present names of options; `say` is told of each old one."""
    present: list[str] = []
    renamed: Mapping[str, str] = {}
    for number, argument in enumerate(arguments):
        if number == 0:
            renamed = RENAMED.get(argument, {})
        name, equals, value = argument.partition("=")
        if name in renamed and "--" not in present:
            say(f"{name} is called {renamed[name]} now; the old name goes with the next release")
            argument = f"{renamed[name]}{equals}{value}"
        present.append(argument)
    return present


def model_path(path: Path) -> Path:
    """Return the model file that the argument `path` means."""
    if not path.is_dir():
        return path
    if not (path / MODEL_NAME).is_file():
        raise ModelFileError(f"{display_path(path)}: the folder holds no {MODEL_NAME}; name the model file")
    return path / MODEL_NAME


def add_command(app: typer.Typer, function: Callable[..., None], *examples: str, name: str | None = None) -> None:
    """Add a command to `app`; its help is the docstring of `function`, and ends with `examples` to copy."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    unwrapped = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    app.command(name, help=unwrapped, epilog="Examples:\n\n" + "\n".join(examples))(function)
