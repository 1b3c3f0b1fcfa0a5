"""Opening a data set: a folder with one subfolder a class, or a manifest."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from audioconv.datasets.collection import Collection, Item, Kind, check_classes, kind_of, one_kind
from audioconv.datasets.manifest import MANIFEST_NAME, read_manifest
from audioconv.errors import DataError
from audioconv.files import display_path, reason

NOT_CLASSES = frozenset({"_background_noise_", "__MACOSX", "__pycache__"})
"""Folders beside the classes that are none; the first is the noise of Speech Commands."""

# Names that say who speaks, or which source recording a clip was cut from.
SPEAKER_IN_NAME = (
    re.compile(r"(?P<speaker>.+?)_nohash_\d+$"),  # Speech Commands and what is recorded in its manner
    re.compile(r"[1-5]-(?P<speaker>\d+)-[A-Z](-\d+)?$"),  # ESC-50: {fold}-{source}-{take}[-{class}]
)


def open_collection(path: str | os.PathLike[str], *, minimum_classes: int = 2) -> Collection:
    """Open a data set by its folder or its manifest.

    Of a folder, each subfolder is a class and all recordings or pictures below it are its clips. Hidden files, hidden
    folders, ``_background_noise_`` and files with other endings are left out. The speaker is taken from names such as
    ``{speaker}_nohash_{n}.wav``. A folder that holds a ``manifest.csv`` is read by that manifest instead.

    Parameters
    ----------
    path : path-like
        A folder, or a CSV manifest (see `read_manifest`).
    minimum_classes : int
        How many classes there must be: 2 to train, 1 to evaluate.

    Returns
    -------
    Collection

    Raises
    ------
    DataError
        If there is no such folder, it is empty, has too few classes, mixes recordings with pictures, or its manifest
        is not usable.

    Examples
    --------
    >>> open_collection("recordings").classes  # doctest: +SKIP
    ('no', 'yes')
    """
    path = Path(path)
    shown = display_path(path)
    if path.is_dir():
        if (path / MANIFEST_NAME).is_file():
            return read_manifest(path / MANIFEST_NAME, minimum_classes=minimum_classes)
        return _open_folder(path, minimum_classes)
    if not path.exists():
        raise DataError(f"{shown}: no such folder or manifest")
    if path.suffix.lower() != ".csv":
        raise DataError(
            f"{shown}: is neither a folder with one subfolder per class "
            "nor a CSV manifest with the columns path,label[,speaker][,split]"
        )
    return read_manifest(path, minimum_classes=minimum_classes)


def speaker_in_name(path: Path) -> str | None:
    """Return the speaker or source recording that a file's name tells, None where it follows no known convention."""
    for pattern in SPEAKER_IN_NAME:
        if match := pattern.match(path.stem):
            return display_path(match["speaker"])
    return None


def _open_folder(folder: Path, minimum_classes: int) -> Collection:
    shown = display_path(folder)
    items: list[Item] = []
    unused = ""
    for entry in _entries(folder):
        if entry.is_dir():
            if entry.name in NOT_CLASSES:
                continue
            files = [path for path in files_below(Path(entry.path)) if kind_of(path)]
            items += [Item(path, _label(entry.name), speaker_in_name(path)) for path in files]
        elif kind_of(Path(entry.name)):
            unused = unused or display_path(entry.name)
    hint = "make one subfolder per class, with the recordings (or pictures) of the class in it"
    if not items and unused:
        raise DataError(f"{shown}: its files ({unused}, ...) are not in class folders; {hint}")
    if not items:
        raise DataError(f"{shown}: holds no recordings and no pictures in subfolders; {hint}")
    collection = Collection(
        tuple(items), one_kind((item.path for item in items), shown), display_path(folder.resolve().name or folder)
    )
    check_classes(collection, minimum_classes, shown, hint)
    return collection


def _label(name: str) -> str:
    """Return the label for a class folder: printable, and composed as the user would type it (macOS decomposes)."""
    return unicodedata.normalize("NFC", display_path(name))


def expand(paths: Iterable[Path], kind: Kind) -> Iterator[Path]:
    """Yield the files among `paths`, and those of this kind in the folders; `DataError` for one that holds none."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = [file for file in files_below(path) if kind_of(file) == kind]
        if not found:
            raise DataError(f"{display_path(path)}: holds no {'pictures' if kind == 'images' else 'recordings'}")
        yield from found


def files_below(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield all files below `folder` by sorted name; links are followed, but not round in circles."""
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from files_below(Path(entry.path), above | {here})
        else:
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in `folder`, sorted by the bytes of the names, without what is hidden."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: os.fsencode(entry.name),
            )
    except OSError as error:
        raise DataError(f"{display_path(folder)}: the folder cannot be read ({reason(error)})") from None
