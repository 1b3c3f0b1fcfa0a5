"""Arguments and options that several commands take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from audioconv.cli.completion import keep_apostrophes
from audioconv.errors import ConfigError, ModelFileError
from audioconv.io.files import display_path, where_missing

MODEL_NAME = "model.safetensors"
"""Name of the model in the folder that `audioconv train` writes."""

TRAIN_FIRST = "audioconv train RECORDINGS -o model makes one"

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
        if not path.exists():
            raise ModelFileError(f"{display_path(path)}: no such model; {where_missing(path, TRAIN_FIRST)}")
        return path
    if not (path / MODEL_NAME).is_file():
        told = f"the folder holds no {MODEL_NAME}; name the model file, or {TRAIN_FIRST}"
        raise ModelFileError(f"{display_path(path)}: {told}")
    return path / MODEL_NAME


class Help(TyperCommand):
    """A command with plain help; see `plainly`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, and ``--help``."""
        return plainly(super().get_params(ctx))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the options that a shell proposes."""
        return keep_apostrophes(super().shell_complete(ctx, incomplete))


class GroupHelp(TyperGroup):
    """The same for a command that has commands; without one, it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what was typed behind the command's name."""
        return super().parse_args(ctx, args or ["--help"])

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, and ``--help``."""
        return plainly(super().get_params(ctx))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands and options that a shell proposes."""
        return keep_apostrophes(super().shell_complete(ctx, incomplete))


def plainly(parameters: list[Any]) -> list[Any]:
    """Remove redundant types and repeated defaults from the help of parameters, and return them."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
        if parameter.param_type_name == "argument":  # "<path>" and "<list[Path]>", in newer versions of typer
            parameter.display_type_rich = lambda ctx: None
        if "Default: " in (getattr(parameter, "help", None) or ""):
            parameter.show_default = False
    return parameters


def add_command(app: typer.Typer, function: Callable[..., None], *examples: str, name: str | None = None) -> None:
    """Add a command to `app`; its help is the docstring of `function`, and ends with `examples` to copy."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    unwrapped = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    app.command(name, cls=Help, help=unwrapped, epilog="Examples:\n\n" + "\n".join(examples))(function)
