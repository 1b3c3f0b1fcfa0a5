"""Completion in shells: what typer leaves to its users, and what its script for zsh lacks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

APOSTROPHE = "\u2019"

# zsh reads the installed file at the first Tab, as the function that shall complete.
_AT_ONCE = """

if [ "$funcstack[1]" = "_%(prog_name)s" ]; then
    %(complete_func)s "$@"
fi
"""


def complete_from(*values: str) -> Callable[[str], list[str]]:
    """Return what completes an option's value, in shells whose completion is installed."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def keep_apostrophes(items: Sequence[Any]) -> list[Any]:
    """Return proposals for a shell with another apostrophe in their help: typer's script for zsh drops ``'``."""
    for item in items:
        if item.help:
            item.help = item.help.replace("'", APOSTROPHE)
    return list(items)


def complete_at_the_first_tab() -> None:
    """Let typer's script for zsh complete as soon as it is loaded; alone, it does so from the second Tab on.

    The scripts have a private name: without it, typer installs what it has.
    """
    scripts = getattr(sys.modules.get("typer._completion_shared"), "_completion_scripts", {})
    if "zsh" in scripts and "funcstack" not in scripts["zsh"]:
        scripts["zsh"] = scripts["zsh"].rstrip() + _AT_ONCE
