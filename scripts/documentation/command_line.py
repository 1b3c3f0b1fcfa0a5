"""A hook of MkDocs: the page of all commands and options, written from the program itself when the site is built."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

PAGE = "reference/command-line.md"

HEAD = """# Command line

**For:** users of the terminal who look up a command or an option. `audioconv COMMAND --help` shows the same.

Exit codes of all commands: 0 for success, 1 for a failure (a file, a device or data) or after Ctrl-C, 2 for wrong
usage.
"""


def on_page_markdown(markdown: str, /, *, page: Any, **_: Any) -> str | None:
    """Return all commands in the place of the few lines that the repository has."""
    return commands_page() if page.file.src_uri == PAGE else None


def commands_page() -> str:
    """Return the page as Markdown."""
    import typer.main

    from audioconv.cli import app

    root = typer.main.get_command(app)
    return "\n".join([HEAD, *_commands(root, "audioconv")])


def _commands(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        full = f"{path} {name}"
        yield f"## {full}\n\n{_prose(command.help)}\n"
        if hasattr(command, "commands"):
            yield from _commands(command, full)
            continue
        yield f"```text\n{full} {' '.join(_usage(command))}\n```\n"
        yield from _table(command)
        examples = [line.strip() for line in (command.epilog or "").splitlines() if line.strip()]
        if examples and examples[0].startswith("Example"):
            lines = [re.sub(r"\[/?[a-z ]*\]", "", line).replace("\\[", "[") for line in examples[1:]]
            yield "Examples:\n\n```text\n" + "\n".join(lines) + "\n```\n"


def _usage(command: Any) -> Iterator[str]:
    yield "[OPTIONS]"
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.metavar or parameter.name.upper()
            yield f"{name}..." if parameter.nargs == -1 and not name.rstrip("}").endswith("...") else name


def _table(command: Any) -> Iterator[str]:
    """Yield the arguments and options in a table."""
    rows = ["| argument or option | meaning |", "|---|---|"]
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            name = _code(parameter.metavar or parameter.name.upper())
        else:
            value = "" if parameter.is_flag else f" {_value(parameter)}"
            name = ", ".join(_code(f"{each}{value}") for each in (*parameter.opts, *parameter.secondary_opts))
        rows.append(f"| {name} | {_cell(_prose(parameter.help))} |")
    yield "\n".join(rows) + "\n"


def _value(parameter: Any) -> str:
    return str(parameter.metavar or parameter.type.name).upper() if parameter.metavar is None else parameter.metavar


def _code(text: str) -> str:
    """Return a text as code for a cell: there, Markdown's code may hold no bar."""
    return f"<code>{html.escape(text.rstrip()).replace('|', '&#124;')}</code>"


def _cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str | None) -> str:
    """Return a help text as Markdown: without the markup of rich, and with option names as code."""
    plain = re.sub(r"\[/?(?:bold|dim|italic|cyan|yellow|red|green)?\]", "", text or "").replace("\\[", "[").strip()
    plain = re.sub(r"(?<![\w`-])(--[a-z][a-z-]*\w)", r"`\1`", plain)
    return re.sub(r"<(?=\w)", "&lt;", plain).replace("[", "\\[")  # brackets outside of code would be links
