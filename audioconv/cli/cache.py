"""``audioconv cache``: the clips that trainings have stored on this machine."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.options import Json, add_command
from audioconv.cli.terminal import (
    add_row,
    json_path,
    megabytes,
    new_table,
    printable,
    results,
    say_error,
    write,
    write_json,
)
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.audio.window_store import StoredClips

_DAY = 86_400
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        cache,
        "audioconv cache",
        "audioconv cache --unused-for 7d",
        "audioconv cache --max-size 20GB",
        "audioconv cache --all",
    )


def _days(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(d|h)?", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no age; write it as 7d or 12h")
    return float(match[1]) / (24 if match[2] == "h" else 1)


def _size(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size; write it as 500MB or 20GB")
    return float(match[1]) * _UNITS[match[2].upper()]


def cache(
    unused_for: Annotated[
        Any,
        typer.Option(
            metavar="AGE", parser=_days, help="Remove those that were not used for so long, such as 7d or 12h."
        ),
    ] = None,
    max_size: Annotated[
        Any,
        typer.Option(
            metavar="SIZE",
            parser=_size,
            help="Remove those that were not used for longest, until the others take no more than this, such as 20GB.",
        ),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Remove the one of this name.")] = None,
    all_of_them: Annotated[bool, typer.Option("--all", metavar="", help="Remove all.")] = False,
    as_json: Json = False,
) -> None:
    """Show what clips trainings have stored, or remove some.

    `audioconv train` stores the clips of a large data set as it reads them, for the next training on the same data.
    What was not used for 30 days is removed when other clips are stored. Nothing is lost but the time to read the
    recordings again.
    """
    from audioconv.audio import window_store

    stores = window_store.list_stores()
    now = time.time()
    chosen = {one.folder for one in stores if all_of_them or one.folder.name in (drop or ())}
    if unused_for is not None:
        chosen |= {one.folder for one in stores if now - one.used > unused_for * _DAY}
    if max_size is not None:
        total = 0
        for one in stores:  # the last used first
            if one.folder not in chosen:
                total += one.bytes
                chosen |= {one.folder} if total > max_size else set()
    unknown = [name for name in drop or () if name not in {one.folder.name for one in stores}]
    if unknown:
        raise typer.BadParameter(f"there are no stored clips of the name {unknown[0]!r}; audioconv cache lists them")
    left = window_store.drop([one for one in stores if one.folder in chosen])
    removed = [one for one in stores if one.folder in chosen and one not in left]
    kept = [one for one in stores if one not in removed]
    if as_json:
        write_json(
            {
                "folder": json_path(window_store.stores_folder()),
                "stores": [_as_json(one) for one in kept],
                "removed": [_as_json(one) for one in removed],
            }
        )
    else:
        _show(kept, removed, now)
    for one in left:
        say_error(f"{display_path(one.folder)}: cannot be removed; another process uses it, or it is not yours")
    if left:
        raise typer.Exit(1)


def _show(kept: list[StoredClips], removed: list[StoredClips], now: float) -> None:
    from audioconv.audio.window_store import stores_folder

    if kept:
        table = new_table("name", "data", "recordings", "size", "last used", right=("recordings", "size"))
        for one in kept:
            days = (now - one.used) / _DAY
            used = "today" if days < 1 else f"{days:.0f} days ago"
            add_row(table, one.folder.name, printable(one.data), f"{one.recordings:,}", megabytes(one.bytes), used)
        results().print(table)
        write(f"{megabytes(sum(one.bytes for one in kept))} in {display_path(stores_folder())}")
    else:
        write(f"no clips are stored in {display_path(stores_folder())}")
    if removed:
        write(f"removed {len(removed)}, {megabytes(sum(one.bytes for one in removed))}")


def _as_json(one: StoredClips) -> dict[str, Any]:
    return {
        "name": one.folder.name,
        "data": one.data,
        "recordings": one.recordings,
        "windows": one.windows,
        "bytes": one.bytes,
        "used": one.used,
    }
