"""Building a data set's folder: all of it appears at once, and is known to be complete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from audioconv.datasets.manifest import MANIFEST_NAME, read_manifest
from audioconv.errors import DataError
from audioconv.files import display_path, reason

COMPLETE_NAME = ".audioconv-complete.json"
"""Says from which recipe a folder was built; written last."""

Recipe = Mapping[str, object]
"""What the content of a folder follows from, as JSON-compatible data."""


def is_built(folder: Path, recipe: Recipe) -> bool:
    """Return True where `folder` is complete and of `recipe`, False where it is still to be built.

    Raises
    ------
    DataError
        If something else is there, or files of the manifest have gone since.
    """
    shown = display_path(folder)
    if not os.path.lexists(folder):
        return False
    if not folder.is_dir():
        raise DataError(f"{shown}: is not a folder; give the name of a new one")
    try:
        built_from = json.loads((folder / COMPLETE_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        built_from = None
    if built_from is None and not any(folder.iterdir()):
        return False
    if built_from != json.loads(json.dumps(recipe)):
        other = "was made with other settings" if built_from else "holds other files"
        raise DataError(f"{shown}: {other}; give the name of a new folder, or remove this one")
    try:
        read_manifest(folder / MANIFEST_NAME, minimum_classes=1)
    except DataError as error:
        raise DataError(f"{error}; the folder was complete once: remove it and run the command again") from None
    return True


@contextmanager
def building(folder: Path, recipe: Recipe) -> Iterator[Path]:
    """Yield an empty folder beside `folder` to build in; it becomes `folder` at the end of the block.

    Where the block ends by an exception, nothing is left. What a killed process leaves does not count as built, and is
    cleared away by the next one.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    work = folder.with_name(f".{folder.name}.unfinished")
    try:
        if os.path.lexists(work):
            shutil.rmtree(work)
        work.mkdir(parents=True)
        yield work
        (work / COMPLETE_NAME).write_text(json.dumps(recipe, indent=1), "utf-8")
        if folder.is_dir():
            folder.rmdir()  # empty: `is_built` was asked before; only POSIX would rename onto it
        os.replace(work, folder)
    except OSError as error:
        place = display_path(error.filename) if isinstance(error.filename, str) else display_path(folder)
        raise DataError(f"{display_path(folder)}: could not be made ({reason(error)}: {place})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
