"""The command line. Exit codes: 0 success, 1 failure, 2 wrong usage."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from audioconv._version import __version__
from audioconv.cli import (
    cache,
    classify,
    data,
    demo,
    detect,
    doctor,
    evaluate,
    explain,
    export,
    info,
    lab,
    listen,
    review,
    serve,
    train,
)
from audioconv.cli.completion import complete_at_the_first_tab
from audioconv.cli.options import GroupHelp, present_names
from audioconv.cli.streams import OutputError, guard, release
from audioconv.cli.terminal import say, say_error, shown_notices
from audioconv.errors import AudioconvError, ConfigError
from audioconv.io.files import display_path, reason

__all__ = ["app", "main", "run"]

_INTERRUPTED = 130

_EXPECTED = {
    "Input should be a valid integer, unable to parse string as an integer": "expected a whole number",
    "Input should be a valid number, unable to parse string as a number": "expected a number",
}
"""Messages of newer versions of typer about what was typed, and what they say here."""

# click's UsageError, which newer versions of typer bundle: whatever is wrong with what was typed.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="audioconv",
    cls=GroupHelp,
    help="Train keyword and sound classifiers on this computer's CPU, from a folder of clips.",
    epilog="Start with [bold]audioconv demo[/]: it shows everything in three minutes. "
    "[bold]audioconv COMMAND --help[/] ends with examples.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for module in (
    train,
    classify,
    evaluate,
    explain,
    lab,
    detect,
    listen,
    serve,
    review,
    export,
    info,
    data,
    cache,
    demo,
    doctor,
):
    module.register(app)
complete_at_the_first_tab()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"audioconv {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options before the command."""


@functools.cache
def _command() -> Callable[..., int | None]:
    """Return the commands with their options, which typer otherwise reads from the annotations in each call."""
    return typer.main.get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; an error is one line on standard error."""
    try:
        with shown_notices():
            # Standalone mode would draw boxes round errors.
            code = _command()(present_names(arguments, say), prog_name="audioconv", standalone_mode=False)
    except _UsageError as error:
        say_error(_usage(error))
        return 2
    except AudioconvError as error:
        say_error(str(error))
        return 2 if isinstance(error, ConfigError) else 1
    except OSError as error:  # of a file that nothing else names, such as one that vanished meanwhile
        say_error(f"{display_path(error.filename)}: {reason(error)}" if error.filename else reason(error))
        return 1
    except MemoryError as error:
        say_error(f"not enough memory ({error}); train on fewer or shorter clips")
        return 1
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        say_error("interrupted")
        return 1
    return int(code or 0)


def main() -> None:
    """Run the command line of this process; the console script `audioconv`."""
    guard()
    with _little_garbage_collection():
        try:
            code = run(sys.argv[1:])
            sys.stdout.flush()
        except OutputError as error:
            if not error.reader_is_gone:  # such as `head`, which has had enough
                say_error(str(error))
            code = 1
        release()
    sys.exit(code)


@contextmanager
def _little_garbage_collection() -> Iterator[None]:
    """Look for garbage less often meanwhile; what is there in the end is not looked through any more.

    Importing Numba makes a million objects that stay: looking through them again and again, and once more when the
    process ends, would take as long as the imports themselves.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.freeze()


def _usage(error: Exception) -> str:
    """Return what is wrong with what was typed, and which help to read."""
    message = error.format_message()  # type: ignore[attr-defined]
    for long, short in _EXPECTED.items():
        message = message.replace(long, short)
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "audioconv"
    return (
        f"{message} See {command} --help" if message.endswith("?") else f"{message.rstrip('.')}; see {command} --help"
    )
