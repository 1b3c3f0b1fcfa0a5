"""`open_collection`: a folder with one subfolder a class, or a manifest."""

from __future__ import annotations

import logging
import os
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from audioconv.datasets.arrangement import Parts, arrange, split_of
from audioconv.datasets.collection import (
    Collection,
    Kind,
    check_classes,
    kind_of,
    label_of,
    one_kind,
    one_spelling,
    spelled_alike,
)
from audioconv.datasets.items import Items
from audioconv.datasets.left_out import sort_out
from audioconv.datasets.manifest import MANIFEST_NAME, MANIFEST_SUFFIXES, read_manifest
from audioconv.decision.classes import BACKGROUND
from audioconv.errors import DataError
from audioconv.io.columns import ColumnBuilder, PathColumn, PathColumnBuilder, View
from audioconv.io.files import display_path, reason, where_missing

_LOG = logging.getLogger("audioconv")

NOT_CLASSES = frozenset({BACKGROUND, "__MACOSX", "__pycache__"})
"""Folders beside the classes that are none; the first is the noise of Speech Commands."""

SPREADSHEETS = frozenset({".xls", ".xlsx", ".ods", ".numbers"})
"""Names that end so are refused with a message of their own."""

# Names that have the speaker, or the source recording a clip was cut from.
SPEAKER_IN_NAME = (
    re.compile(r"(?P<speaker>.+?)_nohash_\d+$"),  # Speech Commands and what is recorded in its manner
    re.compile(r"[1-5]-(?P<speaker>\d+)-[A-Z](-\d+)?$"),  # ESC-50: {fold}-{source}-{take}[-{class}]
)


def open_collection(path: str | os.PathLike[str], *, minimum_classes: int = 2) -> Collection:
    """Open a data set by its folder or its manifest.

    Each subfolder of a folder is a class, and all recordings or pictures below it are its clips. Subfolders that are
    all called like splits (``train``, ``val``, ``testing``, ``fold1`` and so on) are splits, see
    `arrangement.arrange`. Recordings in ``_background_noise_`` beside the classes are `Collection.backgrounds`. Hidden
    files, hidden folders and files with other endings are left out. The speaker is taken from names such as
    ``{speaker}_nohash_{n}.wav``. A folder that holds a ``manifest.csv`` is read by that manifest instead. What was
    assumed, and what was left out, is in the collection's notes.

    Parameters
    ----------
    path : path-like
        A folder, or a manifest (see `read_manifest`).
    minimum_classes : int
        Least number of classes: 2 to train, 1 to evaluate.

    Returns
    -------
    Collection

    Raises
    ------
    DataError
        If there is no such folder, it is empty, has too few classes, mixes recordings with pictures, has
        folders that may be classes or splits, or its manifest is not usable.

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
        where = where_missing(path, "give a folder with one subfolder per class, or a CSV manifest")
        raise DataError(f"{shown}: no such folder or manifest; {where}")
    if path.suffix.lower() in SPREADSHEETS:
        raise DataError(f"{shown}: is a spreadsheet; save it as CSV (UTF-8) with the columns path,label")
    if path.suffix.lower() not in MANIFEST_SUFFIXES:
        raise DataError(
            f"{shown}: is neither a folder with one subfolder per class "
            "nor a CSV manifest with the columns path,label[,speaker][,split]"
        )
    return read_manifest(path, minimum_classes=minimum_classes)


def speaker_in_name(path: Path) -> str | None:
    """Return the speaker or source recording in a file's name, None where it follows no known convention."""
    for pattern in SPEAKER_IN_NAME:
        if match := pattern.match(path.stem):
            return display_path(match["speaker"])
    return None


def _open_folder(folder: Path, minimum_classes: int) -> Collection:
    shown = display_path(folder)
    readable, unreadable, backgrounds = PathColumnBuilder(), list[tuple[Path, Parts]](), list[Path]()
    for path in files_below(folder):
        parts = path.parts[len(folder.parts) :]
        if _is_background(parts) and kind_of(path) == "audio":
            backgrounds.append(path)
        if _is_beside_classes(parts):
            continue
        if kind_of(path):
            readable.add(path)
        else:
            unreadable.append((path, parts))
    paths = readable.build()
    files = _parts_below(folder, paths)
    arranged = arrange(files, shown)
    stray: list[str] = []
    used_places = array("q")
    labels, speakers, splits = ColumnBuilder[str](), ColumnBuilder[str | None](), ColumnBuilder[str | None]()
    examples: dict[str, Path] = {}  # of each ending
    for number, role in enumerate(arranged.places):
        if role is None:
            stray.append(display_path("/".join(files[number])))
            continue
        used_places.append(number)
        labels.add(label_of(role.classes[0]))
        speakers.add(role.speaker or speaker_in_name(Path(role.name)))
        splits.add(role.split)
        if (ending := os.path.splitext(paths.name(number))[1]) not in examples:
            examples[ending] = paths[number]
    items = Items.with_columns(
        paths.take(np.array(used_places, np.int64)), labels.build(), speakers.build(), splits.build()
    )
    hint = "make one subfolder per class, with the recordings (or pictures) of the class in it"
    others = [(path, label_of(parts[arranged.depth])) for path, parts in unreadable if len(parts) > arranged.depth + 1]
    used = {parts[:end] for parts in files for end in range(1, len(parts))}
    left_out = sort_out(others, stray, _empty_folders(folder, arranged.depth, used))
    if not len(items) and stray:
        raise DataError(f"{shown}: its files ({stray[0]}, ...) are not in class folders; {hint}")
    if not len(items):
        unread = "".join(f"; {note}" for note in left_out.notes if left_out.unread)
        raise DataError(f"{shown}: holds no recordings and no pictures in subfolders; {hint}{unread}")
    merged, merged_notes = one_spelling(items)
    spelled = {spelled_alike(label): label for label in merged.labels.counts()}
    left_out = left_out.relabelled(lambda label: spelled.get(spelled_alike(label), label))
    collection = Collection(
        merged,
        one_kind(examples.values(), shown),
        display_path(folder.resolve().name or folder),
        (*arranged.notes, *merged_notes, *left_out.notes),
        left_out,
    )
    if collection.kind == "audio":
        collection = replace(collection, backgrounds=tuple(backgrounds))
    check_classes(collection, minimum_classes, shown, hint)
    return collection


def _parts_below(folder: Path, paths: PathColumn) -> Sequence[Parts]:
    """Return the name of each file with the folders that it is in, below `folder`."""
    above = len(folder.parts)

    @lru_cache(maxsize=1024)
    def folders(path: str) -> Parts:
        return Path(path).parts[above:]

    return View(len(paths), lambda place: (*folders(paths.folder(place)), paths.name(place)))


def _is_beside_classes(parts: tuple[str, ...]) -> bool:
    """Return whether a file is in a folder that stands beside the classes, and is none."""
    return len(parts) > 1 and any(
        part in NOT_CLASSES and all(split_of(above) for above in parts[:place]) for place, part in enumerate(parts[:2])
    )


def _is_background(parts: tuple[str, ...]) -> bool:
    """Return whether a file is a recording of noise without words."""
    return _is_beside_classes(parts) and BACKGROUND in parts[:2]


def _empty_folders(folder: Path, depth: int, used: Set[tuple[str, ...]]) -> list[str]:
    """Return the folders down to `depth` folders below those at the top that are not in `used`, by their names."""
    found: list[str] = []

    def look(here: Path, above: tuple[str, ...]) -> None:
        for entry in _entries(here):
            parts = (*above, entry.name)
            if not entry.is_dir() or _is_beside_classes((*parts, "")):
                continue
            if parts not in used:
                found.append(display_path("/".join(parts)))
            elif len(above) < depth:
                look(Path(entry.path), parts)

    look(folder, ())
    return found


def expand(paths: Iterable[Path], kind: Kind) -> Iterator[Path]:
    """Yield the files among `paths`, and those of this kind in the folders; `DataError` for one that holds none.

    Recordings or pictures whose names end like none that is read are left out, with a line in the log.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        files = PathColumn.of(files_below(path))
        found = PathColumn.of(file for file in files if kind_of(file) == kind)
        unread = sort_out((file, "") for file in files if kind_of(file) is None).about_unread
        if not found:
            wanted = "pictures" if kind == "images" else "recordings"
            holds = f"{display_path(path)}: holds no {wanted}"
            remedy = f"give {wanted}, or a folder of them"
            raise DataError(f"{holds} that are read; {unread}" if unread else f"{holds}; {remedy}")
        if unread:
            _LOG.warning("%s: %s", display_path(path), unread)
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
