"""``--save``: clips of what is detected, and of what nearly is, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.terminal import command, megabytes, say
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.model import Model
    from audioconv.streaming.clip_store import ClipStore

DEFAULT_LIMIT = 200.0
"""Megabytes."""

PANEL = "Keeping clips"

Save = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keep a clip of each detection and near miss in this folder, for audioconv review.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
SaveLimit = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="MB",
        help=f"Size of that folder at which no more clips are kept. Default: {DEFAULT_LIMIT:g}.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


class Saving:
    """Clips that a command keeps of a stream.

    Parameters
    ----------
    store : ClipStore, optional
        None where nothing is kept.
    """

    def __init__(self, store: ClipStore | None) -> None:
        self._store = store
        self._told = False

    def options(self, source: str, *, once: bool = False) -> dict[str, Any]:
        """Return the options of a `Detector` that listens to `source`; see `ClipStore.add`."""
        if self._store is None:
            return {}
        return {"on_clip": self._keep(self._store, source, once)}

    @property
    def failed(self) -> bool:
        """True if a clip could not be written."""
        return self._store is not None and self._store.failure is not None

    def _keep(self, store: ClipStore, source: str, once: bool) -> Callable[[Any], None]:
        def keep(clip: Any) -> None:
            store.add(clip, source, once=once)
            if self._told:
                return
            if store.failure is not None:
                self._told = True
                say(f"no more clips are kept: {store.failure}", style="yellow")
            elif store.is_full:
                self._told = True
                say(
                    f"{display_path(store.folder)} is full ({megabytes(store.limit)}): no more clips are kept; "
                    "--save-limit takes a larger size",
                    style="yellow",
                )

        return keep


@contextmanager
def saving(folder: Path | None, limit: float | None, model: Model) -> Iterator[Saving]:
    """Open the folder of ``--save``, if it is given; say what is kept where, and at the end how much it was."""
    if folder is None:
        if limit is not None:
            raise typer.BadParameter("the size is that of a folder; name it with --save", param_hint="'--save-limit'")
        yield Saving(None)
        return
    from audioconv.streaming.clip_store import ClipStore

    most = round(1e6 * (DEFAULT_LIMIT if limit is None else limit))
    with ClipStore.open(folder, most, model.words) as store:
        used = f"{megabytes(store.bytes)} of {megabytes(most)} are used"
        say(
            f"sound is kept: clips of detections and near misses, in {display_path(folder)} ({used})",
            style="yellow",
        )
        try:
            yield Saving(store)
        finally:
            say(
                f"{store.detections:,} clips of detections and {store.near_misses:,} of near misses kept; "
                f"next: {command(['audioconv', 'review', folder])}"
            )
